/** The templates that are included are those that are shipped, whole and unchanged. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';

import { NestedStack, Stack } from 'aws-cdk-lib';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { IConstruct } from 'constructs';

import { StreamdexFunction, StreamdexService } from '../src';
import { FUNCTION_PROPERTIES } from '../src/function';
import { SERVICE_PROPERTIES } from '../src/service';
import { DEPLOY, Json, newStack, prefixLists, shippedTemplate, synthesised, text, zip } from './support';

const FUNCTION = 'sam/template.yaml';
const SERVICE = 'cloudformation/service.yaml';

function included(): { function: StreamdexFunction; service: StreamdexService } {
  const stack = newStack();
  const lists = prefixLists(stack);
  return {
    function: new StreamdexFunction(stack, 'Function', { code: zip(stack), ...lists }),
    service: new StreamdexService(stack, 'Service', { imageTag: '1', ...lists }),
  };
}

/** Nested stacks below a construct, by their names in the template. */
function nestedStacks(below: IConstruct): [string, NestedStack][] {
  return below.node
    .findAll()
    .filter((one) => one instanceof NestedStack)
    .filter((one) => one.node.scope instanceof CfnInclude)
    .map((one) => [one.node.id, one]);
}

/** What packaging changes, and what the order of has no meaning, is taken out. */
function comparable(template: Json): Json {
  for (const resource of Object.values<Json>(template.Resources)) {
    const { Type: type, Properties: properties } = resource;
    if (type === 'AWS::CloudFormation::Stack') {
      delete properties.TemplateURL;
    }
    if (type === 'AWS::Serverless::Function') {
      delete properties.CodeUri;
    }
    if (resource.DependsOn !== undefined) {
      resource.DependsOn = [resource.DependsOn].flat().sort();
    }
    // CDK says there where the asset is.
    for (const key of Object.keys(resource.Metadata ?? {}).filter((key) => key.startsWith('aws:'))) {
      delete resource.Metadata[key];
    }
    if (Object.keys(resource.Metadata ?? { some: true }).length === 0) {
      delete resource.Metadata;
    }
  }
  return template;
}

function assertWhole(stack: Stack, name: string): void {
  assert.deepEqual(comparable(synthesised(stack)), comparable(shippedTemplate(name)), name);
}

test('the template of the function is included whole, with all that is nested in it', () => {
  const { function: made } = included();
  assertWhole(made.nestedStack, FUNCTION);
  assertNested(made, FUNCTION);
});

test('the template of the service is included whole, with all that is nested in it', () => {
  const { service: made } = included();
  assertWhole(made.nestedStack, SERVICE);
  assertNested(made, SERVICE);
});

function assertNested(made: IConstruct, name: string): void {
  const expected = new Map(nestedIn(name));
  const found = new Map(nestedStacks(made));
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [logicalId, file] of expected) {
    assertWhole(found.get(logicalId)!, file);
  }
}

/** The templates that a shipped one names, and those name. */
function nestedIn(name: string): [string, string][] {
  return Object.entries<Json>(shippedTemplate(name).Resources)
    .filter(([, resource]) => resource.Type === 'AWS::CloudFormation::Stack')
    .flatMap(([logicalId, resource]) => {
      const file = path.join(path.dirname(name), resource.Properties.TemplateURL);
      return [[logicalId, file] as [string, string], ...nestedIn(file)];
    });
}

test('nothing is left that only packaging could make deployable', () => {
  const { function: made, service } = included();
  for (const [name, stack] of [...nestedStacks(made), ...nestedStacks(service), ['', made.nestedStack] as const]) {
    for (const [logicalId, { Type: type, Properties: properties }] of Object.entries<Json>(synthesised(stack).Resources)) {
      const address = type === 'AWS::CloudFormation::Stack' ? properties.TemplateURL : properties.CodeUri;
      assert.notEqual(typeof address, 'string', `${name} ${logicalId}`);
    }
  }
});

test('the function keeps the transform, and refers to what the transform makes', () => {
  const template = synthesised(included().function.nestedStack);
  assert.equal(template.Transform, 'AWS::Serverless-2016-10-31');
  assert.equal('FunctionStream' in template.Parameters, false);
  assert.deepEqual(template.Outputs.MappingId.Value, { Ref: 'FunctionStream' });
  assert.deepEqual(template.Resources.Monitoring.Properties.Parameters.MappingId, { Ref: 'FunctionStream' });
});

for (const [name, properties] of [
  [FUNCTION, FUNCTION_PROPERTIES],
  [SERVICE, SERVICE_PROPERTIES],
] as const) {
  test(`each parameter of ${name} has a property`, () => {
    // A parameter that is new in the template goes into the properties, the values and the README.
    assert.deepEqual(Object.keys(properties).sort(), Object.keys(shippedTemplate(name).Parameters).sort());
  });
}

test('the package has each shipped template, and of the function one more line', () => {
  for (const folder of ['cloudformation', 'sam']) {
    const names = readdirSync(path.join(DEPLOY, folder)).filter((name) => name.endsWith('.yaml'));
    assert.deepEqual(readdirSync(path.join(__dirname, '..', 'templates', folder)).sort(), names.sort());
    for (const name of names) {
      const copy = text('dist', 'templates', folder, name);
      const plain = copy.replace('  FunctionStream: {Type: String}\n', '');
      assert.equal(plain === copy, name !== 'template.yaml');
      assert.equal(plain, text('..', folder, name));
    }
  }
});

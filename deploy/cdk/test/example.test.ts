/** The example, as `cdk deploy` sees it in a new app. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';

import { OrdersStack } from '../examples/orders';
import { Evaluation, Json, newApp, PACKAGE, parameters, readable, synthesised } from './support';

const ZIP = path.join(PACKAGE, 'dist', 'templates', 'sam');

test('the example follows its table into its domain', () => {
  const stack = new OrdersStack(newApp(), 'OrdersSearch', { zip: ZIP });
  const resources = synthesised(stack).Resources as Json;
  const [orders] = Object.keys(resources).filter((id) => resources[id].Type === 'AWS::DynamoDB::Table');
  const [search] = Object.keys(resources).filter((id) => resources[id].Type === 'AWS::OpenSearchService::Domain');
  const given = parameters(stack.index);
  const template = new Evaluation(synthesised(stack.index.nestedStack), given);
  const { STREAMDEX_TABLE, STREAMDEX_OPENSEARCH_URL } = template.resource('Function')!.Environment.Variables;
  assert.equal(STREAMDEX_TABLE, `<${orders}>`);
  assert.equal(STREAMDEX_OPENSEARCH_URL, `https://<${search}.DomainEndpoint>`);
  assert.equal(template.resource('Function')!.Events.Stream.Properties.Stream, `<${orders}.StreamArn>`);
  const key = readable(given.KeyArn);
  assert.equal(resources[key.slice(1, -'.Arn>'.length)].Type, 'AWS::KMS::Key');
  assert.equal(template.statement('FunctionRole', 'SourceKey')!.Resource, key);
});

test('CDK\'s own validation of templates finds nothing, with the flags of a new app', () => {
  const app = newApp(true);
  new OrdersStack(app, 'OrdersSearch', { zip: ZIP });
  const { directory } = app.synth();
  const report = JSON.parse(readFileSync(path.join(directory, 'validation-report.json'), 'utf8'));
  assert.deepEqual(report.pluginReports, []);
});

/** A shipped template as a nested stack. */

import { existsSync } from 'node:fs';
import * as path from 'node:path';

import { CfnParameter, CfnRule, CfnStack, NestedStack, Stack, Token } from 'aws-cdk-lib';
import { CfnInclude, CfnIncludeProps } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

import { broken, GIVEN, Known, Rule } from './rules';

/** What a template takes: the value of each parameter. One that is left out has the template's default. */
export type ParameterValues<Name extends string = string> = Readonly<Record<Name, string | undefined>>;

/** The properties that set each parameter, for messages. */
export type PropertyNames<Name extends string = string> = Readonly<Record<Name, readonly string[]>>;

/** CloudFormation takes no longer value. */
const PARAMETER_BYTES = 4096;
/** What CloudFormation adds to the name of a nested stack: a dash, and 12 or 13 characters. */
const SUFFIX = 14;
/** How long the name of a stack may be. */
const STACK_NAME = 128;
/** `-Domain-…-Alarms-…`, the deepest stack inside a shipped template. */
const DEEPEST = '-Domain-Alarms'.length + 2 * SUFFIX;

/** The path of a shipped template. */
export function shipped(name: string): string {
  return path.join(__dirname, '..', 'templates', name);
}

function nested(name: string, loadNestedStacks: Record<string, CfnIncludeProps> = {}): CfnIncludeProps {
  return { templateFile: shipped(name), loadNestedStacks };
}

/** The stacks that both templates take in. */
export const SHARED_STACKS: Record<string, CfnIncludeProps> = {
  Key: nested('cloudformation/key.yaml'),
  State: nested('cloudformation/state.yaml'),
  SessionTable: nested('cloudformation/session-table.yaml'),
  Vpc: nested('cloudformation/network.yaml'),
  Domain: nested('cloudformation/search-domain.yaml', { Alarms: nested('cloudformation/search-alarms.yaml') }),
  Collection: nested('cloudformation/search-serverless.yaml'),
};

/** Which template is included, and what is known of it. */
export interface DeploymentProps {
  readonly template: CfnIncludeProps;
  readonly values: ParameterValues;
  readonly properties: PropertyNames;
  /** The longest name that something in the stack may have, less what the template adds to the stack's name. */
  readonly longestStackName: number;
}

/**
 * A nested stack with the template in it. Conditions and rules of CloudFormation see parameters alone, and most of what
 * an app knows of a table or domain is known at the deployment. So values go in as parameters of the nested stack, and
 * nothing in the template is replaced.
 */
export class Deployment {
  public readonly stack: NestedStack;
  public readonly include: CfnInclude;
  private readonly resource: CfnStack;

  public constructor(scope: Construct, props: DeploymentProps) {
    this.stack = new NestedStack(scope, 'Stack');
    this.resource = this.stack.nestedStackResource as CfnStack;
    this.resource.overrideLogicalId(shortId(scope, props.longestStackName));
    if (!existsSync(props.template.templateFile)) {
      throw new Error(`${scope.node.path}: there is no ${props.template.templateFile}. Run npm run build in deploy/cdk.`);
    }
    this.include = new CfnInclude(this.stack, 'Template', props.template);
    const found = problems(this.stack, this.include, props);
    if (found.length > 0) {
      throw new Error(found.map((problem) => `${scope.node.path}: ${problem}`).join('\n'));
    }
    for (const [name, value] of Object.entries(props.values)) {
      if (value !== undefined) {
        this.stack.setParameter(name, value);
      }
    }
  }

  /** An output of the template, as a value of the app. */
  public output(name: string): string {
    return Token.asString(this.resource.getAtt(`Outputs.${name}`));
  }
}

/**
 * A logical id without a hash. The names of function, log group, alarms and dashboard come from the name of the nested
 * stack, which is PARENT-LOGICALID-SUFFIX, and a function's name has 64 characters at most.
 */
function shortId(scope: Construct, longest: number): string {
  const stack = Stack.of(scope);
  const below = scope.node.scopes.slice(stack.node.scopes.length);
  const id = below.map((one) => one.node.id.replace(/[^A-Za-z0-9]/g, '')).join('');
  if (Token.isUnresolved(stack.stackName)) {
    throw new Error(
      `${scope.node.path}: a nested stack cannot hold it, because names would become too long. Put it into a stack, not into a NestedStack.`,
    );
  }
  const most = Math.min(longest, STACK_NAME - DEEPEST) - SUFFIX - '-'.length;
  const length = stack.stackName.length + id.length;
  if (length > most) {
    throw new Error(
      `${scope.node.path}: names made from the stack's (${stack.stackName}) and this construct's (${id}) would be too long for AWS. Together they have ${length} characters and may have ${most}: give the stack a shorter stackName, or the construct a shorter id.`,
    );
  }
  return id;
}

/** What the template refuses of the values, as sentences. */
function problems(stack: NestedStack, include: CfnInclude, { values, properties }: DeploymentProps): string[] {
  // What is in a nested stack belongs to another template.
  const own = include.node.findAll().filter((child) => Stack.of(child) === stack);
  const definitions = new Map(
    own.filter((child) => child instanceof CfnParameter).map((parameter) => [parameter.node.id, parameter]),
  );
  const value = (name: string): Known => {
    const given = values[name] ?? String(definitions.get(name)?.default ?? '');
    return Token.isUnresolved(given) ? GIVEN : given;
  };
  const found: string[] = [];
  for (const [name, definition] of definitions) {
    const known = value(name);
    if (known !== GIVEN && (values[name] !== undefined || definition.default === undefined)) {
      found.push(...[...refusals(definition, known)].map((why) => `${sets(name, properties)}: ${why}`));
    }
  }
  const rules = own
    .filter((child) => child instanceof CfnRule)
    .flatMap((rule) => Object.values((stack.resolve(fragment(rule)) as { Rules: Record<string, Rule> }).Rules));
  for (const { sentence, parameters: about } of broken(rules, value)) {
    found.push(`${sentence} (${about.map((name) => `${name}: ${sets(name, properties)}`).join('; ')})`);
  }
  return found;
}

/** An element as CDK renders it. */
function fragment(rule: CfnRule): object {
  return (rule as unknown as { _toCloudFormation(): object })._toCloudFormation();
}

function sets(name: string, properties: PropertyNames): string {
  return (properties[name] ?? []).map((property) => `\`${property}\``).join(' or ');
}

/** Why a parameter does not take a value. */
function* refusals(parameter: CfnParameter, value: string): Generator<string> {
  const { allowedPattern, allowedValues, minValue, maxValue, minLength, maxLength } = parameter;
  if (value === '' && parameter.default === undefined) {
    yield 'it is missing.';
    return;
  }
  if (Buffer.byteLength(value) > PARAMETER_BYTES) {
    yield `it has ${Buffer.byteLength(value)} bytes, and a parameter of CloudFormation takes ${PARAMETER_BYTES}. A configuration that is longer goes into the image, as /etc/streamdex/streamdex.toml, and the property is left out.`;
  }
  if (allowedValues !== undefined && !allowedValues.map(String).includes(value)) {
    yield `${value} is not one of ${allowedValues.join(', ')}.`;
  }
  if (allowedPattern !== undefined && !new RegExp(`^(?:${allowedPattern})$`, 's').test(value)) {
    yield `${value} does not match ${allowedPattern}.`;
  }
  if (parameter.type === 'Number' && !(Number(value) >= (minValue ?? -Infinity) && Number(value) <= (maxValue ?? Infinity))) {
    yield `${value} is not a number from ${minValue ?? 'any'} to ${maxValue ?? 'any'}.`;
  }
  if (value.length < (minLength ?? 0) || value.length > (maxLength ?? Infinity)) {
    yield `it has ${value.length} characters, and may have ${minLength ?? 0} to ${maxLength ?? 'any number'}.`;
  }
}

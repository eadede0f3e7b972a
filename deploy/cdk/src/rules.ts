/** Whether what a template says of its parameters holds, as far as an app knows their values. */

/** The value of a parameter that only the deployment knows. It is not empty. */
export const GIVEN = Symbol('given');

/** The value of a parameter. */
export type Known = string | typeof GIVEN;

/** The values of parameters, by their names. */
export type Values = (parameter: string) => Known;

/** The conditions of a template, by their names. */
export type Conditions = Readonly<Record<string, unknown>>;

/** A rule of a template, as CloudFormation writes it. */
export interface Rule {
  readonly RuleCondition?: unknown;
  readonly Assertions: readonly { readonly Assert: unknown; readonly AssertDescription: string }[];
}

/** A rule that does not hold: its sentence, and the parameters that it is about. */
export interface Broken {
  readonly sentence: string;
  readonly parameters: readonly string[];
}

/** The assertions that do not hold, whatever the deployment brings. */
export function broken(rules: readonly Rule[], values: Values): Broken[] {
  const found: Broken[] = [];
  for (const rule of rules) {
    if (rule.RuleCondition !== undefined && truth(rule.RuleCondition, values) !== true) {
      continue;
    }
    for (const { Assert, AssertDescription } of rule.Assertions) {
      if (truth(Assert, values) === false) {
        const parameters = new Set([...references(rule.RuleCondition), ...references(Assert)]);
        found.push({ sentence: AssertDescription, parameters: [...parameters] });
      }
    }
  }
  return found;
}

/** Whether an expression holds; undefined where the deployment decides. */
export function truth(expression: unknown, values: Values, conditions: Conditions = {}): boolean | undefined {
  const [name, operands] = onlyEntry(expression);
  const each = () => list(operands).map((operand) => truth(operand, values, conditions));
  switch (name) {
    case 'Fn::Equals': {
      const [left, right] = list(operands);
      return equal(text(left, values), text(right, values));
    }
    case 'Fn::Contains': {
      const [candidates, wanted] = list(operands);
      const found = text(wanted, values);
      return any(list(candidates).map((candidate) => equal(text(candidate, values), found)));
    }
    case 'Fn::Not':
      return not(truth(list(operands)[0], values, conditions));
    case 'Fn::And':
      return not(any(each().map(not)));
    case 'Fn::Or':
      return any(each());
    case 'Condition':
      return truth(conditions[String(operands)], values, conditions);
    default:
      throw new Error(`The template uses ${name}, which this package does not know.`);
  }
}

function text(operand: unknown, values: Values): Known {
  if (typeof operand !== 'object') {
    return String(operand);
  }
  const [name, parameter] = onlyEntry(operand);
  if (name !== 'Ref') {
    throw new Error(`The template compares ${name}, which this package does not know.`);
  }
  return values(String(parameter));
}

function equal(left: Known, right: Known): boolean | undefined {
  if (left === GIVEN || right === GIVEN) {
    return left === '' || right === '' ? false : undefined;
  }
  return left === right;
}

function any(truths: readonly (boolean | undefined)[]): boolean | undefined {
  if (truths.includes(true)) {
    return true;
  }
  return truths.includes(undefined) ? undefined : false;
}

function not(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

function list(node: unknown): unknown[] {
  if (!Array.isArray(node)) {
    throw new Error(`The template has ${JSON.stringify(node)} where a list was expected.`);
  }
  return node;
}

function onlyEntry(node: unknown): [string, unknown] {
  const entries = Object.entries(node ?? {});
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) {
    throw new Error(`The template has ${JSON.stringify(node)} where a function was expected.`);
  }
  return entry;
}

/** The parameters that an expression names. */
function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) {
    return [];
  }
  return Object.entries(node).flatMap(([name, inner]) => (name === 'Ref' ? [String(inner)] : references(inner)));
}

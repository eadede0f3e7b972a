/** The rules of the templates hold at synthesis too, as far as values are known then. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { broken, GIVEN, Known, Rule, truth } from '../src/rules';
import { shippedTemplate } from './support';

const NETWORK = { DynamoDbPrefixListId: 'pl-0a', S3PrefixListId: 'pl-0b' };
const EXISTING = { Network: 'existing', VpcId: 'v', SubnetA: 'a', SubnetB: 'b', FunctionSecurityGroupId: 's', SecurityGroupId: 's' };
const STANDBY = {
  ...NETWORK,
  DomainStandby: 'yes',
  DomainZones: '3',
  DomainDataNodes: '3',
  DomainDedicatedManagers: 'yes',
  DomainInstanceType: 'r7g.large.search',
};

/** Values that break one assertion each, of both templates. */
const SHARED: [string, Record<string, string>][] = [
  ['Search=existing-domain needs SearchEndpoint.', { ...EXISTING, Search: 'existing-domain' }],
  ['Search=existing-domain needs Network=existing,', { ...NETWORK, Search: 'existing-domain', SearchEndpoint: 'https://x' }],
  ['PasswordSecretArn needs Search=existing-domain.', { ...NETWORK, PasswordSecretArn: 'arn' }],
  ['PasswordSecretKeyArn needs PasswordSecretArn.', { ...NETWORK, PasswordSecretKeyArn: 'arn' }],
  ['StateTable=existing needs KeyArn,', { ...NETWORK, StateTable: 'existing' }],
  ['Network=create needs DynamoDbPrefixListId.', { S3PrefixListId: 'pl-0b' }],
  ['Network=create needs S3PrefixListId.', { DynamoDbPrefixListId: 'pl-0a' }],
  ['Network=existing needs VpcId.', { ...EXISTING, VpcId: '' }],
  ['Network=existing needs SubnetA.', { ...EXISTING, SubnetA: '' }],
  ['Network=existing needs SubnetB.', { ...EXISTING, SubnetB: '' }],
  ['DomainZones=2 needs an even number of DomainDataNodes.', { ...NETWORK, DomainDataNodes: '3' }],
  ['DomainZones=3 needs a multiple of three as DomainDataNodes.', { ...NETWORK, DomainZones: '3', DomainDataNodes: '4' }],
  ['DomainZones=3 and Network=existing need SubnetC.', { ...EXISTING, DomainZones: '3', DomainDataNodes: '3' }],
  ['DomainDataNodes above 10 need DomainDedicatedManagers=yes.', { ...NETWORK, DomainDataNodes: '12' }],
  ['DomainStandby needs DomainZones=3.', { ...STANDBY, DomainZones: '2', DomainDataNodes: '4' }],
  ['DomainStandby needs DomainDedicatedManagers=yes.', { ...STANDBY, DomainDedicatedManagers: 'no' }],
  ['DomainStandby needs a DomainInstanceType other than T3.', { ...STANDBY, DomainInstanceType: 't3.small.search' }],
  ['DomainStandby needs a DomainManagerType other than T3.', { ...STANDBY, DomainManagerType: 't3.medium.search' }],
  ['DomainStandby needs a DomainEngineVersion of 1.3 or later.', { ...STANDBY, DomainEngineVersion: 'OpenSearch_1.2' }],
];
const OF_FUNCTION: typeof SHARED = [['Network=existing needs FunctionSecurityGroupId.', { ...EXISTING, FunctionSecurityGroupId: '' }]];
const OF_SERVICE: typeof SHARED = [
  ['Network=existing needs SecurityGroupId.', { ...EXISTING, SecurityGroupId: '' }],
  ['AdditionalTableKeyArns needs AdditionalTableArns.', { ...NETWORK, AdditionalTableKeyArns: 'arn' }],
  ['Cpu=256 needs a MemoryMiB of 512 to 2048.', { ...NETWORK, MemoryMiB: '4096' }],
  ['Cpu=512 needs a MemoryMiB of 1024 to 4096.', { ...NETWORK, Cpu: '512' }],
  ['Cpu=1024 needs a MemoryMiB of 2048 or more.', { ...NETWORK, Cpu: '1024' }],
  ['Cpu=2048 needs a MemoryMiB of 4096.', { ...NETWORK, Cpu: '2048', MemoryMiB: '2048' }],
];

for (const [name, cases] of [
  ['sam/template.yaml', [...SHARED, ...OF_FUNCTION]],
  ['cloudformation/service.yaml', [...SHARED, ...OF_SERVICE]],
] as const) {
  const template = shippedTemplate(name);
  const rules = Object.values(template.Rules) as Rule[];
  const values = (given: Record<string, Known>) => (parameter: string) =>
    given[parameter] ?? String(template.Parameters[parameter].Default);

  test(`${name}: each assertion is broken by values that break it alone`, () => {
    for (const [sentence, given] of cases) {
      const found = broken(rules, values(given));
      assert.deepEqual(found.map((one) => one.sentence.startsWith(sentence)), [true], `${sentence} ${JSON.stringify(found)}`);
    }
    const sentences = rules.flatMap((rule) => rule.Assertions.map(({ AssertDescription: sentence }) => sentence));
    assert.equal(new Set(sentences).size, cases.length, 'an assertion of the template has no case here');
  });

  test(`${name}: what the deployment decides breaks no rule, and counts as given`, () => {
    const unknown: Record<string, Known> = { ...EXISTING, Search: 'existing-domain', SearchEndpoint: GIVEN, VpcId: GIVEN, StateTable: 'existing', KeyArn: GIVEN };
    assert.deepEqual(broken(rules, values(unknown)), []);
    assert.deepEqual(broken(rules, values({ ...NETWORK, DomainDataNodes: GIVEN, DomainZones: GIVEN })), []);
  });
}

test('a value that is not known makes known only what it cannot be', () => {
  const of = (value: Known) => () => value;
  const equals = (text: string) => ({ 'Fn::Equals': [{ Ref: 'One' }, text] });
  assert.equal(truth(equals(''), of(GIVEN)), false);
  assert.equal(truth(equals('x'), of(GIVEN)), undefined);
  assert.equal(truth({ 'Fn::Not': [equals('')] }, of(GIVEN)), true);
  assert.equal(truth({ 'Fn::And': [equals('x'), equals('')] }, of(GIVEN)), false);
  assert.equal(truth({ 'Fn::And': [equals('x'), { 'Fn::Not': [equals('')] }] }, of(GIVEN)), undefined);
  assert.equal(truth({ 'Fn::Or': [equals('x'), { 'Fn::Not': [equals('')] }] }, of(GIVEN)), true);
  assert.equal(truth({ 'Fn::Contains': [['x', 'y'], { Ref: 'One' }] }, of('y')), true);
  assert.equal(truth({ 'Fn::Contains': [['x', 'y'], { Ref: 'One' }] }, of('z')), false);
});

test('a function that is new in a rule is not passed over', () => {
  assert.throws(() => truth({ 'Fn::EachMemberIn': [[], []] }, () => ''), /uses Fn::EachMemberIn, which this package does not know/);
});

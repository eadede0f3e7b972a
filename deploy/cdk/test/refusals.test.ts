/** Wrong combinations fail at synthesis, with a sentence that says what to do. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NestedStack, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

import { PollerEndpoints, Search, StreamdexFunction, StreamdexFunctionProps, StreamdexService, StreamdexServiceProps } from '../src';
import { domain, newStack, prefixLists, table, vpc, zip } from './support';

const ENV = { account: '123456789012', region: 'eu-west-1' };
const NO_STREAM = { partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING } };
const someRole = (stack: Stack) => iam.Role.fromRoleArn(stack, 'R', 'arn:aws:iam::123456789012:role/r');
const someKey = (stack: Stack, id = 'K') => kms.Key.fromKeyArn(stack, id, `arn:aws:kms:eu-west-1:123456789012:key/${id}`);
const someTable = (stack: Stack, region = 'eu-west-1') =>
  dynamodb.Table.fromTableAttributes(stack, 'T', {
    tableArn: `arn:aws:dynamodb:${region}:123456789012:table/orders`,
    tableStreamArn: `arn:aws:dynamodb:${region}:123456789012:table/orders/stream/1`,
  });
const someDomain = (stack: Stack) =>
  opensearch.Domain.fromDomainAttributes(stack, 'D', {
    domainArn: 'arn:aws:es:eu-west-1:123456789012:domain/shop',
    domainEndpoint: 'vpc-shop.eu-west-1.es.amazonaws.com',
  });
const stateTable = (stack: Stack, encryptionKey?: kms.IKey) =>
  dynamodb.Table.fromTableAttributes(stack, 'State', { tableName: 'streamdex-state', encryptionKey });

type Case<Props> = [string, RegExp, (stack: Stack) => Partial<Props>];

const BOTH: Case<StreamdexFunctionProps & StreamdexServiceProps>[] = [
  ['a table and a name for the example', /`tableName`: it names the example table\. With `table` leave it out\./,
    (stack) => ({ ...prefixLists(stack), table: table(stack), tableName: 'x', indexName: 'x' })],
  ['a table without an index', /with `table` give `indexName` too/, (stack) => ({ ...prefixLists(stack), table: table(stack) })],
  ['a table without a stream', /Shop\/Plain has no stream.*`stream: StreamViewType\.NEW_AND_OLD_IMAGES`/,
    (stack) => ({ ...prefixLists(stack), table: new dynamodb.Table(stack, 'Plain', NO_STREAM), indexName: 'x' })],
  ['a key of no table', /`tableKey`: it is the key of `table`, which is missing/, (stack) => ({ ...prefixLists(stack), tableKey: someKey(stack) })],
  ['a domain in a new network', /needs Network=existing.*Network: `vpc`/, (stack) => ({ ...prefixLists(stack), domain: someDomain(stack) })],
  ['a domain, and another one to be made', /`domain` is a domain of yours, and `search` says that one is made/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), search: Search.SERVERLESS })],
  ['a domain and another name', /`searchName`: .*With `domain` leave it out/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), searchName: 'x' })],
  ['an address of the example domain', /`searchEndpoint`: .*Give `domain` too/,
    (stack) => ({ ...prefixLists(stack), searchEndpoint: 'https://x' })],
  ['an address that is none', /`domain` or `searchEndpoint`: search\.example\.com does not match/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), searchEndpoint: 'search.example.com' })],
  ['an existing domain that is not given', /Search=existing-domain needs SearchEndpoint.*`domain` or `searchEndpoint`/,
    (stack) => ({ vpc: vpc(stack), search: Search.EXISTING_DOMAIN })],
  ['sizes of a domain that is there', /`domainDataNodes`, `domainStandby`: for a domain that is made here alone/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), domainDataNodes: 4, domainStandby: false })],
  ['an administrator of a domain that is there', /`searchAdmin`: who administers a domain of yours is decided there/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), searchAdmin: someRole(stack) })],
  ['a number of nodes that no domain has', /`domainDataNodes`: 5 is not one of 2, 3, 4, 6/, (stack) => ({ ...prefixLists(stack), domainDataNodes: 5 })],
  ['nodes that do not fit the zones', /DomainZones=2 needs an even number of DomainDataNodes\..*DomainDataNodes: `domainDataNodes`/,
    (stack) => ({ ...prefixLists(stack), domainDataNodes: 3 })],
  ['standby on small nodes', /DomainStandby needs DomainZones=3\.[^]*DomainStandby needs a DomainInstanceType other than T3/,
    (stack) => ({ ...prefixLists(stack), domainStandby: true })],
  ['three zones in two subnets', /DomainZones=3 and Network=existing need SubnetC/,
    (stack) => ({ vpc: vpc(stack), domainZones: 3, domainDataNodes: 3 })],
  ['a password for the example domain', /PasswordSecretArn needs Search=existing-domain\..*PasswordSecretArn: `passwordSecret`/,
    (stack) => ({ ...prefixLists(stack), passwordSecret: new secretsmanager.Secret(stack, 'S') })],
  ['a secret by its name', /the whole ARN is needed.*Secret\.fromSecretCompleteArn/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), passwordSecret: secretsmanager.Secret.fromSecretNameV2(stack, 'S', 'x') })],
  ['a state table without its key', /StateTable=existing needs KeyArn.*KeyArn: `key` or `stateTable`/,
    (stack) => ({ ...prefixLists(stack), stateTable: stateTable(stack) })],
  ['a state table with another key', /`key` is another key than that of `stateTable`/,
    (stack) => ({ ...prefixLists(stack), key: someKey(stack), stateTable: stateTable(stack, someKey(stack, 'L')) })],
  ['a state table and a name for a new one', /`stateTableName`: .*With `stateTable` leave it out/,
    (stack) => ({ ...prefixLists(stack), stateTable: stateTable(stack, someKey(stack)), stateTableName: 'x' })],
  ['an alias in place of a key', /an alias is no key/, (stack) => ({ ...prefixLists(stack), key: kms.Alias.fromAliasName(stack, 'A', 'alias/a') })],
  ['a new network without prefix lists', /Network=create needs DynamoDbPrefixListId\.[^]*Network=create needs S3PrefixListId.*`s3PrefixList`/, () => ({})],
  ['a network of yours, and how one is to be made', /`vpcCidr`, `s3PrefixList`: for a VPC that is made here/,
    (stack) => ({ vpc: vpc(stack), vpcCidr: '10.0.0.0/24', s3PrefixList: prefixLists(stack).s3PrefixList })],
  ['a security group without its network', /`securityGroup`: for a network of yours\. Give `vpc` too/,
    (stack) => ({ ...prefixLists(stack), securityGroup: ec2.SecurityGroup.fromSecurityGroupId(stack, 'G', 'sg-0') })],
  ['public subnets', /the subnets are public.*Choose private ones by `subnets`/,
    (stack) => ({ vpc: new ec2.Vpc(stack, 'V', { natGateways: 0 }), subnets: { subnetType: ec2.SubnetType.PUBLIC } })],
  ['one zone', /two subnets in two availability zones are needed, and `subnets` gives 1/, (stack) => ({ vpc: vpc(stack, 1) })],
  ['a log retention that CloudWatch does not have', /`logRetentionDays`: 9999 is not one of/,
    (stack) => ({ ...prefixLists(stack), logRetentionDays: logs.RetentionDays.INFINITE })],
  ['an index name in capitals', /`indexName`: Orders does not match/, (stack) => ({ ...prefixLists(stack), indexName: 'Orders' })],
  ['a lag of nothing', /`lagAlarmSeconds`: 0 is not a number from 1/, (stack) => ({ ...prefixLists(stack), lagAlarmSeconds: 0 })],
];

const OF_FUNCTION: Case<StreamdexFunctionProps>[] = [
  ['an imported table without its stream', /the app does not know the stream of the table Shop\/T\. Import it by Table\.fromTableAttributes/,
    (stack) => ({ ...prefixLists(stack), table: dynamodb.Table.fromTableName(stack, 'T', 'orders'), indexName: 'x' })],
  ['who searches a domain of yours', /`searcher`, `additionalWriters`: who searches and writes in a domain of yours/,
    (stack) => ({ vpc: vpc(stack), domain: someDomain(stack), searcher: someRole(stack), additionalWriters: [] })],
  ['who searches a collection', /`searcher`: a collection is searched as `searchAdmin`/,
    (stack) => ({ ...prefixLists(stack), search: Search.SERVERLESS, searcher: someRole(stack) })],
  ['endpoints in a network of yours', /`pollerEndpoints`: for a VPC that is made here/,
    (stack) => ({ vpc: vpc(stack), pollerEndpoints: PollerEndpoints.YES })],
  ['an age that Lambda does not take', /`maximumRecordAgeSeconds` is 30, and Lambda takes -1, or 60 and more/,
    (stack) => ({ ...prefixLists(stack), maximumRecordAgeSeconds: 30 })],
  ['a concurrency below one shard', /`reservedConcurrency` is 2, and has to be at least .*which is 4/,
    (stack) => ({ ...prefixLists(stack), reservedConcurrency: 2, parallelizationFactor: 4 })],
  ['a start in the middle', /`startingPosition`: AT_TIMESTAMP is not one of TRIM_HORIZON, LATEST/,
    (stack) => ({ ...prefixLists(stack), startingPosition: lambda.StartingPosition.AT_TIMESTAMP })],
  ['a parallelization above ten', /`parallelizationFactor`: 11 is not a number from 1 to 10/,
    (stack) => ({ ...prefixLists(stack), parallelizationFactor: 11 })],
  ['code that is no zip', /`code` is neither a zip nor an object in S3/,
    (stack) => ({ ...prefixLists(stack), code: lambda.Code.fromInline('x') })],
];

const OF_SERVICE: Case<StreamdexServiceProps>[] = [
  ['too little memory', /Cpu=1024 needs a MemoryMiB of 2048 or more\. \(Cpu: `cpu`; MemoryMiB: `memoryMiB`\)/,
    (stack) => ({ ...prefixLists(stack), cpu: 1024 })],
  ['a long configuration', /`configuration`: it has 4097 bytes.*goes into the image, as \/etc\/streamdex\/streamdex\.toml/,
    (stack) => ({ ...prefixLists(stack), configuration: 'x'.repeat(4097) })],
  ['more tables without their sources', /`configuration` has no \[\[source\]\] for `additionalTables`/,
    (stack) => ({ ...prefixLists(stack), additionalTables: [table(stack)], configuration: '[source]' })],
  ['an additional table without a stream', /Shop\/Plain has no stream/,
    (stack) => ({ ...prefixLists(stack), additionalTables: [new dynamodb.Table(stack, 'Plain', NO_STREAM)] })],
  ['keys of no additional table', /AdditionalTableKeyArns needs AdditionalTableArns\. .*`additionalTables` or `additionalTableKeys`/,
    (stack) => ({ ...prefixLists(stack), additionalTableKeys: [someKey(stack)] })],
  ['an endpoint of another network', /`streamsEndpointUrl`: the VPC that is made has its own endpoint/,
    (stack) => ({ ...prefixLists(stack), streamsEndpointUrl: 'https://x' })],
  ['no tag', /`imageTag`: it is missing/, (stack) => ({ ...prefixLists(stack), imageTag: '' })],
];

function refusedFunction([name, sentence, props]: Case<StreamdexFunctionProps>): void {
  test(`function: ${name}`, () => {
    const stack = newStack();
    assert.throws(() => new StreamdexFunction(stack, 'Index', { code: zip(stack), ...props(stack) }), sentenceOf(sentence));
  });
}

function refusedService([name, sentence, props]: Case<StreamdexServiceProps>): void {
  test(`service: ${name}`, () => {
    const stack = newStack();
    assert.throws(() => new StreamdexService(stack, 'Index', { imageTag: '1', ...props(stack) }), sentenceOf(sentence));
  });
}

/** The message names the construct. */
function sentenceOf(sentence: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.match(error.message, sentence);
    assert.match(error.message, /^Shop\/Index: /);
    return true;
  };
}

BOTH.forEach((one) => {
  refusedFunction(one);
  refusedService(one);
});
OF_FUNCTION.forEach(refusedFunction);
OF_SERVICE.forEach(refusedService);

test('a TableV2 without a stream', () => {
  const of = (props: Partial<dynamodb.TablePropsV2>) => {
    const stack = newStack({ env: ENV });
    const orders = new dynamodb.TableV2(stack, 'Orders', { ...NO_STREAM, ...props });
    new StreamdexFunction(stack, 'F', { code: zip(stack), table: orders, indexName: 'x' });
    new StreamdexService(stack, 'S', { imageTag: '1', additionalTables: [orders] });
    return () => Template.fromStack(stack);
  };
  assert.throws(of({}), /Shop\/F.*Shop\/Orders has no stream.*`dynamoStream: StreamViewType\.NEW_AND_OLD_IMAGES`[^]*Shop\/S/);
  of({ dynamoStream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES })();
  of({ replicas: [{ region: 'eu-central-1' }] })();
});

test('tables and repositories of another region', () => {
  const stack = newStack({ env: ENV });
  const orders = someTable(stack, 'eu-central-1');
  const where = /Shop\/T is in region eu-central-1, and the stack in eu-west-1\. Put the stack where it is\./;
  assert.throws(() => new StreamdexFunction(stack, 'F', { code: zip(stack), table: orders, indexName: 'x' }), where);
  assert.throws(() => new StreamdexService(stack, 'S', { imageTag: '1', table: orders, indexName: 'x' }), where);
  const repository = ecr.Repository.fromRepositoryArn(stack, 'E', 'arn:aws:ecr:eu-west-1:210987654321:repository/streamdex');
  assert.throws(
    () => new StreamdexService(stack, 'R', { imageTag: '1', repository }),
    /Shop\/E is in account 210987654321, and the stack in 123456789012/,
  );
});

test('names that would be too long for a function', () => {
  // PARENT-Index-SUFFIX-set-up has to have 64 characters: 14 are the suffix, 7 -set-up, 1 the dash.
  const most = 64 - 14 - 7 - 1 - 'Index'.length;
  const build = (length: number, props: Partial<StreamdexFunctionProps> = {}) => {
    const stack = newStack({ stackName: 'x'.repeat(length) });
    return new StreamdexFunction(stack, 'Index', { code: zip(stack), ...prefixLists(stack), ...props });
  };
  build(most);
  assert.throws(() => build(most + 1), /may have 42: give the stack a shorter stackName, or the construct a shorter id/);
  // Without the example domain there is no set-up function.
  build(most + 7, { search: Search.SERVERLESS });
  assert.throws(() => build(most + 8, { search: Search.SERVERLESS }), /may have 49/);
});

test('a nested stack, whose name nobody knows', () => {
  const nested = new NestedStack(newStack(), 'Nested');
  assert.throws(
    () => new StreamdexFunction(nested, 'Index', { code: zip(nested), ...prefixLists(nested) }),
    /Put it into a stack, not into a NestedStack/,
  );
});

test('what the deployment decides is taken', () => {
  const stack = newStack();
  const network = vpc(stack);
  new StreamdexFunction(stack, 'Index', { code: zip(stack), vpc: network, domain: domain(stack, network), table: table(stack), indexName: 'x' });
  Template.fromStack(stack).resourceCountIs('AWS::CloudFormation::Stack', 1);
});

test('what CDK answers before it looked up', () => {
  const stack = newStack({ env: ENV });
  const network = ec2.Vpc.fromLookup(stack, 'Vpc', { vpcName: 'shop' });
  new StreamdexService(stack, 'Index', { imageTag: '1', vpc: network });
  new StreamdexService(stack, 'Other', { imageTag: '1' });
  Template.fromStack(stack).resourceCountIs('AWS::CloudFormation::Stack', 2);
});

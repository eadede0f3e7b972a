/** The function: what is synthesised is what was configured. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sns from 'aws-cdk-lib/aws-sns';

import { PollerEndpoints, Records, Search, StreamdexFunction, StreamdexFunctionProps } from '../src';
import { FUNCTION_PROPERTIES } from '../src/function';
import {
  asset,
  domain,
  Evaluation,
  Json,
  newStack,
  parameters,
  prefixLists,
  readable,
  resources,
  SHARED_PLAIN,
  sharedParameters,
  sharedProps,
  shippedTemplate,
  synthesised,
  table,
  vpc,
  zip,
} from './support';

/** A function with defaults but for some properties. */
function withProps(props: (stack: Stack) => Partial<StreamdexFunctionProps>, stack = newStack()): StreamdexFunction {
  return new StreamdexFunction(stack, 'Index', { code: zip(stack), ...props(stack) });
}

/** The function as the deployment sees it. */
function deployed(made: StreamdexFunction): Evaluation {
  return new Evaluation(synthesised(made.nestedStack), parameters(made));
}

test('without properties the example is made, and the template decides everything else', () => {
  const made = withProps(prefixLists);
  assert.deepEqual(parameters(made), { DynamoDbPrefixListId: 'pl-0a', S3PrefixListId: 'pl-0b' });
  const example = ['Key', 'State', 'SessionTable', 'Vpc', 'Domain', 'SetUp', 'SetUpFunction', 'Function'];
  const names = deployed(made).made();
  assert.deepEqual(example.filter((name) => !names.includes(name)), []);
});

/** A table, a domain, a network, keys, roles and a topic of this app. */
function everythingGiven() {
  const given = resources();
  const made = new StreamdexFunction(given.stack, 'Index', { code: zip(given.stack), ...sharedProps(given) });
  return { ...given, made };
}

test('table, domain, network, keys, role and topic of the app arrive as parameters', () => {
  const given = everythingGiven();
  const { stack, orders, securityGroup, made } = given;
  const expected = {
    ...sharedParameters(given),
    StreamArn: orders.tableStreamArn,
    FunctionSecurityGroupId: securityGroup.securityGroupId,
  };
  assert.deepEqual(synthesised(stack).Resources.Index.Properties.Parameters, stack.resolve(expected));
  // What the tests below look at is the same.
  assert.deepEqual(parameters(made), stack.resolve(expected));
});

test('nothing is made that is given, and the function gets table, endpoint, keys and network', () => {
  const { stack, key, tableKey, orders, state, search, securityGroup, secret, role, made } = everythingGiven();
  const template = deployed(made);
  const ref = (value: string) => `<${[Object.values<any>(stack.resolve(value))[0]].flat().join('.')}>`;
  const tableArn = `arn:<AWS::Partition>:dynamodb:<AWS::Region>:<AWS::AccountId>:table/${ref(orders.tableName)}`;
  const names = template.made();
  for (const name of ['Key', 'State', 'SessionTable', 'Vpc', 'Domain', 'Collection', 'SetUp', 'SetUpFunction']) {
    assert.equal(names.includes(name), false, name);
  }

  const { Environment, KmsKeyArn, VpcConfig, Events } = template.resource('Function')!;
  assert.deepEqual(Environment.Variables, {
    STREAMDEX_TABLE: ref(orders.tableName),
    STREAMDEX_OPENSEARCH_URL: `https://${ref(search.domainEndpoint)}`,
    STREAMDEX_OPENSEARCH_SERVICE: 'es',
    STREAMDEX_INDEX: 'orders',
    STREAMDEX_STATE_TABLE: ref(state.tableName),
    STREAMDEX_GROUP: 'orders',
  });
  assert.equal(KmsKeyArn, ref(key.keyArn));
  assert.deepEqual(VpcConfig.SecurityGroupIds, [ref(securityGroup.securityGroupId)]);
  assert.equal(Events.Stream.Properties.Stream, ref(orders.tableStreamArn!));

  const role_ = (sid: string) => template.statement('FunctionRole', sid);
  assert.equal(role_('EventSource')!.Resource, `${tableArn}/stream/*`);
  assert.equal(role_('SourceTable')!.Resource, tableArn);
  // The grants on keys: of the table, of all that is made and the state table, and of the secret.
  assert.deepEqual([role_('SourceKey')!.Action, role_('SourceKey')!.Resource], ['kms:Decrypt', ref(tableKey.keyArn)]);
  assert.deepEqual(
    [role_('StateKey')!.Action, role_('StateKey')!.Resource],
    [['kms:Decrypt', 'kms:GenerateDataKey'], ref(key.keyArn)],
  );
  assert.equal(role_('OnFailureKey')!.Resource, ref(key.keyArn));
  assert.deepEqual(
    [role_('PasswordKey')!.Action, role_('PasswordKey')!.Resource],
    ['kms:Decrypt', ref(tableKey.keyArn)],
  );
  assert.equal(role_('Password')!.Resource, ref(secret.secretArn));
  assert.equal(role_('AssumeRole')!.Resource, ref(role.roleArn));
  // With a password requests are not signed.
  assert.equal(role_('OpenSearch'), undefined);
});

test('a table without a customer managed key gives no right on a key of a table', () => {
  const made = withProps((stack) => ({ ...prefixLists(stack), table: table(stack), indexName: 'orders' }));
  assert.equal('TableKeyArn' in parameters(made), false);
  assert.equal(deployed(made).statement('FunctionRole', 'SourceKey'), undefined);
});

test('the key of an imported table is given beside it', () => {
  const arn = 'arn:aws:kms:eu-west-1:123456789012:key/1';
  const made = withProps((stack) => ({
    ...prefixLists(stack),
    table: dynamodb.Table.fromTableAttributes(stack, 'Orders', {
      tableArn: 'arn:aws:dynamodb:eu-west-1:123456789012:table/orders',
      tableStreamArn: 'arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026',
    }),
    tableKey: kms.Key.fromKeyArn(stack, 'TableKey', arn),
    indexName: 'orders',
  }));
  const { TableName, StreamArn, TableKeyArn } = parameters(made);
  assert.deepEqual(
    [TableName, StreamArn, TableKeyArn],
    ['orders', 'arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026', arn],
  );
  assert.equal(deployed(made).statement('FunctionRole', 'SourceKey')!.Resource, arn);
});

test('a TableV2 is taken as well', () => {
  const stack = newStack();
  const orders = new dynamodb.TableV2(stack, 'Orders', {
    partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
    dynamoStream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
  });
  const made = withProps(() => ({ ...prefixLists(stack), table: orders, indexName: 'orders' }), stack);
  const { TableName, StreamArn } = parameters(made);
  assert.deepEqual([TableName, StreamArn], stack.resolve([orders.tableName, orders.tableStreamArn]));
});

/** Properties that take a plain value, with other values than their defaults, and the parameters of each. */
const PLAIN: [Partial<StreamdexFunctionProps>, Json][] = [
  [
    {
      ...SHARED_PLAIN[0],
      setUpAgain: '2',
      pollerEndpoints: PollerEndpoints.COMMANDS,
      feeding: false,
      startingPosition: lambda.StartingPosition.LATEST,
      records: Records.EXPIRIES,
      parallelizationFactor: 4,
      maximumRecordAgeSeconds: 3600,
      maximumRetries: 6,
      reservedConcurrency: 8,
      memoryMiB: 512,
      onFailureDays: 7,
    },
    {
      ...SHARED_PLAIN[1],
      SetUpAgain: '2',
      PollerEndpoints: 'commands',
      Feeding: 'disabled',
      StartingPosition: 'LATEST',
      Records: 'expiries',
      ParallelizationFactor: '4',
      MaximumRecordAgeSeconds: '3600',
      MaximumRetries: '6',
      ReservedConcurrency: '8',
      MemoryMiB: '512',
      OnFailureDays: '7',
    },
  ],
  [
    {
      search: Search.SERVERLESS,
      pollerEndpoints: PollerEndpoints.YES,
      feeding: true,
      maximumRecordAgeSeconds: -1,
      maximumRetries: 0,
      reservedConcurrency: 0,
    },
    {
      Search: 'serverless',
      PollerEndpoints: 'yes',
      Feeding: 'enabled',
      MaximumRecordAgeSeconds: '-1',
      MaximumRetries: '0',
      ReservedConcurrency: '0',
    },
  ],
  [{ domainDedicatedManagers: false, domainStandby: false }, { DomainDedicatedManagers: 'no', DomainStandby: 'no' }],
];
for (const [props, expected] of PLAIN) {
  test(`passed on: ${Object.keys(props).join(', ')}`, () => {
    const made = withProps((stack) => ({ ...prefixLists(stack), ...props }));
    assert.deepEqual(parameters(made), { DynamoDbPrefixListId: 'pl-0a', S3PrefixListId: 'pl-0b', ...expected });
  });
}

test('roles, groups, tables and an address are passed on where they have a meaning', () => {
  const stack = newStack();
  const role = (id: string) => iam.Role.fromRoleArn(stack, id, `arn:aws:iam::123456789012:role/${id}`);
  const first = withProps(
    () => ({
      ...prefixLists(stack),
      searcher: role('searcher'),
      searchAdmin: iam.User.fromUserArn(stack, 'admin', 'arn:aws:iam::123456789012:user/admin'),
      additionalWriters: [role('redrive'), role('commands')],
      otherTables: [
        dynamodb.Table.fromTableArn(stack, 'Other', 'arn:aws:dynamodb:eu-west-1:123456789012:table/orders'),
        dynamodb.Table.fromTableArn(stack, 'More', 'arn:aws:dynamodb:eu-west-1:123456789012:table/invoices'),
      ],
    }),
    stack,
  );
  assert.deepEqual(parameters(first), {
    DynamoDbPrefixListId: 'pl-0a',
    S3PrefixListId: 'pl-0b',
    SearcherArn: 'arn:aws:iam::123456789012:role/searcher',
    SearchAdminArn: 'arn:aws:iam::123456789012:user/admin',
    AdditionalWriterArns: 'arn:aws:iam::123456789012:role/redrive,arn:aws:iam::123456789012:role/commands',
    OtherTableArns:
      'arn:aws:dynamodb:eu-west-1:123456789012:table/orders,arn:aws:dynamodb:eu-west-1:123456789012:table/invoices',
  });

  // Of a region that is not known CDK takes two zones.
  const other = newStack({ env: { account: '123456789012', region: 'eu-west-1' } });
  const network = vpc(other, 3);
  const second = withProps(
    () => ({
      vpc: network,
      operatorSecurityGroup: ec2.SecurityGroup.fromSecurityGroupId(other, 'Operators', 'sg-0123'),
      domainZones: 3,
      domainDataNodes: 3,
    }),
    other,
  );
  const found = parameters(second);
  assert.equal(found.OperatorSecurityGroupId, 'sg-0123');
  assert.deepEqual(
    [found.SubnetA, found.SubnetB, found.SubnetC],
    other.resolve(network.isolatedSubnets.map((subnet) => subnet.subnetId)),
  );
});

test('each parameter of the template is set by some test of this file', () => {
  const seen = new Set(['OperatorSecurityGroupId', 'SubnetC', 'SearcherArn', 'SearchAdminArn', 'AdditionalWriterArns', 'OtherTableArns']);
  const { made } = everythingGiven();
  Object.keys(parameters(made)).forEach((name) => seen.add(name));
  PLAIN.forEach(([, expected]) => Object.keys(expected).forEach((name) => seen.add(name)));
  seen.add('DynamoDbPrefixListId').add('S3PrefixListId');
  assert.deepEqual([...seen].sort(), Object.keys(FUNCTION_PROPERTIES).sort());
});

test('another address of the domain takes the place of its endpoint', () => {
  const stack = newStack();
  const network = vpc(stack);
  const made = withProps(
    () => ({ vpc: network, domain: domain(stack, network), searchEndpoint: 'https://search.example.com' }),
    stack,
  );
  assert.equal(parameters(made).SearchEndpoint, 'https://search.example.com');
  assert.equal(deployed(made).resource('Function')!.Environment.Variables.STREAMDEX_OPENSEARCH_URL, 'https://search.example.com');
});

test('the zip and its architecture are those of function and set-up function', () => {
  const made = withProps((stack) => ({ ...prefixLists(stack), architecture: lambda.Architecture.X86_64 }));
  const { Function: one, SetUpFunction: other } = synthesised(made.nestedStack).Resources;
  for (const { Properties: properties } of [one, other]) {
    assert.deepEqual(properties.CodeUri, { Bucket: 'zips', Key: 'streamdex.zip', Version: '7' });
    assert.deepEqual(properties.Architectures, ['x86_64']);
  }
});

test('a zip on this machine becomes an asset', () => {
  const stack = newStack();
  const made = withProps(() => ({ ...prefixLists(stack), code: asset() }), stack);
  const { CodeUri } = synthesised(made.nestedStack).Resources.Function.Properties;
  assert.match(CodeUri.Bucket['Fn::Sub'], /assets-\$\{AWS::AccountId\}-\$\{AWS::Region\}$/);
  assert.match(CodeUri.Key, /^[0-9a-f]{64}\.zip$/);
});

test('a key of the app lets CloudWatch Logs use it, as the key that the template makes does', () => {
  const stack = newStack();
  const key = new kms.Key(stack, 'Key');
  const lists = prefixLists(stack);
  withProps(() => ({ ...lists, key }), stack);
  // A second one adds nothing.
  new StreamdexFunction(stack, 'Other', { ...lists, code: asset(), key });
  const id = stack.resolve((key.node.defaultChild as kms.CfnKey).logicalId);
  const ofLogs = (template: Json, name: string): Json[] =>
    template.Resources[name].Properties.KeyPolicy.Statement.filter(({ Sid: sid }: Json) => sid === 'LogGroups');
  const found = ofLogs(synthesised(stack), id);
  assert.equal(found.length, 1);
  const shipped = new Evaluation(shippedTemplate('cloudformation/key.yaml'), {}).resource('Key')!;
  const [expected] = ofLogs({ Resources: { Key: { Properties: shipped } } }, 'Key');
  assert.deepEqual(readable(found[0]), expected);
});

test('the policy of a key from elsewhere is not changed, and a warning says so', () => {
  const stack = newStack();
  const key = kms.Key.fromKeyArn(stack, 'Key', 'arn:aws:kms:eu-west-1:123456789012:key/1');
  const made = withProps(() => ({ ...prefixLists(stack), key }), stack);
  Annotations.fromStack(stack).hasWarning('/Shop/Index', Match.stringLikeRegexp('LogGroups.*docs/deploy-lambda.md'));
  assert.equal(parameters(made).KeyArn, 'arn:aws:kms:eu-west-1:123456789012:key/1');
});

test('the key that the template makes is the key of what the construct hands out', () => {
  const made = withProps(prefixLists);
  assert.deepEqual(Stack.of(made).resolve(made.key.keyArn), { 'Fn::GetAtt': ['Index', 'Outputs.KeyArn'] });
});

test('somebody may call the function', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  made.grantInvoke(new iam.User(stack, 'Somebody'));
  Template.fromStack(stack).hasResourceProperties('AWS::IAM::Policy', {
    PolicyDocument: {
      Statement: [
        {
          Action: 'lambda:InvokeFunction',
          Resource: Match.arrayWith([
            Match.objectLike({
              'Fn::Join': ['', Match.arrayWith([':function:', { 'Fn::GetAtt': ['Index', 'Outputs.FunctionName'] }])],
            }),
          ]),
        },
      ],
    },
  });
});

test('somebody may take what Lambda gave up, as the task of redrive.yaml does', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  made.grantReplay(new iam.Role(stack, 'Redrive', { assumedBy: new iam.AccountRootPrincipal() }));
  const [policy] = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  const bucket = { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::', { 'Fn::GetAtt': ['Index', 'Outputs.OnFailureBucket'] }]] };
  const objects = { 'Fn::Join': ['', [...bucket['Fn::Join'][1]!, '/*']] };
  const account = { StringEquals: { 's3:ResourceAccount': { Ref: 'AWS::AccountId' } } };
  assert.deepEqual(policy!.Properties.PolicyDocument.Statement, [
    { Action: ['s3:DeleteObject', 's3:GetObject'], Condition: account, Effect: 'Allow', Resource: objects },
    { Action: 's3:ListBucket', Condition: account, Effect: 'Allow', Resource: bucket },
    {
      Action: 'kms:Decrypt',
      Condition: { StringEquals: { 'kms:ViaService': { 'Fn::Join': ['', ['s3.', { Ref: 'AWS::Region' }, '.amazonaws.com']] } } },
      Effect: 'Allow',
      Resource: { 'Fn::GetAtt': ['Index', 'Outputs.KeyArn'] },
    },
  ]);
  const redrive = shippedTemplate('cloudformation/redrive.yaml').Resources.TaskRole.Properties.Policies[0].PolicyDocument.Statement;
  const actions = (sids: string[]) => redrive.filter(({ Sid: sid }: Json) => sids.includes(sid)).map(({ Action: action }: Json) => action);
  assert.deepEqual(
    actions(['GivenUp', 'GivenUpBucket', 'GivenUpKey']),
    policy!.Properties.PolicyDocument.Statement.map(({ Action: action }: Json) => action),
  );
});

test('as a grantee the construct is the function\'s role', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  new sns.Topic(stack, 'Topic').grantPublish(made);
  const [policy] = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.equal(JSON.stringify(policy!.Properties.Roles).includes('Outputs.FunctionRoleArn'), true);
});

test('a domain lets the function in by connections, in a network of yours', () => {
  const stack = newStack();
  const network = vpc(stack);
  const search = domain(stack, network);
  const made = withProps(() => ({ vpc: network, domain: search }), stack);
  made.connections.allowTo(search, ec2.Port.tcp(443), 'streamdex');
  const [ingress] = Object.values(Template.fromStack(stack).findResources('AWS::EC2::SecurityGroupIngress'));
  const { FromPort, ToPort, SourceSecurityGroupId, GroupId } = ingress!.Properties;
  assert.deepEqual([FromPort, ToPort], [443, 443]);
  assert.deepEqual(SourceSecurityGroupId, stack.resolve(made.securityGroup.securityGroupId));
  assert.deepEqual(GroupId, stack.resolve(search.connections.securityGroups[0]!.securityGroupId));
});

test('a security group that the construct makes lets out port 443 alone', () => {
  const stack = newStack();
  const network = vpc(stack);
  const made = withProps(() => ({ vpc: network }), stack);
  const id = stack.resolve((made.securityGroup.node.defaultChild as ec2.CfnSecurityGroup).logicalId);
  const { SecurityGroupEgress, SecurityGroupIngress } = synthesised(stack).Resources[id].Properties;
  assert.deepEqual(
    SecurityGroupEgress.map(({ CidrIp, FromPort, ToPort, IpProtocol }: Json) => [CidrIp, FromPort, ToPort, IpProtocol]),
    [['0.0.0.0/0', 443, 443, 'tcp']],
  );
  assert.equal(SecurityGroupIngress, undefined);
});

test('the group that the template made gets egress rules, because it has no way out of itself', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  made.connections.allowTo(ec2.Peer.ipv4('10.0.0.0/8'), ec2.Port.tcp(8443));
  const [egress] = Object.values(Template.fromStack(stack).findResources('AWS::EC2::SecurityGroupEgress'));
  assert.deepEqual(egress!.Properties.GroupId, { 'Fn::GetAtt': ['Index', 'Outputs.FunctionSecurityGroupId'] });
});

test('a second function takes network, key, state table and domain of the first', () => {
  const stack = newStack();
  const first = withProps(prefixLists, stack);
  const second = new StreamdexFunction(stack, 'Second', {
    code: asset(),
    table: table(stack),
    indexName: 'orders',
    group: 'orders',
    search: Search.EXISTING_DOMAIN,
    searchName: 'streamdex',
    searchEndpoint: first.searchEndpoint,
    stateTable: first.stateTable,
    vpc: first.vpc,
    securityGroup: first.securityGroup,
  });
  const output = (name: string) => ({ 'Fn::GetAtt': ['Index', `Outputs.${name}`] });
  const { TableName, StreamArn, ...rest } = parameters(second);
  assert.ok(TableName && StreamArn);
  assert.deepEqual(rest, {
    IndexName: 'orders',
    Group: 'orders',
    Search: 'existing-domain',
    SearchName: 'streamdex',
    SearchEndpoint: output('SearchEndpoint'),
    StateTable: 'existing',
    StateTableName: 'streamdex-state',
    KeyArn: output('KeyArn'),
    Network: 'existing',
    VpcId: output('VpcId'),
    SubnetA: output('SubnetA'),
    SubnetB: output('SubnetB'),
    FunctionSecurityGroupId: output('FunctionSecurityGroupId'),
  });
  // The first one made the key, with what the logs need.
  Annotations.fromStack(stack).hasNoWarning('*', Match.anyValue());
});

test('outputs that a template has under a condition are there where it holds', () => {
  const plain = withProps(prefixLists);
  assert.deepEqual([plain.collectionArn, plain.streamsEndpointUrl], [undefined, undefined]);
  const more = withProps((stack) => ({ ...prefixLists(stack), search: Search.SERVERLESS, pollerEndpoints: PollerEndpoints.YES }));
  const stack = Stack.of(more);
  assert.deepEqual(stack.resolve([more.collectionArn, more.streamsEndpointUrl, more.mappingId]), [
    { 'Fn::GetAtt': ['Index', 'Outputs.CollectionArn'] },
    { 'Fn::GetAtt': ['Index', 'Outputs.StreamsEndpointUrl'] },
    { 'Fn::GetAtt': ['Index', 'Outputs.MappingId'] },
  ]);
});

test('prefix lists are looked up where account and region are known', () => {
  const stack = newStack({ env: { account: '123456789012', region: 'eu-west-1' } });
  const made = withProps(() => ({}), stack);
  // What CDK answers until the look-up was made.
  assert.deepEqual(parameters(made), { DynamoDbPrefixListId: 'pl-xxxxxxxx', S3PrefixListId: 'pl-xxxxxxxx' });
  const missing = (stack.node.root as any).synth().manifest.missing.map(({ props }: Json) => props.propertyMatch.PrefixListName);
  assert.deepEqual(missing, ['com.amazonaws.eu-west-1.dynamodb', 'com.amazonaws.eu-west-1.s3']);
});

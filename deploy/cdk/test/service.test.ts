/** The service: what is synthesised is what was configured. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sns from 'aws-cdk-lib/aws-sns';

import { Search, StreamdexService, StreamdexServiceProps } from '../src';
import { SERVICE_PROPERTIES } from '../src/service';
import {
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
  synthesised,
  table,
  vpc,
} from './support';

const PREFIX_LISTS = { DynamoDbPrefixListId: 'pl-0a', S3PrefixListId: 'pl-0b' };
const TWO_SOURCES = '[[source]]\nname = "orders"\n\n[[source]]\nname = "invoices"\n';

/** A service with defaults but for some properties. */
function withProps(props: (stack: Stack) => Partial<StreamdexServiceProps>, stack = newStack()): StreamdexService {
  return new StreamdexService(stack, 'Index', { imageTag: '0.1.0', ...props(stack) });
}

/** The service as the deployment sees it. */
function deployed(made: StreamdexService): Evaluation {
  return new Evaluation(synthesised(made.nestedStack), parameters(made));
}

function environment(made: StreamdexService, task = 'TaskDefinition'): Json {
  const [container] = deployed(made).resource(task)!.ContainerDefinitions;
  return Object.fromEntries(container.Environment.map(({ Name: name, Value: value }: Json) => [name, value]));
}

test('without properties the example is made, and the template decides everything else', () => {
  const made = withProps(prefixLists);
  assert.deepEqual(parameters(made), { ...PREFIX_LISTS, ImageTag: '0.1.0' });
  const names = deployed(made).made();
  const example = ['Key', 'State', 'SessionTable', 'Vpc', 'Domain', 'Service', 'CommandTask', 'Monitoring'];
  assert.deepEqual(example.filter((name) => !names.includes(name)), []);
});

/** Tables, a domain, a network, keys, roles and a topic of this app. */
function everythingGiven() {
  const given = resources();
  const { stack, tableKey } = given;
  const invoices = table(stack, 'Invoices', tableKey);
  const payments = table(stack, 'Payments');
  const repository = new ecr.Repository(stack, 'Repository');
  const made = new StreamdexService(stack, 'Index', {
    repository,
    imageTag: '0.1.0',
    configuration: TWO_SOURCES,
    additionalTables: [invoices, payments],
    additionalTableKeys: [kms.Key.fromKeyArn(stack, 'PaymentsKey', 'arn:aws:kms:eu-west-1:123456789012:key/1')],
    streamsEndpointUrl: 'https://streams.example.com',
    ...sharedProps(given),
  });
  return { ...given, invoices, payments, repository, made };
}

test('tables, domain, network, image, keys, role and topic of the app arrive as parameters', () => {
  const given = everythingGiven();
  const { stack, tableKey, invoices, payments, securityGroup } = given;
  const expected = {
    ...sharedParameters(given),
    Repository: given.repository.repositoryName,
    ImageTag: '0.1.0',
    Configuration: TWO_SOURCES,
    Table: 'existing',
    AdditionalTableArns: `${invoices.tableArn},${payments.tableArn}`,
    AdditionalTableKeyArns: `${tableKey.keyArn},arn:aws:kms:eu-west-1:123456789012:key/1`,
    SecurityGroupId: securityGroup.securityGroupId,
    StreamsEndpointUrl: 'https://streams.example.com',
  };
  assert.deepEqual(synthesised(stack).Resources.Index.Properties.Parameters, stack.resolve(expected));
  // What the tests below look at is the same.
  assert.deepEqual(parameters(given.made), stack.resolve(expected));
});

test('nothing is made that is given, and the containers get tables, endpoint, keys and network', () => {
  const { stack, key, tableKey, orders, invoices, payments, state, search, securityGroup, repository, made } = everythingGiven();
  const template = deployed(made);
  const ref = (value: string): string => readable(stack.resolve(value));
  const tableArn = `arn:<AWS::Partition>:dynamodb:<AWS::Region>:<AWS::AccountId>:table/${ref(orders.tableName)}`;
  const names = template.made();
  for (const name of ['Key', 'State', 'SessionTable', 'Vpc', 'Domain', 'Collection']) {
    assert.equal(names.includes(name), false, name);
  }
  for (const task of ['TaskDefinition', 'CommandTask']) {
    assert.deepEqual(environment(made, task), {
      STREAMDEX_CONFIG_TOML: TWO_SOURCES,
      AWS_REGION: '<AWS::Region>',
      STREAMDEX_TABLE: ref(orders.tableName),
      STREAMDEX_STREAMS_ENDPOINT_URL: 'https://streams.example.com',
      STREAMDEX_OPENSEARCH_URL: `https://${ref(search.domainEndpoint)}`,
      STREAMDEX_OPENSEARCH_SERVICE: 'es',
      STREAMDEX_INDEX: 'orders',
      STREAMDEX_STATE_TABLE: ref(state.tableName),
      STREAMDEX_GROUP: 'orders',
    });
    const [container] = template.resource(task)!.ContainerDefinitions;
    assert.equal(
      container.Image,
      `<AWS::AccountId>.dkr.ecr.<AWS::Region>.<AWS::URLSuffix>/${ref(repository.repositoryName)}:0.1.0`,
    );
  }
  const { NetworkConfiguration } = template.resource('Service')!;
  assert.deepEqual(NetworkConfiguration.AwsvpcConfiguration.SecurityGroups, [ref(securityGroup.securityGroupId)]);

  const run = (sid: string) => template.statement('TaskRole', sid);
  assert.equal(run('SourceStream')!.Resource, `${tableArn}/stream/*`);
  // The grants on keys: of the table, and of all that is made and the state table.
  assert.deepEqual([run('SourceKey')!.Action, run('SourceKey')!.Resource], ['kms:Decrypt', ref(tableKey.keyArn)]);
  assert.deepEqual([run('StateKey')!.Action, run('StateKey')!.Resource], [['kms:Decrypt', 'kms:GenerateDataKey'], ref(key.keyArn)]);
  const more = template.resource('AdditionalSources')!.PolicyDocument.Statement;
  const of = (sid: string) => more.find((one: Json) => one.Sid === sid).Resource;
  assert.deepEqual(of('SourceTable'), [ref(invoices.tableArn), ref(payments.tableArn)]);
  assert.deepEqual(of('SourceStream'), [`${ref(invoices.tableArn)}/stream/*`, `${ref(payments.tableArn)}/stream/*`]);
  assert.deepEqual(of('SourceKey'), [ref(tableKey.keyArn), 'arn:aws:kms:eu-west-1:123456789012:key/1']);
});

test('without a configuration the image has one', () => {
  const made = withProps(prefixLists);
  assert.equal(environment(made).STREAMDEX_CONFIG, '/etc/streamdex/streamdex.toml');
});

/** Properties that take a plain value, with other values than their defaults, and the parameters of each. */
const PLAIN: [Partial<StreamdexServiceProps>, Json][] = [
  [
    {
      ...SHARED_PLAIN[0],
      architecture: lambda.Architecture.X86_64,
      configuration: '[source]',
      replicas: 5,
      cpu: 1024,
      memoryMiB: 2048,
    },
    {
      ...SHARED_PLAIN[1],
      Architecture: 'X86_64',
      Configuration: '[source]',
      Replicas: '5',
      Cpu: '1024',
      MemoryMiB: '2048',
    },
  ],
  [
    { architecture: lambda.Architecture.ARM_64, replicas: 0, search: Search.SERVERLESS },
    { Architecture: 'ARM64', Replicas: '0', Search: 'serverless' },
  ],
];
for (const [props, expected] of PLAIN) {
  test(`passed on: ${Object.keys(props).join(', ')}`, () => {
    const made = withProps((stack) => ({ ...prefixLists(stack), ...props }));
    assert.deepEqual(parameters(made), { ...PREFIX_LISTS, ImageTag: '0.1.0', ...expected });
  });
}

/** What has a meaning only together with other properties. */
function rest(): Json[] {
  const stack = newStack();
  const first = withProps(
    () => ({
      ...prefixLists(stack),
      searchAdmin: iam.Role.fromRoleArn(stack, 'Admin', 'arn:aws:iam::123456789012:role/admin'),
      otherTables: [dynamodb.Table.fromTableArn(stack, 'Other', 'arn:aws:dynamodb:eu-west-1:123456789012:table/logins')],
    }),
    stack,
  );
  // Of a region that is not known CDK takes two zones.
  const other = newStack({ env: { account: '123456789012', region: 'eu-west-1' } });
  const second = withProps(
    () => ({
      vpc: vpc(other, 3),
      operatorSecurityGroup: ec2.SecurityGroup.fromSecurityGroupId(other, 'Operators', 'sg-0123'),
      domainZones: 3,
      domainDataNodes: 3,
    }),
    other,
  );
  return [parameters(first), parameters(second)];
}

test('role, tables, group and a third subnet are passed on where they have a meaning', () => {
  const [first, second] = rest();
  assert.equal(first!.SearchAdminArn, 'arn:aws:iam::123456789012:role/admin');
  assert.equal(first!.OtherTableArns, 'arn:aws:dynamodb:eu-west-1:123456789012:table/logins');
  assert.equal(second!.OperatorSecurityGroupId, 'sg-0123');
  assert.ok(second!.SubnetC);
});

test('each parameter of the template is set by some test of this file', () => {
  const seen = new Set([...rest().flatMap(Object.keys), ...Object.keys(parameters(everythingGiven().made))]);
  PLAIN.forEach(([, expected]) => Object.keys(expected).forEach((name) => seen.add(name)));
  assert.deepEqual([...seen].sort(), Object.keys(SERVICE_PROPERTIES).sort());
});

test('a service beside a function takes its network, key, state table and domain', () => {
  const stack = newStack();
  const first = withProps(prefixLists, stack);
  const second = new StreamdexService(stack, 'Second', {
    imageTag: '0.1.0',
    table: table(stack),
    indexName: 'orders',
    group: 'orders',
    search: Search.EXISTING_DOMAIN,
    searchEndpoint: first.searchEndpoint,
    stateTable: first.stateTable,
    vpc: first.vpc,
    securityGroup: first.securityGroup,
    streamsEndpointUrl: first.streamsEndpointUrl,
  });
  const output = (name: string) => ({ 'Fn::GetAtt': ['Index', `Outputs.${name}`] });
  const { TableName, ...others } = parameters(second);
  assert.ok(TableName);
  assert.deepEqual(others, {
    ImageTag: '0.1.0',
    Table: 'existing',
    IndexName: 'orders',
    Group: 'orders',
    Search: 'existing-domain',
    SearchEndpoint: output('SearchEndpoint'),
    StateTable: 'existing',
    StateTableName: 'streamdex-state',
    KeyArn: output('KeyArn'),
    Network: 'existing',
    VpcId: output('VpcId'),
    SubnetA: output('SubnetA'),
    SubnetB: output('SubnetB'),
    SecurityGroupId: output('SecurityGroupId'),
    StreamsEndpointUrl: output('StreamsEndpointUrl'),
  });
});

test('somebody may run commands in the cluster, and pass on the two roles that this takes', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  made.grantRunCommand(new iam.Role(stack, 'Somebody', { assumedBy: new iam.AccountRootPrincipal() }));
  const template = Template.fromStack(stack);
  const [policy] = Object.values(template.findResources('AWS::IAM::Policy'));
  const arn = 'arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>';
  const inCluster = { ArnEquals: { 'ecs:cluster': `${arn}:cluster/<Index.Outputs.ClusterName>` } };
  const [run, describe, pass] = readable(policy!.Properties.PolicyDocument.Statement);
  assert.deepEqual(run, {
    Action: 'ecs:RunTask',
    Condition: inCluster,
    Effect: 'Allow',
    Resource: `${arn}:task-definition/<Index.Outputs.CommandTask>:*`,
  });
  assert.deepEqual(describe, {
    Action: 'ecs:DescribeTasks',
    Condition: inCluster,
    Effect: 'Allow',
    Resource: `${arn}:task/<Index.Outputs.ClusterName>/*`,
  });
  assert.equal(pass.Action, 'iam:PassRole');
  assert.deepEqual(pass.Condition, { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
  const [command, execution] = pass.Resource;
  assert.equal(command, '<Index.Outputs.CommandRoleArn>');
  // CDK adds an output for what the template hands out under no name.
  const [, output] = /^<Index\.Outputs\.(.+)>$/.exec(execution)!;
  assert.deepEqual(synthesised(made.nestedStack).Outputs[output!].Value, { 'Fn::GetAtt': ['ExecutionRole', 'Arn'] });
});

test('as a grantee the construct is the role of run', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  new sns.Topic(stack, 'Topic').grantPublish(made);
  const [policy] = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.match(JSON.stringify(policy!.Properties.Roles), /Outputs\.TaskRoleArn/);
});

test('a domain lets the containers in by connections, in a network of yours', () => {
  const stack = newStack();
  const network = vpc(stack);
  const search = domain(stack, network);
  const made = withProps(() => ({ vpc: network, domain: search }), stack);
  made.connections.allowTo(search, ec2.Port.tcp(443), 'streamdex');
  const [ingress] = Object.values(Template.fromStack(stack).findResources('AWS::EC2::SecurityGroupIngress'));
  assert.deepEqual(ingress!.Properties.SourceSecurityGroupId, stack.resolve(made.securityGroup.securityGroupId));
  assert.equal(ingress!.Properties.ToPort, 443);
});

test('what the service is called is handed out', () => {
  const made = withProps(prefixLists);
  const stack = Stack.of(made);
  const { cluster, service, taskRole, commandRole, commandTask, logGroup, searchEndpoint } = made;
  assert.deepEqual(
    [cluster.clusterName, service.serviceName, taskRole.roleArn, commandRole.roleArn, commandTask, logGroup.logGroupName, searchEndpoint].map(
      (one) => readable(stack.resolve(one)),
    ),
    ['ClusterName', 'ServiceName', 'TaskRoleArn', 'CommandRoleArn', 'CommandTask', 'LogGroup', 'SearchEndpoint'].map(
      (name) => `<Index.Outputs.${name}>`,
    ),
  );
});

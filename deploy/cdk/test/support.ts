/** Apps for tests, and what they synthesise. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { App, CfnStack, NestedStack, Stack, StackProps } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Template } from 'aws-cdk-lib/assertions';
import { IConstruct } from 'constructs';

import { SharedProps } from '../src';
import { Conditions, truth } from '../src/rules';

/** The flags that `cdk init` gives to a new app. */
const FLAGS: Record<string, unknown> = require('aws-cdk-lib/recommended-feature-flags.json');
/** The folder of the package. */
export const PACKAGE = path.join(__dirname, '..', '..');
/** The folder with the shipped templates. */
export const DEPLOY = path.join(PACKAGE, '..');

export type Json = Record<string, any>;

/** Where apps are synthesised; it goes with the test. */
const OUT = mkdtempSync(path.join(tmpdir(), 'streamdex-cdk-'));
process.on('exit', () => rmSync(OUT, { recursive: true, force: true }));

/** An app as a new one is. CDK's own validation of templates takes most of the time, so one test has it. */
export function newApp(validation = false): App {
  return new App({
    outdir: mkdtempSync(path.join(OUT, 'app-')),
    analyticsReporting: false,
    builtinCloudFormationValidation: validation,
    context: FLAGS,
    treeMetadata: false,
  });
}

/** A stack in such an app. */
export function newStack(props: StackProps = {}): Stack {
  return new Stack(newApp(), 'Shop', props);
}

/** A template as it is shipped, read as CfnInclude reads it. */
export function shippedTemplate(name: string): Json {
  const folder = path.dirname(require.resolve('aws-cdk-lib/package.json'));
  const files = require(path.join(folder, 'cloudformation-include', 'lib', 'file-utils.js'));
  return files.readYamlSync(path.join(DEPLOY, name));
}

/** What a stack synthesises to, nested ones too. */
export function synthesised(stack: Stack): Json {
  return Template.fromStack(stack).toJSON();
}

/** The text of a file of the package. */
export function text(...names: string[]): string {
  return readFileSync(path.join(PACKAGE, ...names), 'utf8');
}

/** The parameters that the nested stack of a construct gets, before synthesis, which takes longer. */
export function parameters(construct: IConstruct & { nestedStack: NestedStack }): Json {
  return Stack.of(construct).resolve((construct.nestedStack.nestedStackResource as CfnStack).parameters);
}

/** A zip that is somewhere. */
export function zip(stack: Stack): lambda.Code {
  return lambda.Code.fromBucket(s3.Bucket.fromBucketName(stack, 'Zips', 'zips'), 'streamdex.zip', '7');
}

/** Something that is packed and uploaded. */
export function asset(): lambda.Code {
  return lambda.Code.fromAsset(path.join(PACKAGE, 'dist', 'templates', 'sam'));
}

/** What Network=create needs. */
export function prefixLists(stack: Stack) {
  return {
    dynamoDbPrefixList: ec2.PrefixList.fromPrefixListId(stack, 'DynamoDb', 'pl-0a'),
    s3PrefixList: ec2.PrefixList.fromPrefixListId(stack, 'S3', 'pl-0b'),
  };
}

/** A table with a stream. */
export function table(stack: Stack, id = 'Orders', encryptionKey?: kms.IKey): dynamodb.Table {
  return new dynamodb.Table(stack, id, {
    partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
    stream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
    ...(encryptionKey && { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey }),
  });
}

/** A network without a way to the internet. */
export function vpc(stack: Stack, maxAzs = 2): ec2.Vpc {
  return new ec2.Vpc(stack, 'Vpc', {
    maxAzs,
    natGateways: 0,
    subnetConfiguration: [{ name: 'inner', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
  });
}

/** A domain in a network. */
export function domain(stack: Stack, network?: ec2.IVpc): opensearch.Domain {
  return new opensearch.Domain(stack, 'Search', {
    version: opensearch.EngineVersion.OPENSEARCH_2_19,
    vpc: network,
    vpcSubnets: network && [network.selectSubnets()],
    zoneAwareness: { enabled: true },
    capacity: { dataNodes: 2, multiAzWithStandbyEnabled: false },
  });
}

/** A table, a domain, a network, keys, roles and a topic of an app. */
export function resources() {
  const stack = newStack();
  const key = new kms.Key(stack, 'Key');
  const tableKey = new kms.Key(stack, 'TableKey');
  const network = vpc(stack);
  return {
    stack,
    key,
    tableKey,
    network,
    orders: table(stack, 'Orders', tableKey),
    state: new dynamodb.Table(stack, 'State', {
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: key,
    }),
    search: domain(stack, network),
    securityGroup: new ec2.SecurityGroup(stack, 'Group', { vpc: network }),
    secret: new secretsmanager.Secret(stack, 'Secret', { encryptionKey: tableKey }),
    role: new iam.Role(stack, 'Role', { assumedBy: new iam.AccountRootPrincipal() }),
    topic: new sns.Topic(stack, 'Alarms'),
  };
}
export type Resources = ReturnType<typeof resources>;

/** The properties that function and service share, with these resources. */
export function sharedProps(given: Resources): SharedProps {
  return {
    table: given.orders,
    indexName: 'orders',
    domain: given.search,
    passwordSecret: given.secret,
    stateTable: given.state,
    group: 'orders',
    vpc: given.network,
    securityGroup: given.securityGroup,
    assumedRole: given.role,
    alarmTopic: given.topic,
  };
}

/** The parameters that these give. */
export function sharedParameters({ orders, tableKey, search, secret, state, key, network, role, topic }: Resources): Json {
  return {
    TableName: orders.tableName,
    TableKeyArn: tableKey.keyArn,
    IndexName: 'orders',
    Search: 'existing-domain',
    SearchName: search.domainName,
    SearchEndpoint: `https://${search.domainEndpoint}`,
    PasswordSecretArn: secret.secretArn,
    PasswordSecretKeyArn: tableKey.keyArn,
    StateTable: 'existing',
    StateTableName: state.tableName,
    Group: 'orders',
    KeyArn: key.keyArn,
    Network: 'existing',
    VpcId: network.vpcId,
    SubnetA: network.isolatedSubnets[0]!.subnetId,
    SubnetB: network.isolatedSubnets[1]!.subnetId,
    AssumedRoleArn: role.roleArn,
    AlarmTopicArn: topic.topicArn,
  };
}

/** Shared properties that take a plain value, with other values than their defaults, and the parameters of each. */
export const SHARED_PLAIN: [SharedProps, Json] = [
  {
    tableName: 'logins',
    indexName: 'signins',
    searchName: 'searches',
    domainEngineVersion: opensearch.EngineVersion.openSearch('3.1'),
    domainInstanceType: 'r7g.large.search',
    domainDataNodes: 9,
    domainVolumeGiB: 100,
    domainZones: 3,
    domainDedicatedManagers: true,
    domainManagerType: 'm7g.large.search',
    domainStandby: true,
    stateTableName: 'positions',
    group: 'blue',
    vpcCidr: '10.1.0.0/24',
    lagAlarmSeconds: 60,
    logRetentionDays: logs.RetentionDays.ONE_MONTH,
  },
  {
    TableName: 'logins',
    IndexName: 'signins',
    SearchName: 'searches',
    DomainEngineVersion: 'OpenSearch_3.1',
    DomainInstanceType: 'r7g.large.search',
    DomainDataNodes: '9',
    DomainVolumeGiB: '100',
    DomainZones: '3',
    DomainDedicatedManagers: 'yes',
    DomainManagerType: 'm7g.large.search',
    DomainStandby: 'yes',
    StateTableName: 'positions',
    Group: 'blue',
    VpcCidr: '10.1.0.0/24',
    LagAlarmSeconds: '60',
    LogRetentionDays: '30',
  },
];

/** A template as the deployment sees it: conditions decided, references as `<Name>` or `<Name.Attribute>`. */
export class Evaluation {
  private readonly values: Json = {};

  public constructor(
    private readonly template: Json,
    given: Json,
  ) {
    for (const [name, { Default: otherwise }] of Object.entries<Json>(template.Parameters ?? {})) {
      this.values[name] = name in given ? shown(given[name]) : String(otherwise);
    }
    for (const name of Object.keys(given)) {
      if (!(name in this.values)) {
        throw new Error(`the template has no parameter ${name}`);
      }
    }
  }

  /** The properties of a resource, or undefined where its condition does not hold. */
  public resource(name: string): Json | undefined {
    const { Condition: condition, Properties: properties } = this.template.Resources[name];
    return condition === undefined || this.holds(condition) ? (this.resolve(properties) as Json) : undefined;
  }

  /** The resources that are made. */
  public made(): string[] {
    return Object.keys(this.template.Resources).filter((name) => this.resource(name) !== undefined);
  }

  /** A statement of a role's only inline policy, by its Sid. */
  public statement(role: string, sid: string): Json | undefined {
    const [policy] = this.resource(role)!.Policies;
    return policy.PolicyDocument.Statement.find((one: Json) => one.Sid === sid);
  }

  private holds(condition: string): boolean {
    return truth({ Condition: condition }, (name) => this.values[name], this.template.Conditions as Conditions)!;
  }

  private resolve(node: unknown): unknown {
    if (Array.isArray(node)) {
      return node.map((one) => this.resolve(one)).filter((one) => one !== undefined);
    }
    if (typeof node !== 'object' || node === null) {
      return node;
    }
    const entries = Object.entries(node);
    const [[name, operand]] = entries as [[string, any]];
    if (entries.length === 1 && name === 'Ref') {
      return operand === 'AWS::NoValue' ? undefined : (this.values[operand] ?? `<${operand}>`);
    }
    if (entries.length === 1 && name === 'Fn::If') {
      return this.resolve(this.holds(operand[0]) ? operand[1] : operand[2]);
    }
    if (entries.length === 1 && name === 'Fn::GetAtt') {
      return `<${[operand].flat().join('.')}>`;
    }
    if (entries.length === 1 && name === 'Fn::Sub') {
      const [pattern, map] = Array.isArray(operand) ? operand : [operand, {}];
      return pattern.replace(/\$\{([^}]+)\}/g, (_: string, key: string) =>
        String(key in map ? this.resolve(map[key]) : (this.values[key] ?? `<${key}>`)),
      );
    }
    if (entries.length === 1 && name === 'Fn::Split') {
      return String(this.resolve(operand[1])).split(operand[0]);
    }
    if (entries.length === 1 && name === 'Fn::Join') {
      return (this.resolve(operand[1]) as string[]).join(operand[0]);
    }
    const resolved = entries.map(([key, value]) => [key, this.resolve(value)] as const);
    return Object.fromEntries(resolved.filter(([, value]) => value !== undefined));
  }
}

/** A part of a synthesised template with its references as text. */
export function readable(node: any): any {
  if (Array.isArray(node)) {
    return node.map(readable);
  }
  if (typeof node !== 'object' || node === null) {
    return node;
  }
  if (['Ref', 'Fn::GetAtt', 'Fn::Join'].some((name) => name in node)) {
    return shown(node);
  }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, readable(value)]));
}

/** A value of the parent stack, readable. */
export function shown(value: any): string {
  if (typeof value !== 'object') {
    return String(value);
  }
  if ('Ref' in value) {
    return `<${value.Ref}>`;
  }
  if ('Fn::GetAtt' in value) {
    return `<${value['Fn::GetAtt'].join('.')}>`;
  }
  if ('Fn::Join' in value) {
    return value['Fn::Join'][1].map(shown).join(value['Fn::Join'][0]);
  }
  throw new Error(`not known: ${JSON.stringify(value)}`);
}

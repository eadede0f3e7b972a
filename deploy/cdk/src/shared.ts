/** The properties that function and service share, and what they give for the parameters of their templates. */

import { Annotations, Arn, ArnFormat, IResource, Lazy, Stack, Token, Tokenization } from 'aws-cdk-lib';
import * as cloudwatchLogs from 'aws-cdk-lib/aws-logs';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

import { ParameterValues } from './deployment';

/** Where documents go. */
export enum Search {
  /** An example domain, which is made. */
  DOMAIN = 'domain',
  /** A domain of yours. */
  EXISTING_DOMAIN = 'existing-domain',
  /** An OpenSearch Serverless collection, which is made. */
  SERVERLESS = 'serverless',
}

/** The properties that function and service share. */
export interface SharedProps {
  /**
   * The table to follow, in the stack's account and region. Its stream must be on, best with `NEW_AND_OLD_IMAGES`.
   *
   * @default - an example table of sessions is made
   */
  readonly table?: dynamodb.ITable;
  /**
   * The name of the example table.
   *
   * @default sessions
   */
  readonly tableName?: string;
  /**
   * The customer managed key of `table`, where the app does not know it: a table that was imported without its key.
   *
   * @default - the `encryptionKey` of `table`
   */
  readonly tableKey?: kms.IKey;
  /**
   * `STREAMDEX_INDEX` of streamdex.toml. Needed with `table`.
   *
   * @default sessions
   */
  readonly indexName?: string;

  /** @default - EXISTING_DOMAIN with `domain`, else DOMAIN */
  readonly search?: Search;
  /**
   * The domain to write to. It needs `vpc`, with subnets that reach it.
   *
   * @default - an example domain is made
   */
  readonly domain?: opensearch.IDomain;
  /**
   * The name of the domain or collection that is made.
   *
   * @default streamdex
   */
  readonly searchName?: string;
  /**
   * Another address of `domain`, such as a custom endpoint, with `https://` before it and nothing behind.
   *
   * @default - the endpoint of `domain`
   */
  readonly searchEndpoint?: string;
  /**
   * A role or user that administers the domain that is made, or searches the collection.
   *
   * @default - nobody but the function's or service's own roles
   */
  readonly searchAdmin?: iam.IRole | iam.IUser;
  /**
   * The secret with the password of a user of `domain`, where streamdex.toml has `auth.kind = "basic"`. Its key is known
   * from it.
   *
   * @default - requests are signed
   */
  readonly passwordSecret?: secretsmanager.ISecret;

  /** @default OpenSearch_2.19 */
  readonly domainEngineVersion?: opensearch.EngineVersion;
  /**
   * Of the data nodes.
   *
   * @default t3.small.search
   */
  readonly domainInstanceType?: string;
  /**
   * A multiple of `domainZones`.
   *
   * @default 2
   */
  readonly domainDataNodes?: number;
  /**
   * Of each data node.
   *
   * @default 10
   */
  readonly domainVolumeGiB?: number;
  /** @default 2 */
  readonly domainZones?: number;
  /**
   * Three dedicated cluster managers.
   *
   * @default false
   */
  readonly domainDedicatedManagers?: boolean;
  /** @default m7g.medium.search */
  readonly domainManagerType?: string;
  /**
   * Multi-AZ with Standby.
   *
   * @default false
   */
  readonly domainStandby?: boolean;

  /**
   * A state table that is there. It has the key `key`.
   *
   * @default - one is made
   */
  readonly stateTable?: dynamodb.ITable;
  /**
   * The name of the state table that is made.
   *
   * @default streamdex-state
   */
  readonly stateTableName?: string;
  /**
   * This deployment's name in the state table.
   *
   * @default default
   */
  readonly group?: string;
  /**
   * The key of all that is made, and of the state table. Where it is a key of this app, its policy gets the statement that
   * CloudWatch Logs needs.
   *
   * @default - the key of `stateTable`, else one is made
   */
  readonly key?: kms.IKey;

  /**
   * The network to be in.
   *
   * @default - a VPC without a way to the internet is made
   */
  readonly vpc?: ec2.IVpc;
  /**
   * Which subnets of `vpc`. One of each zone is taken, of the first two zones, or of three for `domainZones: 3`.
   *
   * @default - private subnets, else isolated ones
   */
  readonly subnets?: ec2.SubnetSelection;
  /**
   * The security group in `vpc`.
   *
   * @default - one is made, with a way out on port 443 alone
   */
  readonly securityGroup?: ec2.ISecurityGroup;
  /**
   * A second security group in `vpc` that reaches the search that is made: of whoever searches.
   *
   * @default - none
   */
  readonly operatorSecurityGroup?: ec2.ISecurityGroup;
  /**
   * Of the VPC that is made. A later change makes another VPC.
   *
   * @default 10.42.0.0/24
   */
  readonly vpcCidr?: string;
  /**
   * `com.amazonaws.REGION.dynamodb`, for the VPC that is made.
   *
   * @default - looked up, where the stack's `env` has account and region
   */
  readonly dynamoDbPrefixList?: ec2.IPrefixList;
  /**
   * `com.amazonaws.REGION.s3`, for the VPC that is made.
   *
   * @default - looked up, where the stack's `env` has account and region
   */
  readonly s3PrefixList?: ec2.IPrefixList;
  /**
   * Tables of other deployments that use the VPC that is made.
   *
   * @default - none
   */
  readonly otherTables?: dynamodb.ITable[];
  /**
   * The `role_arn` of streamdex.toml.
   *
   * @default - none
   */
  readonly assumedRole?: iam.IRole;

  /**
   * Where alarms go.
   *
   * @default - nowhere
   */
  readonly alarmTopic?: sns.ITopic;
  /** @default 300 */
  readonly lagAlarmSeconds?: number;
  /** @default ONE_YEAR */
  readonly logRetentionDays?: cloudwatchLogs.RetentionDays;
}

/** The parameters that both templates have under the same name, and the properties that set them. */
export const SHARED_PROPERTIES = {
  TableName: ['table', 'tableName'],
  TableKeyArn: ['table', 'tableKey'],
  IndexName: ['indexName'],
  Search: ['domain', 'search'],
  SearchName: ['domain', 'searchName'],
  SearchEndpoint: ['domain', 'searchEndpoint'],
  SearchAdminArn: ['searchAdmin'],
  PasswordSecretArn: ['passwordSecret'],
  PasswordSecretKeyArn: ['passwordSecret'],
  DomainEngineVersion: ['domainEngineVersion'],
  DomainInstanceType: ['domainInstanceType'],
  DomainDataNodes: ['domainDataNodes'],
  DomainVolumeGiB: ['domainVolumeGiB'],
  DomainZones: ['domainZones'],
  DomainDedicatedManagers: ['domainDedicatedManagers'],
  DomainManagerType: ['domainManagerType'],
  DomainStandby: ['domainStandby'],
  StateTable: ['stateTable'],
  StateTableName: ['stateTable', 'stateTableName'],
  Group: ['group'],
  KeyArn: ['key', 'stateTable'],
  Network: ['vpc'],
  VpcCidr: ['vpcCidr'],
  DynamoDbPrefixListId: ['dynamoDbPrefixList'],
  S3PrefixListId: ['s3PrefixList'],
  OtherTableArns: ['otherTables'],
  VpcId: ['vpc'],
  SubnetA: ['vpc', 'subnets'],
  SubnetB: ['vpc', 'subnets'],
  SubnetC: ['vpc', 'subnets'],
  OperatorSecurityGroupId: ['operatorSecurityGroup'],
  AssumedRoleArn: ['assumedRole'],
  AlarmTopicArn: ['alarmTopic'],
  LagAlarmSeconds: ['lagAlarmSeconds'],
  LogRetentionDays: ['logRetentionDays'],
} as const;

/** What the shared properties come to. */
export interface Shared {
  readonly values: ParameterValues<keyof typeof SHARED_PROPERTIES>;
  readonly search: Search;
  /** The key that was given. */
  readonly key?: kms.IKey;
  /** The security group that was given, or made because a VPC was given. */
  readonly securityGroup?: ec2.ISecurityGroup;
}

const OF_MADE_DOMAIN = [
  'domainEngineVersion',
  'domainInstanceType',
  'domainDataNodes',
  'domainVolumeGiB',
  'domainZones',
  'domainDedicatedManagers',
  'domainManagerType',
  'domainStandby',
] as const;
const OF_MADE_NETWORK = ['vpcCidr', 'dynamoDbPrefixList', 's3PrefixList', 'otherTables'] as const;
const OF_GIVEN_NETWORK = ['subnets', 'securityGroup', 'operatorSecurityGroup'] as const;

/** What CDK answers before a prefix list was looked up. */
const NOT_LOOKED_UP = 'pl-xxxxxxxx';

/** Checks the shared properties, and carries them out. */
export function shared(scope: Construct, props: SharedProps): Shared {
  const search = props.search ?? (props.domain === undefined ? Search.DOMAIN : Search.EXISTING_DOMAIN);
  const key = props.key ?? props.stateTable?.encryptionKey;
  check(scope, props, search);
  if (key !== undefined) {
    useKey(scope, key);
  }
  const network = givenNetwork(scope, props, search);
  const lists = props.vpc === undefined ? prefixLists(scope, props) : {};
  return {
    search,
    key,
    securityGroup: network.securityGroup,
    values: {
      TableName: props.table?.tableName ?? props.tableName,
      TableKeyArn: (props.tableKey ?? props.table?.encryptionKey)?.keyArn,
      IndexName: props.indexName,
      Search: props.search ?? (props.domain && Search.EXISTING_DOMAIN),
      SearchName: props.domain?.domainName ?? props.searchName,
      SearchEndpoint: props.searchEndpoint ?? (props.domain && `https://${props.domain.domainEndpoint}`),
      SearchAdminArn: props.searchAdmin && identityArn(props.searchAdmin),
      PasswordSecretArn: props.passwordSecret && secretArn(scope, props.passwordSecret),
      PasswordSecretKeyArn: props.passwordSecret?.encryptionKey?.keyArn,
      DomainEngineVersion: props.domainEngineVersion?.version,
      DomainInstanceType: props.domainInstanceType,
      DomainDataNodes: number(props.domainDataNodes),
      DomainVolumeGiB: number(props.domainVolumeGiB),
      DomainZones: number(props.domainZones),
      DomainDedicatedManagers: yesNo(props.domainDedicatedManagers),
      DomainManagerType: props.domainManagerType,
      DomainStandby: yesNo(props.domainStandby),
      StateTable: props.stateTable && 'existing',
      StateTableName: props.stateTable?.tableName ?? props.stateTableName,
      Group: props.group,
      KeyArn: key?.keyArn,
      Network: props.vpc && 'existing',
      VpcCidr: props.vpcCidr,
      DynamoDbPrefixListId: lists.dynamoDb,
      S3PrefixListId: lists.s3,
      OtherTableArns: joined(props.otherTables?.map((table) => table.tableArn)),
      VpcId: props.vpc?.vpcId,
      SubnetA: network.subnets[0],
      SubnetB: network.subnets[1],
      SubnetC: network.subnets[2],
      OperatorSecurityGroupId: props.operatorSecurityGroup?.securityGroupId,
      AssumedRoleArn: props.assumedRole?.roleArn,
      AlarmTopicArn: props.alarmTopic?.topicArn,
      LagAlarmSeconds: number(props.lagAlarmSeconds),
      LogRetentionDays: number(props.logRetentionDays),
    },
  };
}

/** Fails with a sentence that says what to do. */
export function refuse(scope: Construct, sentence: string): never {
  throw new Error(`${scope.node.path}: ${sentence}`);
}

/** Fails where one of these properties is there. */
export function refuseAny<Props>(scope: Construct, props: Props, names: readonly (keyof Props & string)[], why: string): void {
  const found = names.filter((name) => props[name] !== undefined).map((name) => `\`${name}\``);
  if (found.length > 0) {
    refuse(scope, `${found.join(', ')}: ${why}`);
  }
}

export function number(value: number | undefined): string | undefined {
  return value === undefined ? undefined : Tokenization.stringifyNumber(value);
}

export function yesNo(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : value ? 'yes' : 'no';
}

/** A list as one text, as the templates take it. */
export function joined(values: readonly string[] | undefined): string | undefined {
  return values === undefined || values.length === 0 ? undefined : [...new Set(values)].join(',');
}

function check(scope: Construct, props: SharedProps, search: Search): void {
  const { table, domain, stateTable, key } = props;
  if (table !== undefined) {
    refuseAny(scope, props, ['tableName'], 'it names the example table. With `table` leave it out.');
    if (props.indexName === undefined) {
      refuse(scope, 'with `table` give `indexName` too: without it the index would be called sessions.');
    }
    atHome(scope, table, table.tableArn);
    streams(scope, table);
  } else {
    refuseAny(scope, props, ['tableKey'], 'it is the key of `table`, which is missing. The example table has `key`.');
  }

  if (domain !== undefined && search !== Search.EXISTING_DOMAIN) {
    refuse(scope, `\`domain\` is a domain of yours, and \`search\` says that one is made. Leave one of them out.`);
  }
  if (domain !== undefined) {
    refuseAny(scope, props, ['searchName'], 'it names the search that is made. With `domain` leave it out.');
  }
  if (search !== Search.EXISTING_DOMAIN) {
    refuseAny(scope, props, ['searchEndpoint'], 'it is an address of a domain of yours. Give `domain` too.');
  }
  if (search !== Search.DOMAIN) {
    refuseAny(scope, props, OF_MADE_DOMAIN, 'for a domain that is made here alone. Leave it out.');
  }
  if (search === Search.EXISTING_DOMAIN) {
    refuseAny(scope, props, ['searchAdmin'], 'who administers a domain of yours is decided there. Leave it out.');
  }

  if (stateTable !== undefined) {
    refuseAny(scope, props, ['stateTableName'], 'it names the state table that is made. With `stateTable` leave it out.');
    atHome(scope, stateTable, stateTable.tableArn);
    const stateKey = stateTable.encryptionKey;
    const arn = (one: kms.IKey) => JSON.stringify(Stack.of(scope).resolve(one.keyArn));
    if (key !== undefined && stateKey !== undefined && arn(key) !== arn(stateKey)) {
      refuse(scope, '`key` is another key than that of `stateTable`. All that is made has the key of the state table: leave `key` out.');
    }
  }

  if (props.vpc === undefined) {
    refuseAny(scope, props, OF_GIVEN_NETWORK, 'for a network of yours. Give `vpc` too.');
  } else {
    refuseAny(scope, props, OF_MADE_NETWORK, 'for a VPC that is made here. With `vpc` leave it out.');
  }
}

/** The templates make ARNs and addresses from names, with the stack's account and region. */
export function atHome(scope: Construct, resource: IResource, arn: string): void {
  const stack = Stack.of(scope);
  // Of what was imported by its ARN, the ARN alone says where it is.
  const { account = '', region = '' } = Token.isUnresolved(arn) ? resource.env : Arn.split(arn, ArnFormat.SLASH_RESOURCE_NAME);
  for (const [what, there, here] of [
    ['account', account, stack.account],
    ['region', region, stack.region],
  ] as const) {
    if (!Token.isUnresolved(there) && !Token.isUnresolved(here) && there !== here) {
      refuse(scope, `${resource.node.path} is in ${what} ${there}, and the stack in ${here}. Put the stack where it is.`);
    }
  }
}

/** Fails where a table of this app has no stream. Of an imported one nobody knows. */
export function streams(scope: Construct, table: dynamodb.ITable): void {
  const what = `the table ${table.node.path} has no stream. Give it`;
  const resource = table.node.defaultChild;
  if (resource instanceof dynamodb.CfnTable && resource.streamSpecification === undefined) {
    refuse(scope, `${what} \`stream: StreamViewType.NEW_AND_OLD_IMAGES\`.`);
  }
  if (resource instanceof dynamodb.CfnGlobalTable) {
    // A replica that is added later switches the stream on.
    scope.node.addValidation({
      validate: () =>
        Stack.of(resource).resolve(resource.streamSpecification) === undefined
          ? [`${what} \`dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES\`.`]
          : [],
    });
  }
}

/** Keys that a template made, whose policy is right. */
const MADE_KEYS = new WeakSet<kms.IKey>();

/** The key that a template made. */
export function madeKey(scope: Construct, arn: string): kms.IKey {
  const key = kms.Key.fromKeyArn(scope, 'Key', arn);
  MADE_KEYS.add(key);
  return key;
}

/** Lets CloudWatch Logs use the key, as key.yaml does. */
function useKey(scope: Construct, key: kms.IKey): void {
  if (MADE_KEYS.has(key)) {
    return;
  }
  const stack = Stack.of(scope);
  if (JSON.stringify(stack.resolve(key.keyArn)).includes('alias/')) {
    refuse(scope, 'an alias is no key: the policies name the key itself. Give the key that the alias is for.');
  }
  const { statementAdded } = key.addToResourcePolicy(
    new iam.PolicyStatement({
      sid: 'LogGroups',
      principals: [new iam.ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
      actions: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey*', 'kms:ReEncrypt*'],
      resources: ['*'],
      conditions: {
        ArnLike: {
          'kms:EncryptionContext:aws:logs:arn': stack.formatArn({
            service: 'logs',
            resource: 'log-group:/streamdex/*',
          }),
        },
      },
    }),
  );
  if (!statementAdded) {
    Annotations.of(scope).addWarningV2(
      'streamdex:keyPolicy',
      'The key is not of this app, so its policy is not changed. It needs the statement LogGroups of docs/deploy-lambda.md ("A key of yours"), or the log groups are not made.',
    );
  }
}

function identityArn(identity: iam.IRole | iam.IUser): string {
  return 'roleArn' in identity ? identity.roleArn : identity.userArn;
}

function secretArn(scope: Construct, secret: secretsmanager.ISecret): string {
  return (
    secret.secretFullArn ??
    refuse(scope, 'of `passwordSecret` the whole ARN is needed, with the six characters at its end: Secret.fromSecretCompleteArn.')
  );
}

function givenNetwork(scope: Construct, props: SharedProps, search: Search): { subnets: string[]; securityGroup?: ec2.ISecurityGroup } {
  const { vpc } = props;
  if (vpc === undefined) {
    return { subnets: [] };
  }
  const selected = vpc.selectSubnets(props.subnets);
  if (selected.hasPublic) {
    refuse(scope, 'the subnets are public, and nothing that is made has a public address. Choose private ones by `subnets`.');
  }
  const ofZones = new Map<string, string>();
  for (const subnet of selected.subnets) {
    if (!ofZones.has(subnet.availabilityZone)) {
      ofZones.set(subnet.availabilityZone, subnet.subnetId);
    }
  }
  if (ofZones.size < 2) {
    refuse(scope, `two subnets in two availability zones are needed, and \`subnets\` gives ${ofZones.size}.`);
  }
  const zones = search === Search.DOMAIN && props.domainZones === 3 ? 3 : 2;
  return {
    subnets: [...ofZones.values()].slice(0, zones),
    securityGroup: props.securityGroup ?? onlyHttps(scope, vpc),
  };
}

function onlyHttps(scope: Construct, vpc: ec2.IVpc): ec2.ISecurityGroup {
  const group = new ec2.SecurityGroup(scope, 'SecurityGroup', {
    vpc,
    description: 'streamdex, nothing comes in',
    allowAllOutbound: false,
  });
  group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'DynamoDB, OpenSearch, services of AWS');
  return group;
}

function prefixLists(scope: Construct, props: SharedProps): { dynamoDb?: string; s3?: string } {
  const { account, region } = Stack.of(scope);
  const lookUp = !Token.isUnresolved(account) && !Token.isUnresolved(region);
  const id = (given: ec2.IPrefixList | undefined, service: string): string | undefined => {
    const list =
      given ??
      (lookUp
        ? ec2.PrefixList.fromLookup(scope, `PrefixList-${service}`, { prefixListName: `com.amazonaws.${region}.${service}` })
        : undefined);
    // Known only at the second run of an app, after the look-up.
    return list?.prefixListId === NOT_LOOKED_UP ? Lazy.string({ produce: () => NOT_LOOKED_UP }) : list?.prefixListId;
  };
  return { dynamoDb: id(props.dynamoDbPrefixList, 'dynamodb'), s3: id(props.s3PrefixList, 's3') };
}

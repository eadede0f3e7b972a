import { NestedStack, Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

import { Deployment, SHARED_STACKS, shipped } from './deployment';
import { madeNetwork } from './network';
import { atHome, joined, madeKey, number, refuse, refuseAny, SHARED_PROPERTIES, shared, SharedProps, streams } from './shared';

/** The properties of the service. */
export interface StreamdexServiceProps extends SharedProps {
  /**
   * The repository of the image, in the stack's account and region.
   *
   * @default - the repository `streamdex`
   */
  readonly repository?: ecr.IRepository;
  /** The tag of the image. */
  readonly imageTag: string;
  /**
   * What the image was built for.
   *
   * @default ARM_64
   */
  readonly architecture?: lambda.Architecture;
  /**
   * The text of streamdex.toml, up to 4,096 bytes.
   *
   * @default - the image holds /etc/streamdex/streamdex.toml
   */
  readonly configuration?: string;
  /**
   * One reads the table, the others stand by.
   *
   * @default 2
   */
  readonly replicas?: number;
  /** @default 256 */
  readonly cpu?: number;
  /** @default 512 */
  readonly memoryMiB?: number;

  /**
   * More tables that the service follows. Each is a `[[source]]` of `configuration`.
   *
   * @default - none
   */
  readonly additionalTables?: dynamodb.ITable[];
  /**
   * The customer managed keys of `additionalTables` that the app does not know.
   *
   * @default - the `encryptionKey` of each of them
   */
  readonly additionalTableKeys?: kms.IKey[];
  /**
   * Where DynamoDB Streams is reached from `vpc`, if by an interface endpoint.
   *
   * @default - the service's public name
   */
  readonly streamsEndpointUrl?: string;
}

/** The parameters of cloudformation/service.yaml, and the properties that set them. */
export const SERVICE_PROPERTIES = {
  ...SHARED_PROPERTIES,
  Repository: ['repository'],
  ImageTag: ['imageTag'],
  Architecture: ['architecture'],
  Configuration: ['configuration'],
  Replicas: ['replicas'],
  Cpu: ['cpu'],
  MemoryMiB: ['memoryMiB'],
  Table: ['table'],
  AdditionalTableArns: ['additionalTables'],
  AdditionalTableKeyArns: ['additionalTables', 'additionalTableKeys'],
  SecurityGroupId: ['securityGroup', 'vpc'],
  StreamsEndpointUrl: ['streamsEndpointUrl'],
} as const;

type Values = Readonly<Record<keyof typeof SERVICE_PROPERTIES, string | undefined>>;

/** The names of cluster, service and task definitions, of which one has `-command` behind it. */
const LONGEST_NAME = 255 - '-command'.length;

/**
 * streamdex as containers on ECS Fargate: the shipped deploy/cloudformation/service.yaml in a nested stack.
 *
 * As a grantee it is the role of `streamdex run`.
 */
export class StreamdexService extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The nested stack with the template. */
  public readonly nestedStack: NestedStack;
  /** The template, for what no property reaches: `template.getResource('Service')`. */
  public readonly template: CfnInclude;
  public readonly cluster: ecs.ICluster;
  public readonly service: ecs.IBaseService;
  /** The family of the task definition for commands that are run once. */
  public readonly commandTask: string;
  /** The role of `streamdex run`, to be mapped in a domain of yours. */
  public readonly taskRole: iam.IRole;
  /** The role of commands that are run once. */
  public readonly commandRole: iam.IRole;
  public readonly logGroup: logs.ILogGroup;
  public readonly grantPrincipal: iam.IPrincipal;
  public readonly connections: ec2.Connections;
  /** The containers' security group. */
  public readonly securityGroup: ec2.ISecurityGroup;
  /** The security group of whoever searches. */
  public readonly operatorSecurityGroup?: ec2.ISecurityGroup;
  /** The network that was given or made. */
  public readonly vpc: ec2.IVpc;
  /** The key of all that is made. */
  public readonly key: kms.IKey;
  /** The state table that was given or made. */
  public readonly stateTable: dynamodb.ITable;
  /** The address of domain or collection. */
  public readonly searchEndpoint: string;
  /** Where DynamoDB Streams is reached: for a second service in this VPC. */
  public readonly streamsEndpointUrl?: string;

  public constructor(scope: Construct, id: string, props: StreamdexServiceProps) {
    super(scope, id);
    const { values: sharedValues, search: _, ...given } = shared(this, props);
    checkService(this, props);
    const values: Values = {
      ...sharedValues,
      Repository: props.repository?.repositoryName,
      ImageTag: props.imageTag,
      Architecture: props.architecture?.name.toUpperCase(),
      Configuration: props.configuration,
      Replicas: number(props.replicas),
      Cpu: number(props.cpu),
      MemoryMiB: number(props.memoryMiB),
      Table: props.table && 'existing',
      AdditionalTableArns: joined(props.additionalTables?.map((table) => table.tableArn)),
      AdditionalTableKeyArns: joined(additionalKeys(props).map((key) => key.keyArn)),
      SecurityGroupId: given.securityGroup?.securityGroupId,
      StreamsEndpointUrl: props.streamsEndpointUrl,
    };
    const deployment = new Deployment(this, {
      template: {
        templateFile: shipped('cloudformation/service.yaml'),
        loadNestedStacks: {
          ...SHARED_STACKS,
          Monitoring: { templateFile: shipped('cloudformation/service-monitoring.yaml') },
        },
      },
      values,
      properties: SERVICE_PROPERTIES,
      longestStackName: LONGEST_NAME,
    });
    this.nestedStack = deployment.stack;
    this.template = deployment.include;

    const output = (name: string) => deployment.output(name);
    this.key = given.key ?? madeKey(this, output('KeyArn'));
    this.taskRole = iam.Role.fromRoleArn(this, 'TaskRole', output('TaskRoleArn'));
    this.commandRole = iam.Role.fromRoleArn(this, 'CommandRole', output('CommandRoleArn'));
    this.grantPrincipal = this.taskRole;
    const network = madeNetwork(this, output, 'SecurityGroupId');
    this.vpc = props.vpc ?? network.vpc();
    this.securityGroup = given.securityGroup ?? network.securityGroup();
    this.operatorSecurityGroup = props.vpc === undefined ? network.operatorSecurityGroup() : props.operatorSecurityGroup;
    this.connections = new ec2.Connections({ securityGroups: [this.securityGroup] });
    this.cluster = ecs.Cluster.fromClusterAttributes(this, 'Cluster', {
      clusterName: output('ClusterName'),
      vpc: this.vpc,
      securityGroups: [this.securityGroup],
    });
    this.service = ecs.FargateService.fromFargateServiceAttributes(this, 'Service', {
      serviceName: output('ServiceName'),
      cluster: this.cluster,
    });
    this.commandTask = output('CommandTask');
    this.logGroup = logs.LogGroup.fromLogGroupName(this, 'LogGroup', output('LogGroup'));
    this.stateTable =
      props.stateTable ??
      dynamodb.Table.fromTableAttributes(this, 'StateTable', {
        tableName: values.StateTableName ?? this.template.getParameter('StateTableName').default,
        encryptionKey: this.key,
      });
    this.searchEndpoint = output('SearchEndpoint');
    this.streamsEndpointUrl = props.vpc === undefined ? output('StreamsEndpointUrl') : props.streamsEndpointUrl;
  }

  /** Lets somebody run commands once, in the service's cluster under the role for commands, and see how they end. */
  public grantRunCommand(grantee: iam.IGrantable): iam.Grant {
    const stack = Stack.of(this);
    const inCluster = { ArnEquals: { 'ecs:cluster': this.cluster.clusterArn } };
    const executionRole = this.template.getResource('ExecutionRole') as iam.CfnRole;
    const ecsArn = (resource: string, resourceName: string) => stack.formatArn({ service: 'ecs', resource, resourceName });
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['ecs:RunTask'],
      resourceArns: [ecsArn('task-definition', `${this.commandTask}:*`)],
      conditions: inCluster,
    })
      .combine(
        iam.Grant.addToPrincipal({
          grantee,
          actions: ['ecs:DescribeTasks'],
          resourceArns: [ecsArn('task', `${this.cluster.clusterName}/*`)],
          conditions: inCluster,
        }),
      )
      .combine(
        iam.Grant.addToPrincipal({
          grantee,
          actions: ['iam:PassRole'],
          resourceArns: [this.commandRole.roleArn, executionRole.attrArn],
          conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
        }),
      );
  }
}

function additionalKeys(props: StreamdexServiceProps): kms.IKey[] {
  const known = (props.additionalTables ?? []).map((table) => table.encryptionKey).filter((key) => key !== undefined);
  return [...known, ...(props.additionalTableKeys ?? [])];
}

function checkService(scope: Construct, props: StreamdexServiceProps): void {
  const { additionalTables = [], repository } = props;
  for (const one of additionalTables) {
    atHome(scope, one, one.tableArn);
    streams(scope, one);
  }
  if (additionalTables.length > 0 && props.configuration !== undefined && !props.configuration.includes('[[source]]')) {
    refuse(scope, '`configuration` has no [[source]] for `additionalTables`, so they would not be followed. See docs/deploy-container.md.');
  }
  if (props.vpc === undefined) {
    refuseAny(scope, props, ['streamsEndpointUrl'], 'the VPC that is made has its own endpoint. Leave it out, or give `vpc`.');
  }
  if (repository !== undefined) {
    atHome(scope, repository, repository.repositoryArn);
  }
}

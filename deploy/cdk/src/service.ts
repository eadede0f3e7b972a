import { Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import { StreamdexBase } from './base';
import { DeploymentProps, SHARED_STACKS, shipped } from './deployment';
import { atHome, joined, number, refuse, refuseAny, Shared, SHARED_PROPERTIES, SharedProps, streams } from './shared';

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
export class StreamdexService extends StreamdexBase implements iam.IGrantable {
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
  /** Where DynamoDB Streams is reached: for a second service in this VPC. */
  public readonly streamsEndpointUrl?: string;

  public constructor(scope: Construct, id: string, props: StreamdexServiceProps) {
    super(scope, id, props, {
      deployment: (self, given) => serviceDeployment(self, props, given),
      securityGroupOutput: 'SecurityGroupId',
    });
    this.taskRole = iam.Role.fromRoleArn(this, 'TaskRole', this.output('TaskRoleArn'));
    this.commandRole = iam.Role.fromRoleArn(this, 'CommandRole', this.output('CommandRoleArn'));
    this.grantPrincipal = this.taskRole;
    this.cluster = ecs.Cluster.fromClusterAttributes(this, 'Cluster', {
      clusterName: this.output('ClusterName'),
      vpc: this.vpc,
      securityGroups: [this.securityGroup],
    });
    this.service = ecs.FargateService.fromFargateServiceAttributes(this, 'Service', {
      serviceName: this.output('ServiceName'),
      cluster: this.cluster,
    });
    this.commandTask = this.output('CommandTask');
    this.logGroup = logs.LogGroup.fromLogGroupName(this, 'LogGroup', this.output('LogGroup'));
    this.streamsEndpointUrl = props.vpc === undefined ? this.output('StreamsEndpointUrl') : props.streamsEndpointUrl;
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

function serviceDeployment(scope: Construct, props: StreamdexServiceProps, given: Shared): DeploymentProps {
  checkService(scope, props);
  const values: Values = {
    ...given.values,
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
  return {
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
  };
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

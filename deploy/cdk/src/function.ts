import { ArnFormat, Aws, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';

import { StreamdexBase } from './base';
import { DeploymentProps, SHARED_STACKS, shipped } from './deployment';
import { joined, number, refuse, refuseAny, Search, Shared, SHARED_PROPERTIES, SharedProps } from './shared';

/** The endpoints that a VPC gets for containers in it. */
export enum PollerEndpoints {
  /** All that `streamdex run` needs. */
  YES = 'yes',
  /** Those that commands need: all but that of the stream. */
  COMMANDS = 'commands',
  NO = 'no',
}

/** Which records the function takes. */
export enum Records {
  ALL = 'all',
  /** Deletes by the table's time to live alone, for a function that does nothing but archive. */
  EXPIRIES = 'expiries',
}

/** The properties of the function. */
export interface StreamdexFunctionProps extends SharedProps {
  /** The zip of `cargo xtask package-lambda --config FILE`, which holds streamdex.toml too: `Code.fromAsset(PATH)`. */
  readonly code: lambda.Code;
  /**
   * What the zip was built for.
   *
   * @default ARM_64
   */
  readonly architecture?: lambda.Architecture;

  /**
   * The role that searches the domain that is made.
   *
   * @default - nobody
   */
  readonly searcher?: iam.IRole;
  /**
   * Roles that write to the domain that is made, as the function does.
   *
   * @default - none
   */
  readonly additionalWriters?: iam.IRole[];
  /**
   * Another text sets roles and indices of the domain that is made up again, after a change of the routes.
   *
   * @default 1
   */
  readonly setUpAgain?: string;
  /**
   * Which endpoints the VPC that is made gets for containers.
   *
   * @default NO
   */
  readonly pollerEndpoints?: PollerEndpoints;

  /**
   * Whether this region feeds the index.
   *
   * @default true
   */
  readonly feeding?: boolean;
  /** @default TRIM_HORIZON */
  readonly startingPosition?: lambda.StartingPosition;
  /** @default ALL */
  readonly records?: Records;
  /**
   * Invocations at once for each shard, up to 10.
   *
   * @default 1
   */
  readonly parallelizationFactor?: number;
  /**
   * What is older goes to the bucket. -1 leaves it in the stream until the stream forgets it, after 86,400 seconds.
   *
   * @default 82800
   */
  readonly maximumRecordAgeSeconds?: number;
  /**
   * -1: until the record's age ends it.
   *
   * @default -1
   */
  readonly maximumRetries?: number;
  /**
   * At least the number of open shards times `parallelizationFactor`. 0 reserves nothing.
   *
   * @default 0
   */
  readonly reservedConcurrency?: number;
  /** @default 256 */
  readonly memoryMiB?: number;
  /**
   * How long records that could not be delivered are kept.
   *
   * @default 30
   */
  readonly onFailureDays?: number;
}

/** The parameters of sam/template.yaml, and the properties that set them. */
export const FUNCTION_PROPERTIES = {
  ...SHARED_PROPERTIES,
  StreamArn: ['table'],
  SearcherArn: ['searcher'],
  AdditionalWriterArns: ['additionalWriters'],
  SetUpAgain: ['setUpAgain'],
  FunctionSecurityGroupId: ['securityGroup', 'vpc'],
  PollerEndpoints: ['pollerEndpoints'],
  Feeding: ['feeding'],
  StartingPosition: ['startingPosition'],
  Records: ['records'],
  ParallelizationFactor: ['parallelizationFactor'],
  MaximumRecordAgeSeconds: ['maximumRecordAgeSeconds'],
  MaximumRetries: ['maximumRetries'],
  ReservedConcurrency: ['reservedConcurrency'],
  MemoryMiB: ['memoryMiB'],
  OnFailureDays: ['onFailureDays'],
} as const;

type Values = Readonly<Record<keyof typeof FUNCTION_PROPERTIES, string | undefined>>;

/** The name of a function. */
const FUNCTION_NAME = 64;
const SET_UP = '-set-up';

/**
 * streamdex as a Lambda function: the shipped deploy/sam/template.yaml in a nested stack.
 *
 * As a grantee it is the function's role.
 */
export class StreamdexFunction extends StreamdexBase implements iam.IGrantable {
  /** The function. */
  public readonly function: lambda.IFunction;
  /** The role of function and event source mapping, to be mapped in a domain of yours. */
  public readonly role: iam.IRole;
  public readonly grantPrincipal: iam.IPrincipal;
  /** Where batches lie that Lambda gave up. */
  public readonly onFailureBucket: s3.IBucket;
  /** The id of the event source mapping. */
  public readonly mappingId: string;
  /** The ARN of the collection, where one is made. */
  public readonly collectionArn?: string;
  /** The `streams_endpoint_url` of a container in the VPC that is made, with `pollerEndpoints: YES`. */
  public readonly streamsEndpointUrl?: string;

  public constructor(scope: Construct, id: string, props: StreamdexFunctionProps) {
    super(scope, id, props, {
      deployment: (self, given) => functionDeployment(self, props, given),
      securityGroupOutput: 'FunctionSecurityGroupId',
    });
    this.setCode(props);

    const stack = Stack.of(this);
    this.role = iam.Role.fromRoleArn(this, 'Role', this.output('FunctionRoleArn'));
    this.grantPrincipal = this.role;
    this.function = lambda.Function.fromFunctionAttributes(this, 'Function', {
      functionArn: stack.formatArn({
        service: 'lambda',
        resource: 'function',
        resourceName: this.output('FunctionName'),
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
      role: this.role,
      securityGroup: this.securityGroup,
      sameEnvironment: true,
      architecture: props.architecture ?? lambda.Architecture.ARM_64,
    });
    this.onFailureBucket = s3.Bucket.fromBucketAttributes(this, 'OnFailureBucket', {
      bucketName: this.output('OnFailureBucket'),
      encryptionKey: this.key,
    });
    this.mappingId = this.output('MappingId');
    if (this.search === Search.SERVERLESS) {
      this.collectionArn = this.output('CollectionArn');
    }
    if (props.pollerEndpoints === PollerEndpoints.YES) {
      this.streamsEndpointUrl = this.output('StreamsEndpointUrl');
    }
  }

  /** Lets somebody call the function, as with a batch of the bucket that is sent again. */
  public grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return this.function.grantInvoke(grantee);
  }

  /**
   * Lets somebody read and remove the batches that Lambda gave up, as `streamdex replay s3://… --remove` does. What else
   * that command needs, `streamdex iam-policy --for replay` prints.
   */
  public grantReplay(grantee: iam.IGrantable): iam.Grant {
    const account = { StringEquals: { 's3:ResourceAccount': Aws.ACCOUNT_ID } };
    const grant = (actions: string[], resource: string, conditions: Record<string, Record<string, unknown>>) =>
      iam.Grant.addToPrincipal({ grantee, actions, resourceArns: [resource], conditions });
    return grant(['s3:DeleteObject', 's3:GetObject'], this.onFailureBucket.arnForObjects('*'), account)
      .combine(grant(['s3:ListBucket'], this.onFailureBucket.bucketArn, account))
      .combine(
        grant(['kms:Decrypt'], this.key.keyArn, {
          StringEquals: { 'kms:ViaService': `s3.${Stack.of(this).region}.amazonaws.com` },
        }),
      );
  }

  /** The zip, which the template takes from the folder where it is built. */
  private setCode(props: StreamdexFunctionProps): void {
    const { s3Location } = props.code.bind(this);
    if (s3Location === undefined) {
      refuse(this, '`code` is neither a zip nor an object in S3: Code.fromAsset("…/target/lambda/arm64/streamdex-lambda.zip").');
    }
    // The set-up function is the same program.
    for (const name of ['Function', 'SetUpFunction']) {
      const resource = this.template.getResource(name);
      resource.addPropertyOverride('CodeUri', {
        Bucket: s3Location.bucketName,
        Key: s3Location.objectKey,
        Version: s3Location.objectVersion,
      });
      if (props.architecture !== undefined) {
        resource.addPropertyOverride('Architectures', [props.architecture.name]);
      }
    }
  }
}

function functionDeployment(scope: Construct, props: StreamdexFunctionProps, given: Shared): DeploymentProps {
  checkFunction(scope, props, given.search);
  const values: Values = {
    ...given.values,
    StreamArn: props.table && stream(scope, props.table),
    SearcherArn: props.searcher?.roleArn,
    AdditionalWriterArns: joined(props.additionalWriters?.map((role) => role.roleArn)),
    SetUpAgain: props.setUpAgain,
    FunctionSecurityGroupId: given.securityGroup?.securityGroupId,
    PollerEndpoints: props.pollerEndpoints,
    Feeding: props.feeding === undefined ? undefined : props.feeding ? 'enabled' : 'disabled',
    StartingPosition: props.startingPosition,
    Records: props.records,
    ParallelizationFactor: number(props.parallelizationFactor),
    MaximumRecordAgeSeconds: number(props.maximumRecordAgeSeconds),
    MaximumRetries: number(props.maximumRetries),
    ReservedConcurrency: number(props.reservedConcurrency),
    MemoryMiB: number(props.memoryMiB),
    OnFailureDays: number(props.onFailureDays),
  };
  return {
    template: {
      templateFile: shipped('sam/template.yaml'),
      loadNestedStacks: { ...SHARED_STACKS, Monitoring: { templateFile: shipped('sam/monitoring.yaml') } },
      // The SAM transform makes this resource of the function's event, so CfnInclude finds it nowhere.
      parameters: { FunctionStream: { Ref: 'FunctionStream' } },
    },
    values,
    properties: FUNCTION_PROPERTIES,
    longestStackName: given.search === Search.DOMAIN ? FUNCTION_NAME - SET_UP.length : FUNCTION_NAME,
  };
}

function stream(scope: Construct, table: dynamodb.ITable): string {
  return (
    table.tableStreamArn ??
    refuse(
      scope,
      `the app does not know the stream of the table ${table.node.path}. Import it by Table.fromTableAttributes with \`tableStreamArn\`.`,
    )
  );
}

function checkFunction(scope: Construct, props: StreamdexFunctionProps, search: Search): void {
  if (search !== Search.DOMAIN) {
    const why =
      search === Search.SERVERLESS
        ? 'a collection is searched as `searchAdmin`, and written to by the function alone. Leave it out.'
        : 'who searches and writes in a domain of yours is decided there. Leave it out.';
    refuseAny(scope, props, ['searcher', 'additionalWriters', 'setUpAgain'], why);
  }
  if (props.vpc !== undefined) {
    refuseAny(scope, props, ['pollerEndpoints'], 'for a VPC that is made here. With `vpc` leave it out.');
  }
  const { maximumRecordAgeSeconds: age, reservedConcurrency: reserved, parallelizationFactor: factor } = props;
  if (age !== undefined && age > -1 && age < 60) {
    refuse(scope, `\`maximumRecordAgeSeconds\` is ${age}, and Lambda takes -1, or 60 and more.`);
  }
  if (reserved !== undefined && reserved > 0 && reserved < (factor ?? 1)) {
    refuse(
      scope,
      `\`reservedConcurrency\` is ${reserved}, and has to be at least the number of open shards times \`parallelizationFactor\`, which is ${factor ?? 1}. 0 reserves nothing.`,
    );
  }
}

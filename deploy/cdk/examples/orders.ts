/** A shop: a table of orders, a domain, and streamdex between them. `docs/deploy-lambda.md` says what happens around it. */

import * as path from 'node:path';

import { App, CfnOutput, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as opensearch from 'aws-cdk-lib/aws-opensearchservice';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

// In an app of yours: from 'streamdex-cdk'.
import { StreamdexFunction } from '../src';

export interface OrdersProps extends StackProps {
  /** What `cargo xtask package-lambda --arch arm64 --config FILE` made. */
  readonly zip: string;
}

export class OrdersStack extends Stack {
  public readonly index: StreamdexFunction;

  public constructor(scope: Construct, id: string, props: OrdersProps) {
    super(scope, id, props);
    const key = new kms.Key(this, 'Key', { enableKeyRotation: true });
    const orders = new dynamodb.Table(this, 'Orders', {
      partitionKey: { name: 'order_id', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      stream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    });

    // The function needs a way to DynamoDB and to the domain, and none to the internet.
    const vpc = new ec2.Vpc(this, 'Vpc', {
      natGateways: 0,
      subnetConfiguration: [{ name: 'inner', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
      gatewayEndpoints: { DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB } },
    });
    // Who administers the domain maps the function's role in it: docs/deploy-lambda.md, step 4.
    const admin = new iam.Role(this, 'SearchAdmin', { assumedBy: new iam.AccountRootPrincipal() });
    const domain = new opensearch.Domain(this, 'Search', {
      version: opensearch.EngineVersion.OPENSEARCH_2_19,
      vpc,
      vpcSubnets: [vpc.selectSubnets()],
      zoneAwareness: { enabled: true },
      capacity: { dataNodes: 2, dataNodeInstanceType: 'm7g.medium.search', multiAzWithStandbyEnabled: false },
      ebs: { volumeSize: 10, volumeType: ec2.EbsDeviceVolumeType.GP3 },
      enforceHttps: true,
      nodeToNodeEncryption: true,
      encryptionAtRest: { enabled: true, kmsKey: key },
      fineGrainedAccessControl: { masterUserArn: admin.roleArn },
      removalPolicy: RemovalPolicy.RETAIN,
    });
    domain.grantReadWrite(admin);

    this.index = new StreamdexFunction(this, 'Index', {
      code: lambda.Code.fromAsset(props.zip),
      table: orders,
      indexName: 'orders',
      domain,
      vpc,
      key,
      alarmTopic: new sns.Topic(this, 'Alarms', { masterKey: key }),
    });
    this.index.connections.allowTo(domain, ec2.Port.tcp(443), 'streamdex');

    new CfnOutput(this, 'RoleToMap', { value: this.index.role.roleArn });
    new CfnOutput(this, 'SearchEndpoint', { value: this.index.searchEndpoint });
  }
}

if (require.main === module) {
  const root = path.join(__dirname, '..', '..', '..', '..');
  const zip = process.env.STREAMDEX_ZIP ?? path.join(root, 'target', 'lambda', 'arm64', 'streamdex-lambda.zip');
  new OrdersStack(new App(), 'OrdersSearch', { zip });
}

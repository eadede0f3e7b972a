/** What function and service have in common: the nested stack with the template, and what it was given or made. */

import { NestedStack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

import { Deployment, DeploymentProps } from './deployment';
import { madeNetwork } from './network';
import { madeKey, Search, shared, Shared, SharedProps } from './shared';

/** Which template is deployed, with which values. */
export interface BaseProps {
  readonly deployment: (scope: Construct, shared: Shared) => DeploymentProps;
  /** The template's output with the security group that it makes. */
  readonly securityGroupOutput: string;
}

/** A template in a nested stack. */
export abstract class StreamdexBase extends Construct implements ec2.IConnectable {
  /** The nested stack with the template. */
  public readonly nestedStack: NestedStack;
  /** The template, for what no property reaches: `template.getResource('Function')` or `'Service'`. */
  public readonly template: CfnInclude;
  public readonly connections: ec2.Connections;
  /** The security group of the function, or of the containers. */
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
  /** Where documents go. */
  protected readonly search: Search;
  /** An output of the template, as a value of the app. */
  protected readonly output: (name: string) => string;

  protected constructor(scope: Construct, id: string, props: SharedProps, { deployment: of, securityGroupOutput }: BaseProps) {
    super(scope, id);
    const given = shared(this, props);
    this.search = given.search;
    const included = of(this, given);
    const deployment = new Deployment(this, included);
    this.nestedStack = deployment.stack;
    this.template = deployment.include;
    this.output = (name) => deployment.output(name);

    this.key = given.key ?? madeKey(this, this.output('KeyArn'));
    const network = madeNetwork(this, this.output, securityGroupOutput);
    this.vpc = props.vpc ?? network.vpc();
    this.securityGroup = given.securityGroup ?? network.securityGroup();
    this.operatorSecurityGroup = props.vpc === undefined ? network.operatorSecurityGroup() : props.operatorSecurityGroup;
    this.connections = new ec2.Connections({ securityGroups: [this.securityGroup] });
    this.stateTable =
      props.stateTable ??
      dynamodb.Table.fromTableAttributes(this, 'StateTable', {
        tableName: included.values.StateTableName ?? this.template.getParameter('StateTableName').default,
        encryptionKey: this.key,
      });
    this.searchEndpoint = this.output('SearchEndpoint');
  }
}

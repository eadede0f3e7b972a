import { Annotations, Fn } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

/** The network that a template made, from its outputs. */
export function madeNetwork(scope: Construct, output: (name: string) => string, securityGroupOutput: string) {
  // The template's groups have no way out but those that it names.
  const group = (id: string, name: string): ec2.ISecurityGroup =>
    ec2.SecurityGroup.fromSecurityGroupId(scope, id, output(name), { allowAllOutbound: false });
  return {
    vpc: (): ec2.IVpc => {
      const vpc = ec2.Vpc.fromVpcAttributes(scope, 'Vpc', {
        vpcId: output('VpcId'),
        availabilityZones: [Fn.select(0, Fn.getAzs()), Fn.select(1, Fn.getAzs())],
        isolatedSubnetIds: [output('SubnetA'), output('SubnetB')],
      });
      Annotations.of(vpc).acknowledgeWarning(
        '@aws-cdk/aws-ec2:noSubnetRouteTableId',
        'The template does not hand its route table on. Nothing is to be added to it.',
      );
      return vpc;
    },
    securityGroup: (): ec2.ISecurityGroup => group('MadeSecurityGroup', securityGroupOutput),
    operatorSecurityGroup: (): ec2.ISecurityGroup => group('OperatorSecurityGroup', 'OperatorSecurityGroupId'),
  };
}

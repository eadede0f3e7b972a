//! What AWS Lambda does under the function's role: it reads the stream, hands over what it gives up, writes logs and
//! makes network interfaces. None of it is a call of streamdex, so it always goes to the role itself.

use streamdex_config::{AwsSettings, Source};

use super::place::Place;
use super::tables::{READ_STREAM, grant_source_keys, stream_arn};
use super::{Facts, Grants, Statement};

const LIST_STREAMS: [&str; 1] = ["dynamodb:ListStreams"];
/// EC2 knows no resources for these; Lambda's own managed policy has them for everything too.
const NETWORK_INTERFACES: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

pub(super) fn grant(grants: &mut Grants, sources: &[&Source], facts: &Facts) {
    let role = AwsSettings::default();
    for source in sources {
        let place = Place::of_source(&facts.around, source);
        let actions = [READ_STREAM.as_slice(), &LIST_STREAMS].concat();
        grants.allow(&role, Statement::new("SourceStream", &actions, stream_arn(source, &place)));
        grant_source_keys(grants, &role, &place, facts);
    }
    let place = Place::new(&facts.around, None, &role);
    if let Some(bucket) = &facts.failure_bucket {
        let bucket = format!("arn:{}:s3:::{bucket}", place.partition);
        grants.allow(&role, Statement::new("FailureObjects", &["s3:PutObject"], format!("{bucket}/*")));
        grants.allow(&role, Statement::new("FailureBucket", &["s3:ListBucket"], bucket));
    }
    if let Some(key) = &facts.bucket_key {
        let statement = Statement::new("FailureBucketKey", &["kms:GenerateDataKey"], key.clone());
        grants.allow(&role, statement.via([place.via("s3")]));
    }
    if let Some(group) = &facts.log_group {
        let group = place.arn("logs", &format!("log-group:{group}:*"));
        grants.allow(&role, Statement::new("Logs", &["logs:CreateLogStream", "logs:PutLogEvents"], group));
    }
    if facts.vpc {
        grants.allow(&role, Statement::new("NetworkInterfaces", &NETWORK_INTERFACES, "*"));
    }
}

//! The calls that AWS Lambda makes with the function's role: it reads the stream, stores failed batches, writes logs
//! and creates network interfaces. None of it is a call of streamdex, so it always goes to the role itself.

use streamdex_config::{AwsSettings, Source};

use super::document::Statement;
use super::facts::Facts;
use super::grants::Grants;
use super::place::Place;
use super::tables::{READ_STREAM, grant_source_keys, stream_arn};

const LIST_STREAMS: [&str; 1] = ["dynamodb:ListStreams"];
/// EC2 knows no resources for these two.
const LIST_NETWORK: [&str; 2] = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"];
const KEEP_INTERFACES: [&str; 2] = ["ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"];
/// Lambda checks the role when the function is made, and refuses this one on `network-interface/*`; its guide
/// "Giving Lambda functions access to resources in an Amazon VPC" names every resource of the account instead.
const DELETE_INTERFACES: [&str; 1] = ["ec2:DeleteNetworkInterface"];

pub(super) fn grant(grants: &mut Grants, sources: &[&Source], facts: &Facts) {
    let role = AwsSettings::default();
    for source in sources {
        let place = Place::of_source(&facts.around, source);
        let actions = [READ_STREAM.as_slice(), &LIST_STREAMS].concat();
        grants.allow(&role, Statement::new("EventSource", &actions, stream_arn(source, &place)));
        grant_source_keys(grants, &role, &place, facts);
    }
    let place = Place::new(&facts.around, None, &role);
    let mut allow = |statement| grants.allow(&role, statement);
    if let Some(bucket) = &facts.failure_bucket {
        let arn = format!("arn:{}:s3:::{bucket}", place.partition);
        allow(Statement::new("OnFailure", &["s3:PutObject"], format!("{arn}/*")).in_account(&place.account));
        allow(Statement::new("OnFailureBucket", &["s3:ListBucket"], arn).in_account(&place.account));
    }
    if let Some(key) = &facts.bucket_key {
        allow(Statement::new("OnFailureKey", &["kms:GenerateDataKey"], key.clone()).via(place.via("s3")));
    }
    if let Some(key) = &facts.function_key {
        allow(Statement::new("FunctionKey", &["kms:Decrypt"], key.clone()).via(place.via("lambda")));
    }
    if let Some(group) = &facts.log_group {
        let group = place.arn("logs", &format!("log-group:{group}:*"));
        allow(Statement::new("Logs", &["logs:CreateLogStream", "logs:PutLogEvents"], group));
    }
    if !facts.subnets.is_empty() {
        network(&mut allow, &place, facts);
    }
}

fn network(allow: &mut impl FnMut(Statement), place: &Place, facts: &Facts) {
    let interfaces = place.arn("ec2", "network-interface/*");
    let subnets = facts.subnets.iter().map(|id| place.arn("ec2", &format!("subnet/{id}")));
    let groups = facts.security_groups.iter().map(|id| place.arn("ec2", &format!("security-group/{id}")));
    let create = Statement::new("Network", &["ec2:CreateNetworkInterface"], interfaces.clone());
    allow(create.and_on(subnets.chain(groups)));
    allow(Statement::new("NetworkInterfaces", &KEEP_INTERFACES, interfaces));
    allow(Statement::new("NetworkInterfaceDelete", &DELETE_INTERFACES, place.arn("ec2", "*/*")));
    allow(Statement::new("NetworkLists", &LIST_NETWORK, "*"));
    if let Some(function) = &facts.function {
        // Lambda manages the interfaces before the code runs; the code itself has no business there.
        let function = place.arn("lambda", &format!("function:{function}"));
        let denied = Statement::new("NetworkNotFromCode", &["ec2:*"], "*").denied();
        allow(denied.when("ArnEquals", "lambda:SourceFunctionArn", [function]));
    }
}

//! Clients for the emulated DynamoDB: no profile, no metadata service, no real credentials.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};

/// The region that every emulated table lies in.
pub const REGION: &str = "eu-west-1";
// The emulators look at the form alone: letters and digits.
const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "test";

/// A client for tables at `endpoint`.
#[must_use]
pub fn dynamodb_client(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(credentials())
        .endpoint_url(endpoint)
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A client for streams at `endpoint`.
#[must_use]
pub fn streams_client(endpoint: &str) -> aws_sdk_dynamodbstreams::Client {
    let config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(credentials())
        .endpoint_url(endpoint)
        .build();
    aws_sdk_dynamodbstreams::Client::from_conf(config)
}

/// What a child process needs in its environment to use the emulators, and no other AWS.
#[must_use]
pub fn child_environment() -> [(&'static str, &'static str); 5] {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_PROFILE", ""),
    ]
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "testkit")
}

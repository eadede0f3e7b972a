//! AWS clients, built once from the configuration.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use streamdex_config::{AwsSettings, Source, State};
use url::Url;

/// A deadline on each attempt; the SDK tries DynamoDB calls up to three times within the second one.
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(25);
const CONNECT: Duration = Duration::from_secs(3);
/// Emulators take any region; one is needed to sign.
const EMULATOR_REGION: &str = "us-east-1";

/// The two clients of one source.
#[derive(Debug, Clone)]
pub struct SourceClients {
    /// Table descriptions and item reads.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The stream.
    pub streams: aws_sdk_dynamodbstreams::Client,
}

impl SourceClients {
    /// Clients for a source, with its region, endpoints and credentials. No request is made.
    pub async fn connect(source: &Source) -> SourceClients {
        let shared = sdk_config(&source.aws, source.region.as_deref(), source.endpoint_url.as_ref()).await;
        let streams_endpoint = source.streams_endpoint_url.as_ref().or(source.endpoint_url.as_ref());
        SourceClients {
            dynamodb: dynamodb(&shared, source.endpoint_url.as_ref()),
            streams: streams(&shared, streams_endpoint),
        }
    }
}

/// A client for the state table. No request is made.
pub async fn state_client(state: &State) -> aws_sdk_dynamodb::Client {
    let shared = sdk_config(&state.aws, state.region.as_deref(), state.endpoint_url.as_ref()).await;
    dynamodb(&shared, state.endpoint_url.as_ref())
}

async fn sdk_config(aws: &AwsSettings, region: Option<&str>, endpoint: Option<&Url>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if let Some(profile) = &aws.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let mut base = Box::pin(loader.load()).await;
    if base.region().is_none() && endpoint.is_some() {
        base = base.into_builder().region(Region::from_static(EMULATOR_REGION)).build();
    }
    let Some(role) = &aws.role_arn else { return base };
    let mut assumed = AssumeRoleProvider::builder(role).configure(&base).session_name("streamdex");
    if let Some(external_id) = &aws.external_id {
        assumed = assumed.external_id(external_id);
    }
    let provider = Box::pin(assumed.build()).await;
    let shared = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
    base.into_builder().credentials_provider(shared).build()
}

fn dynamodb(shared: &SdkConfig, endpoint: Option<&Url>) -> aws_sdk_dynamodb::Client {
    let mut builder = aws_sdk_dynamodb::config::Builder::from(shared);
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint.as_str());
    }
    aws_sdk_dynamodb::Client::from_conf(builder.build())
}

/// The poller paces and retries stream calls itself, so that a throttled shard is seen as such.
fn streams(shared: &SdkConfig, endpoint: Option<&Url>) -> aws_sdk_dynamodbstreams::Client {
    let once = aws_config::retry::RetryConfig::disabled();
    let mut builder = aws_sdk_dynamodbstreams::config::Builder::from(shared).retry_config(once);
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint.as_str());
    }
    aws_sdk_dynamodbstreams::Client::from_conf(builder.build())
}

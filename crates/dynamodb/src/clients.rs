//! AWS clients, built once from the configuration.

use aws_config::SdkConfig;
use streamdex_aws::{MissingRegion, sdk_config};
use streamdex_config::{AwsSettings, Source, State};
use url::Url;

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
        let shared = connection(&source.aws, source.region.as_deref(), source.endpoint_url.as_ref()).await;
        let streams_endpoint = source.streams_endpoint_url.as_ref().or(source.endpoint_url.as_ref());
        SourceClients {
            dynamodb: dynamodb(&shared, source.endpoint_url.as_ref()),
            streams: streams(&shared, streams_endpoint),
        }
    }
}

/// A client for the state table. No request is made.
pub async fn state_client(state: &State) -> aws_sdk_dynamodb::Client {
    let shared = connection(&state.aws, state.region.as_deref(), state.endpoint_url.as_ref()).await;
    dynamodb(&shared, state.endpoint_url.as_ref())
}

/// Emulators take any region, so where an endpoint is configured, no region is needed.
async fn connection(settings: &AwsSettings, region: Option<&str>, endpoint: Option<&Url>) -> SdkConfig {
    let missing = match endpoint {
        Some(_) => MissingRegion::Default(EMULATOR_REGION),
        None => MissingRegion::Required,
    };
    sdk_config(settings, region, missing).await
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

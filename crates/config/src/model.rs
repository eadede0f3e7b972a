//! The validated configuration: what the other crates work with. Made by the loader alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use streamdex_mapping::Route;
use url::Url;

use crate::arn::StreamArn;

/// The largest body of a bulk request, in bytes: 9.5 MiB. Small AWS instances and Serverless refuse requests from
/// 10 MiB on.
pub const LARGEST_BODY: usize = 9_961_472;

/// A whole configuration file, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[aws]`: credentials that everything uses which says nothing else.
    pub aws: AwsSettings,
    /// `[source]` or `[[source]]`, in order; at least one.
    pub sources: Vec<Source>,
    /// `[opensearch]`.
    pub opensearch: OpenSearch,
    /// `[state]`.
    pub state: State,
    /// `[dead_letter]`.
    pub dead_letter: DeadLetter,
    /// `[lambda]`.
    pub lambda: Lambda,
    /// `[http]`.
    pub http: Http,
    /// `[index.NAME]`, by the text that routes give as `index` or `archive_index`.
    pub indices: BTreeMap<String, IndexSettings>,
}

/// Where AWS credentials come from. All `None`: the SDK's own chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to assume.
    pub role_arn: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<String>,
}

/// One table to follow.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name that routes and `--source` use; the table's name where the file gives none.
    pub name: String,
    /// The table, by name or by the ARN of its stream.
    pub table: TableReference,
    /// AWS region; `None`: the SDK's own chain.
    pub region: Option<String>,
    /// DynamoDB endpoint, where it is not the region's own.
    pub endpoint_url: Option<Url>,
    /// DynamoDB Streams endpoint, where it is not the region's own (default: `endpoint_url`).
    pub streams_endpoint_url: Option<Url>,
    /// Credentials of this source; falls back to `[aws]`.
    pub aws: AwsSettings,
    /// Where a new group begins.
    pub start: StartPosition,
    /// The largest table, in items, from which `run` fills an empty index by itself; `None`: it never does.
    pub backfill_at_most: Option<u64>,
    /// What `run` does when changes were lost before they could be read.
    pub on_gap: OnGap,
    /// The longest time between two polls of an idle shard.
    pub freshness: Duration,
    /// The routes of this source, in order; the first match takes an image.
    pub routes: Vec<Route>,
}

/// What `run` does when changes were lost before they could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGap {
    /// It stops there, until somebody closes the gap.
    #[default]
    Fail,
    /// It closes the gap, and makes the indices equal to the table by comparing all of it.
    Resnapshot,
}

/// How a source names its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableReference {
    /// `table = "sessions"`.
    Name(String),
    /// `stream_arn = "arn:aws:dynamodb:…:table/sessions/stream/LABEL"`.
    StreamArn(StreamArn),
}

/// Where a group that has no checkpoint begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartPosition {
    /// The oldest record that the stream still holds.
    #[default]
    TrimHorizon,
    /// What is written from now on; pinned when first used.
    Latest,
}

/// `[opensearch]`.
#[derive(Debug, Clone)]
pub struct OpenSearch {
    /// `http://` or `https://`, without credentials.
    pub url: Url,
    /// How requests are authenticated.
    pub auth: Auth,
    /// A PEM file with the certificate of the server's authority, or with the server's own.
    pub ca_file: Option<PathBuf>,
    /// Whether certificates are checked; `false` only for loopback hosts.
    pub tls_verify: bool,
    /// Whether request bodies are compressed.
    pub compression: Compression,
    /// A bulk request is closed at this size (bytes, uncompressed).
    pub max_batch_bytes: usize,
    /// A bulk request is closed at this many operations.
    pub max_batch_operations: usize,
    /// Bulk requests in flight, per process.
    pub max_concurrent_requests: usize,
    /// The number of refused index operations in a row after which an index pauses; `None`: never.
    pub brake_after: Option<u32>,
    /// The same for refusals that name a field of the document; `None`: never.
    pub brake_after_field: Option<u32>,
    /// Deadline of one request.
    pub request_timeout: Duration,
}

/// `opensearch.auth`.
#[derive(Debug, Clone)]
pub enum Auth {
    /// No authentication.
    None,
    /// HTTP basic.
    Basic {
        /// The user.
        username: String,
        /// Where the password is.
        password: PasswordSource,
    },
    /// AWS Signature Version 4.
    SigV4 {
        /// The signing name.
        service: SigV4Service,
        /// The signing region; `None`: the SDK's own chain.
        region: Option<String>,
        /// Credentials for signing; falls back to `[aws]`.
        aws: AwsSettings,
    },
}

/// Where the password of basic authentication is read, each time it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// An environment variable.
    Environment(String),
    /// A file; a final line break is cut off.
    File(PathBuf),
    /// AWS Secrets Manager.
    Secret(Secret),
}

/// A secret of AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
    pub arn: String,
    /// The region in the ARN.
    pub region: String,
    /// Credentials to read it with: `[aws]`.
    pub aws: AwsSettings,
}

/// The signing name of an OpenSearch flavour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigV4Service {
    /// Amazon OpenSearch Service domains.
    Es,
    /// Amazon OpenSearch Serverless.
    Aoss,
}

/// Compression of request bodies, and of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// `Content-Encoding: gzip`.
    #[default]
    Gzip,
    /// As they are.
    None,
}

/// `[state]`: the one DynamoDB table that holds checkpoints and dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The table's name.
    pub table: String,
    /// The deployment's name inside the table.
    pub group: String,
    /// Region; already resolved: its own, else the sole source's.
    pub region: Option<String>,
    /// Endpoint; already resolved: its own, else the sole source's.
    pub endpoint_url: Option<Url>,
    /// Credentials; already resolved: its own, else the sole source's, else `[aws]`.
    pub aws: AwsSettings,
}

/// `[dead_letter]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where dead letters go.
    pub kind: DeadLetterKind,
    /// Whether the file has a `[dead_letter]` table, or this is the default.
    pub written_out: bool,
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterKind {
    /// Into the state table.
    Table,
    /// One JSON object a line, appended to this file.
    File(PathBuf),
}

/// `[lambda]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lambda {
    /// The time before the end of an invocation at which sending stops.
    pub deadline_margin: Duration,
}

/// `[http]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// Where `run` serves probes and metrics; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// How many `POST /await` are answered a second; `None`: there is no such path.
    pub await_per_second: Option<u32>,
}

/// `[index.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSettings {
    /// Who makes the index.
    pub manage: Manage,
    /// The number in `NAME-000001`: 1 to 999,999.
    pub generation: u32,
    /// Index settings of the user's, merged over the safe ones.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The mapping of the user's, read from `mapping_file`, merged over the safe one.
    pub mapping: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Who makes an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manage {
    /// streamdex: `NAME-000001` behind the alias `NAME`.
    #[default]
    Create,
    /// The user; what is unsafe in it is reported.
    Check,
    /// The user; nothing is asked.
    Never,
}

// === impl ===

impl OpenSearch {
    /// What [`OpenSearch::brake_after`] is where the file gives none.
    pub const DEFAULT_BRAKE_AFTER: u32 = 50;
    /// What [`OpenSearch::brake_after_field`] is where the file gives none.
    pub const DEFAULT_BRAKE_AFTER_FIELD: u32 = 1000;
}

impl Source {
    /// What [`Source::freshness`] is where the file gives none.
    pub const DEFAULT_FRESHNESS: Duration = Duration::from_secs(1);
    /// What [`Source::backfill_at_most`] is where the file gives nothing.
    pub const DEFAULT_BACKFILL_AT_MOST: u64 = 1_000_000;

    /// Whether `run` may read all items: to fill an empty index, or to compare them after a gap.
    pub fn may_be_scanned(&self) -> bool {
        self.backfill_at_most.is_some() || self.on_gap == OnGap::Resnapshot
    }
}

impl Default for Lambda {
    fn default() -> Lambda {
        Lambda { deadline_margin: Duration::from_secs(2) }
    }
}

impl Default for IndexSettings {
    fn default() -> IndexSettings {
        IndexSettings { manage: Manage::default(), generation: 1, settings: serde_json::Map::new(), mapping: None }
    }
}

impl TableReference {
    /// The table's name.
    pub fn table_name(&self) -> &str {
        match self {
            TableReference::Name(name) => name,
            TableReference::StreamArn(arn) => arn.table_name(),
        }
    }
}

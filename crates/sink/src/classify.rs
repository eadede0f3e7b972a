//! Classifies answers of OpenSearch: one pure function for items, one for whole requests.
//!
//! Matched on status and error `type`, never on a reason: reasons differ between versions and quote
//! documents. The tests have one row per line of the table that this follows.

use streamdex_mapping::{Action, Origin, Outcome};

/// The two operations that are ever sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// A document is written.
    Index,
    /// A document is deleted.
    Delete,
}

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Decided.
    Done(Outcome),
    /// This document can never be accepted: a dead letter.
    Refuse,
    /// Send it again after a while.
    Retry(Trouble),
    /// Nothing of this kind will be accepted until someone, or something, changes.
    Pause(PauseReason),
    /// Send it again in smaller requests; alone it is refused.
    Split(TooMuch),
    /// The index is not there, which after set-up is a gap.
    IndexMissing,
}

/// Why the same operation may be accepted a little later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A queue is full: fewer requests at a time.
    Overloaded,
    /// A circuit breaker: fewer bytes at a time.
    Breaker,
    /// No node could take it just now; whether it was applied is unknown.
    Unavailable,
    /// An error of the server's that mostly passes.
    ServerError,
    /// A 500 of a type that no passing fault has: where its neighbours are accepted, it may be the document's fault.
    Unexpected,
}

/// Why a request must be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// Too many bytes: the lower cap is remembered.
    Bytes,
    /// One operation is malformed, and it is not said which.
    Malformed,
}

/// Why operations are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PauseReason {
    /// No connection.
    Unreachable,
    /// No answer, or an answer cut short, several times.
    NoAnswer,
    /// TLS failed.
    Tls,
    /// Requests are answered with 401, or with a 403 that is not of OpenSearch's roles.
    CredentialsRefused,
    /// There are no credentials to send.
    CredentialsMissing,
    /// The credentials are good, and their role lacks a permission.
    Forbidden,
    /// The index, or the cluster, is write-protected.
    ReadOnly,
    /// The disk flood stage has made the index read-only.
    DiskFull,
    /// The index is not there.
    IndexMissing,
    /// The index is closed.
    IndexClosed,
    /// The index asks for routing and the route names none.
    RoutingRequired,
    /// OpenSearch does not take the name of the index.
    InvalidIndexName,
    /// A validation on the cluster's side, as its limit of shards.
    Validation,
    /// Shards or nodes are not available.
    Unavailable,
    /// The same operations failed with a server's error again and again.
    ServerErrors,
    /// Too many requests, as the server sees it, again and again.
    Throttled,
    /// Every request is refused, even with one operation.
    RequestsRefused,
    /// The index refuses document after document and accepts none: the brake.
    DocumentsRefused,
    /// A proxy answers in place of OpenSearch.
    Gateway,
    /// The answer is a redirect, which is not followed.
    Redirected,
    /// The cluster is write-protected.
    ClusterReadOnly,
    /// The cluster may not make indices.
    CreateBlocked,
    /// The answers are not those of OpenSearch's bulk interface.
    NotOpenSearch,
}

/// The type given to AWS's front end answering 403 "Request throttled…", which is no OpenSearch error and has
/// no type.
pub const FRONT_END_THROTTLED: &str = "aws_request_throttled";

// === classification ===

/// What the answer to one operation means.
///
/// `origin` matters for 409 alone. An image, and an item that was read for a record, are written under the version of the
/// record: a newer version in the index is final. An item that was read for no record is written under the version of its
/// read. Then a 409 only means that a newer version existed. The caller (`streamdex-reconcile`) checks the document
/// afterwards and does not assume that it is right.
pub fn classify(verb: Verb, origin: Origin, status: u16, error_type: Option<&str>) -> Class {
    match (status, error_type) {
        (200..300, None) => Class::Done(Outcome::Applied),
        (404, None) if verb == Verb::Delete => Class::Done(Outcome::Absent),
        (404, Some("index_not_found_exception")) => Class::IndexMissing,
        (409, Some("version_conflict_engine_exception")) => match origin {
            Origin::Image | Origin::Read { .. } => Class::Done(Outcome::Superseded),
        },
        (400, Some("routing_missing_exception")) => Class::Pause(PauseReason::RoutingRequired),
        (400, Some("invalid_index_name_exception")) => Class::Pause(PauseReason::InvalidIndexName),
        (400, Some("index_closed_exception")) => Class::Pause(PauseReason::IndexClosed),
        (400, Some("validation_exception")) => Class::Pause(PauseReason::Validation),
        // Another writer has just made the index.
        (400, Some("resource_already_exists_exception")) => Class::Retry(Trouble::Unavailable),
        // Whatever else an item is refused for is about its document: mapper_parsing_exception,
        // document_parsing_exception, strict_dynamic_mapping_exception, illegal_argument_exception, …
        (400, _) => Class::Refuse,
        (401 | 403, Some("cluster_block_exception")) => Class::Pause(PauseReason::ReadOnly),
        (401 | 403, _) => Class::Pause(PauseReason::Forbidden),
        (413, _) => Class::Split(TooMuch::Bytes),
        _ => transient(status, error_type),
    }
}

/// What the answer to a whole request means, where it is not a list of items.
pub fn classify_request(status: u16, error_type: Option<&str>) -> Class {
    match (status, error_type) {
        // Without a type it is a proxy that refuses, and dividing would refuse document after document.
        (400, Some(_)) => Class::Split(TooMuch::Malformed),
        (401, _) => Class::Pause(PauseReason::CredentialsRefused),
        (403, Some("cluster_block_exception")) => Class::Pause(PauseReason::ReadOnly),
        (403, Some(FRONT_END_THROTTLED)) => Class::Retry(Trouble::Overloaded),
        (403, Some("security_exception")) => Class::Pause(PauseReason::Forbidden),
        (403, _) => Class::Pause(PauseReason::CredentialsRefused),
        (404, Some("index_not_found_exception")) => Class::IndexMissing,
        (413, _) => Class::Split(TooMuch::Bytes),
        (300..400, _) => Class::Pause(PauseReason::Redirected),
        (429 | 408 | 500..600, _) => transient(status, error_type),
        _ => Class::Pause(PauseReason::NotOpenSearch),
    }
}

fn transient(status: u16, error_type: Option<&str>) -> Class {
    match (status, error_type) {
        (429, Some("cluster_block_exception")) => Class::Pause(PauseReason::DiskFull),
        (429, Some("circuit_breaking_exception")) => Class::Retry(Trouble::Breaker),
        (429, _) => Class::Retry(Trouble::Overloaded),
        (408 | 502..=504, _) => Class::Retry(Trouble::Unavailable),
        (500, Some(name)) if !passes(name) => Class::Retry(Trouble::Unexpected),
        (500..600, _) => Class::Retry(Trouble::ServerError),
        _ => Class::Pause(PauseReason::NotOpenSearch),
    }
}

/// Whether a 500 of this type comes from nodes, connections, queues or shards, so that it passes. By the ending, since
/// OpenSearch and Elasticsearch name the same classes with and without a prefix.
fn passes(error_type: &str) -> bool {
    const ENDINGS: [&str; 22] = [
        "transport_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
        "node_closed_exception",
        "node_exception",
        "timeout_exception",
        "throttling_exception",
        "rejected_execution_exception",
        "circuit_breaking_exception",
        "not_discovered_exception",
        "no_longer_primary_shard_exception",
        "no_shard_available_action_exception",
        "unavailable_shards_exception",
        "shard_not_found_exception",
        "index_shard_closed_exception",
        "index_shard_not_started_exception",
        "already_closed_exception",
        "engine_closed_exception",
        "engine_exception",
        "task_cancelled_exception",
        "retry_on_primary_exception",
        "unknown_error",
    ];
    // i_o_exception, io_exception, file_system_exception, no_such_file_exception, out_of_memory_error, …: the node's.
    let of_the_node = error_type.contains("i_o_")
        || error_type.starts_with("io_")
        || error_type.contains("file")
        || error_type.contains("translog")
        || error_type.ends_with("_error")
        || error_type.contains("failed_to_commit");
    of_the_node || ENDINGS.iter().any(|ending| error_type.ends_with(ending))
}

// === impl ===

impl Verb {
    /// Of an operation's action.
    pub fn of(action: &Action) -> Verb {
        match action {
            Action::Index(_) => Verb::Index,
            Action::Delete => Verb::Delete,
        }
    }
}

impl Trouble {
    /// The pause that it becomes when it does not pass.
    pub fn lasting(self) -> PauseReason {
        match self {
            Trouble::Overloaded | Trouble::Breaker => PauseReason::Throttled,
            Trouble::Unavailable => PauseReason::Unavailable,
            Trouble::ServerError | Trouble::Unexpected => PauseReason::ServerErrors,
        }
    }
}

impl PauseReason {
    /// What OpenSearch blocks under this number; `None` where it says too little.
    pub(crate) fn of_block(number: u32) -> Option<PauseReason> {
        match number {
            4 => Some(PauseReason::IndexClosed),
            5 | 8 => Some(PauseReason::ReadOnly),
            6 | 13 => Some(PauseReason::ClusterReadOnly),
            10 => Some(PauseReason::CreateBlocked),
            12 => Some(PauseReason::DiskFull),
            _ => None,
        }
    }

    /// The name used in metrics and JSON, as `read_only`.
    pub fn name(self) -> &'static str {
        match self {
            PauseReason::Unreachable => "unreachable",
            PauseReason::NoAnswer => "no_answer",
            PauseReason::Tls => "tls",
            PauseReason::CredentialsRefused => "credentials_refused",
            PauseReason::CredentialsMissing => "credentials_missing",
            PauseReason::Forbidden => "forbidden",
            PauseReason::ReadOnly => "read_only",
            PauseReason::DiskFull => "disk_full",
            PauseReason::IndexMissing => "index_missing",
            PauseReason::IndexClosed => "index_closed",
            PauseReason::RoutingRequired => "routing_required",
            PauseReason::InvalidIndexName => "invalid_index_name",
            PauseReason::Validation => "validation",
            PauseReason::Unavailable => "unavailable",
            PauseReason::ServerErrors => "server_errors",
            PauseReason::Throttled => "throttled",
            PauseReason::RequestsRefused => "requests_refused",
            PauseReason::DocumentsRefused => "documents_refused",
            PauseReason::Gateway => "gateway",
            PauseReason::Redirected => "redirected",
            PauseReason::ClusterReadOnly => "cluster_read_only",
            PauseReason::CreateBlocked => "create_blocked",
            PauseReason::NotOpenSearch => "not_opensearch",
        }
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            PauseReason::Unreachable => {
                "check that OpenSearch runs, that opensearch.url is right and that this machine can reach it"
            }
            PauseReason::NoAnswer => {
                "check the load of the cluster and the proxies in front of it, or raise opensearch.request_timeout"
            }
            PauseReason::Tls => {
                "renew the server's certificate, or set opensearch.ca_file to its certificate authority"
            }
            PauseReason::CredentialsRefused => {
                "check user and password, or role and region, in opensearch.auth, which are read again at each retry; for IAM, compare the policy with `streamdex iam-policy`"
            }
            PauseReason::CredentialsMissing => {
                "give the process credentials: opensearch.auth, [aws], or the role of the task or machine"
            }
            PauseReason::Forbidden => {
                "create the role and the role mapping that `streamdex iam-policy --opensearch` prints"
            }
            PauseReason::ReadOnly => {
                "remove the block: PUT INDEX/_settings {\"index.blocks.write\": null, \"index.blocks.read_only\": null}"
            }
            PauseReason::DiskFull => {
                "free disk space or add nodes; OpenSearch lifts the block itself once it is below the high watermark"
            }
            PauseReason::IndexMissing => {
                "the index was deleted after its set-up: restore it, or create and fill a new generation"
            }
            PauseReason::IndexClosed => "open the index: POST INDEX/_open",
            PauseReason::RoutingRequired => {
                "the index requires routing: set `routing` in the route, or use an index without `_routing.required`"
            }
            PauseReason::InvalidIndexName => "change the route's index to a name that OpenSearch accepts",
            PauseReason::Validation => {
                "check cluster.max_shards_per_node and the index templates that match this index"
            }
            PauseReason::Unavailable => "check the health of the cluster and the index: GET _cluster/health",
            PauseReason::ServerErrors => "check the logs of the OpenSearch nodes",
            PauseReason::Throttled => {
                "the cluster is too small for this write load: lower opensearch.max_concurrent_requests or add capacity"
            }
            PauseReason::RequestsRefused => {
                "every bulk request is refused: set rest.action.multi.allow_explicit_index to true on the nodes (on AWS: rest.action.multi.allow_explicit_index of the domain), and look for a proxy that refuses or changes requests"
            }
            PauseReason::DocumentsRefused => {
                "check the error: a missing pipeline, an alias without a write index, a data stream or a full shard refuses every document. Writing continues by itself once a document is accepted. Before the stream is trimmed (24 h), repair the index, or turn the documents into dead letters: opensearch.brake_after = 0 and brake_after_field = 0"
            }
            PauseReason::Redirected => {
                "set opensearch.url to the final address: redirects are not followed, whether to a login page or to another scheme"
            }
            PauseReason::Gateway => {
                "check the proxy or load balancer in front of OpenSearch, and whether the nodes behind it are up"
            }
            PauseReason::ClusterReadOnly => {
                "remove the block: PUT _cluster/settings {\"persistent\": {\"cluster.blocks.read_only\": null, \"cluster.blocks.read_only_allow_delete\": null}}"
            }
            PauseReason::CreateBlocked => {
                "remove the block: PUT _cluster/settings {\"persistent\": {\"cluster.blocks.create_index\": null}}; OpenSearch sets it itself when all disks are nearly full"
            }
            PauseReason::NotOpenSearch => "check that opensearch.url points to OpenSearch itself, with the right path",
        }
    }
}

impl std::fmt::Display for PauseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PauseReason::Unreachable => "OpenSearch cannot be reached",
            PauseReason::NoAnswer => "OpenSearch does not answer",
            PauseReason::Tls => "TLS with OpenSearch fails",
            PauseReason::CredentialsRefused => "OpenSearch refuses the credentials",
            PauseReason::CredentialsMissing => "there are no credentials for OpenSearch",
            PauseReason::Forbidden => "the credentials have no permission to write",
            PauseReason::ReadOnly => "the index is write-protected",
            PauseReason::DiskFull => "the index is read-only because a disk is full",
            PauseReason::IndexMissing => "the index does not exist",
            PauseReason::IndexClosed => "the index is closed",
            PauseReason::RoutingRequired => "the index requires routing",
            PauseReason::InvalidIndexName => "OpenSearch refuses the name of the index",
            PauseReason::Validation => "OpenSearch refuses to create or change the index",
            PauseReason::Unavailable => "shards or nodes are not available",
            PauseReason::ServerErrors => "OpenSearch answers with errors",
            PauseReason::Throttled => "OpenSearch is overloaded",
            PauseReason::RequestsRefused => "OpenSearch refuses every request",
            PauseReason::DocumentsRefused => "the index refuses document after document and accepts none",
            PauseReason::Gateway => "a proxy answers instead of OpenSearch",
            PauseReason::Redirected => "requests are redirected",
            PauseReason::ClusterReadOnly => "the cluster is write-protected",
            PauseReason::CreateBlocked => "the cluster is blocked from creating indices",
            PauseReason::NotOpenSearch => "the answers do not come from OpenSearch",
        })
    }
}

#[cfg(test)]
mod tests;

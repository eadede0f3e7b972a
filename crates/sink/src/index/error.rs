//! Errors of index set-up, and their remedies.

use std::fmt;

use serde::Serialize;

use crate::classify::PauseReason;
use crate::client::ClientError;
use crate::scrub::scrub;

/// Why an index cannot be set up, or not be written to.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// There was no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state table does not say which group makes the aliases.
    #[error(transparent)]
    OwnerUnknown(#[from] OwnerUnknown),
    /// OpenSearch answered with an error.
    #[error("OpenSearch refused to {action} ({}): {reason}", of_kind(*status, kind))]
    Refused {
        /// What was asked, as `create the index sessions-000001`.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The type of the error, as `security_exception`; empty where something else answered.
        kind: String,
        /// The reason. Requests of set-up hold no documents, so it cannot quote any.
        reason: String,
    },
    /// Something other than OpenSearch answered, or its answer is incomplete.
    #[error("the answer to the request to {action} does not come from OpenSearch: {status}, and the body is {what}")]
    Unexpected {
        /// What was asked, as `describe the index sessions-000001`.
        action: String,
        /// The HTTP status.
        status: u16,
        /// What the body is, as `a page of HTML or XML`; never the body itself.
        what: &'static str,
    },
    /// OpenSearch took a change, and has not carried it out on all nodes.
    #[error("OpenSearch did not {action} in time: not every node has applied the change")]
    Unacknowledged {
        /// What was asked.
        action: String,
    },
    /// Something else answers at `opensearch.url`.
    #[error("this is not OpenSearch: {endpoint} answers GET / with status {status}, and the body is {what}")]
    NotOpenSearch {
        /// Host and port.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What the body is.
        what: &'static str,
    },
    /// No route of the configuration gives this index.
    #[error("no route writes to the index {index}")]
    Unknown {
        /// The logical name.
        index: String,
    },
    /// An index has the name that an alias needs, or the other way round.
    #[error("{index} cannot be set up: {taken} is already an {is}")]
    NameTaken {
        /// The logical name.
        index: String,
        /// The name that is taken.
        taken: String,
        /// `index` or `alias`.
        is: &'static str,
    },
    /// Data streams take no deletes and no versions.
    #[error("{name} is a data stream, which cannot be kept equal to a table")]
    DataStream {
        /// The data stream.
        name: String,
    },
    /// An alias for several indices: a document could be in two of them.
    #[error("the alias {name} points to several indices ({})", indices.join(", "))]
    SeveralIndices {
        /// The alias.
        name: String,
        /// The indices behind it.
        indices: Vec<String>,
    },
    /// `manage = "check"`, and there is nothing to check.
    #[error("the index {index} does not exist, and manage = \"check\" does not create it")]
    Missing {
        /// The logical name.
        index: String,
    },
    /// The index belongs to another table.
    #[error("the index {concrete} belongs to the table {found}, not to {wanted}")]
    OtherOwner {
        /// The index.
        concrete: String,
        /// The table that it was made for.
        found: String,
        /// The table of this configuration.
        wanted: String,
    },
    /// The index says who it belongs to, and this version cannot read it.
    #[error("the index {concrete} names its owner in _meta.streamdex in a form that this version cannot read")]
    UnreadableOwner {
        /// The index.
        concrete: String,
    },
    /// The documents carry versions of another scheme.
    #[error(
        "the index {concrete} holds document versions of scheme {found}; this version of streamdex writes scheme {wanted}"
    )]
    OtherVersionScheme {
        /// The index.
        concrete: String,
        /// The scheme in the index.
        found: u32,
        /// The scheme of this program.
        wanted: u32,
    },
    /// `manage = "check"`: the alias pointed to the index that documents went to, and does not any more.
    #[error("the alias {alias} pointed to {concrete}, but now points to {}", or_nothing(found))]
    AliasMoved {
        /// The alias.
        alias: String,
        /// The index that documents went to.
        concrete: String,
        /// The indices behind the alias now.
        found: Vec<String>,
    },
    /// A route with placeholders makes more and more indices.
    #[error("the route to {route} has {limit} indices already, but this record needs another one")]
    TooManyIndices {
        /// The route's text, as `orders-{region}`.
        route: String,
        /// The limit: `max_indices` of the route.
        limit: usize,
    },
    /// A value of the record gives a placeholder a name that cannot be used.
    #[error("a value of the record produces an invalid index name for the route to {route}: {source}")]
    UnusableName {
        /// The route's text, as `orders-{region}`.
        route: String,
        /// Why the index cannot be used.
        source: Box<SetupError>,
    },
    /// An index that was there is gone, or another one has its name.
    #[error(transparent)]
    Vanished(VanishedIndex),
    /// The index says that the group has written to it, but the group's state has no trace of that.
    #[error("this group wrote the index {concrete}, but its state of the table {table} is lost")]
    StateLost {
        /// The index.
        concrete: String,
        /// The table.
        table: String,
    },
    /// It was set up, but does not show; others may be changing it at the same time.
    #[error("the index {concrete} keeps changing: each check found another state")]
    Unsettled {
        /// The index.
        concrete: String,
    },
}

/// What an error means for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupErrorKind {
    /// It may pass by itself: ask again later.
    Transient,
    /// The credentials were refused.
    Credentials,
    /// Something else than OpenSearch answers, or the port speaks another protocol: nothing changes until someone
    /// changes the address or what answers there.
    Endpoint,
    /// Data is missing from an index that was complete: a gap.
    Gap,
    /// The record asks for an index that it must not have: it is the record's fault, and no other's.
    Record,
    /// Nothing changes until someone changes the configuration or the cluster.
    Configuration,
}

/// An index that was written to and is gone: a gap, since its documents are gone with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct VanishedIndex {
    /// The logical name.
    pub index: String,
    /// The name of the index that is gone.
    pub concrete: String,
    /// The UUID that it had.
    pub expected_uuid: String,
    /// The UUID of the index that has its name now, if there is one.
    pub found_uuid: Option<String>,
}

/// It is not known which group makes the aliases of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot find out which group manages the aliases of the index: {reason}")]
pub struct OwnerUnknown {
    /// Why.
    pub reason: String,
    /// Whether asking again may help.
    pub passes: bool,
}

/// The type of an error that says what is blocked.
const CLUSTER_BLOCK: &str = "cluster_block_exception";

fn of_kind(status: u16, kind: &str) -> String {
    if kind.is_empty() { status.to_string() } else { format!("{status} {kind}") }
}

/// Of a 401: OpenSearch does not know who asks.
pub(crate) const SIGN_IN: &str = "check user and password, or role and region, in opensearch.auth";
/// Of a 403: it knows who asks, and does not allow it.
pub(crate) const RIGHTS: &str = "`streamdex iam-policy --for` with this command's purpose prints what IAM must allow these credentials, and with --opensearch the role in OpenSearch and its mapping";

/// What a block holds up, by the number in its reason.
fn blocked(reason: &str) -> PauseReason {
    let number = scrub(Some(CLUSTER_BLOCK), [reason]).block();
    number.and_then(PauseReason::of_block).unwrap_or(PauseReason::ReadOnly)
}

// === impl SetupError ===

impl SetupError {
    /// What the error means for the one who asked.
    pub fn kind(&self) -> SetupErrorKind {
        match self {
            SetupError::Client(
                ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Interrupted { .. },
            )
            | SetupError::OwnerUnknown(OwnerUnknown { passes: true, .. })
            | SetupError::Unexpected { .. }
            | SetupError::Unacknowledged { .. }
            | SetupError::Unsettled { .. } => SetupErrorKind::Transient,
            SetupError::NotOpenSearch { .. } | SetupError::Client(ClientError::WrongScheme { .. }) => {
                SetupErrorKind::Endpoint
            }
            SetupError::TooManyIndices { .. } | SetupError::UnusableName { .. } => SetupErrorKind::Record,
            SetupError::Client(ClientError::Auth(_)) | SetupError::OwnerUnknown(_) => SetupErrorKind::Credentials,
            // A block is set and lifted by a person or by the cluster itself, whatever its status.
            SetupError::Refused { kind, .. } if kind == CLUSTER_BLOCK => SetupErrorKind::Transient,
            SetupError::Refused { status: 401 | 403, .. } => SetupErrorKind::Credentials,
            // A success that is not the answer to what was asked comes from something in between.
            SetupError::Refused { status: 200..=299 | 408 | 429 | 500.., .. } => SetupErrorKind::Transient,
            SetupError::Vanished(_) | SetupError::StateLost { .. } => SetupErrorKind::Gap,
            _ => SetupErrorKind::Configuration,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            SetupError::Client(error) => error.hint(),
            SetupError::OwnerUnknown(OwnerUnknown { passes: true, .. }) => "check the state table; it is asked again",
            SetupError::OwnerUnknown(_) => {
                "print the policy again with `streamdex iam-policy`: it grants dynamodb:GetItem on the partition rebuild|TABLE_ARN of the state table"
            }
            SetupError::Refused { kind, reason, .. } if kind == CLUSTER_BLOCK => blocked(reason).hint(),
            SetupError::Refused { status: 401, .. } => SIGN_IN,
            SetupError::Refused { status: 403, .. } => RIGHTS,
            SetupError::Refused { status: 200..=299 | 408 | 429 | 500.., .. } => {
                "check the cluster's health; the request is repeated"
            }
            SetupError::Refused { .. } => {
                "check [index.NAME] settings and mapping_file, and the index templates that match; `streamdex index plan` shows them"
            }
            SetupError::Unexpected { .. } => {
                "look for a proxy, a load balancer or a login page that answers instead of OpenSearch; the request is repeated"
            }
            SetupError::Unacknowledged { .. } => {
                "check the cluster's health and its pending tasks; the request is repeated"
            }
            SetupError::NotOpenSearch { .. } => {
                "opensearch.url must point to OpenSearch itself; for a collection of OpenSearch Serverless behind your own name, set service = \"aoss\" in opensearch.auth"
            }
            SetupError::Unknown { .. } => "add a route to this index, or use the configuration that wrote the record",
            SetupError::NameTaken { is: "index", .. } => {
                "choose another name in the route, set manage = \"check\" to write to the existing index, or rename that index"
            }
            SetupError::NameTaken { .. } => "choose another name in the route, or remove the alias",
            SetupError::DataStream { .. } => "choose the name of a plain index, or one that does not exist yet",
            SetupError::SeveralIndices { .. } => {
                "name one of the indices in the route, or leave one index behind the alias"
            }
            SetupError::Missing { .. } => "create the index, or set manage = \"create\"",
            SetupError::OtherOwner { .. } => {
                "an index has one owner: choose another index name, or another `generation`"
            }
            SetupError::UnreadableOwner { .. } => {
                "use the version of streamdex that created the index, or raise `generation` of this index"
            }
            SetupError::OtherVersionScheme { .. } => "raise `generation` of this index, so that it is written again",
            SetupError::AliasMoved { .. } => {
                "point the alias back, or raise `generation` of this index to write to the new target of the alias"
            }
            SetupError::TooManyIndices { .. } => {
                "raise `max_indices` of the route if you want so many indices; otherwise use a placeholder attribute with few values, or one index with a field to filter by"
            }
            SetupError::UnusableName { .. } => {
                "change the value of the placeholder's attribute, or the text around the placeholder in the route's `index`"
            }
            SetupError::Vanished(vanished) => vanished.hint(),
            SetupError::StateLost { .. } => {
                "restore the state table; or start with what the stream still holds: run `streamdex gap close`, then compare the index with the table"
            }
            SetupError::Unsettled { .. } => "make sure that nothing else creates, deletes or renames this index",
        }
    }
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

// === impl VanishedIndex ===

impl VanishedIndex {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.found_uuid {
            Some(_) => {
                "another index has taken the name and is not touched: find out who created it; raise `generation` of this index and set state.group to a new name to fill a new one, or accept that index with `streamdex gap close`"
            }
            None => {
                "restore the index from a snapshot and continue with `streamdex gap close`, or raise `generation` of this index and set state.group to a new name to fill a new one"
            }
        }
    }
}

impl fmt::Display for VanishedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VanishedIndex { concrete, expected_uuid, .. } = self;
        match &self.found_uuid {
            Some(found) => {
                write!(f, "the index {concrete} ({expected_uuid}) is gone, and another index ({found}) has its name")
            }
            None => write!(f, "the index {concrete} ({expected_uuid}) is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> SetupError {
        SetupError::Refused { action: "look".into(), status, kind: String::new(), reason: String::new() }
    }

    #[test]
    fn a_block_says_what_is_blocked_whatever_its_status() {
        let block = |status, reason: &str| SetupError::Refused {
            action: "create the index x-000001".into(),
            status,
            kind: CLUSTER_BLOCK.into(),
            reason: reason.into(),
        };
        let rows = [
            (403, "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];", PauseReason::CreateBlocked),
            (403, "blocked by: [FORBIDDEN/6/cluster read-only (api)];", PauseReason::ClusterReadOnly),
            (429, "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded];", PauseReason::DiskFull),
            (403, "something else", PauseReason::ReadOnly),
        ];
        for (status, reason, expected) in rows {
            let error = block(status, reason);
            assert_eq!((error.kind(), error.hint()), (SetupErrorKind::Transient, expected.hint()), "{reason}");
        }
    }

    #[test]
    fn kinds_say_who_must_act() {
        let vanished = VanishedIndex {
            index: "x".into(),
            concrete: "x-000001".into(),
            expected_uuid: "A".into(),
            found_uuid: None,
        };
        let timed_out = ClientError::TimedOut { endpoint: "x".into(), after: std::time::Duration::from_secs(1) };
        let rows = [
            (refused(503), SetupErrorKind::Transient),
            (refused(429), SetupErrorKind::Transient),
            (refused(200), SetupErrorKind::Transient),
            (refused(403), SetupErrorKind::Credentials),
            (refused(400), SetupErrorKind::Configuration),
            (SetupError::Client(timed_out), SetupErrorKind::Transient),
            (SetupError::Vanished(vanished), SetupErrorKind::Gap),
            (SetupError::Missing { index: "x".into() }, SetupErrorKind::Configuration),
            (SetupError::Unexpected { action: "look".into(), status: 200, what: "empty" }, SetupErrorKind::Transient),
            (SetupError::NotOpenSearch { endpoint: "x".into(), status: 200, what: "empty" }, SetupErrorKind::Endpoint),
            (SetupError::TooManyIndices { route: "x-{a}".into(), limit: 1 }, SetupErrorKind::Record),
        ];
        for (error, kind) in rows {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!error.hint().is_empty());
        }
    }
}

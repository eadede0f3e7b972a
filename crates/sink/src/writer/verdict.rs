//! The verdicts of an answer on each operation of its request, on their indices, and on the request. Pure.

use std::sync::Arc;

use streamdex_mapping::Outcome;
use tokio::time::Duration;

use super::answer::{ItemAnswer, Speaker, WholeAnswer};
use super::gates::{FailedGate, Failure, IndexAnswer};
use super::op::Op;
use crate::classify::{Class, PauseReason, TooMuch, Trouble, Verb, classify, classify_request};
use crate::client::ClientError;
use crate::scrub::Scrubbed;

/// An operation that meets trouble this often pauses its index, unless others of the index are accepted meanwhile.
pub(super) const LASTING: u32 = 5;
/// As `LASTING`, for an overload, which a cluster works off.
const LASTING_OVERLOAD: u32 = 10;

/// Failures in a row before a pause is reported: for what no retry will change.
const AT_ONCE: u32 = 1;
const SECOND_TIME: u32 = 2;
/// For what often passes.
const THIRD_TIME: u32 = 3;
/// For an overload.
const TENTH_TIME: u32 = 10;

/// What the answer to one item means for its operation.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) class: Class,
    pub(super) status: u16,
    pub(super) error: Option<Box<Scrubbed>>,
}

/// What becomes of a request that was not answered item by item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestVerdict {
    /// A gate closes, and the operations are sent again.
    Failed(Failure, Load),
    /// The operations are sent again in smaller requests.
    Divide(Refused),
    /// The index of an operation is missing, and it is not said which.
    IndexMissing(Refused),
    /// It broke in OpenSearch, by an error that does not pass: one of its indices or operations does that.
    Broke { status: u16, error: Scrubbed },
    /// The operations are sent again, and nothing was learned.
    SendAgain,
}

/// Why a request was refused whole, so that its operations are divided.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has too many bytes.
    TooLarge,
    /// One of its operations is malformed.
    Malformed { status: u16, error: Scrubbed },
    /// Something before OpenSearch refuses one of its operations, or all.
    Forbidden { status: u16, error: Scrubbed },
}

/// What a failed request says of the server's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing.
    Unknown,
    /// The server answered so.
    Answered(Trouble),
    /// It did not answer.
    Unanswered,
}

/// What is known of an operation's neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbours {
    /// Its index accepted others since it first met its trouble.
    Accepted,
    /// It did not.
    NotAccepted,
    /// The operation was sent to see whether the index takes any.
    Waiting,
}

/// Judges the answer to one operation.
pub(super) fn judge_item(op: &Op, item: ItemAnswer, neighbours: Neighbours) -> Verdict {
    let ItemAnswer { status, error } = item;
    let error_type = error.as_ref().map(|error| error.error_type.as_str());
    let class = classify(Verb::of(&op.operation.action), op.operation.origin, status, error_type);
    let block = error.as_ref().and_then(|error| error.block());
    Verdict { class: by_block(lasting(class, op.attempts, neighbours), block), status, error }
}

/// Whether an item says that its index accepted a document.
pub(super) fn is_accepted(op: &Op, item: &ItemAnswer) -> bool {
    op.is_index() && (200..300).contains(&item.status) && item.error.is_none()
}

/// What a trouble that an operation met too often comes to. While others are accepted it is not their index's, and a
/// 500 of a kind that does not pass is the document's.
fn lasting(class: Class, attempts: u32, neighbours: Neighbours) -> Class {
    let Class::Retry(trouble) = class else { return class };
    let most = match trouble {
        Trouble::Overloaded | Trouble::Breaker => LASTING_OVERLOAD,
        Trouble::Unavailable | Trouble::ServerError | Trouble::Unexpected => LASTING,
    };
    match neighbours {
        Neighbours::Waiting => Class::Pause(trouble.lasting()),
        _ if attempts < most => class,
        Neighbours::NotAccepted => Class::Pause(trouble.lasting()),
        Neighbours::Accepted if trouble == Trouble::Unexpected => Class::Refuse,
        Neighbours::Accepted => class,
    }
}

/// A block says by its number what it blocks, which its status does not.
fn by_block(class: Class, block: Option<u32>) -> Class {
    let Class::Pause(reason) = class else { return class };
    Class::Pause(block.and_then(PauseReason::of_block).unwrap_or(reason))
}

/// Adds the verdicts up by index, in the order of their first operations.
pub(super) fn by_index(verdicts: &[(Op, Verdict)]) -> Vec<IndexAnswer> {
    let mut answers: Vec<IndexAnswer> = Vec::new();
    for (op, verdict) in verdicts {
        let index = &op.operation.address.index;
        let one = IndexAnswer {
            index: index.clone(),
            concrete: Arc::clone(&op.concrete),
            epoch: op.epoch,
            accepted: verdict.accepted(),
            carried_out: matches!(verdict.class, Class::Done(Outcome::Applied | Outcome::Absent)),
            found: verdict.class != Class::IndexMissing,
            unavailable: matches!(
                verdict.class,
                Class::Retry(Trouble::Unavailable) | Class::Pause(PauseReason::Unavailable)
            ),
            pause: verdict.pause(),
        };
        match answers.iter_mut().find(|answer| answer.index == *index) {
            Some(known) => {
                known.accepted |= one.accepted;
                known.carried_out |= one.carried_out;
                known.found |= one.found;
                known.unavailable |= one.unavailable;
                known.pause = known.pause.take().or(one.pause);
            }
            None => answers.push(one),
        }
    }
    answers
}

impl Refused {
    pub(super) fn why(&self) -> TooMuch {
        match self {
            Refused::TooLarge => TooMuch::Bytes,
            Refused::Malformed { .. } | Refused::Forbidden { .. } => TooMuch::Malformed,
        }
    }
}

impl Verdict {
    /// The error, where the operation was not carried out.
    pub(super) fn noted_error(&self) -> Option<String> {
        let error = self.error.as_ref().filter(|_| !matches!(self.class, Class::Done(_)));
        error.map(ToString::to_string)
    }

    fn accepted(&self) -> bool {
        matches!(self.class, Class::Refuse | Class::Done(Outcome::Applied | Outcome::Superseded | Outcome::Absent))
    }

    fn pause(&self) -> Option<(PauseReason, Option<String>)> {
        match self.class {
            Class::Pause(reason) => Some((reason, self.error.as_ref().map(ToString::to_string))),
            _ => None,
        }
    }
}

/// Judges an answer that is no list of items.
pub(super) fn judge_whole(answer: WholeAnswer, retry_after: Option<Duration>) -> RequestVerdict {
    let WholeAnswer { status, error_type, error, speaker } = answer;
    let detail = error.to_string();
    // A firewall refuses one body, or a proxy all of them: the parts show which.
    if (status, speaker) == (403, Speaker::Stranger) {
        return RequestVerdict::Divide(Refused::Forbidden { status, error });
    }
    let block = error.block();
    let class = by_block(classify_request(status, error_type.as_deref()), block);
    if class == Class::Retry(Trouble::Unexpected) {
        return RequestVerdict::Broke { status, error };
    }
    let malformed = Refused::Malformed { status, error };
    let failed = |gate, reason, detail, pause_after| {
        RequestVerdict::Failed(Failure { gate, reason, detail, pause_after, retry_after: None }, Load::Unknown)
    };
    match class {
        Class::Split(TooMuch::Bytes) => RequestVerdict::Divide(Refused::TooLarge),
        Class::Split(TooMuch::Malformed) => RequestVerdict::Divide(malformed),
        Class::IndexMissing => RequestVerdict::IndexMissing(malformed),
        Class::Pause(reason @ (PauseReason::CredentialsRefused | PauseReason::Forbidden)) => {
            failed(FailedGate::Credentials, reason, detail, SECOND_TIME)
        }
        Class::Pause(reason) => failed(FailedGate::Cluster, reason, detail, AT_ONCE),
        Class::Retry(trouble) => {
            let pause_after = match trouble {
                Trouble::Overloaded | Trouble::Breaker => TENTH_TIME,
                Trouble::Unavailable | Trouble::ServerError | Trouble::Unexpected => THIRD_TIME,
            };
            let reason = match (trouble, speaker) {
                (Trouble::Overloaded | Trouble::Breaker, _) | (_, Speaker::Service) => trouble.lasting(),
                (_, Speaker::Stranger) => PauseReason::Gateway,
            };
            let failure = Failure { retry_after, ..cluster_failure(reason, detail, pause_after) };
            RequestVerdict::Failed(failure, Load::Answered(trouble))
        }
        // A whole request is never answered so.
        Class::Done(_) | Class::Refuse => RequestVerdict::SendAgain,
    }
}

/// Judges a success whose items cannot be read.
pub(super) fn judge_unreadable(detail: String) -> RequestVerdict {
    RequestVerdict::Failed(cluster_failure(PauseReason::NotOpenSearch, detail, THIRD_TIME), Load::Unknown)
}

/// The reason for pausing an index whose requests fail whole while the cluster answers.
pub(super) fn failing_index(op: &Op, reason: PauseReason, detail: String) -> IndexAnswer {
    IndexAnswer {
        index: op.operation.address.index.clone(),
        concrete: Arc::clone(&op.concrete),
        epoch: op.epoch,
        accepted: false,
        carried_out: false,
        found: false,
        unavailable: true,
        pause: Some((reason, Some(detail))),
    }
}

/// Judges a request without an answer.
pub(super) fn judge_no_answer(error: &ClientError) -> RequestVerdict {
    let (reason, pause_after, load) = match error {
        ClientError::Auth(_) => (PauseReason::CredentialsMissing, SECOND_TIME, Load::Unknown),
        ClientError::Tls { .. } => (PauseReason::Tls, AT_ONCE, Load::Unknown),
        ClientError::Unreachable { .. } => (PauseReason::Unreachable, SECOND_TIME, Load::Unknown),
        _ => (PauseReason::NoAnswer, THIRD_TIME, Load::Unanswered),
    };
    let gate = if matches!(error, ClientError::Auth(_)) { FailedGate::Credentials } else { FailedGate::Cluster };
    RequestVerdict::Failed(Failure { gate, ..cluster_failure(reason, error.to_string(), pause_after) }, load)
}

/// All requests are refused, even those with one operation.
pub(super) fn all_requests_refused(refused: &Refused) -> Failure {
    match refused {
        Refused::TooLarge => cluster_failure(PauseReason::RequestsRefused, "http_413".to_owned(), AT_ONCE),
        Refused::Malformed { error, .. } => cluster_failure(PauseReason::RequestsRefused, error.to_string(), AT_ONCE),
        Refused::Forbidden { error, .. } => Failure {
            gate: FailedGate::Credentials,
            ..cluster_failure(PauseReason::CredentialsRefused, error.to_string(), AT_ONCE)
        },
    }
}

fn cluster_failure(reason: PauseReason, detail: String, pause_after: u32) -> Failure {
    Failure { gate: FailedGate::Cluster, reason, detail, pause_after, retry_after: None }
}

#[cfg(test)]
mod tests;

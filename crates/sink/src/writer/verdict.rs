//! What an answer means for each operation of its request, for their indices, and for the request. Pure.

use streamdex_mapping::Outcome;
use tokio::time::Duration;

use super::answer::{ItemAnswer, WholeAnswer};
use super::gates::{FailedGate, Failure, IndexAnswer};
use super::op::Op;
use crate::classify::{Class, PauseReason, TooMuch, Trouble, Verb, classify, classify_request};
use crate::client::ClientError;
use crate::scrub::Scrubbed;

/// An operation that meets the same trouble this often pauses its index.
const LASTING: u32 = 5;
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

/// Judges the answer to one operation.
pub(super) fn judge_item(op: &Op, item: ItemAnswer) -> Verdict {
    let ItemAnswer { status, error } = item;
    let error_type = error.as_ref().map(|error| error.error_type.as_str());
    let class = classify(Verb::of(&op.operation.action), op.operation.origin, status, error_type);
    Verdict { class: lasting(class, op.attempts), status, error }
}

/// A trouble that an operation met too often is a pause of its index.
fn lasting(class: Class, attempts: u32) -> Class {
    let Class::Retry(trouble) = class else { return class };
    let most = match trouble {
        Trouble::Overloaded | Trouble::Breaker => LASTING_OVERLOAD,
        Trouble::Unavailable | Trouble::ServerError => LASTING,
    };
    if attempts < most { class } else { Class::Pause(trouble.lasting()) }
}

/// Adds the verdicts up by index, in the order of their first operations.
pub(super) fn by_index(verdicts: &[(Op, Verdict)]) -> Vec<IndexAnswer> {
    let mut answers: Vec<IndexAnswer> = Vec::new();
    for (op, verdict) in verdicts {
        let index = &op.operation.address.index;
        let (accepted, pause) = (verdict.accepted(), verdict.pause());
        match answers.iter_mut().find(|answer| answer.index == *index) {
            Some(known) => {
                known.accepted |= accepted;
                known.pause = known.pause.take().or(pause);
            }
            None => answers.push(IndexAnswer { index: index.clone(), epoch: op.epoch, accepted, pause }),
        }
    }
    answers
}

impl Refused {
    pub(super) fn why(&self) -> TooMuch {
        match self {
            Refused::TooLarge => TooMuch::Bytes,
            Refused::Malformed { .. } => TooMuch::Malformed,
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
    let WholeAnswer { status, error_type, error } = answer;
    let detail = error.to_string();
    let malformed = Refused::Malformed { status, error };
    let failed = |gate, reason, detail, pause_after| {
        RequestVerdict::Failed(Failure { gate, reason, detail, pause_after, retry_after: None }, Load::Unknown)
    };
    match classify_request(status, error_type.as_deref()) {
        Class::Split(TooMuch::Bytes) => RequestVerdict::Divide(Refused::TooLarge),
        Class::Split(TooMuch::Malformed) => RequestVerdict::Divide(malformed),
        Class::IndexMissing => RequestVerdict::IndexMissing(malformed),
        Class::Pause(reason @ PauseReason::CredentialsRefused) => {
            failed(FailedGate::Credentials, reason, detail, SECOND_TIME)
        }
        Class::Pause(reason) => failed(FailedGate::Cluster, reason, detail, AT_ONCE),
        Class::Retry(trouble) => {
            let pause_after = match trouble {
                Trouble::Overloaded | Trouble::Breaker => TENTH_TIME,
                Trouble::Unavailable | Trouble::ServerError => THIRD_TIME,
            };
            let failure = Failure { retry_after, ..cluster_failure(trouble.lasting(), detail, pause_after) };
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

/// All requests are refused as malformed, even those with one operation.
pub(super) fn all_requests_refused(error: &Scrubbed) -> Failure {
    cluster_failure(PauseReason::RequestsRefused, error.to_string(), AT_ONCE)
}

fn cluster_failure(reason: PauseReason, detail: String, pause_after: u32) -> Failure {
    Failure { gate: FailedGate::Cluster, reason, detail, pause_after, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::op::sample;

    fn verdict(attempts: u32, status: u16, error_type: Option<&str>) -> (Op, Verdict) {
        let op = Op { attempts, ..sample("a", "x") };
        let error = error_type.map(|error_type| Box::new(Scrubbed { error_type: error_type.to_owned(), detail: None }));
        let verdict = judge_item(&op, ItemAnswer { status, error });
        (op, verdict)
    }

    #[test]
    fn a_trouble_met_too_often_is_a_pause() {
        let unavailable = |attempts| verdict(attempts, 503, Some("unavailable_shards_exception")).1.class;
        assert_eq!(unavailable(4), Class::Retry(Trouble::Unavailable));
        assert_eq!(unavailable(5), Class::Pause(PauseReason::Unavailable));
        let overloaded = |attempts| verdict(attempts, 429, None).1.class;
        assert_eq!(overloaded(9), Class::Retry(Trouble::Overloaded));
        assert_eq!(overloaded(10), Class::Pause(PauseReason::Throttled));
    }

    #[test]
    fn verdicts_add_up_by_index() {
        let other = (sample("b", "y"), verdict(0, 429, None).1);
        let blocked = verdict(0, 403, Some("cluster_block_exception"));
        let answers = by_index(&[verdict(0, 201, None), other, blocked, verdict(0, 403, Some("security_exception"))]);
        let shown: Vec<(&str, bool, Option<PauseReason>)> = answers
            .iter()
            .map(|answer| (answer.index.as_str(), answer.accepted, answer.pause.as_ref().map(|pause| pause.0)))
            .collect();
        assert_eq!(shown, [("a", true, Some(PauseReason::ReadOnly)), ("b", false, None)]);
    }

    #[test]
    fn only_errors_of_operations_that_were_not_carried_out_are_noted() {
        assert_eq!(verdict(0, 409, Some("version_conflict_engine_exception")).1.noted_error(), None);
        assert_eq!(verdict(0, 429, Some("x")).1.noted_error().as_deref(), Some("x"));
    }

    fn whole(status: u16, error_type: Option<&str>) -> RequestVerdict {
        let error = Scrubbed { error_type: "x".to_owned(), detail: None };
        let answer = WholeAnswer { status, error_type: error_type.map(str::to_owned), error };
        judge_whole(answer, Some(Duration::from_secs(7)))
    }

    /// One row per line: status, type, gate, reason, failures before a pause, whether the server's time is kept.
    #[test]
    fn whole_requests_that_fail() {
        use FailedGate::{Cluster, Credentials};
        let rows = [
            (401, None, Credentials, PauseReason::CredentialsRefused, 2, false),
            (403, None, Credentials, PauseReason::CredentialsRefused, 2, false),
            (403, Some("cluster_block_exception"), Cluster, PauseReason::ReadOnly, 1, false),
            (429, None, Cluster, PauseReason::Throttled, 10, true),
            (503, None, Cluster, PauseReason::Unavailable, 3, true),
            (500, None, Cluster, PauseReason::ServerErrors, 3, true),
            (302, None, Cluster, PauseReason::NotOpenSearch, 1, false),
        ];
        for (status, error_type, gate, reason, pause_after, waits) in rows {
            let RequestVerdict::Failed(failure, _) = whole(status, error_type) else { panic!("{status}") };
            let found = (failure.gate, failure.reason, failure.pause_after, failure.retry_after.is_some());
            assert_eq!(found, (gate, reason, pause_after, waits), "{status}");
        }
    }

    #[test]
    fn whole_requests_that_are_divided() {
        assert_eq!(whole(413, None), RequestVerdict::Divide(Refused::TooLarge));
        let malformed = whole(400, Some("illegal_argument_exception"));
        assert!(matches!(malformed, RequestVerdict::Divide(Refused::Malformed { status: 400, .. })));
        assert!(matches!(whole(404, Some("index_not_found_exception")), RequestVerdict::IndexMissing(_)));
    }

    #[test]
    fn requests_without_an_answer() {
        let (endpoint, reason) = (String::new, String::new);
        let rows = [
            (ClientError::Auth(crate::auth::AuthError::Region), PauseReason::CredentialsMissing, 2, Load::Unknown),
            (
                ClientError::Unreachable { endpoint: endpoint(), reason: reason() },
                PauseReason::Unreachable,
                2,
                Load::Unknown,
            ),
            (
                ClientError::Interrupted { endpoint: endpoint(), reason: reason() },
                PauseReason::NoAnswer,
                3,
                Load::Unanswered,
            ),
        ];
        for (error, reason, pause_after, expected) in rows {
            let RequestVerdict::Failed(failure, load) = judge_no_answer(&error) else { panic!("{error}") };
            assert_eq!((failure.reason, failure.pause_after, load), (reason, pause_after, expected));
        }
    }
}

use super::*;
use crate::writer::op::sample;

fn verdict(attempts: u32, status: u16, error_type: Option<&str>) -> (Op, Verdict) {
    let op = Op { attempts, ..sample("a", "x") };
    let error = error_type.map(|error_type| Box::new(Scrubbed { error_type: error_type.to_owned(), detail: None }));
    let verdict = judge_item(&op, ItemAnswer { status, error }, Neighbours::NotAccepted);
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

/// One row per line: status, type, attempts so far, neighbours, class. Rows 23 to 25 of ADR 9.
#[test]
fn a_document_is_at_fault_for_a_500_alone_that_does_not_pass_while_others_are_accepted() {
    use Neighbours::{Accepted, NotAccepted, Waiting};
    let pause = Class::Pause;
    let rows = [
        (500, Some("null_pointer_exception"), 4, Accepted, Class::Retry(Trouble::Unexpected)),
        (500, Some("null_pointer_exception"), 5, Accepted, Class::Refuse),
        (500, Some("null_pointer_exception"), 5, NotAccepted, pause(PauseReason::ServerErrors)),
        (500, Some("null_pointer_exception"), 0, Waiting, pause(PauseReason::ServerErrors)),
        (500, Some("node_disconnected_exception"), 50, Accepted, Class::Retry(Trouble::ServerError)),
        (500, None, 50, Accepted, Class::Retry(Trouble::ServerError)),
        (502, Some("null_pointer_exception"), 50, Accepted, Class::Retry(Trouble::Unavailable)),
        (503, Some("unavailable_shards_exception"), 50, Accepted, Class::Retry(Trouble::Unavailable)),
        (503, Some("unavailable_shards_exception"), 5, NotAccepted, pause(PauseReason::Unavailable)),
        (504, None, 50, Accepted, Class::Retry(Trouble::Unavailable)),
        (403, Some("cluster_block_exception"), 50, Accepted, pause(PauseReason::ReadOnly)),
    ];
    for (status, error_type, attempts, neighbours, expected) in rows {
        let op = Op { attempts, ..sample("a", "x") };
        let error = error_type.map(|name| Box::new(Scrubbed { error_type: name.to_owned(), detail: None }));
        let verdict = judge_item(&op, ItemAnswer { status, error }, neighbours);
        assert_eq!(verdict.class, expected, "{status} {error_type:?} {attempts} {neighbours:?}");
    }
}

#[test]
fn a_block_is_named_by_its_number() {
    let rows = [
        (403, "FORBIDDEN/8/index write (api)", PauseReason::ReadOnly),
        (403, "FORBIDDEN/4/index closed", PauseReason::IndexClosed),
        (403, "FORBIDDEN/6/cluster read-only (api)", PauseReason::ClusterReadOnly),
        (403, "FORBIDDEN/10/cluster create-index blocked (api)", PauseReason::CreateBlocked),
        (403, "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark", PauseReason::DiskFull),
        (429, "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark", PauseReason::DiskFull),
        (403, "FORBIDDEN/99/something new", PauseReason::ReadOnly),
    ];
    for (status, block, expected) in rows {
        let reason = format!("index [a] blocked by: [{block}];");
        let error = Some(Box::new(crate::scrub::scrub(Some("cluster_block_exception"), [reason.as_str()])));
        let verdict = judge_item(&sample("a", "x"), ItemAnswer { status, error }, Neighbours::NotAccepted);
        assert_eq!(verdict.class, Class::Pause(expected), "{block}");
    }
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
    said(status, error_type, Speaker::Service)
}

fn said(status: u16, error_type: Option<&str>, speaker: Speaker) -> RequestVerdict {
    let error = Scrubbed { error_type: "x".to_owned(), detail: None };
    let answer = WholeAnswer { status, error_type: error_type.map(str::to_owned), error, speaker };
    judge_whole(answer, Some(Duration::from_secs(7)))
}

/// One row per line: status, reason.
#[test]
fn a_proxy_in_place_of_opensearch_is_called_that() {
    let rows = [
        (502, PauseReason::Gateway),
        (503, PauseReason::Gateway),
        (504, PauseReason::Gateway),
        (500, PauseReason::Gateway),
        (429, PauseReason::Throttled),
        (302, PauseReason::Redirected),
        (200, PauseReason::NotOpenSearch),
    ];
    for (status, reason) in rows {
        let RequestVerdict::Failed(failure, _) = said(status, None, Speaker::Stranger) else { panic!("{status}") };
        assert_eq!(failure.reason, reason, "{status}");
    }
    let forbidden = said(403, None, Speaker::Stranger);
    assert!(matches!(forbidden, RequestVerdict::Divide(Refused::Forbidden { status: 403, .. })));
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
        (302, None, Cluster, PauseReason::Redirected, 1, false),
    ];
    for (status, error_type, gate, reason, pause_after, waits) in rows {
        let RequestVerdict::Failed(failure, _) = whole(status, error_type) else { panic!("{status}") };
        let found = (failure.gate, failure.reason, failure.pause_after, failure.retry_after.is_some());
        assert_eq!(found, (gate, reason, pause_after, waits), "{status}");
    }
}

#[test]
fn a_whole_request_breaks_by_an_error_that_does_not_pass() {
    let broke = |status, error_type| matches!(whole(status, error_type), RequestVerdict::Broke { .. });
    assert!(broke(500, Some("illegal_state_exception")) && broke(500, Some("null_pointer_exception")));
    assert!(!broke(500, Some("node_disconnected_exception")) && !broke(500, None));
    assert!(!broke(503, Some("illegal_state_exception")));
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

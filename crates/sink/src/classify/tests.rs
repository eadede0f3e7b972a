use super::*;

const READ: Origin = Origin::Read { at: 1 };

#[test]
fn items() {
    use Verb::{Delete, Index};
    let rows: &[(Verb, u16, Option<&str>, Class)] = &[
        (Index, 200, None, Class::Done(Outcome::Applied)),
        (Index, 201, None, Class::Done(Outcome::Applied)),
        (Delete, 200, None, Class::Done(Outcome::Applied)),
        (Index, 409, Some("version_conflict_engine_exception"), Class::Done(Outcome::Superseded)),
        (Delete, 409, Some("version_conflict_engine_exception"), Class::Done(Outcome::Superseded)),
        (Delete, 404, None, Class::Done(Outcome::Absent)),
        (Index, 404, Some("index_not_found_exception"), Class::IndexMissing),
        (Delete, 404, Some("index_not_found_exception"), Class::IndexMissing),
        (Index, 404, None, Class::Pause(PauseReason::NotOpenSearch)),
        (Index, 400, Some("mapper_parsing_exception"), Class::Refuse),
        (Index, 400, Some("document_parsing_exception"), Class::Refuse),
        (Index, 400, Some("strict_dynamic_mapping_exception"), Class::Refuse),
        (Index, 400, Some("illegal_argument_exception"), Class::Refuse),
        (Index, 400, Some("something_new_exception"), Class::Refuse),
        (Index, 400, Some("resource_already_exists_exception"), Class::Retry(Trouble::Unavailable)),
        (Index, 400, Some("routing_missing_exception"), Class::Pause(PauseReason::RoutingRequired)),
        (Index, 400, Some("invalid_index_name_exception"), Class::Pause(PauseReason::InvalidIndexName)),
        (Index, 400, Some("index_closed_exception"), Class::Pause(PauseReason::IndexClosed)),
        (Index, 400, Some("validation_exception"), Class::Pause(PauseReason::Validation)),
        (Index, 429, Some("rejected_execution_exception"), Class::Retry(Trouble::Overloaded)),
        (Index, 429, Some("opensearch_rejected_execution_exception"), Class::Retry(Trouble::Overloaded)),
        (Index, 429, None, Class::Retry(Trouble::Overloaded)),
        (Index, 429, Some("circuit_breaking_exception"), Class::Retry(Trouble::Breaker)),
        (Index, 429, Some("cluster_block_exception"), Class::Pause(PauseReason::DiskFull)),
        (Index, 403, Some("cluster_block_exception"), Class::Pause(PauseReason::ReadOnly)),
        (Index, 403, Some("security_exception"), Class::Pause(PauseReason::Forbidden)),
        (Index, 401, None, Class::Pause(PauseReason::Forbidden)),
        (Index, 408, None, Class::Retry(Trouble::Unavailable)),
        (Index, 503, Some("unavailable_shards_exception"), Class::Retry(Trouble::Unavailable)),
        (Index, 503, Some("process_cluster_event_timeout_exception"), Class::Retry(Trouble::Unavailable)),
        (Index, 502, None, Class::Retry(Trouble::Unavailable)),
        (Index, 504, None, Class::Retry(Trouble::Unavailable)),
        (Index, 500, Some("node_disconnected_exception"), Class::Retry(Trouble::ServerError)),
        (Index, 500, Some("cluster_manager_throttling_exception"), Class::Retry(Trouble::ServerError)),
        (Index, 500, None, Class::Retry(Trouble::ServerError)),
        (Index, 500, Some("i_o_exception"), Class::Retry(Trouble::ServerError)),
        (Index, 500, Some("receive_timeout_transport_exception"), Class::Retry(Trouble::ServerError)),
        (Index, 500, Some("null_pointer_exception"), Class::Retry(Trouble::Unexpected)),
        (Index, 500, Some("script_exception"), Class::Retry(Trouble::Unexpected)),
        (Index, 503, Some("null_pointer_exception"), Class::Retry(Trouble::Unavailable)),
        (Index, 413, None, Class::Split(TooMuch::Bytes)),
        (Index, 0, None, Class::Pause(PauseReason::NotOpenSearch)),
    ];
    for (verb, status, error_type, expected) in rows {
        for origin in [Origin::Image, READ] {
            assert_eq!(classify(*verb, origin, *status, *error_type), *expected, "{verb:?} {status} {error_type:?}");
        }
    }
}

#[test]
fn whole_requests() {
    let rows: &[(u16, Option<&str>, Class)] = &[
        (400, Some("illegal_argument_exception"), Class::Split(TooMuch::Malformed)),
        (400, Some("action_request_validation_exception"), Class::Split(TooMuch::Malformed)),
        (400, None, Class::Pause(PauseReason::NotOpenSearch)),
        (401, None, Class::Pause(PauseReason::CredentialsRefused)),
        (403, Some("security_exception"), Class::Pause(PauseReason::Forbidden)),
        (403, None, Class::Pause(PauseReason::CredentialsRefused)),
        (403, Some(FRONT_END_THROTTLED), Class::Retry(Trouble::Overloaded)),
        (403, Some("cluster_block_exception"), Class::Pause(PauseReason::ReadOnly)),
        (404, Some("index_not_found_exception"), Class::IndexMissing),
        (404, None, Class::Pause(PauseReason::NotOpenSearch)),
        (405, None, Class::Pause(PauseReason::NotOpenSearch)),
        (302, None, Class::Pause(PauseReason::Redirected)),
        (307, None, Class::Pause(PauseReason::Redirected)),
        (413, None, Class::Split(TooMuch::Bytes)),
        (429, Some("rejected_execution_exception"), Class::Retry(Trouble::Overloaded)),
        (429, Some("circuit_breaking_exception"), Class::Retry(Trouble::Breaker)),
        (429, Some("cluster_block_exception"), Class::Pause(PauseReason::DiskFull)),
        (408, None, Class::Retry(Trouble::Unavailable)),
        (502, None, Class::Retry(Trouble::Unavailable)),
        (503, Some("cluster_block_exception"), Class::Retry(Trouble::Unavailable)),
        (504, None, Class::Retry(Trouble::Unavailable)),
        (500, None, Class::Retry(Trouble::ServerError)),
    ];
    for (status, error_type, expected) in rows {
        assert_eq!(classify_request(*status, *error_type), *expected, "{status} {error_type:?}");
    }
}

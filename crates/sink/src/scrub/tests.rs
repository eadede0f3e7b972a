//! Tests.

use super::*;

const SECRET: &str = "S3CRET";

fn text(error_type: &str, reason: &str) -> String {
    let scrubbed = scrub(Some(error_type), [reason]);
    assert!(!scrubbed.hint().is_empty());
    let shown = scrubbed.to_string();
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!format!("{scrubbed:?}").contains(SECRET), "{scrubbed:?}");
    shown
}

#[test]
fn known_reasons_keep_field_and_type() {
    let rows = [
        (
            "mapper_parsing_exception",
            "failed to parse field [age] of type [long] in document with id 'S3CRET'. Preview of field's value: 'S3CRET'",
            "mapper_parsing_exception: the value of field [age] is no long",
        ),
        (
            "document_parsing_exception",
            "failed to parse field [a.b] of type [date] in document with id '1'. Preview of field's value: '{x=S3CRET, y=] of type [}'",
            "document_parsing_exception: the value of field [a] is no date",
        ),
        (
            "illegal_argument_exception",
            "Document contains at least one immense term in field=\"pk\" (whose UTF8 encoding is longer than the max length 32766), all of which were skipped. Please correct the analyzer to not produce such terms. The prefix of the first immense term is: '[S3CRET, 120]...', original message: bytes can be at most 32766 in length; got 40000",
            "illegal_argument_exception: field [pk] holds a term longer than 32,766 bytes",
        ),
        (
            "illegal_argument_exception",
            "mapper [l.q] cannot be changed from type [long] to [float]",
            "illegal_argument_exception: field [l] would have to change from long to float",
        ),
        (
            "mapper_parsing_exception",
            "object mapping for [a] tried to parse field [a] as object, but found a concrete value",
            "mapper_parsing_exception: field [a] holds a plain value where the mapping has an object",
        ),
        (
            "illegal_argument_exception",
            "can't merge a non object mapping [t] with an object mapping",
            "illegal_argument_exception: field [t] is an object here and a plain value there",
        ),
        (
            "illegal_argument_exception",
            "Limit of total fields [1000] has been exceeded while adding new fields [1]",
            "illegal_argument_exception: the index would have more than 1000 fields",
        ),
        (
            "illegal_argument_exception",
            "Limit of mapping depth [20] has been exceeded due to object field [a.b.c]",
            "illegal_argument_exception: objects are nested deeper than 20 levels",
        ),
        (
            "mapper_parsing_exception",
            "object field starting or ending with a [.] makes object resolution ambiguous: [.S3CRET]",
            "mapper_parsing_exception: a field name is empty, or begins or ends with a dot",
        ),
        (
            "illegal_argument_exception",
            "number of documents in the index cannot exceed 2147483519",
            "illegal_argument_exception: the shard cannot hold more documents",
        ),
        (
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [extra] within [_doc] is not allowed",
            "strict_dynamic_mapping_exception: field [extra] is not in the mapping, which is strict",
        ),
        (
            "mapper_parsing_exception",
            "Field [_id] is a metadata field and cannot be added inside a document. Use the index API request parameters.",
            "mapper_parsing_exception: field [_id] has a name that OpenSearch reserves",
        ),
    ];
    for (error_type, reason, expected) in rows {
        assert_eq!(text(error_type, reason), expected);
    }
}

#[test]
fn the_cause_speaks_where_the_reason_does_not() {
    let reasons = ["failed to parse", "Limit of mapping depth [20] has been exceeded due to object field [S3CRET]"];
    let scrubbed = scrub(Some("mapper_parsing_exception"), reasons);
    assert_eq!(scrubbed.to_string(), "mapper_parsing_exception: objects are nested deeper than 20 levels");
}

#[test]
fn unknown_reasons_are_dropped() {
    let reasons = [
        "[S3CRET]: version conflict, current version [3] is higher than the one provided [2]",
        "[x][0] primary shard is not active Timeout: [1m], request: [BulkShardRequest [[x][0]] containing [index {[x][_doc][S3CRET], source[{\"a\":\"S3CRET\"}]}]]",
        "routing is required for [x]/[_doc]/[S3CRET]",
        "failed to parse",
        "For input string: \"S3CRET\"",
        "S3CRET failed to parse field [age] of type [long]",
        "failed to parse field [age] of type S3CRET",
        "Limit of total fields [S3CRET] has been exceeded",
        "",
    ];
    for reason in reasons {
        assert_eq!(text("some_exception", reason), "some_exception");
    }
    assert_eq!(text("<html>S3CRET</html>", "S3CRET"), "unknown_error");
    assert_eq!(scrub(None, []).to_string(), "unknown_error");
}

#[test]
fn a_missing_permission_is_named_and_whose_it_is_is_not() {
    let of = |permission: &str| format!("no permissions for [{permission}] and User [name=S3CRET, backend_roles=[]]");
    for permission in ["indices:data/write/bulk[s]", "indices:admin/create, indices:admin/aliases"] {
        let expected = format!("security_exception: no permission {permission}");
        assert_eq!(text("security_exception", &of(permission)), expected);
    }
    assert_eq!(text("security_exception", &of("S3CRET")), "security_exception");
}

#[test]
fn a_value_never_passes_for_a_type() {
    let reason = "failed to parse field [age] of type [S3CRET value] in document";
    assert_eq!(text("mapper_parsing_exception", reason), "mapper_parsing_exception: the value of field [age] is no ?");
}

#[test]
fn blocks_are_known_by_their_number() {
    let rows = [
        ("index [S3CRET] blocked by: [FORBIDDEN/8/index write (api)];", Some(8)),
        (
            "index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];",
            Some(12),
        ),
        ("index [a] blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];", Some(10)),
        ("blocked by: [FORBIDDEN/6/cluster read-only (api)];", Some(6)),
        ("blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];", Some(1)),
        ("S3CRET blocked by: [FORBIDDEN/8/index write (api)];", None),
        ("blocked by: [FORBIDDEN/S3CRET/x];", None),
    ];
    for (reason, block) in rows {
        assert_eq!(scrub(Some("cluster_block_exception"), [reason]).block(), block, "{reason}");
        text("cluster_block_exception", reason);
    }
}

#[test]
fn what_concerns_all_names_no_field() {
    let names = |reason: &str| scrub(Some("x"), [reason]).names_field();
    assert!(names("failed to parse field [age] of type [long] in document"));
    assert!(names("mapper [l.q] cannot be changed from type [long] to [float]"));
    for reason in [
        "Limit of total fields [10] has been exceeded",
        "number of documents in the index can't exceed [2147483519]",
        "pipeline with id [p] does not exist",
        "no write index is defined for alias [a]",
        "only write ops with an op_type of create are allowed in data streams",
    ] {
        assert!(!names(reason), "{reason}");
    }
}

#[test]
fn only_limits_concern_the_next_documents() {
    assert!(scrub(Some("x"), ["Limit of total fields [10] has been exceeded"]).concerns_all());
    assert!(!scrub(Some("x"), ["mapper [l.q] cannot be changed from type [long] to [float]"]).concerns_all());
}

#[test]
fn secrets_in_random_places_after_the_field_never_show() {
    let mut random = fastrand::Rng::with_seed(11);
    let pieces =
        ["[", "]", "'", "\"", " of type [", "] to [", "S3CRET", " in document with id '", "long", "field=\"", "\n"];
    let beginnings = [
        "failed to parse field [f] of type [long]",
        "failed to parse field [f.",
        "object mapping for [f.",
        "mapper [f.",
        "mapping set to strict, dynamic introduction of [S3CRET] within [f.",
        "mapper [f] cannot be changed from type [long] to [float]",
        "S3CRET",
        "routing is required for [",
    ];
    for _ in 0..2000 {
        let mut reason = beginnings[random.usize(..beginnings.len())].to_owned();
        for _ in 0..random.usize(..12) {
            reason.push_str(pieces[random.usize(..pieces.len())]);
        }
        text("mapper_parsing_exception", &reason);
    }
}

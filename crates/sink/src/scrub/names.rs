//! Tests: names of fields in reasons.

use super::scrub;

#[test]
fn names_inside_objects_are_content_and_the_top_level_field_is_named() {
    let rows = [
        (
            "object mapping for [perms.S3CRET ssn 1] tried to parse field [S3CRET ssn 1] as object, but found a concrete value",
            "field [perms] holds a plain value where the mapping has an object",
        ),
        (
            "failed to parse field [perms.S3CRET] of type [long] in document with id '1'",
            "the value of field [perms] is no long",
        ),
        (
            "mapper [perms.S3CRET] cannot be changed from type [long] to [text]",
            "field [perms] would have to change from long to text",
        ),
        (
            "mapper [perms.S3CRET] of different type, current_type [text]",
            "field [perms] is an object here and a plain value there",
        ),
        (
            "can't merge a non object mapping [perms.S3CRET] with an object mapping",
            "field [perms] is an object here and a plain value there",
        ),
        (
            "Document contains at least one immense term in field=\"perms.S3CRET.keyword\" (whose UTF8",
            "field [perms] holds a term longer than 32,766 bytes",
        ),
        (
            "mapping set to strict, dynamic introduction of [S3CRET] within [perms.S3CRET] is not allowed",
            "field [perms] is not in the mapping, which is strict",
        ),
        (
            "mapping set to strict, dynamic introduction of [S3CRET] within [perms] is not allowed",
            "field [perms] is not in the mapping, which is strict",
        ),
        // A key can hold what looks like the end of a name.
        (
            "mapping set to strict, dynamic introduction of [x] within [S3CRET] within [perms] is not allowed",
            "field [?] is not in the mapping, which is strict",
        ),
        ("failed to parse field [perms.x] of type [s3cret] in document", "the value of field [perms] is no ?"),
        ("failed to parse field [.S3CRET] of type [long] in document", "the value of field [?] is no long"),
    ];
    for (reason, expected) in rows {
        assert_eq!(scrub(Some("x_exception"), [reason]).to_string(), format!("x_exception: {expected}"), "{reason}");
    }
}

//! Attributes that cannot be fields under their own names.

use streamdex_config::{Config, KeyMismatch, key_mismatches};

use crate::parse;
use crate::support::{only, with_route};

const ARCHIVE: &str = "on_expiry = 'archive', archive_index = 'old'";

fn route(line: &str) -> String {
    with_route(&format!("index = 'app'\n{line}"))
}

#[test]
fn a_ttl_attribute_called_expired_at_cannot_be_archived() {
    let ttl = format!("ttl = {{ attribute = 'expired_at', {ARCHIVE} }}");
    only(&route(&ttl), "route[0].ttl.attribute", "say when they expired");
    only(&route(&ttl), "route[0].ttl.attribute", "rename = { expired_at = \"expires_at\" }");
    assert!(parse(&route(&format!("{ttl}\nrename = {{ expired_at = 'expires_at' }}"))).is_ok());
    assert!(parse(&route("ttl = { attribute = 'expired_at' }")).is_ok());
    let renamed = format!("ttl = {{ attribute = 't', {ARCHIVE} }}\nrename = {{ t = 'expired_at' }}");
    only(&route(&renamed), "route[0].rename.t", "say when they expired");
}

#[test]
fn no_attribute_of_an_archived_route_is_written_to_expired_at() {
    let archived = |line: &str| route(&format!("ttl = {{ attribute = 't', {ARCHIVE} }}\n{line}"));
    only(&archived("id = ['expired_at']"), "route[0].id[0]", "say when they expired");
    only(&archived("include = ['t', 'expired_at']"), "route[0].include[1]", "say when they expired");
    only(&archived("when = { attribute = 'expired_at', exists = true }"), "route[0].when.attribute", "expired");
    assert!(parse(&archived("when = { attribute = 'expired_at', exists = false }")).is_ok());
    assert!(parse(&archived("when = { attribute = 'expired_at', exists = true, not = true }")).is_ok());
    assert!(parse(&archived("id = ['expired_at']\nexclude = ['expired_at']")).is_ok());
}

#[test]
fn reserved_names_are_refused_where_the_route_names_them() {
    for (line, path) in [
        ("id = ['_id']", "route[0].id[0]"),
        ("routing = '_routing'", "route[0].routing"),
        ("include = ['_source']", "route[0].include[0]"),
        ("ttl = { attribute = '_version' }", "route[0].ttl.attribute"),
        ("when = { attribute = '_type', equals = 'order' }", "route[0].when.attribute"),
    ] {
        only(&route(line), path, "a name that OpenSearch keeps for itself");
        only(&route(line), path, "rename = { _");
    }
    only(&with_route("index = 'app-{_index}'"), "route[0].index", "keeps for itself");
    only(&route("id = ['_id']"), "route[0].id[0]", "rename = { _id = \"x_id\" }, or leave it out with exclude");
    assert!(parse(&route("id = ['_id']\nrename = { _id = 'x_id' }")).is_ok());
    assert!(parse(&route("id = ['_id']\nexclude = ['_id']")).is_ok());
    assert!(parse(&route("exclude = ['_id']")).is_ok());
}

#[test]
fn reserved_names_are_refused_where_the_table_shows_them() {
    let mismatches = |line: &str, keys: &[&str]| {
        let config: Config = parse(&route(line)).unwrap().config;
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        key_mismatches(&config.sources[0].routes[0], &keys)
    };
    let reserved = mismatches("", &["pk", "_id"]);
    assert_eq!(reserved, [KeyMismatch::FieldName("_id".into())]);
    assert!(reserved[0].to_string().contains("\"_id\"") && reserved[0].hint().contains("rename"), "{}", reserved[0]);
    assert_eq!(mismatches("rename = { _id = 'x' }", &["pk", "_id"]), []);
    assert_eq!(mismatches("exclude = ['_id']", &["pk", "_id"]), []);
    assert_eq!(mismatches("", &["expired_at"]), []);
    let archived = format!("ttl = {{ attribute = 't', {ARCHIVE} }}");
    assert_eq!(mismatches(&archived, &["expired_at"]), [KeyMismatch::FieldName("expired_at".into())]);
}

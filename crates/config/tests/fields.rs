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
fn names_that_opensearch_keeps_may_be_those_of_attributes() {
    let config = parse(&route("id = ['_id']\nrouting = '_id'\ninclude = ['_id', '_source']")).unwrap().config;
    assert_eq!(config.sources[0].routes[0].field_of("_id").unwrap(), "x_id");
    assert_eq!(key_mismatches(&config.sources[0].routes[0], &["_id".to_owned()]), []);
}

#[test]
fn a_key_that_no_archived_document_can_have_is_refused_where_the_table_shows_it() {
    let mismatches = |line: &str, keys: &[&str]| {
        let config: Config = parse(&route(line)).unwrap().config;
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        key_mismatches(&config.sources[0].routes[0], &keys)
    };
    assert_eq!(mismatches("", &["expired_at"]), []);
    let archived = format!("ttl = {{ attribute = 't', {ARCHIVE} }}");
    let refused = mismatches(&archived, &["expired_at"]);
    assert_eq!(refused, [KeyMismatch::FieldName("expired_at".into())]);
    assert!(refused[0].hint().contains("rename"), "{}", refused[0]);
}

//! What would be accepted and have no effect.

use std::path::Path;

use streamdex_config::Config;

use crate::parse;
use crate::support::{only, warned, with, with_opensearch, with_route};

#[test]
fn infer_expiry_without_an_archive() {
    let ttl = |keys: &str| with_route(&format!("index = 'app'\nttl = {{ attribute = 't', {keys} }}"));
    only(&ttl("infer_expiry = true"), "route[0].ttl.infer_expiry", "nothing is archived");
    only(&ttl("on_expiry = 'delete', infer_expiry = true"), "route[0].ttl.infer_expiry", "on_expiry = \"archive\"");
    assert!(parse(&ttl("infer_expiry = false")).is_ok());
    assert!(parse(&ttl("on_expiry = 'archive', archive_index = 'old', infer_expiry = true")).is_ok());
}

#[test]
fn certificates_that_nobody_looks_at() {
    let opensearch = |url: &str, line: &str| with_opensearch(&format!("url = '{url}'\n{line}"));
    let (plain, local) = ("http://search.example", "https://localhost:9200");
    only(&opensearch(plain, "ca_file = 'ca.pem'"), "opensearch.ca_file", "no certificate to check");
    only(&opensearch(plain, "tls_verify = false"), "opensearch.tls_verify", "no certificate to check");
    only(&opensearch("http://localhost", "tls_verify = false"), "opensearch.tls_verify", "https://");
    only(
        &opensearch(local, "ca_file = 'ca.pem'\ntls_verify = false"),
        "opensearch.tls_verify",
        "ca_file has no effect",
    );
    assert!(parse(&opensearch(local, "ca_file = 'ca.pem'\ntls_verify = true")).is_ok());
    // An empty text counts as left out.
    assert!(parse(&opensearch(plain, "ca_file = ''\ntls_verify = true")).is_ok());
}

#[test]
fn what_stands_beside_a_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("[index.app]\nmapping_file = 'app.json'");
    let load = |json: &str| {
        std::fs::write(folder.path().join("app.json"), json).unwrap();
        Config::parse(&text, folder.path(), &|_| None)
    };
    for (json, part) in [
        (r#"{"properties":{},"aliases":{"mine":{}}}"#, "POST /_aliases"),
        (r#"{"properties":{},"settings":{}}"#, "[index.NAME]"),
        (r#"{"mappings":{"properties":{}},"settings":{}}"#, "\"mappings\" is not part"),
        (r#"{"index_patterns":["a"],"template":{"mappings":{}}}"#, "\"template\" is not part"),
    ] {
        let error = load(json).unwrap_err();
        assert!(error.problems().iter().all(|problem| problem.path == "index.app.mapping_file"), "{error}");
        assert!(error.to_string().contains(part), "{json}: {error}");
    }
}

#[test]
fn max_indices_without_a_placeholder() {
    let route = |index: &str, most: &str| with_route(&format!("index = '{index}'\nmax_indices = {most}"));
    only(&route("app", "5"), "route[0].max_indices", "no placeholder");
    for bad in ["0", "10001", "-1"] {
        only(&route("app-{a}", bad), "route[0].max_indices", "out of range");
    }
    let most = |text: &str| parse(text).unwrap().config.sources[0].routes[0].max_indices;
    assert_eq!((most(&route("app-{a}", "5")), most(&with_route("index = 'app-{a}'"))), (5, 100));
}

#[test]
fn a_ttl_where_nothing_is_set_up() {
    let index =
        |ttl: &str, manage: &str| with_route(&format!("index = 'app'\n{ttl}\n[index.app]\nmanage = '{manage}'"));
    let ttl = "ttl = { attribute = 't' }";
    assert_eq!(warned(&index(ttl, "never"))[0].0, "index.app.manage");
    assert_eq!(warned(&index(ttl, "check")), []);
    assert_eq!(warned(&index("", "never")), []);
    let archive = "ttl = { attribute = 't', on_expiry = 'archive', archive_index = 'old' }";
    assert_eq!(warned(&index(archive, "never")), []);
}

#[test]
fn field_lists_that_say_nothing() {
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    let place = |text: &str| warned(text).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(place(&route("include = ['a']\nexclude = ['b']")), ["route[0].exclude[0]"]);
    assert_eq!(place(&route("rename = { a = 'a' }")), ["route[0].rename.a"]);
    assert_eq!(place(&route("include = ['a.b', 'a']")), ["route[0].include[1]"]);
    assert_eq!(place(&route("include = ['a.b']\nexclude = ['a.b.c', 'a.c']")), ["route[0].exclude[1]"]);
    assert_eq!(place(&route("exclude = ['a']\ndates = ['a.b', 'c']")), ["route[0].dates[0]"]);
    assert_eq!(place(&route("include = ['a']\nas_json = ['b']")), ["route[0].as_json[0]"]);
}

#[test]
fn a_route_behind_one_that_takes_all_of_its_items() {
    let routes = |first: &str, second: &str| {
        let route = |when: &str| if when.is_empty() { String::new() } else { format!("when = {when}") };
        let text = format!("index = 'one'\n{}\n[[route]]\nindex = 'two'\n{}", route(first), route(second));
        warned(&with_route(&text))
    };
    let kind = |test: &str| format!("{{ attribute = 'kind', {test} }}");
    let hidden = [
        ("", kind("equals = 'a'")),
        (&kind("exists = true"), kind("equals = 'a'")),
        (&kind("starts_with = 'a'"), kind("starts_with = 'ab'")),
        (&kind("like = 'a*'"), kind("one_of = ['a', 'ab']")),
        (&kind("one_of = ['a', 1]"), kind("equals = 1.0")),
        (
            &kind("equals = 'a', not = true"),
            format!("[{}, {}]", kind("equals = 'a', not = true"), kind("exists = true")),
        ),
    ]
    .map(|(first, second): (&str, String)| (first.to_owned(), second));
    for (first, second) in hidden {
        let warned = routes(&first, &second);
        assert_eq!(warned.len(), 1, "{first} {second}: {warned:?}");
        assert!(warned[0].0 == "route[1]" && warned[0].1.contains("route[0] takes all its items"), "{warned:?}");
    }
    for (first, second) in [
        (kind("equals = 'a'"), String::new()),
        (kind("one_of = ['a', 'b']"), kind("one_of = ['a', 'c']")),
        (kind("starts_with = 'ab'"), kind("starts_with = 'a'")),
        (kind("equals = 'b', not = true"), kind("equals = 'a'")),
        (format!("[{}, {}]", kind("equals = 'a'"), "{ attribute = 'x', exists = true }"), kind("equals = 'a'")),
    ] {
        assert_eq!(routes(&first, &second), [], "{first} {second}");
    }
}

#[test]
fn the_brake_is_a_number_of_refusals_and_0_is_off() {
    let brake = |lines: &str| {
        let text = with_opensearch(&format!("url = 'http://localhost:9200'\n{lines}"));
        let opensearch = Config::parse(&text, Path::new(""), &|_| None).unwrap().config.opensearch;
        (opensearch.brake_after, opensearch.brake_after_field)
    };
    assert_eq!(brake(""), (Some(50), Some(1000)));
    assert_eq!(brake("brake_after = 0"), (None, Some(1000)));
    assert_eq!(brake("brake_after = 7\nbrake_after_field = 0"), (Some(7), None));
    let bad = |line: &str| with_opensearch(&format!("url = 'http://localhost:9200'\n{line}"));
    only(&bad("brake_after = -1"), "opensearch.brake_after", "out of range");
    only(&bad("brake_after_field = 1000001"), "opensearch.brake_after_field", "0 to 1000000");
    only(&bad("brake_after = 'off'"), "opensearch.brake_after", "expected an integer");
}

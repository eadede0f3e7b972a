//! Values in a wrong form: the message shows the right one.

use crate::support::{OPENSEARCH, ROUTE, SOURCE, only, problems_of, with, with_opensearch, with_route, with_source};

#[test]
fn values_in_a_wrong_form_get_an_example_of_the_right_one() {
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    let opensearch = |line: &str| with_opensearch(&format!("url = 'http://localhost:9200'\n{line}"));
    only(&opensearch("auth = 'basic'"), "opensearch.auth", "write auth = { kind = \"basic\", username");
    only(&opensearch("tls_verify = 'true'"), "opensearch.tls_verify", "write tls_verify = true, without quotes");
    only(&opensearch("brake_after = '50'"), "opensearch.brake_after", "write brake_after = 50, without quotes");
    only(&route("id = 'pk'"), "route[0].id", "write id = [\"pk\"]");
    only(&route("exclude = 'token'"), "route[0].exclude", "write exclude = [\"token\"]");
    only(&route("routing = ['pk']"), "route[0].routing", "write routing = \"pk\"");
    only(&route("when = 'kind = order'"), "route[0].when", "when = { attribute = \"kind\", equals");
    only(&route("ttl = 'expires_at'"), "route[0].ttl", "ttl = { attribute = ");
    only(&route("set = { city = 'address.city' }"), "route[0].set.city", "write city = { from =");
    only(&route("rename = ['ua']"), "route[0].rename", "rename = { ua = ");
    only(&format!("source = 'app'\n{OPENSEARCH}{ROUTE}"), "source", "[source] with table = ");
    only(&format!("opensearch = 'http://localhost'\n{SOURCE}{ROUTE}"), "opensearch", "[opensearch] with url = ");
    only(&format!("route = 'app'\n{SOURCE}{OPENSEARCH}"), "route", "[[route]] with index = ");
    only(&format!("index = 'app'\n{SOURCE}{OPENSEARCH}{ROUTE}"), "index", "[index.NAME]");
    only(&format!("state = 'app-state'\n{SOURCE}{OPENSEARCH}{ROUTE}"), "state", "[state] with table");
}

#[test]
fn a_list_of_tables_written_as_one_table() {
    let one = format!("{SOURCE}{OPENSEARCH}[route]\nindex = 'app'\n");
    only(&one, "route", "write each one as [[route]]");
    let twice = problems_of(&format!("{one}[route]\nindex = 'b'\n"));
    assert!(twice[0].hint.as_deref().unwrap_or_default().contains("[[route]]"), "{twice:#?}");
    let mixed = problems_of(&format!("{one}[[route]]\nindex = 'b'\n"));
    assert!(mixed.iter().any(|problem| problem.to_string().contains("[[route]]")), "{mixed:#?}");
    let sources = problems_of(&format!("{SOURCE}[source]\ntable = 'b'\n{OPENSEARCH}{ROUTE}"));
    assert!(sources[0].to_string().contains("[[source]]"), "{sources:#?}");
}

#[test]
fn regions_that_aws_does_not_have() {
    let rows = [
        (with_source("table = 'app'\nregion = 'eu-west1'"), "source.region"),
        (with("[state]\nregion = 'euwest-1'"), "state.region"),
        (
            with_opensearch("url = 'https://search.example'\nauth = { kind = 'sigv4', region = 'eu_west_1' }"),
            "opensearch.auth.region",
        ),
    ];
    for (text, path) in rows {
        only(&text, path, "this is not an AWS region");
    }
    // Emulators take any.
    let emulator = "table = 'app'\nendpoint_url = 'http://127.0.0.1:8000'\nregion = 'local'";
    assert!(crate::parse(&with_source(emulator)).is_ok());
}

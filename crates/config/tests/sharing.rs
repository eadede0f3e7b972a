//! What two routes, two sources, or the state and a source may share.

use crate::parse;
use crate::support::{OPENSEARCH, ROUTE, SOURCE, only, warned, with, with_route};

const ARCHIVE: &str = "ttl = { attribute = 't', on_expiry = 'archive', archive_index = 'old' }";

/// Two routes of one source: `first` and `second` are their lines, each with its index.
fn two(first: &str, second: &str) -> String {
    with_route(&format!("{first}\nwhen = {{ attribute = 'k', equals = 1 }}\n[[route]]\n{second}"))
}

#[test]
fn routes_of_one_index_share_their_routing() {
    let app = "index = 'app'";
    only(&two(&format!("{app}\nrouting = 'pk'"), app), "route[1].index", "another routing");
    only(&two(app, &format!("{app}\nrouting = 'pk'")), "route[1].index", "another routing");
    only(&two(&format!("{app}\nrouting = 'pk'"), &format!("{app}\nrouting = 'sk'")), "route[1].index", "the same id");
    assert!(parse(&two(&format!("{app}\nrouting = 'pk'"), &format!("{app}\nrouting = 'pk'"))).is_ok());
    let other = "index = 'other'";
    assert!(parse(&two(&format!("{app}\nrouting = 'pk'"), other)).is_ok());
}

#[test]
fn routes_that_may_meet_in_one_index_share_their_routing_and_their_ids() {
    let rows = [
        ("orders-{r}", "orders-eu", "routing = 'pk'", "another routing"),
        ("orders-{r}", "{kind}-eu", "routing = 'pk'", "another routing"),
        ("Orders-{r}", "orders-{s}", "routing = 'pk'", "another routing"),
        ("orders-{r}", "orders-eu", "id = ['sk', 'pk']", "another id"),
        ("orders-{r}", "orders-eu", "id_form = 'hash'", "another id_form"),
    ];
    for (one, other, line, part) in rows {
        let text = two(&format!("index = '{one}'\n{line}"), &format!("index = '{other}'"));
        only(&text, "route[1].index", part);
        only(&text, "route[1].index", "can produce the same index");
    }
    for (one, other) in [("orders-{r}", "sessions"), ("a-{x}", "b-{x}"), ("orders-{r}-x-{n}", "orders-eu-1")] {
        assert!(
            parse(&two(&format!("index = '{one}'\nrouting = 'pk'"), &format!("index = '{other}'"))).is_ok(),
            "{one} {other}"
        );
    }
    // All keys in ascending order are what is taken without id.
    assert!(parse(&two("index = 'orders-{r}'\nid = ['pk', 'sk']", "index = 'orders-eu'")).is_ok());
}

#[test]
fn routes_of_one_archive_share_their_ids() {
    let route = |index: &str, line: &str| format!("index = '{index}'\n{ARCHIVE}\n{line}");
    let place = "route[1].ttl.archive_index";
    only(&two(&route("a", "id = ['pk', 'sk']"), &route("b", "id = ['sk', 'pk']")), place, "another id");
    only(&two(&route("a", ""), &route("b", "id = ['sk', 'pk']")), place, "another id");
    only(&two(&route("a", ""), &route("b", "id_form = 'hash'")), place, "another id_form");
    only(&two(&route("a", "routing = 'pk'"), &route("b", "")), place, "another routing");
    assert!(parse(&two(&route("a", "id = ['pk', 'sk']"), &route("b", ""))).is_ok());
    let elsewhere = route("b", "id = ['sk', 'pk']").replace("'old'", "'older'");
    assert!(parse(&two(&route("a", "id = ['pk', 'sk']"), &elsewhere)).is_ok());
}

#[test]
fn sources_that_may_meet_in_one_index_are_doubtful() {
    let text = format!(
        "[[source]]\nname = 'a'\ntable = 'aaa'\n[[source]]\nname = 'b'\ntable = 'bbb'\n{OPENSEARCH}\
         [[route]]\nsource = 'a'\nindex = 'app'\n[[route]]\nsource = 'b'\nindex = 'ap{{p}}'\n"
    );
    let meeting = warned(&text);
    assert_eq!(meeting.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["route[1].index"]);
}

#[test]
fn the_state_is_no_table_that_is_followed() {
    only(&with("[state]\ntable = 'app'"), "state.table", "table of the source \"app\"");
    let default = format!("[source]\ntable = 'streamdex-state'\n{OPENSEARCH}{ROUTE}");
    only(&default, "", "use a separate table for the state");
    only(&default.replace("[source]", "[state]\ngroup = 'g'\n[source]"), "state", "the state table is");
    let stream = "stream_arn = 'arn:aws:dynamodb:eu-west-1:1:table/app/stream/1'";
    only(
        &format!("[source]\n{stream}\n{OPENSEARCH}{ROUTE}[state]\ntable = 'app'"),
        "state.table",
        "table of the source",
    );
    // One name in two places is two tables.
    let place = |line: &str| format!("{SOURCE}region = 'eu-west-1'\n{OPENSEARCH}{ROUTE}[state]\ntable = 'app'\n{line}");
    assert!(parse(&place("region = 'us-east-1'")).is_ok());
    assert!(parse(&place("endpoint_url = 'http://127.0.0.1:8000'")).is_ok());
    only(&place("region = 'eu-west-1'"), "state.table", "table of the source");
}

#[test]
fn a_table_is_followed_once() {
    let sources = |one: &str, other: &str| {
        format!(
            "[[source]]\nname = 'a'\n{one}\n[[source]]\nname = 'b'\n{other}\n{OPENSEARCH}\
             [[route]]\nsource = 'a'\nindex = 'a'\n[[route]]\nsource = 'b'\nindex = 'b'\n"
        )
    };
    only(&sources("table = 'app'", "table = 'app'"), "source[1]", "follows the table \"app\" too");
    let regions = sources("table = 'app'\nregion = 'eu-west-1'", "table = 'app'\nregion = 'us-east-1'");
    assert!(parse(&regions).is_ok());
}

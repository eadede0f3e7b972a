//! One row for each thing that can be wrong.

use std::path::Path;

use streamdex_config::Config;

use crate::parse;
use crate::support::{
    OPENSEARCH, ROUTE, SOURCE, only, problems_of, warned, with, with_opensearch, with_route, with_source,
};

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let text = r#"
[source]
tabel = "sessions"
on_gap = "resnapshoot"

[opensearch]
url = "https://user:hunter2@search.example"
max_batch_bytes = "20MiB"

[[route]]
index = "Sessions"
when = { attribute = "kind", equals = "${KIND}" }
ttl = { attribute = "expires_at", on_expiry = "archiv" }
"#;
    let problems = problems_of(text);
    let seen: Vec<(&str, Option<usize>)> =
        problems.iter().map(|problem| (problem.path.as_str(), problem.line)).collect();
    let expected = [
        ("source", Some(2)),
        ("source.tabel", Some(3)),
        ("source.on_gap", Some(4)),
        ("opensearch.url", Some(7)),
        ("opensearch.max_batch_bytes", Some(8)),
        ("route[0].index", Some(11)),
        ("route[0].when.equals", Some(12)),
        ("route[0].ttl.on_expiry", Some(13)),
    ];
    assert_eq!(seen, expected, "{problems:#?}");
    let error = parse(text).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    8 problems in the configuration
      line 2, source: table is missing
        hint: give the table's name, or its stream_arn
      line 3, source.tabel: unknown key "tabel"
        hint: did you mean "table"?
      line 4, source.on_gap: unknown value "resnapshoot"
        hint: did you mean "resnapshot"? known here: "fail", "resnapshot"
      line 7, opensearch.url: an address cannot hold credentials
        hint: remove user name and password from the address; for OpenSearch use auth = { kind = "basic", username = "…", password_env = "…" }
      line 8, opensearch.max_batch_bytes: 20971520 bytes is out of range
        hint: give 64KiB to 9.5MiB
      line 11, route[0].index: an index name cannot contain 'S'
        hint: write "sessions"
      line 12, route[0].when.equals: the environment variable KIND is not set
        hint: set KIND, or write ${KIND:-default}
      line 13, route[0].ttl.on_expiry: unknown value "archiv"
        hint: did you mean "archive"? known here: "delete", "archive"
    "#);
}

#[test]
fn sources() {
    only(&format!("{OPENSEARCH}{ROUTE}"), "source", "missing");
    only(&with_source(""), "source", "table is missing");
    only(&with_source("table = 'ab'"), "source.table", "3 to 255");
    only(&with_source("table = 'arn:aws:dynamodb:eu-west-1:1:table/app'"), "source.table", "stream_arn");
    only(&with_source("table = 7"), "source.table", "expected a string, found an integer");
    only(&with_source("stream_arn = 'arn:aws:dynamodb:eu-west-1:1:table/app'"), "source.stream_arn", "not the ARN");
    only(
        &with_source("table = 'app'\nstream_arn = 'arn:aws:dynamodb:x:1:table/app/stream/1'"),
        "source.stream_arn",
        "exclude",
    );
    only(
        &with_source("stream_arn = 'arn:aws:dynamodb:x:1:table/app/stream/1'\nregion = 'y'"),
        "source.region",
        "the stream is in x",
    );
    only(&with_source("table = 'app'\nendpoint_url = 'localhost:8000'"), "source.endpoint_url", "http://");
    only(&with_source("table = 'app'\nstart = 'now'"), "source.start", "\"trim_horizon\", \"latest\"");
    only(&with_source("table = 'app'\nfreshness = '100ms'"), "source.freshness", "out of range");
    only(&with_source("table = 'app'\nfreshness = '2m'"), "source.freshness", "out of range");
    only(&with_source("table = 'app'\nbackfill = 'always'"), "source.backfill", "\"if_empty\", \"never\"");
    only(&with_source("table = 'app'\nbackfill_max_items = -1"), "source.backfill_max_items", "");
    only(&with_source("table = 'app'\nexternal_id = 'x'"), "source.external_id", "role_arn");
    only(&with_source("table = 'app'\nrole_arn = 'reader'"), "source.role_arn", "not the ARN");
}

#[test]
fn several_sources() {
    let two = |second: &str, routes: &str| {
        format!("[[source]]\nname = 'a'\ntable = 'app'\n[[source]]\n{second}\n{OPENSEARCH}{routes}")
    };
    let good = "[[route]]\nsource = 'a'\nindex = 'a'\n[[route]]\nsource = 'b'\nindex = 'b'\n";
    assert!(parse(&two("name = 'b'\ntable = 'bbb'", good)).is_ok());
    only(&two("table = 'bbb'", good), "source[1].name", "missing");
    let same_name = problems_of(&two("name = 'a'\ntable = 'bbb'", good));
    assert!(
        same_name
            .iter()
            .any(|problem| problem.path == "source[1].name" && problem.message.contains("two sources have the name"))
    );
    let without = "[[route]]\nindex = 'a'\n[[route]]\nsource = 'b'\nindex = 'b'\n";
    only(&two("name = 'b'\ntable = 'bbb'", without), "route[0]", "source is missing");
    let unknown = "[[route]]\nsource = 'c'\nindex = 'a'\n[[route]]\nsource = 'b'\nindex = 'b'\n";
    only(&two("name = 'b'\ntable = 'bbb'", unknown), "route[0].source", "sources: a, b");
    let shared = "[[route]]\nsource = 'a'\nindex = 'a'\n[[route]]\nsource = 'b'\nindex = 'a'\n";
    only(&two("name = 'b'\ntable = 'bbb'", shared), "route[1].index", "two sources write to \"a\"");
    let unused = "[[route]]\nsource = 'a'\nindex = 'a'\n";
    only(&two("name = 'b'\ntable = 'bbb'", unused), "route", "no route for the source \"b\"");
    only(&format!("source = []\n{OPENSEARCH}{ROUTE}"), "source", "at least one");
}

#[test]
fn opensearch() {
    only(&format!("{SOURCE}{ROUTE}"), "opensearch", "missing");
    only(&with_opensearch(""), "opensearch.url", "missing");
    only(&with_opensearch("url = 'search.example'"), "opensearch.url", "not an address");
    only(&with_opensearch("url = 'ftp://search.example'"), "opensearch.url", "http://");
    only(&with_opensearch("url = 'https://a:b@search.example'"), "opensearch.url", "cannot hold credentials");
    only(&with_opensearch("url = 'https://search.example'\ntls_verify = false"), "opensearch.tls_verify", "loopback");
    assert!(parse(&with_opensearch("url = 'https://127.0.0.1'\ntls_verify = false")).is_ok());
    let valued = |line: &str| with_opensearch(&format!("url = 'https://search.example'\n{line}"));
    only(&valued("max_batch_bytes = '9.6MiB'"), "opensearch.max_batch_bytes", "9.5MiB");
    assert!(parse(&valued("max_batch_bytes = '9.5MiB'")).is_ok());
    only(&valued("max_batch_bytes = '5 megs'"), "opensearch.max_batch_bytes", "\"5MiB\"");
    only(&valued("max_batch_operations = 0"), "opensearch.max_batch_operations", "1 to 10000");
    only(&valued("max_concurrent_requests = -1"), "opensearch.max_concurrent_requests", "out of range");
    only(&valued("request_timeout = '60'"), "opensearch.request_timeout", "not a duration");
    only(&valued("request_timeout = 60"), "opensearch.request_timeout", "expected a duration");
    only(&valued("compression = 'zstd'"), "opensearch.compression", "\"gzip\", \"none\"");
}

#[test]
fn the_margin_of_the_lambda_function() {
    only(&with("[lambda]\ndeadline_margin = '6m'"), "lambda.deadline_margin", "out of range");
    only(&with("[lambda]\nmargin = '6s'"), "lambda.margin", "unknown key");
}

#[test]
fn where_probes_and_metrics_are_served() {
    for bad in ["9464", ":9464", "127.0.0.1", "localhost:9464", "127.0.0.1:99999"] {
        only(&with(&format!("[http]\nlisten = '{bad}'")), "http.listen", "not an address with a port");
    }
}

#[test]
fn authentication() {
    let auth =
        |auth: &str| with_opensearch(&format!("url = 'https://x.eu-west-1.es.amazonaws.com'\nauth = {{ {auth} }}"));
    only(&auth("username = 'u'"), "opensearch.auth.kind", "missing");
    only(&auth("kind = 'sigv5'"), "opensearch.auth.kind", "did you mean \"sigv4\"");
    only(&auth("kind = 'basic', password_env = 'P'"), "opensearch.auth.username", "missing");
    only(
        &auth("kind = 'basic', username = 'u'"),
        "opensearch.auth",
        "password_env, a file in password_file, or the ARN",
    );
    only(
        &auth("kind = 'basic', username = 'u', password_env = 'P', password_file = 'p'"),
        "opensearch.auth.password_file",
        "exclude",
    );
    only(
        &auth("kind = 'basic', username = 'u', password_env = 'P', password_secret = 'p'"),
        "opensearch.auth.password_secret",
        "password_env and password_secret exclude",
    );
    for wrong in [
        "search",
        "arn:aws:secretsmanager:eu-west-1:123456789012:search",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:search-Ab12Cd:password::",
        "arn:aws:secretsmanager::123456789012:secret:search",
        "arn:aws:ssm:eu-west-1:123456789012:secret:search",
    ] {
        let secret = auth(&format!("kind = 'basic', username = 'u', password_secret = '{wrong}'"));
        only(&secret, "opensearch.auth.password_secret", "not the ARN of a secret");
    }
    only(
        &auth("kind = 'basic', username = 'u', password_env = 'P', service = 'es'"),
        "opensearch.auth.service",
        "sigv4",
    );
    only(&auth("kind = 'sigv4', username = 'u'"), "opensearch.auth.username", "basic");
    only(&auth("kind = 'sigv4', service = 'aoss'"), "opensearch.auth.service", "set service = \"es\"");
    only(&auth("kind = 'sigv4', region = 'us-east-1'"), "opensearch.auth.region", "this host is in eu-west-1");
    let inline = problems_of(&auth("kind = 'basic', username = 'u', password = 'hunter2', password_env = 'P'"));
    assert_eq!(inline.len(), 1);
    assert!(!inline[0].to_string().contains("hunter2"), "{}", inline[0]);
}

#[test]
fn routes() {
    only(&format!("{SOURCE}{OPENSEARCH}"), "route", "missing");
    only(&format!("route = []\n{SOURCE}{OPENSEARCH}"), "route", "at least one route");
    only(&format!("{SOURCE}{OPENSEARCH}[route]\nindex = 'app'"), "route", "[[route]]");
    only(&with_route(""), "route[0].index", "missing");
    for bad in ["Sessions", "_x", "a b", "x-live", "x-000001", "", "x-{y", "x-{}", "{y}-live"] {
        let problems = problems_of(&with_route(&format!("index = '{bad}'")));
        assert_eq!(
            problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
            ["route[0].index"],
            "{bad}: {problems:#?}"
        );
    }
    only(&with_route("index = 'x-{a.b}'"), "route[0].index", "name a whole attribute");
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    only(&route("id = []"), "route[0].id", "without attributes");
    only(&route("id = ['a', 'b', 'c']"), "route[0].id", "partition key");
    only(&route("id = ['a', 'a']"), "route[0].id[1]", "given twice");
    only(&route("id = ['a']\nrouting = 'b'"), "route[0].routing", "name one of a");
    only(&route("id_form = 'hashed'"), "route[0].id_form", "did you mean \"hash\"");
    only(&route("exclude = ['address..street']"), "route[0].exclude[0]", "cannot be empty");
    only(&route("include = ['a\\b']"), "route[0].include[0]", "write a dot inside a name");
    only(&route("include = 'a'"), "route[0].include", "expected an array, found a string");
}

#[test]
fn the_shape_of_documents() {
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    let ttl = "ttl = { attribute = 't' }";
    only(&route("as_json = ['a', 'a']"), "route[0].as_json[1]", "given twice");
    only(&route("dots = 'split'"), "route[0].dots", "\"keep\", \"expand\", \"underscore\"");
    only(&route(&format!("dates = ['t']\n{ttl}")), "route[0].dates[0]", "the TTL attribute");
    only(&route(&format!("as_json = ['t']\n{ttl}")), "route[0].as_json[0]", "the TTL attribute");
    only(&route("dates = ['a.b']\nas_json = ['a']"), "route[0].dates[0]", "the text of its JSON");
    only(&route("set = { a = {} }"), "route[0].set.a", "give one of: from; value; lat and lon");
    only(&route("set = { a = { from = 'b', value = 1 } }"), "route[0].set.a", "only one source");
    only(&route("set = { a = { lat = 'b' } }"), "route[0].set.a.lon", "missing");
    only(&route("set = { a = { value = 1, after = 'x' } }"), "route[0].set.a.after", "needs from");
    only(&route("set = { a = { from = 'b', after = '' } }"), "route[0].set.a.after", "is empty");
    only(&route("set = { a = { from = 'b.' } }"), "route[0].set.a.from", "cannot be empty");
    only(
        &route("set = { a = { value = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF } }"),
        "route[0].set.a.value",
        "out of range",
    );
    only(&route("include = ['t.x']\nttl = { attribute = 't' }"), "route[0].ttl.attribute", "not in the document");
    only(&route("set = { _id = { value = 1 } }"), "route[0].set._id", "reserves");
    only(&route("set = { b = { value = 1 } }\nrename = { a = 'b' }"), "route[0].set.b", "set overwrites that field");
    only(&route(&format!("set = {{ t = {{ value = 1 }} }}\n{ttl}")), "route[0].ttl.attribute", "not in the document");
    let archive = "ttl = { attribute = 't', on_expiry = 'archive', archive_index = 'old' }";
    only(
        &route(&format!("set = {{ expired_at = {{ value = 1 }} }}\n{archive}")),
        "route[0].set.expired_at",
        "when they expired",
    );
}

#[test]
fn renames() {
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    only(&route("rename = { a = 'c', b = 'c' }"), "route[0].rename.b", "\"a\" is renamed to \"c\" too");
    only(&route("rename = { a = 'b' }\nid = ['b']"), "route[0].rename.a", "the attribute \"b\" has this field's name");
    only(&route("rename = { a = '_id' }"), "route[0].rename.a", "reserves");
    only(&route("rename = { a = 'b.c' }"), "route[0].rename.a", "name a whole attribute");
    only(&route("rename = { 'a.b' = 'c' }"), "route[0].rename.\"a.b\"", "name a whole attribute");
    let archive = "ttl = { attribute = 't', on_expiry = 'archive', archive_index = 'old' }";
    only(&route(&format!("rename = {{ t = 'expired_at' }}\n{archive}")), "route[0].rename.t", "when they expired");
    assert!(parse(&route("rename = { a = 'b', b = 'a' }\nid = ['a', 'b']")).is_ok());
}

#[test]
fn conditions() {
    let when = |when: &str| with_route(&format!("index = 'app'\nwhen = {when}"));
    only(&when("{ equals = 'x' }"), "route[0].when.attribute", "missing");
    only(&when("{ attribute = 'a' }"), "route[0].when", "without a test");
    only(
        &when("[{ attribute = 'a', exists = true }, { attribute = 'a', equals = 1, exists = true }]"),
        "route[0].when[1]",
        "several tests",
    );
    only(&when("{ attribute = 'a', equals = [1] }"), "route[0].when.equals", "found an array");
    only(&when("{ attribute = 'a', equals = nan }"), "route[0].when.equals", "found a float");
    only(&when("{ attribute = 'a', one_of = [] }"), "route[0].when.one_of", "an empty list");
    only(&when("{ attribute = 'a', one_of = [[1]] }"), "route[0].when.one_of[0]", "found an array");
    only(&when("{ attribute = 'a', like = 'x' }"), "route[0].when.like", "write equals = \"x\"");
    only(&when("{ attribute = 'a', like = 'x*', one_of = ['x'] }"), "route[0].when", "several tests");
    only(&when("{ attribute = 'a.b', exists = true }"), "route[0].when.attribute", "name a whole attribute");
    assert!(parse(&when("{ attribute = 'a', one_of = ['x', 1, true] }")).is_ok());
    only(&when("'kind = order'"), "route[0].when", "expected a table, or an array of tables");
}

#[test]
fn time_to_live() {
    let route = |line: &str| with_route(&format!("index = 'app'\n{line}"));
    let archive = "on_expiry = 'archive', archive_index = ";
    only(&route("ttl = { on_expiry = 'delete' }"), "route[0].ttl.attribute", "missing");
    only(&route("ttl = 'expires_at'"), "route[0].ttl", "expected a table, found a string");
    only(&route("ttl = { attribute = 't' }\nexclude = ['t']"), "route[0].ttl.attribute", "not in the document");
    only(&route("ttl = { attribute = 't' }\ninclude = ['a']"), "route[0].ttl.attribute", "not in the document");
    only(&route("ttl = { attribute = 't', on_expiry = 'archive' }"), "route[0].ttl.archive_index", "missing");
    only(
        &route("ttl = { attribute = 't', archive_index = 'old' }"),
        "route[0].ttl.archive_index",
        "nothing is archived",
    );
    only(
        &route(&format!("ttl = {{ attribute = 't', {archive} 'app' }}")),
        "route[0].ttl.archive_index",
        "the live index",
    );
    only(
        &route(&format!("ttl = {{ attribute = 't', {archive} 'old-{{a}}' }}")),
        "route[0].ttl.archive_index",
        "placeholders",
    );
    let other = format!(
        "ttl = {{ attribute = 't', {archive} 'b' }}\n[[route]]\nindex = 'b'\nwhen = {{ attribute = 'a', exists = true }}"
    );
    let problems = problems_of(&route(&other));
    assert_eq!(
        problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
        ["route[0].ttl.archive_index"]
    );
}

#[test]
fn routes_that_share_an_index() {
    let second =
        |line: &str| with(&format!("when = {{ attribute = 'k', equals = 1 }}\n[[route]]\nindex = 'app'\n{line}"));
    assert!(parse(&second("")).is_ok());
    only(&second("id_form = 'hash'"), "route[1].index", "route[0] writes to \"app\" too");
    only(&second("id = ['a']"), "route[1].index", "the same id, id_form and routing");
}

#[test]
fn indices() {
    only(&with("[index.apq]\n"), "index.apq", "indices of the routes: app");
    only(&with("[index.app]\ngeneration = 0"), "index.app.generation", "1 to 999999");
    only(&with("[index.app]\ngeneration = 1000000"), "index.app.generation", "1 to 999999");
    only(&with("[index.app]\nmanage = 'auto'"), "index.app.manage", "\"create\", \"check\", \"never\"");
    only(&with("[index.app]\nmapping_file = 'none.json'"), "index.app.mapping_file", "relative to the folder");
    only(&with("[index.app]\nsettings = { a = 1979-05-27 }"), "index.app.settings.a", "JSON has no such value");
    only(&with("[index]\napp = 1"), "index.app", "expected a table");
}

#[test]
fn mapping_files_are_read_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("[index.app]\nmapping_file = 'app.json'");
    let load = |json: &str| {
        std::fs::write(folder.path().join("app.json"), json).unwrap();
        std::fs::write(folder.path().join("streamdex.toml"), &text).unwrap();
        Config::load(&folder.path().join("streamdex.toml"))
    };
    let config = load(r#"{ "properties": { "a": { "type": "keyword" } } }"#).unwrap().config;
    assert!(config.indices["app"].mapping.as_ref().unwrap().contains_key("properties"));
    for (json, part) in
        [("[]", "not a JSON object"), ("{", "not valid JSON: line 1"), (r#"{"mappings":{}}"#, "wrapped")]
    {
        assert!(load(json).unwrap_err().to_string().contains(part), "{json}");
    }
    let missing = Config::load(&folder.path().join("none.toml")).unwrap_err();
    assert!(missing.hint().contains("--config") && missing.problems().is_empty());
}

#[test]
fn state_and_dead_letters() {
    only(&with("[state]\ntable = 'x'"), "state.table", "3 to 255");
    only(&with("[state]\ngroup = 'a b'"), "state.group", "letters");
    only(&with("[dead_letter]\nkind = 'file'"), "dead_letter.path", "missing");
    only(&with("[dead_letter]\npath = 'x'"), "dead_letter.path", "set kind = \"file\"");
    only(&with("[aws]\nexternal_id = 'x'"), "aws.external_id", "role_arn");
    only(&with("[metrics]\nport = 1"), "metrics", "known here: aws, source");
    only(&with("[opensaerch]\nurl = 'x'"), "opensaerch", "did you mean \"opensearch\"");
}

#[test]
fn warnings() {
    let hidden = warned(&with("[[route]]\nindex = 'app'\nwhen = { attribute = 'a', exists = true }\n"));
    assert_eq!(hidden.len(), 1);
    assert_eq!(hidden[0].0, "route[1]");
    assert!(hidden[0].1.contains("route[0] takes all its items"), "{hidden:?}");
    let unused = warned(&with("[index.app]\nmanage = 'never'\ngeneration = 2\n"));
    assert_eq!(unused[0].0, "index.app.generation");
    let plain = warned(&with_opensearch("url = 'http://search.example'\nauth = { kind = 'sigv4' }"));
    assert_eq!(plain[0].0, "opensearch.auth");
}

#[test]
fn variables_name_indices_on_both_sides() {
    let text =
        format!("{SOURCE}{OPENSEARCH}[[route]]\nindex = 'app-${{STAGE}}'\n[index.'app-${{STAGE}}']\ngeneration = 2");
    let env = |name: &str| (name == "STAGE").then(|| "test".to_owned());
    let config = Config::parse(&text, Path::new(""), &env).unwrap().config;
    assert_eq!(config.indices["app-test"].generation, 2);
    assert_eq!(config.sources[0].routes[0].index.text(), "app-test");
}

#[test]
fn values_of_the_environment_are_never_quoted() {
    let env = |_: &str| Some("hunter2".to_owned());
    let text = "[source]\ntable = '${A} '\nstart = '${A}'\n[opensearch]\nurl = '${A}'\nrequest_timeout = '${A}'\nauth = { kind = '${A}' }\nmax_batch_bytes = '${A}'\n";
    let error = Config::parse(text, Path::new(""), &env).unwrap_err();
    assert!(error.problems().len() >= 6, "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

//! `check --online`: what is ready passes, and each thing that is wrong is a line that names it.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, SseSpecification,
    SseType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::engines::{dynamodb_client, unique_name};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use streamdex_testkit::report::moto;
use streamdex_testkit::workload::Item;

use crate::lab::{CONFIG, Lab, text};

/// The lines of one check.
#[derive(Debug)]
struct Checked {
    status: i32,
    lines: Vec<Value>,
}

impl Checked {
    async fn of(lab: &Lab, env: &[(&str, &str)]) -> Checked {
        let ended = lab.end_with(&["check", "--online", "--json"], env).await;
        let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
        Checked { status: ended.status, lines: said["lines"].as_array().unwrap().clone() }
    }

    /// The lines in this state, as text.
    fn in_state(&self, state: &str) -> Vec<String> {
        self.lines.iter().filter(|line| line["state"] == state).map(ToString::to_string).collect()
    }

    fn has(&self, state: &str, parts: &[&str]) -> bool {
        self.in_state(state).iter().any(|line| parts.iter().all(|part| line.contains(part)))
    }
}

async fn put(lab: &Lab, user: &str, city: &str) {
    let item: Item = [("user_id", user), ("session_id", "s1"), ("city", city)]
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into();
    lab.put(item).await;
}

/// Takes the TTL of the route away, which the emulator's table does not have.
fn without_ttl(lab: &Lab) {
    let config = lab.read_file(CONFIG);
    let lines: Vec<&str> = config.lines().filter(|line| !line.starts_with("ttl")).collect();
    lab.write_file(CONFIG, &lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ready_passes_before_and_after_the_first_run() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    put(&lab, "a", "Cork").await;
    let before = Checked::of(&lab, &[]).await;
    assert_eq!((before.status, before.in_state("failed")), (0, vec![]), "{before:#?}");
    assert!(before.has("passed", &["does not exist yet; the first write"]), "{before:#?}");
    assert!(before.has("passed", &["state table", "in an emulator `run` creates it"]), "{before:#?}");
    assert!(before.has("passed", &["read the stream", "GetRecords"]), "{before:#?}");
    assert!(before.has("passed", &["sampled items", "1 read, 1 produce documents"]), "{before:#?}");
    assert_eq!(lab.end(&["run", "--until-end"]).await.status, 0);
    let after = Checked::of(&lab, &[]).await;
    assert_eq!((after.status, after.in_state("failed")), (0, vec![]), "{after:#?}");
    assert!(
        after.has("passed", &["write to", "allowed: index and delete, new fields, reading its UUID"]),
        "{after:#?}"
    );
    assert!(after.has("passed", &["state table", "ConditionCheckItem", "UpdateItem"]), "{after:#?}");
    assert!(after.has("passed", &["OpenSearch 3."]), "{after:#?}");
    // Nothing was changed by it.
    let (_, counted) = lab.ask(Method::Get, &format!("{}/_count", lab.concrete())).await;
    assert_eq!(counted["count"], 1, "{counted}");
    let verified = lab.end(&["verify", "--full", "--lag", "0"]).await;
    assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
    let shown = lab.end(&["check", "--online"]).await;
    assert!(shown.stdout.contains(" 0 failed"), "{}", shown.stdout);
}

fn to(path: &'static str) -> Rule {
    Rule::when(move |request| request.path.starts_with(path))
}

/// A map, where others have a text.
fn mixed() -> AttributeValue {
    AttributeValue::M([("name".to_owned(), text("Cork"))].into())
}

/// As DynamoDB refuses.
fn denied(operation: &'static str) -> Rule {
    let body = json!({
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": format!("User: arn:aws:iam::000000000000:user/u is not authorized to perform: dynamodb:{operation}"),
    });
    Rule::when(move |request| request.operation() == Some(operation)).answer(Reply::json(400, body.to_string()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_action_of_run_that_is_denied_is_a_failed_line() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    put(&lab, "a", "Cork").await;
    assert_eq!(lab.end(&["run", "--until-end"]).await.status, 0);
    let proxy = FaultServer::in_front_of(&lab.endpoint);
    let config = lab.read_file(CONFIG).replace(&lab.endpoint, &proxy.url());
    lab.write_file(CONFIG, &config);
    let policy = lab.end(&["iam-policy", "--for", "run", "--account", "000000000000"]).await;
    let policy: Value = serde_json::from_str(&policy.stdout).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    let mut actions: Vec<String> = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    actions.sort_unstable();
    actions.dedup();
    assert_eq!(actions.len(), 12, "{actions:?}");
    for action in actions {
        let name = action.strip_prefix("dynamodb:").unwrap().to_owned().leak();
        let rule = proxy.add(denied(if name == "ConditionCheckItem" { "TransactWriteItems" } else { name }));
        let checked = Checked::of(&lab, &[]).await;
        assert!(checked.status == 1 && checked.has("failed", &[name, "streamdex iam-policy"]), "{name}: {checked:#?}");
        proxy.remove(rule);
    }
    // What only the check asks for is not needed, and the command that shows it is printed.
    proxy.add(denied("DescribeTimeToLive"));
    let checked = Checked::of(&lab, &[]).await;
    assert_eq!(checked.status, 0, "{checked:#?}");
    assert!(checked.has("unknown", &["aws dynamodb describe-time-to-live --table-name"]), "{checked:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_named_with_what_to_do() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewImage).await else { return };
    put(&lab, "a", "Cork").await;
    let good = lab.read_file(CONFIG);
    let search = FaultServer::in_front_of(lab.node());
    let by_proxy = good.replace(lab.node(), &search.url());
    let when = "[[route]]\nwhen = { attribute = \"kind\", exists = true }\n";
    let rows = [
        (good.replace("table = \"", "table = \"no-"), "failed", &["table no-", "check the table's name"][..]),
        (good.replace("[[route]]\n", when), "failed", &["NEW_IMAGE", "kind"]),
        (good.replace("[[route]]\n", "[[route]]\nroute = 1\n"), "failed", &["configuration", "unknown key"]),
        (good.replace("[state]\ntable = \"", "[state]\ntable = \"x-\""), "failed", &["configuration"]),
        (good.replace(lab.node(), "http://127.0.0.1:9"), "failed", &["OpenSearch at 127.0.0.1:9 cannot be reached"]),
        (good.replace(&lab.endpoint, "http://127.0.0.1:9"), "failed", &["table", "DescribeTable"]),
    ];
    for (config, state, parts) in rows {
        lab.write_file(CONFIG, &config);
        let checked = Checked::of(&lab, &[]).await;
        assert!(checked.status == 1 && checked.has(state, parts), "{parts:?}: {checked:#?}");
    }
    lab.write_file(CONFIG, &good);
    without_ttl(&lab);
    assert_eq!(lab.end(&["run", "--until-end"]).await.status, 0);
    lab.write_file(CONFIG, &by_proxy);
    let forbidden = json!({"error": {"type": "security_exception", "reason": "no permissions for [indices:data/write/bulk]"}, "status": 403});
    for (rule, state, parts) in [
        (Rule::bulk(), "failed", &["write to", "security_exception"][..]),
        (to("/_nodes/http"), "unknown", &["size of requests", "GET /_nodes/http"]),
        (to("/_plugins/_ism"), "unknown", &["GET /_plugins/_ism/explain/"]),
    ] {
        let rule = search.add(rule.answer(Reply::json(403, forbidden.to_string())));
        let checked = Checked::of(&lab, &[]).await;
        assert!(checked.has(state, parts), "{parts:?}: {checked:#?}");
        search.remove(rule);
    }
    lab.send(Method::Put, &format!("{}/_settings", lab.concrete()), json!({"index.gc_deletes": "60s"})).await;
    put(&lab, "b", "Cork").await;
    let mixed: Item = [("user_id", text("c")), ("session_id", text("s")), ("city", mixed())]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    lab.put(mixed).await;
    let checked = Checked::of(&lab, &[]).await;
    assert!(checked.has("warned", &["index.gc_deletes"]), "{checked:#?}");
    assert!(
        checked.has("warned", &["a map or a boolean in some items and another type in others, in: city", "as_json"]),
        "{checked:#?}"
    );
}

/// On moto, which has accounts, keys and functions: what is asked of AWS alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_in_an_account_has_its_encryption_recovery_and_readers_looked_at() {
    let Some(moto) = moto().await else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let (client, table) = (dynamodb_client(&moto.endpoint_url()), unique_name("checked"));
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let made = client
        .create_table()
        .table_name(&table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(["user_id", "session_id"].map(attribute).into()))
        .set_key_schema(Some(vec![key("user_id", KeyType::Hash), key("session_id", KeyType::Range)]))
        .stream_specification(stream.build().unwrap())
        .sse_specification(SseSpecification::builder().enabled(true).sse_type(SseType::Kms).build());
    made.send().await.unwrap();
    let expires = TimeToLiveSpecification::builder().enabled(true).attribute_name("ends").build().unwrap();
    client.update_time_to_live().table_name(&table).time_to_live_specification(expires).send().await.unwrap();
    let config = lab.read_file(CONFIG).replace(&lab.endpoint, &moto.endpoint_url());
    lab.write_file(
        CONFIG,
        &config.replace(&format!("table = \"{}\"\n", lab.table.name), &format!("table = \"{table}\"\n")),
    );
    let checked = Checked::of(&lab, &[("AWS_ENDPOINT_URL_LAMBDA", &moto.endpoint_url())]).await;
    for (state, parts) in [
        ("passed", &["encryption of", "iam-policy --source-key arn:aws:kms:"][..]),
        ("warned", &["recovery of", "point-in-time recovery is off"]),
        ("passed", &["functions on the stream", "none"]),
        ("failed", &["expiry in", "items expire at ends, but a route says expires_at"]),
        ("failed", &["state table", "streamdex state create"]),
    ] {
        assert!(checked.has(state, parts), "{parts:?}: {checked:#?}");
    }
    let denied = Checked::of(&lab, &[("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")]).await;
    assert!(denied.has("unknown", &["aws lambda list-event-source-mappings --event-source-arn"]), "{denied:#?}");
}

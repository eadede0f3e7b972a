//! `replay s3://…`: what Lambda gave up comes back, and nothing else is touched.

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use streamdex_testkit::report::moto;

use super::program::Ended;
use crate::lab::buckets::Bucket;
use crate::lab::event::{event, insert};
use crate::lab::{CONFIG, Lab, text};

/// As Lambda names its objects, but for a sign that must be escaped.
const PREFIX: &str = "aws/lambda/4b9a+c1 d2/shardId-1/2026/11/28/";

/// What Lambda lays into the bucket.
fn given_up(records: &[String]) -> String {
    let context = json!({"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3});
    json!({"requestContext": context, "version": "1.0", "payload": event(records)}).to_string()
}

async fn replay(lab: &Lab, endpoint: &str, arguments: &[&str]) -> Ended {
    lab.end_with(&[&["replay", "--json"], arguments].concat(), &[("AWS_ENDPOINT_URL_S3", endpoint)]).await
}

/// Writes the item that a record of this position was about, as it is now.
async fn put(lab: &Lab, position: u64) {
    let session = position.to_string();
    let attributes = [("user_id", "user"), ("session_id", &session), ("city", "Turku")];
    lab.put(attributes.map(|(name, value)| (name.to_owned(), text(value))).into()).await;
}

async fn found(lab: &Lab, user: &str, session: u64) -> Option<Value> {
    let (status, document) = lab.ask(Method::Get, &format!("{}/_doc/{user}%7C{session}", lab.index)).await;
    (status == 200).then(|| document["_source"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lambda_gave_up_is_replayed_and_removed_and_the_rest_stays() {
    let Some(moto) = moto().await else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let bucket = Bucket::new(&moto).await;
    let arn = &lab.table.stream_arn;
    let record = |position: u64| insert(arn, position, "user", r#""city":{"S":"Cork"}"#);
    // The table goes on: what was given up is old, and one item is gone.
    for position in (1_001..1_008).chain([1_100]) {
        put(&lab, position).await;
    }
    for position in 1_001..1_008 {
        bucket.put(&format!("{PREFIX}ü {position}.json"), &given_up(&[record(position), record(position + 7)])).await;
    }
    // More than an invocation of the function takes.
    let large = insert(arn, 1_100, "user", &format!(r#""page":{{"S":"{}"}}"#, "ten bytes ".repeat(1_000_000)));
    bucket.put(&format!("{PREFIX}large.json"), &given_up(&[large])).await;
    let strangers = [
        "empty.json",
        "export.json",
        "log.json",
        "of-another-account.json",
        "of-another-table.json",
        "other.json",
        "text",
    ]
    .map(|name| format!("{PREFIX}{name}"));
    let texts = [
        String::new(),
        r#"{"Item":{"user_id":{"S":"user"},"session_id":{"S":"1001"}}}"#.to_owned(),
        format!("{}\nanother line\n", record(1_001)),
        given_up(&[record(1_200).replace(":000000000000:table", ":111111111111:table")]),
        given_up(&[record(1_200).replace(&lab.table.name, "another")]),
        r#"{"payload":"order 17 confirmed"}"#.to_owned(),
        "not a record\n".to_owned(),
    ];
    for (stranger, text) in strangers.iter().zip(&texts) {
        bucket.put(stranger, text).await;
    }
    bucket.put(PREFIX, "").await;
    bucket.put("elsewhere/1.json", &given_up(&[record(1_300)])).await;
    let address = format!("s3://{}/aws/lambda/", bucket.name);

    let kept = replay(&lab, &moto.endpoint_url(), &[&address]).await;
    assert_eq!(kept.status, 1, "{}", kept.stderr);
    assert_eq!(kept.summary()["records"], 15, "{}", kept.stderr);
    assert!(kept.stderr.contains("8 objects replayed, 0 removed, 7 left, 0 failed"), "{}", kept.stderr);
    for stranger in &strangers {
        assert!(kept.stderr.contains(&format!("s3://{}/{stranger}", bucket.name)), "{stranger}: {}", kept.stderr);
    }
    assert_eq!(bucket.keys().await.len(), 17);

    // What is left of one prefix keeps nobody from the next one.
    let elsewhere = format!("s3://{}/elsewhere/", bucket.name);
    put(&lab, 1_300).await;
    let removed = replay(&lab, &moto.endpoint_url(), &[&address, &elsewhere, "--remove"]).await;
    assert_eq!(removed.status, 1, "{}", removed.stderr);
    let outcomes = &removed.summary()["outcomes"];
    assert_eq!((&removed.summary()["records"], &outcomes["dead_lettered"]), (&16.into(), &0.into()), "{outcomes}");
    let mut left: Vec<String> = strangers.to_vec();
    left.push(PREFIX.to_owned());
    left.sort();
    assert_eq!(bucket.keys().await, left, "{}", removed.stderr);
    for (session, city) in
        [(1_001, Some("Turku")), (1_007, Some("Turku")), (1_100, Some("Turku")), (1_014, None), (1_300, Some("Turku"))]
    {
        let document = found(&lab, "user", session).await;
        assert_eq!(document.as_ref().and_then(|document| document["city"].as_str()), city, "{session}");
    }
    for stranger in &strangers {
        bucket.remove(stranger).await;
    }
    let nothing = replay(&lab, &moto.endpoint_url(), &[&address, "--remove"]).await;
    assert_eq!((nothing.status, nothing.summary()["records"].as_u64()), (0, Some(0)), "{}", nothing.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_stays_until_all_of_its_records_are_decided() {
    let Some(moto) = moto().await else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let bucket = Bucket::new(&moto).await;
    let record = |position: u64, attributes: &str| insert(&lab.table.stream_arn, position, "user", attributes);
    put(&lab, 1_001).await;
    bucket.put("1.json", &given_up(&[record(1_001, "")])).await;
    bucket.put("2.json", &given_up(&[record(1_002, "").replace(r#""Keys""#, r#""Kays""#)])).await;
    let address = format!("s3://{}", bucket.name);
    // OpenSearch answers all but bulk requests.
    let away = FaultServer::in_front_of(lab.node());
    away.add(Rule::bulk().answer(Reply::json(503, "{}")));
    lab.configure(&away.url(), "", "");
    let undecided = replay(&lab, &moto.endpoint_url(), &[&address, "--remove"]).await;
    assert_eq!(undecided.status, 3, "{}", undecided.stderr);
    assert_eq!(bucket.keys().await, ["1.json", "2.json"], "{}", undecided.stderr);
    lab.configure(lab.node(), "", "");
    // A dead letter that does not tell its item cannot be healed: the object is all that there is of it.
    let decided = replay(&lab, &moto.endpoint_url(), &[&address, "--remove"]).await;
    assert_eq!((decided.status, bucket.keys().await), (1, vec!["2.json".to_owned()]), "{}", decided.stderr);
    assert_eq!(decided.summary()["outcomes"]["dead_lettered"], 1, "{}", decided.stdout);
    // Nor is one that goes to a file of this machine.
    let file = "\n[dead_letter]\nkind = \"file\"\npath = \"letters.ndjson\"\n";
    lab.write_file(CONFIG, &format!("{}{file}", lab.read_file(CONFIG)));
    let refused = replay(&lab, &moto.endpoint_url(), &[&address, "--remove"]).await;
    assert!(refused.status == 2 && refused.stderr.contains("dead letters go to a file"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_of_a_bucket_in_vain_is_told_with_a_remedy() {
    let Some(moto) = moto().await else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    lab.write_file("event.json", &event(&[]));
    let rows: [(&[&str], i32, &str); 5] = [
        (&["s3://no-such-bucket-here/a"], 3, "NoSuchBucket"),
        (&["s3:///a"], 2, "does not name a bucket"),
        (&["s3://b/a", "--images"], 2, "omit --images"),
        (&["event.json", "--remove"], 2, "works only on S3 objects"),
        (&["event.json", "--remove", "--images"], 2, "cannot be used with"),
    ];
    for (arguments, status, expected) in rows {
        let ended = replay(&lab, &moto.endpoint_url(), arguments).await;
        assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
    let nobody = replay(&lab, "http://127.0.0.1:9", &["s3://bucket/a"]).await;
    assert!(nobody.status == 3 && nobody.stderr.contains("the way to S3"), "{}", nobody.stderr);
}

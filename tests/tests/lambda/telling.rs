//! What the function tells: logs, errors of the start, and nothing of what the items hold.

use serde_json::Value;
use streamdex_testkit::fault::{ItemError, Rule};
use streamdex_testkit::lambda::Answer;

use super::function::{AMPLE, Bench, wanted_again};
use super::stream::{altered, event};
use crate::lab::CONFIG;

const SECRET: &str = "zqvalsecret7x";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_json_with_both_ids_and_without_contents() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let mut records = bench.stream.put_small(6, SECRET);
    records[1] = altered(&records[1], r#""note":{"S":"#, r#""note":{"X":"#);
    let note = format!(r#""note":{{"S":"{SECRET}"}}"#);
    let mixed = format!(r#""mixed":{{"L":[{{"N":"1"}},{{"M":{{"a":{{"S":"{SECRET}"}}}}}}]}}"#);
    records[2] = altered(&records[2], &note, &mixed);
    let refused = || ItemError::new(429, "rejected_execution_exception").reason(SECRET);
    bench.front.add(Rule::bulk().times(1).withhold_items(refused(), |place, _| place == 0));
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    assert_eq!(bench.letters().await.len(), 2);
    bench.front.add(Rule::bulk().withhold_items(refused(), |_, _| true));
    // By hand, so that an error goes to the caller.
    let by_hand = format!("[{}]", records[0].json);
    bench.lab.put(bench.stream.items.values().next().unwrap().clone()).await;
    let failed = sandbox.invoke(by_hand, std::time::Duration::from_secs(4)).await;
    assert!(matches!(failed.answer, Answer::Error(_)), "{failed:?}");
    let log = sandbox.log();
    assert!(!log.contains(SECRET) && !log.contains("user-000000"), "{log}");
    assert!(!failed.answer.error().message.contains(SECRET), "{failed:?}");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let warnings: Vec<&Value> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    assert!(!warnings.is_empty(), "{log}");
    for warning in warnings {
        let text = warning.to_string();
        assert!(text.contains(&invocation.request_id) || text.contains(&failed.request_id), "{text}");
        assert!(text.contains("1-5759e988-bd862e3fe1be46a994272793"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_is_told_with_all_its_problems() {
    let Some(bench) = Bench::new().await else { return };
    bench.reconfigure("[source]\ntable", "[source]\ntabel");
    bench.reconfigure("[state]\n", "[state]\nnonsense = 1\n");
    let mut sandbox = bench.sandbox().await;
    let invocation = sandbox.invoke(r#"{"Records":[]}"#, AMPLE).await;
    assert!(matches!(invocation.answer, Answer::Crashed(_)), "{invocation:?}");
    let error = sandbox.init_error().expect("an error of the start");
    for word in ["tabel", "nonsense", CONFIG, "hint"] {
        assert!(error.message.contains(word), "{word} is not in {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_configuration_may_be_a_text_and_a_large_one_is_sent_to_a_file() {
    let Some(mut bench) = Bench::new().await else { return };
    let text = bench.lab.read_file(CONFIG);
    std::fs::remove_file(bench.lab.folder.path().join(CONFIG)).unwrap();
    let function = bench.lab.function().await.env("STREAMDEX_CONFIG", "");
    let mut sandbox = function.env("STREAMDEX_CONFIG_TOML", text.as_str()).start();
    let records = bench.stream.put_small(3, "by text");
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    bench.index_is_current("configured by text").await;

    let long = format!("{text}\n# {}", "x".repeat(3_100));
    let function = bench.lab.function().await.env("STREAMDEX_CONFIG", "");
    let mut sandbox = function.env("STREAMDEX_CONFIG_TOML", long).start();
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert!(matches!(invocation.answer, Answer::Crashed(_)), "{invocation:?}");
    let error = sandbox.init_error().expect("an error of the start");
    for word in ["4 KB", "zip", "layer"] {
        assert!(error.message.contains(word), "{word} is not in {error:?}");
    }
}

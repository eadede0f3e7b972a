//! `init`: what it writes is a configuration that works as it stands.

use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::Value;
use streamdex_testkit::workload::Item;

use super::program::Running;
use crate::lab::{CONFIG, Lab, number, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_init_writes_for_a_table_checks_runs_and_verifies() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    for user in 0..20 {
        for (session, kind) in [(format!("CART#{user}"), "city"), (format!("VISIT#{user}"), "page")] {
            let item: Item = [
                ("user_id", text(&format!("USER#{user}"))),
                ("session_id", text(&session)),
                (kind, text("Cork")),
                ("created_at", number("1770000000")),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
            lab.put(item).await;
        }
    }
    let init = async |more: &[&str]| {
        let known = ["init", "--table", &lab.table.name, "--region", "eu-west-1", "--endpoint-url", &lab.endpoint];
        let all = [&known[..], &["--opensearch", lab.node()], more].concat();
        Running::start(lab.folder.path(), &format!("init{}", more.concat()), &all, &[])
            .await
            .ended(crate::lab::LONG)
            .await
    };
    let refused = init(&[]).await;
    assert!(refused.status == 2 && refused.stderr.contains("exists already"), "{}", refused.stderr);
    let written = init(&["--force", "--json"]).await;
    assert_eq!(written.status, 0, "{}", written.stderr);
    let said: Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!((&said["file"], said["before"].as_array().map(Vec::len)), (&CONFIG.into(), Some(0)), "{said:#}");
    let config = lab.read_file(CONFIG);
    for part in ["starts_with = \"CART#\"", "starts_with = \"VISIT#\"", "dates = [\"created_at\"]", "after = \"USER#\""]
    {
        assert!(config.contains(part), "{part}\n{config}");
    }
    // Its own names in the shared engines.
    lab.write_file(CONFIG, &format!("{config}\n[state]\ntable = \"{}\"\n", lab.state));
    for command in [&["check", "--online"][..], &["run", "--until-end"], &["check", "--online"]] {
        let ended = lab.end(command).await;
        assert_eq!(ended.status, 0, "{command:?}: {}{}\n{config}", ended.stdout, ended.stderr);
    }
    let verified = lab.end(&["verify", "--full", "--lag", "0", "--json"]).await;
    assert_eq!(verified.status, 0, "{}{}", verified.stdout, verified.stderr);
    let printed = init(&["--output", "-"]).await;
    assert_eq!((printed.status, printed.stdout), (0, config), "{}", printed.stderr);
}

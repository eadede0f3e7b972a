//! Nothing listens: clear words, status 3, in bounded time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use streamdex_testkit::fault::{FaultServer, Reply, Rule};

use crate::{end, file, streamdex};

/// A configuration whose servers are all at a port where nobody listens.
fn nobody_listens() -> (tempfile::TempDir, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let text = format!(
        "[source]\ntable = 'sessions'\nendpoint_url = '{address}'\n[opensearch]\nurl = '{address}'\n[[route]]\nindex = 'sessions'\n"
    );
    file(folder.path(), "streamdex.toml", &text);
    (folder, address)
}

#[test]
fn commands_give_up() {
    let (folder, address) = nobody_listens();
    let host = address.trim_start_matches("http://");
    for (command, part) in
        [(["index", "plan"], host), (["state", "create"], "streamdex-state"), (["dlq", "list"], "streamdex-state")]
    {
        let started = Instant::now();
        let ended = end(streamdex(&command).args(["-c", "streamdex.toml"]).current_dir(folder.path()));
        assert_eq!((ended.status, ended.stdout.as_str()), (3, ""), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part) && ended.stderr.contains("\n  hint: "), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(host), "{command:?} does not name who was asked: {}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(30), "{command:?} took {:?}", started.elapsed());
    }
}

/// What a page of a web server, a load balancer or a login in place of OpenSearch is.
fn in_place_of_opensearch() -> Vec<Reply> {
    vec![
        Reply::html(200, "<html>Welcome"),
        Reply::html(404, "<html>Not Found"),
        Reply::json(200, "{}"),
        Reply::json(404, r#"{"message":"no Route matched with those values"}"#),
    ]
}

#[test]
fn a_web_page_is_no_opensearch() {
    for reply in in_place_of_opensearch() {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(reply.clone()));
        let (folder, nobody) = nobody_listens();
        let text = std::fs::read_to_string(folder.path().join("streamdex.toml")).unwrap();
        let opensearch = format!("url = '{}'", server.url());
        file(
            folder.path(),
            "streamdex.toml",
            &text.replace(&format!("\nurl = '{nobody}'"), &format!("\n{opensearch}")),
        );
        let record = r#"{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1700000000,"Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"}},"SequenceNumber":"100000000000000000001"}}"#;
        file(folder.path(), "records.ndjson", record);
        for command in [&["index", "plan"][..], &["replay", "--images", "records.ndjson"]] {
            let started = Instant::now();
            let ended = end(streamdex(command).args(["-c", "streamdex.toml"]).current_dir(folder.path()));
            assert_eq!((ended.status, ended.stdout.as_str()), (3, ""), "{command:?} {reply:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("this is not OpenSearch"), "{command:?} {reply:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("\n  hint: opensearch.url"), "{}", ended.stderr);
            assert!(started.elapsed() < Duration::from_secs(30), "{command:?} took {:?}", started.elapsed());
        }
    }
}

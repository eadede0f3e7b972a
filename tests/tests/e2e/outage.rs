//! OpenSearch is away, or does not let us in, for a while.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use streamdex_testkit::report::{dynamodb_local, needs};
use tokio::net::TcpSocket;

use super::program::lines;
use crate::lab::{LONG, Lab, Load};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_goes_on_when_the_node_was_killed() {
    let own = SearchNode::start(SearchEngine::OpenSearch3, NodeOptions::default()).await;
    let (Some(node), Some(dynamodb)) = (needs(SearchEngine::OpenSearch3.label(), own), dynamodb_local().await) else {
        return;
    };
    let node = std::sync::Arc::new(node);
    let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), StreamViewType::NewAndOldImages).await;
    let mut run = lab.start(&["run"]).await;
    let (mut writer, _) = Load::start(lab.writer(2)).stop().await;
    writer.write(50).await;
    lab.until_equal("before", || run.stderr()).await;
    for outage in 1..=2 {
        let load = Load::start(writer);
        tokio::time::sleep(Duration::from_millis(700)).await;
        node.kill();
        // A pause that comes again within a minute is said with the next reminder.
        let noticed = |log: &str| {
            let [paused, again] = ["paused: ", "still paused"].map(|text| lines(log, text).len());
            paused + again >= outage
        };
        run.until_logged("a pause", LONG, noticed).await;
        // Several attempts fall into this time; none may write a line.
        tokio::time::sleep(Duration::from_secs(4)).await;
        node.restart().await.unwrap();
        writer = load.stop().await.0;
        lab.until_equal(&format!("after outage {outage}"), || run.stderr()).await;
    }
    let log = run.stop().await.stderr;
    println!("{log}");
    let (paused, going_on) = (lines(&log, "paused: "), lines(&log, "going on"));
    // Unreachable, then perhaps up without its shards: a change of the reason is a line too.
    assert!((1..=6).contains(&paused.len()), "{log}");
    assert!((1..=8).contains(&going_on.len()), "{log}");
    assert!(lines(&log, " WARN ").len() <= 12, "{log}");
    assert_eq!(lines(&log, "ERROR").len(), 0, "{log}");
    lab.no_letters().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_waits_for_credentials_to_be_accepted() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let front = FaultServer::in_front_of(lab.node());
    lab.configure(&front.url(), "", "");
    let mut run = lab.start(&["run"]).await;
    let mut writer = lab.writer(5);
    writer.write(50).await;
    lab.until_equal("before", || run.stderr()).await;

    let load = Load::start(writer);
    let refusal = |status: u16| {
        let error = r#"{"type":"security_exception","reason":"Missing authentication information for REST request"}"#;
        Reply::json(
            status,
            format!(
                r#"{{"error":{{"root_cause":[{error}],"type":"security_exception","reason":"no"}},"status":{status}}}"#
            ),
        )
    };
    let refused = front.add(Rule::any().answer(refusal(401)));
    run.until_logged("a pause", LONG, |log| log.contains("paused: ")).await;
    let forbidden = front.add(Rule::any().answer(refusal(403)));
    front.remove(refused);
    // Attempts become rare, but do not end.
    let tried = front.wait_until(|_| front.hits(forbidden) > 1, LONG).await;
    run.must_run();
    assert!(tried, "nothing was tried while the credentials were refused");
    front.clear_rules();
    load.stop().await;
    lab.until_equal("after", || run.stderr()).await;
    let log = run.stop().await.stderr;
    println!("{log}");
    let paused = lines(&log, "paused: ");
    assert!(paused.iter().any(|line| line.contains("credentials")), "{log}");
    assert!((1..=3).contains(&paused.len()) && lines(&log, " WARN ").len() <= 8, "{log}");
    lab.no_letters().await;
}

/// An address that refuses connections: its port is taken, so that nobody else can, and not listened on.
fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_waits_for_a_node_that_is_down_at_the_start() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let front = FaultServer::in_front_of(lab.node());
    front.refuse();
    lab.configure(&front.url(), "", "");
    lab.fill(7, 20).await;
    let mut run = lab.start(&["run"]).await;
    let address = front.url().trim_start_matches("http://").to_owned();
    let said = |log: &str| lines(log, " WARN ").iter().any(|line| line.contains(&address));
    run.until_logged("a line that names the node", Duration::from_secs(30), said).await;
    let after_one = run.stderr();
    tokio::time::sleep(Duration::from_secs(8)).await;
    run.must_run();
    assert_eq!(lines(&run.stderr(), " WARN ").len(), lines(&after_one, " WARN ").len(), "{}", run.stderr());
    println!("{}", run.stop().await.stderr);

    let mut run = lab.start(&["run"]).await;
    run.until_logged("a line that names the node", Duration::from_secs(30), said).await;
    front.accept();
    lab.until_equal("after the node came up", || run.stderr()).await;
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_shot_commands_give_up_on_a_node_that_is_down() {
    let Some(dynamodb) = dynamodb_local().await else {
        return;
    };
    let (_held, nobody) = nobody();
    let lab = Lab::new(&dynamodb.endpoint_url(), &nobody, StreamViewType::NewAndOldImages).await;
    lab.fill(8, 4).await;
    lab.write_file("event.json", r#"{"Records":[]}"#);
    let host = nobody.trim_start_matches("http://");
    // The program may have to be built first, which is not to be timed.
    assert_eq!(lab.end(&["--version"]).await.status, 0);
    for arguments in
        [["replay", "--images", "event.json"].as_slice(), &["replay", "event.json"], &["run", "--until-end"]]
    {
        let begun = Instant::now();
        let ended = lab.end(arguments).await;
        let took = begun.elapsed();
        println!("{arguments:?} took {took:?}: {}", ended.stderr);
        assert_eq!(ended.status, 3, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(host) && ended.stderr.contains("hint: "), "{arguments:?}: {}", ended.stderr);
        let in_time = Duration::from_secs(7)..Duration::from_secs(25);
        assert!(in_time.contains(&took), "{arguments:?} took {took:?}: {}", ended.stderr);
    }
}

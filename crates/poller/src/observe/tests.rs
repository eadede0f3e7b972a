use std::time::Duration;

use streamdex_config::Source;
use streamdex_delivery::backfill::{BackfillRecord, FilledBy};
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::Outcome;
use streamdex_sink::{Pause, PauseReason, Scope};

use super::*;
use crate::gap::{Gap, GapKind};
use crate::status::{Call, Following, LeaseChange, Phase, Role};

const SECOND: Duration = Duration::from_secs(1);

/// A worker with two sources, one of which has met everything.
pub(super) async fn boards() -> Boards {
    let boards = Boards::default();
    let (busy, fresh) = (StatusBoard::default(), StatusBoard::default());
    boards.add("sessions", busy.clone());
    boards.add("orders", fresh);
    boards.set_writer_snapshot(writer);
    let [reading, paused, gapped] = ["a", "b", "c"].map(|n| ShardId::new(format!("shardId-{n}")));
    for shard in [&reading, &paused, &gapped] {
        busy.begin(shard, None, None);
        busy.take_of(shard, 5, 1);
    }
    tokio::time::advance(10 * SECOND).await;
    busy.follows(Following {
        table: "sessions".to_owned(),
        stream: "2026-11-22T00:00:00.000".to_owned(),
        freshness: Source::DEFAULT_FRESHNESS,
    });
    let worker = "host-1-a".to_owned();
    busy.role(Role { reader: Some(worker.clone()), worker, term: Some(3) });
    busy.count_of(&reading, Outcome::ALL.into_iter().take(5));
    busy.acknowledged(&reading, 3 * SECOND);
    busy.phase(&gapped, Phase::Gapped);
    busy.gap(&Gap::new(GapKind::Trimmed, gapped.as_str()).after(Some("100".to_owned())));
    busy.pause_all(Some("the shards cannot be listed".to_owned()));
    for call in Call::ALL {
        busy.called(call);
    }
    for change in LeaseChange::ALL {
        busy.lease_changed(change);
    }
    busy.tenure_lapsed();
    busy.checkpointed();
    busy.backwards(&reading);
    busy.watchdog_restart(&reading);
    busy.task_restart(&paused, SECOND);
    busy.pause(&paused, Some("the state table does not answer".to_owned()));
    busy.error(&paused, "timed out", "check the network");
    busy.projected_calls(10_800.0);
    busy.prefetched(123_456_789_012);
    let mut record = BackfillRecord::new(FilledBy::Run, 8, 1_000, 7);
    (record.items, record.owner) = (250, Some("host-1-a".to_owned()));
    busy.fill(Some(record));
    busy.turned();
    busy.beat_confirmed(Instant::now());
    boards.reached(Ok(()));
    tokio::time::advance(SECOND / 2).await;
    boards
}

fn writer() -> WriterSnapshot {
    let mut snapshot = WriterSnapshot::default();
    snapshot.stats.requests = 5;
    snapshot.stats.bytes = 1 << 33;
    snapshot.stats.took = Duration::from_millis(1250);
    snapshot.stats.latency = [0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    snapshot.stats.decided = 40;
    snapshot.stats.retried = 2;
    snapshot.stats.in_flight = 1;
    snapshot.stats.limit = 8;
    snapshot.stats.paused = BTreeMap::from([("read_only", 1), ("throttled", 2)]);
    snapshot.stats.last_error = Some("429: es_rejected_execution_exception".to_owned());
    let scope = Scope::Cluster;
    snapshot.pauses =
        vec![Pause { scope, reason: PauseReason::Throttled, detail: None, since: Instant::now() - SECOND }];
    snapshot
}

#[tokio::test(start_paused = true)]
async fn metrics_in_both_forms() {
    let snapshot = Arc::new(boards().await.snapshot());
    for (name, form) in [("openmetrics", Form::OpenMetrics), ("prometheus", Form::Prometheus)] {
        let text = exposition(&snapshot, form).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(name, text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_just_begun_shows_what_it_has() {
    let snapshot = Arc::new(Boards::default().snapshot());
    let text = exposition(&snapshot, Form::Prometheus).unwrap();
    assert!(text.contains("streamdex_ready 0\n") && !text.contains("streamdex_lag_seconds"), "{text}");
    assert_eq!(snapshot.dead(), [""; 0]);
    assert_eq!(snapshot.unready(), ["starting: nothing is followed yet", "OpenSearch has not answered yet"]);
}

#[tokio::test(start_paused = true)]
async fn the_report_is_read_back() {
    let report = Report::of(&boards().await.snapshot());
    insta::assert_json_snapshot!("report", Report { version: "VERSION".to_owned(), ..report.clone() });
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let of_another_version: Report = serde_json::from_str(r#"{"live":true,"sources":[{"name":"s","new":1}]}"#).unwrap();
    assert_eq!((of_another_version.live, of_another_version.sources[0].name.as_str()), (true, "s"));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_stands_still_is_dead_and_one_that_waits_or_is_over_is_not() {
    let (boards, board) = (Boards::default(), StatusBoard::default());
    boards.add("s", board.clone());
    tokio::time::advance(1000 * SECOND).await;
    assert_eq!(boards.snapshot().dead(), [""; 0]);
    board.turned();
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(boards.snapshot().dead(), [""; 0]);
    tokio::time::advance(SECOND).await;
    assert_eq!(boards.snapshot().dead(), ["source s: the supervisor has stood still for 61 s"]);
    board.over();
    assert_eq!(boards.snapshot().dead(), [""; 0]);
    boards.set_writer_snapshot(|| WriterSnapshot { is_broken: true, ..writer() });
    assert_eq!(boards.snapshot().dead(), ["the bulk writer failed: writing has stopped"]);
}

#[tokio::test(start_paused = true)]
async fn ready_while_the_state_table_the_stream_and_opensearch_answer() {
    let (boards, board) = (Boards::default(), StatusBoard::default());
    boards.add("s", board.clone());
    boards.reached(Ok(()));
    assert_eq!(boards.snapshot().unready(), ["source s: no look at the lease was answered yet"]);
    board.lease_seen();
    assert_eq!(boards.snapshot().unready(), [""; 0], "a standby is ready");
    tokio::time::advance(10 * SECOND).await;
    let reasons = boards.snapshot().unready();
    assert_eq!(
        reasons,
        ["source s: the last look at the lease was answered 10.0 s ago; is the state table reachable?"]
    );
    board.role(Role { term: Some(1), ..Role::default() });
    board.beat_confirmed(Instant::now());
    boards.reached(Ok(()));
    assert_eq!(boards.snapshot().unready(), [""; 0]);
    tokio::time::advance(Duration::from_millis(4_500)).await;
    let reasons = boards.snapshot().unready();
    assert_eq!(
        reasons,
        ["source s: the last heartbeat was confirmed 4.5 s ago; is the state table reachable?"],
        "{reasons:?}"
    );
    boards.reached(Err("connection refused".to_owned()));
    tokio::time::advance(11 * SECOND).await;
    board.beat_confirmed(Instant::now());
    board.stream_silence(5 * SECOND);
    assert_eq!(
        boards.snapshot().unready(),
        [
            "source s: DynamoDB Streams has not answered for 5 s",
            "OpenSearch last answered 15 s ago: connection refused"
        ]
    );
    board.stream_silence(Duration::ZERO);
    assert_eq!(boards.snapshot().dead(), [""; 0]);
    boards.reached(Ok(()));
    boards.set_writer_snapshot(writer);
    assert_eq!(
        boards.snapshot().unready(),
        ["writing is paused: cluster: OpenSearch is overloaded"],
        "a paused cluster takes nothing"
    );
    // It gives the lease up, and stands by: whoever reads next tries the cluster.
    board.stands_by();
    board.lease_seen();
    let snapshot = Arc::new(boards.snapshot());
    assert_eq!(snapshot.unready(), [""; 0]);
    let shown = exposition(&snapshot, Form::Prometheus).unwrap();
    assert!(shown.contains("streamdex_paused{reason=\"throttled\"} 0"), "{shown}");
    assert!(Report::of(&snapshot).writer.pauses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_table_of_which_only_gaps_are_left_has_no_reader_here() {
    let (boards, board) = (Boards::default(), StatusBoard::default());
    boards.add("s", board.clone());
    boards.reached(Ok(()));
    board.role(Role { term: Some(1), ..Role::default() });
    board.beat_confirmed(Instant::now());
    board.over();
    let snapshot = Arc::new(boards.snapshot());
    assert_eq!(
        snapshot.unready(),
        ["source s: this process does not follow it: only gaps are left, or it was stopped"]
    );
    assert!(exposition(&snapshot, Form::Prometheus).unwrap().contains("streamdex_reader{source=\"s\"} 0"));
    assert_eq!(Report::of(&snapshot).sources[0].term, None);
}

#[tokio::test(start_paused = true)]
async fn opensearch_is_asked_every_five_seconds() {
    struct Answers(Mutex<Vec<Option<Result<(), String>>>>);
    #[async_trait::async_trait]
    impl Reachable for Answers {
        async fn reach(&self) -> Result<(), String> {
            let next = self.0.lock().unwrap().pop().unwrap_or(Some(Ok(())));
            match next {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }
    let boards = Boards::default();
    let answers = Answers(Mutex::new(vec![None, Some(Err("503".to_owned())), Some(Ok(()))]));
    let watch = watch_opensearch(&answers, &boards);
    let snapshot = async {
        let at = |seconds| tokio::time::sleep(SECOND * seconds);
        let reach = || boards.snapshot().opensearch;
        at(1).await;
        assert_eq!((reach().answered, reach().unreachable), (Some(SECOND), None));
        at(5).await;
        assert_eq!((reach().answered, reach().unreachable), (Some(6 * SECOND), Some("503".to_owned())));
        at(8).await;
        assert_eq!(reach().unreachable, Some("no answer within 3 s".to_owned()));
        at(5).await;
        assert_eq!(reach().unreachable, None);
    };
    tokio::select! {
        () = watch => unreachable!("it watches for ever"),
        () = snapshot => {}
    }
}

/// Whatever reads as a sentence may be the words of another service.
#[tokio::test(start_paused = true)]
async fn no_sentence_of_the_report_names_an_account_or_a_role() {
    const DENIAL: &str = "User: arn:aws:sts::123456789012:assumed-role/indexer/i-0 may not";
    fn plant(value: &mut serde_json::Value, planted: &mut usize) {
        match value {
            serde_json::Value::String(text) if text.contains(' ') => {
                (*text, *planted) = (DENIAL.to_owned(), *planted + 1);
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| plant(value, planted)),
            serde_json::Value::Object(members) => members
                .iter_mut()
                // Our own sentences.
                .filter(|(name, value)| *name != "hint" || value == &"check the network")
                .for_each(|(_, value)| plant(value, planted)),
            _ => {}
        }
    }
    let (mut json, mut planted) = (serde_json::to_value(Report::of(&boards().await.snapshot())).unwrap(), 0);
    plant(&mut json, &mut planted);
    let mut report: Report = serde_json::from_value(json).unwrap();
    report.cut();
    let served = serde_json::to_string(&report).unwrap();
    assert!(
        planted >= 8 && !served.contains("indexer") && served.matches("arn:aws:sts:…").count() == planted,
        "{served}"
    );
}

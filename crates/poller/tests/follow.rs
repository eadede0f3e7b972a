//! The follower with real streams and a real state table; what it would write is noted instead.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Config, StartPosition, TableArn};
use streamdex_delivery::Bounds;
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::{Making, Partition, StatePartition, StateTable};
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::TableInfo;
use streamdex_mapping::{Change, Outcome, RecordError, Trust};
use streamdex_poller::SearchContact;
use streamdex_poller::clock::SystemClock;
use streamdex_poller::follow::{Deliver, Delivered, FollowEnd, Followed, Follower, Parts, Settings};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::Generations;
use streamdex_sink::index::{GroupState, KnownIndex, SetupError, VanishedIndex};
use streamdex_testkit::emulators::{Engine, engines, stream};
use streamdex_testkit::engines::{DynamoDbLocal, dynamodb_client, streams_client, unique_name};
use streamdex_testkit::fault::{FaultServer, Recorded, Reply, Rule};
use tokio_util::sync::CancellationToken;

/// Notes the keys that it is given.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn distinct(&self) -> usize {
        self.0.lock().unwrap().iter().collect::<BTreeSet<_>>().len()
    }

    fn all(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[async_trait]
impl Deliver for Notes {
    async fn deliver(&self, records: &[Result<Change<'_>, RecordError>], _trust: Trust, _bounds: &Bounds) -> Delivered {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let keys = records.iter().map(|record| record.as_ref().unwrap().canonical_keys());
        self.0.lock().unwrap().extend(keys);
        Delivered { outcomes: vec![Some(Outcome::Applied); records.len()], ..Delivered::default() }
    }
}

#[async_trait]
impl IndexWatch for Notes {
    fn restore(&self, _table: &TableArn, _known: Vec<KnownIndex>, _group: GroupState) {}

    fn known(&self) -> Vec<KnownIndex> {
        Vec::new()
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        Ok(Vec::new())
    }
}

struct Bench<'a> {
    engine: &'a Engine,
    table: String,
    state: StateTable,
    notes: Arc<Notes>,
}

impl Bench<'_> {
    async fn new(engine: &Engine) -> Bench<'_> {
        let state = StateTable::new(engine.dynamodb.clone(), unique_name("follow"), "default");
        state.create(&Making::default()).await.unwrap();
        Bench { engine, table: engine.table().await, state, notes: Arc::default() }
    }

    async fn follower(&self, until: Until) -> Follower {
        self.follower_at(&self.engine.endpoint, until).await
    }

    /// A follower that reaches table and stream at `endpoint`.
    async fn follower_at(&self, endpoint: &str, until: Until) -> Follower {
        let text = format!(
            "source = {{ table = '{}' }}\nopensearch = {{ url = 'http://127.0.0.1' }}\nroute = [{{ index = 'i' }}]",
            self.table
        );
        let source = Config::parse(&text, Path::new(""), &|_| None).unwrap().config.sources.remove(0);
        let (dynamodb, streams) = (dynamodb_client(endpoint), streams_client(endpoint));
        let clients = SourceClients { dynamodb, streams };
        let info = TableInfo::describe(&clients, &source).await.unwrap();
        let key = Partition::Follow { group: "default", table: info.arn.as_str() }.key();
        let parts = Parts {
            source: Arc::new(SdkStream::new(clients, info.stream.arn.clone(), Some(self.table.clone()))),
            deliver: self.notes.clone(),
            store: Arc::new(StatePartition::new(self.state.clone(), key)),
            indices: self.notes.clone(),
            clock: Arc::new(SystemClock::default()),
            search: SearchContact::default(),
            describe_turn: streamdex_poller::DescribeTurn::default(),
            cluster: Arc::new(|| None),
            beside: None,
        };
        let settings = Settings {
            stream_arn: info.stream.arn,
            worker: WorkerId::of_process("test", fastrand::u64(..)),
            routes: String::new(),
            start: StartPosition::TrimHorizon,
            until,
            generations: Generations::new(),
            sole_index: None,
            freshness: Duration::from_secs(1),
            patience: Some(Duration::from_secs(30)),
            leases: Arc::default(),
            seed: 1,
        };
        Follower::new(parts, settings)
    }

    async fn put_five(&self) {
        for at in 0..5 {
            self.engine.put(&self.table, "p", at).await;
        }
    }

    async fn until_end(&self) -> Followed {
        self.follower(Until::PresentEnd).await.run(CancellationToken::new()).await.unwrap()
    }
}

#[tokio::test]
async fn to_the_present_end_and_on_from_there() {
    for engine in engines().await {
        let bench = Bench::new(&engine).await;
        for at in 0..40 {
            engine.put(&bench.table, "p", at).await;
        }
        let followed = bench.until_end().await;
        assert_eq!((followed.end, followed.status.tally.applied), (FollowEnd::PresentEnd, 40), "{}", engine.name);
        for at in 40..45 {
            engine.put(&bench.table, "p", at).await;
        }
        let followed = bench.until_end().await;
        assert_eq!((followed.end, followed.status.tally.applied), (FollowEnd::PresentEnd, 5), "{}", engine.name);
        assert_eq!((bench.notes.distinct(), bench.notes.all()), (45, 45), "{}", engine.name);
    }
}

#[tokio::test]
async fn killed_at_any_moment_nothing_is_lost() {
    for engine in engines().await {
        let bench = Bench::new(&engine).await;
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..3 {
            let task = tokio::spawn(bench.follower(Until::Stopped).await.run(CancellationToken::new()));
            for at in 0..20 {
                engine.put(&bench.table, "p", round * 20 + at).await;
            }
            tokio::time::sleep(Duration::from_millis(random.u64(6_500..9_500))).await;
            // As sudden as a kill for everything that the follower holds.
            task.abort();
            let _ = task.await;
        }
        bench.until_end().await;
        assert_eq!(bench.notes.distinct(), 60, "{}", engine.name);
    }
}

#[tokio::test]
async fn a_stream_switched_off_and_on_is_drained_and_then_a_gap() {
    for engine in engines().await.into_iter().filter(|engine| engine.name == DynamoDbLocal::LABEL) {
        let bench = Bench::new(&engine).await;
        let follower = bench.follower(Until::Stopped).await;
        for at in 0..3 {
            engine.put(&bench.table, "p", at).await;
        }
        engine.switch_stream(&bench.table, stream(false)).await;
        engine.put(&bench.table, "lost", 0).await;
        engine.switch_stream(&bench.table, stream(true)).await;
        let drained = follower.board();
        let stop = CancellationToken::new();
        let task = tokio::spawn(follower.run(stop.clone()));
        while drained.snapshot().tally.applied < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        assert_eq!(task.await.unwrap().unwrap().end, FollowEnd::Stopped);
        // The next start finds another stream.
        let followed = bench.until_end().await;
        assert_eq!(followed.end, FollowEnd::OnlyGaps);
        assert_eq!(followed.status.gaps.len(), 1);
        assert!(followed.status.gaps[0].to_string().contains("the table has a new stream"));
    }
}

/// Waits until `done`, and not for ever.
async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), waiting).await.is_ok(), "{what}: it does not come");
}

/// Until so many distinct keys are noted.
async fn noted(bench: &Bench<'_>, keys: usize) {
    until(&format!("{}: {keys} keys", bench.engine.name), || bench.notes.distinct() >= keys).await;
}

/// DynamoDB Local pins the oldest position of an empty shard, and calls it trimmed once there are records.
#[tokio::test]
async fn l8_a_restart_before_the_first_record_is_no_gap() {
    for engine in engines().await {
        for put_before_the_start in [true, false] {
            let bench = Bench::new(&engine).await;
            let (first, stop) = (bench.follower(Until::Stopped).await, CancellationToken::new());
            let board = first.board();
            let task = tokio::spawn(first.run(stop.clone()));
            until("the end of the shard", || board.snapshot().is_caught_up()).await;
            stop.cancel();
            assert_eq!(task.await.unwrap().unwrap().end, FollowEnd::Stopped, "{}", engine.name);
            if put_before_the_start {
                bench.put_five().await;
            }
            let (second, stop) = (bench.follower(Until::Stopped).await, CancellationToken::new());
            let board = second.board();
            let task = tokio::spawn(second.run(stop.clone()));
            if !put_before_the_start {
                until("the end of the shard", || board.snapshot().is_caught_up()).await;
                bench.put_five().await;
            }
            noted(&bench, 5).await;
            stop.cancel();
            let followed = task.await.unwrap().unwrap();
            assert_eq!((followed.end, followed.status.gaps), (FollowEnd::Stopped, Vec::new()), "{}", engine.name);
        }
    }
}

#[tokio::test]
async fn l8_a_take_over_before_the_first_record_is_no_gap() {
    for engine in engines().await {
        let bench = Bench::new(&engine).await;
        let first = bench.follower(Until::Stopped).await;
        let board = first.board();
        let first = tokio::spawn(first.run(CancellationToken::new()));
        until("the end of the shard", || board.snapshot().is_caught_up()).await;
        let (second, stop) = (bench.follower(Until::Stopped).await, CancellationToken::new());
        let board_of_second = second.board();
        let second = tokio::spawn(second.run(stop.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Killed, with its lease.
        first.abort();
        let _ = first.await;
        until("the take-over", || board_of_second.snapshot().is_caught_up()).await;
        bench.put_five().await;
        noted(&bench, 5).await;
        stop.cancel();
        let followed = second.await.unwrap().unwrap();
        assert_eq!((followed.end, followed.status.gaps), (FollowEnd::Stopped, Vec::new()), "{}", engine.name);
    }
}

/// Emulators and proxies answer 200 with nothing in it.
#[tokio::test]
async fn l12_an_open_shard_is_read_on_after_answers_without_content() {
    for engine in engines().await {
        for body in ["{}", "", r#"{"Records":[]}"#] {
            // dynoxide shows an ending number on its open shard: a well-formed answer twice is all that can be asked.
            if engine.name != DynamoDbLocal::LABEL && body.contains("Records") {
                continue;
            }
            let bench = Bench::new(&engine).await;
            let server = FaultServer::in_front_of(&engine.endpoint);
            let get_records = |request: &Recorded| request.operation() == Some("GetRecords");
            let blank = server.add(Rule::when(get_records).skip(1).times(4).answer(Reply::json(200, body)));
            engine.put(&bench.table, "p", 0).await;
            let (follower, stop) = (bench.follower_at(&server.url(), Until::Stopped).await, CancellationToken::new());
            let task = tokio::spawn(follower.run(stop.clone()));
            noted(&bench, 1).await;
            until(&format!("{}: {body}: four blank answers", engine.name), || server.hits(blank) == 4).await;
            for at in 1..4 {
                engine.put(&bench.table, "p", at).await;
            }
            noted(&bench, 4).await;
            stop.cancel();
            assert_eq!(task.await.unwrap().unwrap().status.gaps, [], "{}: {body}", engine.name);
        }
    }
}

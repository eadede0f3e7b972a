//! The follower with real streams and a real state table; what it would write is noted instead.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Config, StartPosition};
use streamdex_delivery::Bounds;
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::StateTable;
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::TableInfo;
use streamdex_mapping::{Change, Outcome, RecordError, Trust};
use streamdex_poller::clock::SystemClock;
use streamdex_poller::follow::{Deliver, Delivered, FollowEnd, Followed, Follower, Parts, Settings};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::{Generations, StreamState};
use streamdex_sink::index::{KnownIndex, SetupError, VanishedIndex};
use streamdex_testkit::emulators::{Engine, engines, stream};
use streamdex_testkit::engines::{DynamoDbLocal, unique_name};
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
    fn remember(&self, _known: Vec<KnownIndex>) {}

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
        state.create().await.unwrap();
        Bench { engine, table: engine.table().await, state, notes: Arc::default() }
    }

    async fn follower(&self, until: Until) -> Follower {
        let text = format!(
            "source = {{ table = '{}' }}\nopensearch = {{ url = 'http://127.0.0.1' }}\nroute = [{{ index = 'i' }}]",
            self.table
        );
        let source = Config::parse(&text, Path::new(""), &|_| None).unwrap().config.sources.remove(0);
        let (dynamodb, streams) = (self.engine.dynamodb.clone(), self.engine.streams.clone());
        let clients = SourceClients { dynamodb, streams };
        let info = TableInfo::describe(&clients, &source).await.unwrap();
        let state = StreamState::new(
            self.state.clone(),
            &info.stream.arn,
            Generations::new(),
            WorkerId::of_process("test", fastrand::u64(..)),
        );
        let parts = Parts {
            source: Arc::new(SdkStream::new(clients, info.stream.arn.clone(), Some(self.table.clone()))),
            deliver: self.notes.clone(),
            store: Arc::new(state),
            indices: self.notes.clone(),
            clock: Arc::new(SystemClock::default()),
        };
        let settings = Settings {
            stream_arn: info.stream.arn,
            start: StartPosition::TrimHorizon,
            until,
            generations: Generations::new(),
            sole_index: None,
            freshness: Duration::from_secs(1),
            patience: Some(Duration::from_secs(30)),
            seed: 1,
        };
        Follower::new(parts, settings)
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
        for round in 0..4 {
            let task = tokio::spawn(bench.follower(Until::Stopped).await.run(CancellationToken::new()));
            for at in 0..20 {
                engine.put(&bench.table, "p", round * 20 + at).await;
            }
            tokio::time::sleep(Duration::from_millis(random.u64(1_000..4_000))).await;
            // As sudden as a kill for everything that the follower holds.
            task.abort();
            let _ = task.await;
        }
        bench.until_end().await;
        assert_eq!(bench.notes.distinct(), 80, "{}", engine.name);
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
        assert!(followed.status.gaps[0].to_string().contains("the table has another stream now"));
    }
}

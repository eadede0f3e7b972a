//! The runbook of docs/operations.md: over one index the container is switched for the function, and back, while changes
//! come.

use std::time::{Duration, Instant};

use streamdex_testkit::event_source::{Batch, EventSource, Record, Reply, Settings, drain};
use streamdex_testkit::lambda::Sandbox;
use streamdex_testkit::streams::{NewShard, ServedStream};
use streamdex_testkit::workload::Sessions;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::function::{AMPLE, Bench};
use crate::lab::{CONFIG, now};

const SHARD: &str = "shardId-00000001700000000000-00000001";
const SOON: Duration = Duration::from_secs(60);

/// Both forms read the same stream.
struct Both {
    bench: Bench,
    served: ServedStream,
    source: EventSource,
    sessions: Sessions,
    keys: u32,
}

impl Both {
    async fn new() -> Option<Both> {
        let bench = Bench::new().await?;
        let served = ServedStream::start(&bench.lab.table.name);
        served.open_shard(NewShard::root(SHARD));
        // The container reads the table and its stream there, and keeps its state beside the function's.
        let text = bench.lab.read_file(CONFIG);
        let (own, state) = (format!("endpoint_url = \"{}\"", bench.dynamodb.endpoint_url()), "[state]\n");
        let text = text.replacen(&own, &format!("endpoint_url = \"{}\"", served.endpoint_url()), 1);
        let text = text.replacen(state, &format!("{state}region = \"eu-west-1\"\n{own}\n"), 1);
        bench.lab.write_file(CONFIG, &text);
        let mut source = EventSource::new(Settings::default(), 7);
        source.add_shard(SHARD, None);
        Some(Both { bench, served, source, sessions: Sessions::new(7, now()), keys: 0 })
    }

    /// New items, changes of earlier ones, and deletes: also of items that the other form has written.
    fn change(&mut self) {
        let mut records: Vec<Record> = Vec::new();
        let stream = &mut self.bench.stream;
        stream.later(1);
        for key in self.keys..self.keys + 60 {
            records.push(stream.put(self.sessions.item(Sessions::key_of(key, 0))));
        }
        for key in (0..self.keys).filter(|key| key % 3 == 0) {
            records.push(stream.put(self.sessions.item(Sessions::key_of(key, 0))));
        }
        for key in (0..self.keys).filter(|key| key % 5 == 4).map(|key| Sessions::key_of(key, 0)) {
            if stream.holds(&key) {
                records.push(stream.remove(&key));
            }
        }
        self.keys += 60;
        self.served.append(SHARD, records.iter().map(|record| &record.json));
        records.into_iter().for_each(|record| self.source.add(SHARD, record));
    }

    /// The event source mapping passes its last position, without a failing batch.
    async fn function_catches_up(&mut self, sandbox: &Mutex<Sandbox>) {
        let invoke = async |batch: Batch| Reply::from(&sandbox.lock().await.invoke(batch.event(), AMPLE).await.answer);
        drain(&mut self.source, 1, invoke).await;
        assert!(self.source.on_failure().is_empty());
    }

    async fn until_current(&self, what: &str) {
        let begun = Instant::now();
        loop {
            let differences = self.bench.lab.differences(self.bench.stream.items.values()).await;
            if differences.is_empty() {
                return;
            }
            assert!(begun.elapsed() < SOON, "{what}: {} differences, {:?}", differences.len(), differences.first());
            sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn container_and_function_are_switched_for_each_other_over_one_index() {
    let Some(mut both) = Both::new().await else { return };
    both.change();
    let mut run = both.bench.lab.start(&["run"]).await;
    both.until_current("the container alone").await;

    // To the function, which reads the whole stream once more while the container goes on.
    both.change();
    let sandbox = Mutex::new(both.bench.sandbox().await);
    both.function_catches_up(&sandbox).await;
    both.until_current("both, before the container stops").await;
    both.change();
    assert_eq!(run.stop().await.status, 0);
    both.function_catches_up(&sandbox).await;
    both.until_current("the function alone").await;

    // Back, under a group that has no progress.
    both.bench.lab.use_group("back");
    both.change();
    let mut run = both.bench.lab.start(&["run"]).await;
    both.function_catches_up(&sandbox).await;
    both.until_current("both again").await;
    both.change();
    both.until_current("the container alone again").await;
    assert_eq!(run.stop().await.status, 0);
    both.bench.lab.no_letters().await;
}

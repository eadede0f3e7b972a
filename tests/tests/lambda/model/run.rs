//! One seed from its first change to the last comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use streamdex_testkit::event_source::{Batch, EventSource, Reply, drain};
use streamdex_testkit::lambda::{Answer, Function, Sandbox};
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};
use tokio::sync::Mutex;

use super::faults::arm;
use super::plan::{Change, HIDDEN, HOME, Kind, Plan, ROUNDS, SHARDS};
use crate::lab::text;
use crate::lambda::function::{AMPLE, Bench, counted, wanted_again};
use crate::lambda::stream::{Stream, event};

/// With the margin below, a second for sending.
const TIME: Duration = Duration::from_millis(1_500);
const MARGIN: &str = "[lambda]\ndeadline_margin = \"500ms\"";

/// How much happened.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) records: usize,
    invocations: usize,
    pub(super) partial: usize,
    failed: usize,
    pub(super) crashes: usize,
    timeouts: usize,
    /// Records in the bucket.
    pub(super) given_up: usize,
    pub(super) letters: usize,
}

/// Seeds that run one after the other in the same sandboxes.
pub(super) struct Line {
    pub(super) bench: Bench,
    function: Function,
    sandboxes: Vec<Mutex<Sandbox>>,
}

/// A seed under way.
pub(super) struct Seed<'l> {
    pub(super) line: &'l Line,
    pub(super) plan: Plan,
    pub(super) stream: Stream,
    pub(super) source: EventSource,
    /// By sequence number.
    pub(super) changes: BTreeMap<String, Change>,
    /// By document: the sequence number of its last change.
    pub(super) last: BTreeMap<String, String>,
    /// How many of the bucket's objects were sent again.
    pub(super) redriven: usize,
    pub(super) totals: Mutex<Totals>,
}

impl Totals {
    pub(super) fn add(&mut self, other: Totals) {
        self.records += other.records;
        self.invocations += other.invocations;
        self.partial += other.partial;
        self.failed += other.failed;
        self.crashes += other.crashes;
        self.timeouts += other.timeouts;
        self.given_up += other.given_up;
        self.letters += other.letters;
    }
}

impl Line {
    pub(super) async fn new(bench: Bench, kind: Kind) -> Line {
        let (home, when) = match kind {
            Kind::Staying => (PARTITION_KEY, String::new()),
            Kind::Moving => (HOME, format!("\nwhen = {{ attribute = \"{HIDDEN}\", exists = true, not = true }}")),
        };
        let index = &bench.lab.index;
        bench.reconfigure(&format!("index = \"{index}\""), &format!("index = \"{index}-{{{home}}}\"{when}"));
        bench.reconfigure(&format!("[index.\"{index}\"]"), &format!("[index.\"{index}-{{{home}}}\"]"));
        bench.append(MARGIN);
        let function = bench.lab.function().await;
        let sandboxes = (0..2).map(|_| Mutex::new(function.start())).collect();
        Line { bench, function, sandboxes }
    }

    pub(super) async fn run(&mut self, number: u64) -> Totals {
        let plan = Plan::new(number);
        let mut source = EventSource::new(plan.settings.clone(), number);
        SHARDS.into_iter().for_each(|(shard, parent)| source.add_shard(shard, parent));
        let stream = Stream::new(&self.bench.lab, plan.view.clone()).at((number + 1) * 100_000);
        let mut seed = Seed {
            line: self,
            plan,
            stream,
            source,
            changes: BTreeMap::new(),
            last: BTreeMap::new(),
            redriven: 0,
            totals: Mutex::default(),
        };
        seed.begin().await;
        arm(&self.bench.front, number);
        for round in 0..ROUNDS {
            seed.change(round).await;
            seed.deliver(number).await;
            if seed.plan.random.bool() {
                seed.redrive_one().await;
            }
        }
        self.bench.front.clear_rules();
        self.bench.front.forget_requests();
        seed.every_record_ended();
        seed.compare("before the redrives").await;
        seed.redrive_all().await;
        seed.compare("after the redrives").await;
        seed.totals.into_inner()
    }
}

impl Seed<'_> {
    /// Most seeds find their index there.
    async fn begin(&mut self) {
        if self.plan.random.u8(0..10) == 0 {
            return;
        }
        let first = self.plan.first(&mut self.stream);
        self.note(first.record.item.clone(), first.record.sequence.clone());
        self.write_table(BTreeSet::from([first.record.item.clone()])).await;
        let mut sandbox = self.line.sandboxes[0].lock().await;
        let invocation = sandbox.invoke(event(&[first.record]), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    }

    fn note(&mut self, item: String, sequence: String) {
        self.last.insert(item, sequence);
    }

    /// One round of changes: into the table, and into the stream.
    async fn change(&mut self, round: u32) {
        let changes = self.plan.round(round, &mut self.stream);
        self.write_table(changes.iter().map(|change| change.record.item.clone()).collect()).await;
        for change in changes {
            self.note(change.record.item.clone(), change.record.sequence.clone());
            self.source.add(change.shard, change.record.clone());
            self.changes.insert(change.record.sequence.clone(), change);
        }
    }

    /// What became of these items in the end.
    async fn write_table(&self, items: BTreeSet<String>) {
        for item in items {
            match self.stream.items.get(&item) {
                Some(item) => self.line.bench.lab.put(item.clone()).await,
                None => {
                    let sort_key = item.split_once('|').unwrap().1;
                    self.line.bench.lab.delete(key(&self.plan.partition, sort_key)).await;
                }
            }
        }
    }

    async fn deliver(&mut self, number: u64) {
        let (line, totals) = (self.line, &self.totals);
        let random = Mutex::new(Rng::with_seed(number ^ 0xdead));
        let invoke = async |batch: Batch| {
            // There are as many sandboxes as batches at once.
            let (mut sandbox, kill) = loop {
                let Some(sandbox) = line.sandboxes.iter().find_map(|sandbox| sandbox.try_lock().ok()) else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let mut random = random.lock().await;
                let kill = (random.u8(0..100) < 4).then(|| Duration::from_millis(random.u64(0..60)));
                break (sandbox, kill);
            };
            invoke(line, &mut sandbox, &batch, kill, totals).await
        };
        drain(&mut self.source, self.plan.sandboxes, invoke).await;
    }

    /// Every record was acknowledged, or lies in the bucket; none is in both.
    fn every_record_ended(&self) {
        let given_up = self.source.on_failure().iter().flat_map(|given_up| &given_up.records);
        let mut ended: Vec<&str> =
            self.source.acknowledged().iter().chain(given_up).map(|record| record.sequence.as_str()).collect();
        ended.sort_unstable();
        assert!(self.changes.keys().eq(ended), "{}: records without an end", self.plan.partition);
    }

    /// The oldest object in the bucket, while everything is still broken.
    async fn redrive_one(&mut self) {
        let Some(object) = self.source.on_failure().get(self.redriven) else { return };
        let object = object.s3_object(&self.line.bench.lab.table.stream_arn);
        let mut sandbox = self.line.sandboxes[0].lock().await;
        let invocation = sandbox.invoke(object, TIME).await;
        if matches!(invocation.answer, Answer::Response(_)) {
            assert_eq!(wanted_again(&invocation), None);
            self.redriven += 1;
        } else if !sandbox.is_alive() {
            *sandbox = self.line.function.start();
        }
    }

    async fn redrive_all(&mut self) {
        let mut sandbox = self.line.sandboxes[0].lock().await;
        for given_up in &self.source.on_failure()[self.redriven..] {
            let object = given_up.s3_object(&self.line.bench.lab.table.stream_arn);
            let invocation = sandbox.invoke(object, AMPLE).await;
            assert_eq!(wanted_again(&invocation), None, "{}: {}", self.plan.partition, sandbox.log());
            assert_eq!(counted(&invocation).undecided, 0);
        }
        drop(sandbox);
        self.redriven = self.source.on_failure().len();
    }
}

/// The key of an item.
fn key(partition: &str, sort_key: &str) -> Item {
    Item::from([(PARTITION_KEY.to_owned(), text(partition)), (SORT_KEY.to_owned(), text(sort_key))])
}

/// One batch, perhaps with the sandbox killed under it.
async fn invoke(
    line: &Line,
    sandbox: &mut Sandbox,
    batch: &Batch,
    kill: Option<Duration>,
    totals: &Mutex<Totals>,
) -> Reply {
    let killed = async {
        match kill {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let invocation = tokio::select! {
        invocation = sandbox.invoke(batch.event(), TIME) => Some(invocation),
        () = killed => None,
    };
    let mut totals = totals.lock().await;
    totals.invocations += 1;
    let Some(invocation) = invocation else {
        totals.crashes += 1;
        *sandbox = line.function.start();
        return Reply::Failed;
    };
    match &invocation.answer {
        Answer::Response(_) => {
            let wanted = wanted_again(&invocation);
            let counted = counted(&invocation);
            assert_eq!(counted.records, u64::try_from(batch.records.len()).unwrap(), "{}", counted.line);
            assert_eq!(wanted.is_none(), counted.undecided == 0, "{wanted:?} {}", counted.line);
            totals.partial += usize::from(wanted.is_some());
        }
        Answer::Error(_) => totals.failed += 1,
        Answer::TimedOut => totals.timeouts += 1,
        Answer::Crashed(status) => panic!("it ended by itself: {status}\n{}", sandbox.log()),
    }
    if !sandbox.is_alive() {
        *sandbox = line.function.start();
    }
    Reply::from(&invocation.answer)
}

//! A simulation of everything around the poller, from a seed and on virtual time.
//!
//! The poller is the real code above its traits: follower, delivery, mapper and bulk writer. Simulated are
//! the stream, the state table, OpenSearch, the network between them and each worker, and each worker's
//! clocks. All of it runs on one thread on a paused clock, and every choice comes from the seed, so that a
//! seed that fails fails again, event by event.
//!
//! # Simulation
//! A seed is a plan (`plan`): some minutes of weather and writes, then a calm in which everything must come to its end.
//! Each kind of weather that a seed meets is named in its report; `simulate --seeds N` counts them.
//!
//! What is checked:
//! - At every write and read (`world`, `state`): who may write, in which order shards are read, that no position passes a
//!   record without an outcome. How often services are called (`calls`).
//! - Several times a second (`liveness`): that a table has a reader again in time, that a reader reads every shard in time,
//!   that a paused index holds up no other, and that the lag that is shown is not below the true one. A bound holds
//!   where nothing stands in its way, which `liveness` says in full.
//! - In the end (`checks`): the index equals the table, gaps are justified, and dead letters are those that must be.
//!
//! What is left out, because no reader can do better:
//! - Empty pages, and pages that are not full, can hide records: the lag may be too small by 90 seconds then.
//! - A child of a split that is listed later than its sibling is found by the next listing, in a minute and a quarter.
//! - Where somebody removes the lease from the state table, two workers read until the next beat.
//! - Where sequence numbers begin again within the second of a split, an item that changed on both sides of it can stay at
//!   any of its states of that second, until it changes again (`table::torn`).
//! - To the present end, an open shard whose pages were empty for two seconds is taken for read.

mod audit;
mod bulk;
mod calls;
mod checks;
mod cluster;
mod dice;
mod fill;
mod gate;
mod indices;
mod letters;
mod liveness;
mod lock;
mod plan;
mod reached;
mod readers;
mod rebuild;
mod search;
mod seen;
mod settings;
mod sick;
mod state;
mod table;
mod tamper;
mod time;
mod trace;
mod weather;
mod worker;
mod workload;
mod world;

use std::fmt;
use std::iter::repeat_with;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use streamdex_poller::graph::Until;

use self::cluster::Cluster;
use self::plan::Plan;
use self::time::{MINUTE, SECOND};
use self::world::{Leases, World};

/// What a seed came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The rules that were broken; none is a success.
    pub violations: Vec<String>,
    /// Of everything that happened: the same seed gives the same hash.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How much virtual time passed, in seconds.
    pub seconds: u64,
    /// Gaps that the workers recorded, each of which the checks found justified.
    pub gaps: usize,
    /// The kinds of weather that it has met, by name.
    pub reached: Vec<&'static str>,
    /// The last events.
    pub trace: Vec<String>,
}

/// How much of what happened is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last 200 events.
    Last,
    /// All of them.
    All,
}

/// Everything must be acknowledged so long after faults and writes ended.
const SETTLE_WITHIN: u64 = 15 * MINUTE;
/// What may still be on its way then must not change anything.
const AFTERWARDS: u64 = 15 * SECOND;
/// The second source of a seed is that of another one.
const SECOND_SOURCES: u64 = 1 << 40;
/// Deletes after a request that is carried out late are sent once more a minute later.
const AFTER_LATE_REQUESTS: u64 = 80 * SECOND;

/// Runs one seed.
pub fn run(seed: u64, keep: Keep) -> Report {
    // Jitter without its own seed is drawn from this thread's generator.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let report = runtime.block_on(Box::pin(live(seed, keep)));
    drop(runtime);
    report
}

/// Runs these seeds on all cores, a runtime each, and hands over each report when it is there.
pub fn run_all(seeds: Range<u64>, each: impl Fn(&Report) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let left = repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < seeds.end);
        left.for_each(|seed| each(&run(seed, Keep::Last)));
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

async fn live(seed: u64, keep: Keep) -> Report {
    let keep = match keep {
        Keep::Last => 200,
        Keep::All => usize::MAX,
    };
    let plan = Plan::new(seed);
    let processes: Leases = (0..plan.workers).map(|_| Arc::default()).collect();
    if plan.sources == 1 {
        return source(plan, keep, processes).await;
    }
    let second = Plan { sources: plan.sources, ..Plan::new(seed + SECOND_SOURCES) };
    let (first, second) =
        tokio::join!(Box::pin(source(plan, keep, processes.clone())), Box::pin(source(second, keep, processes)));
    first.with(second)
}

/// What comes of one table, whose workers are these processes.
async fn source(plan: Plan, keep: usize, processes: Leases) -> Report {
    let world = World::new(plan, keep, processes);
    world.trace.note(format_args!("{:?}", world.plan));
    if world.plan.sources > 1 {
        world.reached.note("several sources");
    }
    let mut cluster = Cluster::new(&world);
    cluster.storm().await;
    if world.plan.until == Until::PresentEnd {
        let give_up = world.time.millis() + SETTLE_WITHIN;
        while !world.has_ended() && world.time.millis() < give_up {
            cluster.pass(2 * SECOND).await;
        }
        if !world.has_ended() {
            world.trace.violation(format_args!("the present end is not reached"));
        }
    } else {
        settle(&world, &mut cluster).await;
    }
    cluster.stop().await;
    Report {
        seed: world.plan.seed,
        violations: world.trace.violations(),
        hash: world.trace.hash(),
        events: world.trace.events(),
        seconds: world.time.millis() / 1_000,
        gaps: world.state().gaps().count(),
        reached: world.reached.all(),
        trace: world.trace.last(),
    }
}

/// Waits until every record has an outcome, and checks what must hold then.
async fn settle(world: &Arc<World>, cluster: &mut Cluster) {
    let give_up = world.time.millis() + SETTLE_WITHIN;
    while !checks::is_settled(world) && world.time.millis() < give_up && world.trace.violations().is_empty() {
        cluster.pass(2 * SECOND).await;
    }
    if world.plan.fill {
        cluster.beside(fill::fill_in_the_end(world)).await;
    }
    if world.plan.rebuild {
        cluster.beside(rebuild::rebuild_in_the_end(world)).await;
    }
    cluster.pass(if world.has_late_requests() { AFTER_LATE_REQUESTS } else { AFTERWARDS }).await;
    if !world.plan.audit {
        return checks::check(world);
    }
    cluster.beside(audit::audit_in_the_end(world)).await;
    checks::check_audited(world);
}

impl Report {
    /// Both, as one.
    fn with(mut self, other: Report) -> Report {
        self.violations.extend(other.violations.iter().map(|violation| format!("second source, {violation}")));
        self.trace.extend(other.trace);
        self.reached.extend(other.reached);
        self.reached.sort_unstable();
        self.reached.dedup();
        self.hash ^= other.hash.rotate_left(1);
        self.events += other.events;
        self.gaps += other.gaps;
        self
    }

    /// Whether no rule was broken.
    pub fn is_success(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, hash, events, seconds, gaps, violations, .. } = self;
        let result = if self.is_success() { "ok" } else { "FAILED" };
        write!(f, "seed {seed} {result}: {events} events in {seconds} s, {gaps} gaps, hash {hash:016x}")?;
        violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))?;
        if self.is_success() { Ok(()) } else { write!(f, "\n  replay: cargo xtask simulate --seed {seed}") }
    }
}

//! A simulation of everything around the poller, from a seed and on virtual time.
//!
//! The poller is the real code above its traits: follower, delivery, mapper and bulk writer. Simulated are
//! the stream, the state table, OpenSearch, the network between them and each worker, and each worker's
//! clocks. All of it runs on one thread on a paused clock, and every choice comes from the seed, so that a
//! seed that fails fails again, event by event.

mod bulk;
mod checks;
mod cluster;
mod dice;
mod gate;
mod indices;
mod lock;
mod plan;
mod search;
mod state;
mod table;
mod time;
mod trace;
mod weather;
mod worker;
mod workload;
mod world;

use std::fmt;
use std::iter::repeat_with;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::cluster::Cluster;
use self::plan::Plan;
use self::time::{MINUTE, SECOND};
use self::world::World;

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
    let world = World::new(Plan::new(seed), keep);
    world.trace.note(format_args!("{:?}", world.plan));
    let mut cluster = Cluster::new(&world);
    cluster.storm().await;
    let give_up = world.time.millis() + SETTLE_WITHIN;
    while !checks::is_settled(&world) && world.time.millis() < give_up && world.trace.violations().is_empty() {
        cluster.pass(2 * SECOND).await;
    }
    cluster.pass(AFTERWARDS).await;
    checks::check(&world);
    cluster.stop().await;
    Report {
        seed,
        violations: world.trace.violations(),
        hash: world.trace.hash(),
        events: world.trace.events(),
        seconds: world.time.millis() / 1_000,
        gaps: world.state().gaps().count(),
        trace: world.trace.last(),
    }
}

impl Report {
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

//! One worker: the real follower, delivery and bulk writer, behind a gate.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use streamdex_config::StreamArn;
use streamdex_delivery::{Bounds, Delivery, DeliveryProgress, ReadMemory};
use streamdex_mapping::{Change, RecordError, Trust};
use streamdex_poller::SearchContact;
use streamdex_poller::beside::Beside;
use streamdex_poller::clock::Clock;
use streamdex_poller::follow::{Deliver, Delivered, FollowEnd, Follower, Parts, Settings};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::Generations;
use streamdex_poller::status::StatusBoard;
use streamdex_sink::{BulkWriter, Patience};
use tokio_util::sync::CancellationToken;

use super::bulk::SimulatedSearch;
use super::dice::hash;
use super::fill::LooksOut;
use super::gate::Gate;
use super::indices::SimulatedIndices;
use super::letters::SimulatedLetters;
use super::liveness::Member;
use super::settings::{mapper, writer_settings};
use super::state::SimulatedState;
use super::table::{SimulatedItems, SimulatedStream};
use super::weather::Endpoint;
use super::world::World;

/// A process.
pub(super) struct Worker {
    pub(super) gate: Arc<Gate>,
    board: StatusBoard,
    stop: CancellationToken,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Crashed,
    Stopped,
    OnlyGaps,
    /// Under `--until-end`.
    ReadOut,
    Failed,
}

impl Worker {
    /// The process `name`, and what it does until it ends.
    pub(super) fn start(
        name: String,
        slot: usize,
        world: &Arc<World>,
    ) -> (Worker, impl Future<Output = End> + Send + 'static) {
        world.trace.note(format_args!("{name} starts"));
        let seed = hash(world.plan.seed, &name);
        let gate = Gate::new(name, Arc::clone(world));
        let (stop, writing) = (CancellationToken::new(), CancellationToken::new());
        let decided = Arc::new(AtomicU64::new(0));
        let search = SearchContact::default();
        let follower = follower(&gate, world, (slot, seed), (&writing, &decided, &search));
        let board = follower.board();
        let pings = ping(Arc::clone(&gate), search);
        let life = live(follower, (stop.clone(), writing), decided, Arc::clone(&gate), Arc::clone(world));
        let life = async move {
            tokio::select! {
                biased;
                end = life => end,
                () = pings => End::Failed,
            }
        };
        (Worker { gate, board, stop }, life)
    }

    /// As it is now.
    pub(super) fn member(&self) -> Member<'_> {
        Member { name: &self.gate.name, condition: self.gate.condition(), board: &self.board }
    }

    /// Asks it to stop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Asks OpenSearch now and then whether it answers.
async fn ping(gate: Arc<Gate>, search: SearchContact) {
    loop {
        let answer = gate.call(Endpoint::Search, Duration::from_secs(3), |refusal| refusal.is_none()).await;
        if answer == Ok(true) {
            search.answered();
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn live(
    follower: Follower,
    (stop, writing): (CancellationToken, CancellationToken),
    decided: Arc<AtomicU64>,
    gate: Arc<Gate>,
    world: Arc<World>,
) -> End {
    let board = follower.board();
    let followed = tokio::select! {
        biased;
        () = gate.died() => {
            writing.cancel();
            return End::Crashed;
        }
        followed = Box::pin(follower.run(stop)) => followed,
    };
    writing.cancel();
    let status = board.snapshot();
    let (counted, decided) = (status.tally.records(), decided.load(Ordering::Relaxed));
    if counted != decided {
        world.trace.violation(format_args!("{} counts {counted} outcomes, and {decided} records have one", gate.name));
    }
    let end = match followed {
        Ok(followed) => match followed.end {
            FollowEnd::Stopped => End::Stopped,
            FollowEnd::OnlyGaps => End::OnlyGaps,
            FollowEnd::PresentEnd => End::ReadOut,
        },
        Err(error) => {
            world.trace.note(format_args!("{} fails: {error}", gate.name));
            End::Failed
        }
    };
    world.trace.note(format_args!("{} ends: {end:?}", gate.name));
    end
}

fn follower(
    gate: &Arc<Gate>,
    world: &Arc<World>,
    (slot, seed): (usize, u64),
    (writing, decided, contact): (&CancellationToken, &Arc<AtomicU64>, &SearchContact),
) -> Follower {
    let indices = Arc::new(SimulatedIndices::new(Arc::clone(gate), Arc::clone(world)));
    let search = SimulatedSearch { gate: Arc::clone(gate), world: Arc::clone(world) };
    let writer = BulkWriter::start_on(Arc::new(search), indices.clone(), writer_settings(seed), writing.clone());
    let delivery = Delivery {
        table: "sessions".to_owned(),
        mapper: Arc::new(mapper(&world.plan)),
        reader: Some(Arc::new(SimulatedItems { gate: Arc::clone(gate), world: Arc::clone(world) })),
        indices: indices.clone(),
        writer: writer.clone(),
        letters: Arc::new(SimulatedLetters { gate: Arc::clone(gate), world: Arc::clone(world) }),
        patience: Patience::Endless,
        progress: DeliveryProgress::at_start(),
        memory: ReadMemory::default(),
    };
    let latest = world.table().streams.last().and_then(|stream| StreamArn::parse(&stream.arn));
    let latest = latest.expect("a world begins with a stream");
    let label = latest.label();
    // As at every start: an earlier stream is read to its end first.
    let label = world.state().load(label).unfinished_stream().unwrap_or(label).to_owned();
    let arn = latest.table().stream(&label);
    let stream = SimulatedStream { gate: Arc::clone(gate), world: Arc::clone(world), arn: arn.to_string() };
    let parts = Parts {
        source: Arc::new(stream),
        deliver: Arc::new(Witnessed { delivery, world: Arc::clone(world), decided: Arc::clone(decided) }),
        store: Arc::new(SimulatedState::new(gate, world)),
        indices,
        clock: Arc::new(WorkerClock(Arc::clone(gate))),
        search: contact.clone(),
        describe_turn: streamdex_poller::DescribeTurn::default(),
        cluster: Arc::new(|| None),
        beside: world.plan.fill.then(|| {
            let looks_out = LooksOut { gate: Arc::clone(gate), world: Arc::clone(world), writer };
            Arc::new(looks_out) as Arc<dyn Beside>
        }),
    };
    let settings = Settings {
        stream_arn: arn,
        worker: WorkerId::new(gate.name.as_str()),
        routes: String::new(),
        start: world.plan.start(),
        until: world.plan.until,
        generations: Generations::new(),
        sole_index: (!world.plan.two_indices).then(|| "sessions".to_owned()),
        freshness: world.plan.freshness,
        patience: (world.plan.until == Until::PresentEnd).then_some(PATIENCE),
        leases: world.leases(slot),
        seed,
    };
    Follower::new(parts, settings)
}

/// A run to the present end gives up after so long without progress.
const PATIENCE: Duration = Duration::from_secs(60);

/// The real delivery; what it says of each record is noted.
struct Witnessed {
    delivery: Delivery,
    world: Arc<World>,
    /// Records that delivery gave an outcome, those behind an undecided one not counted.
    decided: Arc<AtomicU64>,
}

#[async_trait]
impl Deliver for Witnessed {
    async fn deliver(&self, records: &[Result<Change<'_>, RecordError>], trust: Trust, bounds: &Bounds) -> Delivered {
        let delivered = self.delivery.deliver(records, trust, bounds).await;
        self.decided.fetch_add(u64::try_from(delivered.decided()).unwrap_or_default(), Ordering::Relaxed);
        let mut table = self.world.table();
        for (record, outcome) in records.iter().zip(&delivered.outcomes) {
            let sequence = match record {
                Ok(change) => change.sequence.as_ref(),
                Err(error) => error.sequence.as_ref(),
            };
            if let (Some(sequence), Some(_)) = (sequence, outcome) {
                table.acknowledge(sequence.as_str());
            }
        }
        delivered
    }

    fn is_held_back(&self) -> bool {
        self.delivery.is_held_back()
    }

    fn pauses(&self) -> Vec<String> {
        self.delivery.pauses()
    }

    fn holds_back_an_index(&self) -> bool {
        self.delivery.holds_back_an_index()
    }

    fn unanswered(&self) -> u64 {
        self.delivery.unanswered()
    }

    fn in_flight(&self) -> u64 {
        self.delivery.in_flight()
    }

    fn doubt_earlier_requests(&self) {
        self.delivery.doubt_earlier_requests();
    }
}

/// The clocks of a worker's machine.
struct WorkerClock(Arc<Gate>);

impl Clock for WorkerClock {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }
}

impl fmt::Debug for WorkerClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the clocks of {}", self.0.name)
    }
}

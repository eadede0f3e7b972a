//! The gate between one worker and the world: its network, its clocks, and its life.
//!
//! A crash drops the worker between any two steps of its calls. A freeze stops the machine: its clocks
//! stand still, requests that were sent before arrive, and their answers are seen at the wake-up; calls
//! that begin during it fail at the wake-up without having reached anybody.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::dice::Dice;
use super::lock::lock;
use super::weather::{Endpoint, Fate, Refusal, Weather};
use super::world::World;

/// One worker's way to the world.
pub(super) struct Gate {
    pub(super) name: String,
    world: Arc<World>,
    state: Mutex<State>,
    /// Notified at each change of `frozen` and `dead`.
    changed: Notify,
}

struct State {
    dice: Dice,
    dead: bool,
    frozen: Option<Clocks>,
    /// When it froze, on the world's clock.
    frozen_at: u64,
    /// When the time of day was set back, on the world's clock, and by how much.
    set_back: Vec<(u64, u64)>,
    cut: BTreeSet<Endpoint>,
    /// How long the steady clock stood still so far.
    stood_still: Duration,
    /// How far the time of day is off, in milliseconds.
    wall_error: i64,
    /// Steps of calls until the worker crashes.
    steps_to_crash: Option<u64>,
    /// Since when nothing is wrong with it, unless something is; on the world's clock.
    well_since: u64,
}

/// How a worker's machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// It lives, is awake and reaches the state table, so that its lease is beaten.
    pub(super) can_beat: bool,
    pub(super) reaches_stream: bool,
    pub(super) reaches_search: bool,
    /// Since when nothing was wrong with it at all; `None` where something is.
    pub(super) well_since: Option<u64>,
}

/// What a worker's clocks show.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    monotonic: Duration,
    wall: SystemTime,
}

/// There is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// No connection: nothing was carried out.
    NotSent,
    /// Whether it was carried out is unknown.
    NoAnswer,
}

/// Whether the steady clock goes on while a machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steady {
    GoesOn,
    StandsStill,
}

/// A worker's last confirmed sign of life is at most so old while it writes.
const UNCONFIRMED: u64 = 5_000;
const CONNECT: Duration = Duration::from_millis(3_100);

impl Gate {
    pub(super) fn new(name: String, world: Arc<World>) -> Arc<Gate> {
        let state = State {
            dice: Dice::new(world.plan.seed, &format!("gate {name}")),
            dead: false,
            frozen: None,
            frozen_at: 0,
            set_back: Vec::new(),
            cut: BTreeSet::new(),
            stood_still: Duration::ZERO,
            wall_error: 0,
            steps_to_crash: None,
            well_since: world.time.millis(),
        };
        Arc::new(Gate { name, world, state: Mutex::new(state), changed: Notify::new() })
    }

    // --- what happens to the worker ---

    pub(super) fn kill(&self) {
        self.state().dead = true;
        self.changed.notify_waiters();
    }

    pub(super) fn condition(&self) -> Condition {
        let state = self.state();
        let runs = !state.dead && state.frozen.is_none();
        let is_well = runs && state.cut.is_empty() && state.steps_to_crash.is_none();
        Condition {
            can_beat: runs && !state.cut.contains(&Endpoint::State),
            reaches_stream: runs && !state.cut.contains(&Endpoint::Stream),
            reaches_search: runs && !state.cut.contains(&Endpoint::Search),
            well_since: is_well.then_some(state.well_since),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Waits until the worker has crashed.
    pub(super) async fn died(&self) {
        self.wait_until(|state| state.dead).await;
    }

    /// Crashes after so many more steps of calls.
    pub(super) fn crash_after(&self, steps: u64) {
        self.state().steps_to_crash = Some(steps);
    }

    pub(super) fn freeze(&self) {
        if self.is_frozen() {
            return;
        }
        let clocks = Clocks { monotonic: self.monotonic(), wall: self.wall() };
        let mut state = self.state();
        state.frozen = Some(clocks);
        state.frozen_at = self.world.time.millis();
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.state().frozen.is_some()
    }

    pub(super) fn thaw(&self, steady: Steady) {
        let Some(clocks) = self.state().frozen.take() else { return };
        self.state().well_since = self.world.time.millis();
        if steady == Steady::StandsStill {
            let missed = self.monotonic().saturating_sub(clocks.monotonic);
            let mut state = self.state();
            state.stood_still += missed;
            // Where the time of day is set back around a sleep that the steady clock does not count, no worker can
            // tell that it slept (ADR 10): here, that clock is right again when the worker wakes.
            let since = state.frozen_at.saturating_sub(UNCONFIRMED);
            let hidden: u64 = state.set_back.iter().filter(|(at, _)| *at >= since).map(|(_, millis)| millis).sum();
            state.set_back.retain(|(at, _)| *at < since);
            state.wall_error = state.wall_error.saturating_add_unsigned(hidden);
        }
        self.changed.notify_waiters();
    }

    pub(super) fn cut(&self, endpoints: &[Endpoint]) {
        self.state().cut.extend(endpoints);
    }

    pub(super) fn repair(&self) {
        let mut state = self.state();
        if !state.cut.is_empty() {
            state.cut.clear();
            state.well_since = self.world.time.millis();
        }
    }

    pub(super) fn shift_wall(&self, millis: i64) {
        let now = self.world.time.millis();
        let mut state = self.state();
        state.wall_error += millis;
        if millis < 0 {
            state.set_back.push((now, millis.unsigned_abs()));
        }
    }

    // --- its clocks ---

    pub(super) fn monotonic(&self) -> Duration {
        let state = self.state();
        let running = self.world.time.elapsed().saturating_sub(state.stood_still);
        state.frozen.map_or(running, |clocks| clocks.monotonic)
    }

    pub(super) fn wall(&self) -> SystemTime {
        let state = self.state();
        let error = Duration::from_millis(state.wall_error.unsigned_abs());
        let now = self.world.time.wall();
        let shown = if state.wall_error < 0 { now - error } else { now + error };
        state.frozen.map_or(shown, |clocks| clocks.wall)
    }

    // --- its network ---

    /// Calls a service: `serve` runs there when the request arrives, unless it never does.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        endpoint: Endpoint,
        deadline: Duration,
        serve: impl FnOnce(Option<Refusal>) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        self.step().await;
        if self.is_frozen() {
            self.awake().await;
            return Err(Lost::NotSent);
        }
        let deadline = Instant::now() + deadline;
        if self.is_cut(endpoint) {
            sleep(CONNECT).await;
            self.awake().await;
            return Err(Lost::NotSent);
        }
        let receiver = self.send(endpoint, serve);
        let answer = timeout_at(deadline, receiver).await;
        self.awake().await;
        let answer = match answer {
            Ok(Ok(answer)) if !self.is_cut(endpoint) => answer,
            // The answer is lost on its way.
            Ok(_) => {
                // Half of the time the connection breaks, else nothing is heard at all.
                if self.state().dice.chance(50) {
                    tokio::time::sleep_until(deadline).await;
                }
                self.awake().await;
                return Err(Lost::NoAnswer);
            }
            Err(_) => return Err(Lost::NoAnswer),
        };
        self.step().await;
        Ok(answer)
    }

    /// Sends a request off. It arrives whatever becomes of the worker; the sender of the answer is dropped
    /// where there is none.
    fn send<T: Send + 'static>(
        &self,
        endpoint: Endpoint,
        serve: impl FnOnce(Option<Refusal>) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let (there, back, fate) = {
            let mut state = self.state();
            let weather: &Weather = &self.world.weather;
            let fate = weather.draw(endpoint, self.world.time.millis(), &mut state.dice);
            let slow = fate != Fate::Fine && state.dice.chance(20);
            // Calls to the state table are repeated by the SDK, so that one can arrive late. A bulk request is not,
            // and its worker's last moment leaves it a second and a half.
            let longest = if endpoint == Endpoint::State { 4_500 } else { 1_200 };
            let there = if slow { state.dice.millis(100..=longest) } else { state.dice.millis(1..=8) };
            (there, state.dice.millis(1..=8), fate)
        };
        tokio::spawn(async move {
            sleep(there).await;
            let (refusal, more) = match fate {
                Fate::LostRequest => return,
                Fate::Fine | Fate::LostAnswer => (None, Duration::ZERO),
                Fate::Late(late) => {
                    sleep(late).await;
                    (None, Duration::ZERO)
                }
                Fate::Slow(more) => (None, more),
                Fate::Refused(refusal) => (Some(refusal), Duration::ZERO),
            };
            let answer = serve(refusal);
            if matches!(fate, Fate::LostAnswer | Fate::Late(_)) {
                return;
            }
            sleep(back + more).await;
            let _ = sender.send(answer);
        });
        receiver
    }

    /// A place where the worker can crash. Never returns in a dead one.
    async fn step(&self) {
        let crashed = {
            let mut state = self.state();
            let due = state.steps_to_crash == Some(0) && !state.dead;
            state.dead |= due;
            state.steps_to_crash = state.steps_to_crash.map(|left| left.saturating_sub(1));
            due
        };
        if crashed {
            self.world.trace.note(format_args!("{} crashes", self.name));
            self.changed.notify_waiters();
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the machine runs; never in a dead one.
    async fn awake(&self) {
        self.wait_until(|state| state.frozen.is_none() && !state.dead).await;
    }

    async fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    fn is_cut(&self, endpoint: Endpoint) -> bool {
        self.state().cut.contains(&endpoint)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

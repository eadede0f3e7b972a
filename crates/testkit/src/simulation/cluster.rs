//! The workers, and the faults of workers and world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::gate::Steady;
use super::liveness::{self, Member};
use super::plan::Event;
use super::seen::CHECK_EVERY;
use super::table::Change;
use super::tamper;
use super::time::{HOUR, SECOND};
use super::weather::{Endpoint, Rule};
use super::worker::{End, Worker};
use super::workload;
use super::world::World;

/// All workers, each in a slot that is filled again when it is gone.
pub(super) struct Cluster {
    pub(super) world: Arc<World>,
    pub(super) slots: Vec<Option<Worker>>,
    /// What happens later, by time.
    agenda: BTreeMap<(u64, u64), Step>,
    serial: u64,
    started: u64,
    lives: JoinSet<(usize, String, End)>,
    /// After a crash or a stop, how long until the slot is filled again.
    pub(super) back_after: Vec<u64>,
    /// Slots whose worker ended because only gapped lineages are left.
    resigned: usize,
    writer: CancellationToken,
    /// The pause between two writes while nobody looks, in milliseconds.
    slow: Arc<AtomicU64>,
    /// When the bounds are checked next.
    next_check: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Event(Event),
    Start(usize),
    Stop(usize),
    Thaw(usize, Steady),
    Repair(usize),
    Enable,
    /// Writes come at their usual pace again.
    Busy,
    /// What is wrong with the sick worker makes itself felt.
    Suffer(usize),
    /// And passes.
    Recover(usize, i64),
}

const RESTART: u64 = 5 * SECOND;
const CHECK_WHILE_ASLEEP: u64 = 10 * SECOND;

impl Cluster {
    pub(super) fn new(world: &Arc<World>) -> Cluster {
        let plan = &world.plan;
        let mut cluster = Cluster {
            world: Arc::clone(world),
            slots: (0..plan.workers).map(|_| None).collect(),
            agenda: BTreeMap::new(),
            serial: 0,
            started: 0,
            lives: JoinSet::new(),
            back_after: vec![RESTART; plan.workers],
            resigned: 0,
            writer: CancellationToken::new(),
            slow: Arc::new(AtomicU64::new(plan.head_start / 15)),
            next_check: 0,
        };
        for (at, event) in plan.events.clone() {
            cluster.at(at, Step::Event(event));
        }
        cluster.at(plan.head_start, Step::Busy);
        for slot in 0..plan.workers {
            let stagger = super::dice::hash(plan.seed, &format!("start {slot}")) % 3_000;
            cluster.at(plan.head_start + stagger, Step::Start(slot));
        }
        cluster
    }

    /// Lets everything happen that the seed has in store, then ends all faults and writes.
    pub(super) async fn storm(&mut self) {
        let writer = workload::write(Arc::clone(&self.world), self.writer.clone(), Arc::clone(&self.slow));
        let writing = tokio::spawn(writer);
        let audits = CancellationToken::new();
        let auditing = self
            .world
            .plan
            .audit
            .then(|| tokio::spawn(super::audit::audit_until(Arc::clone(&self.world), audits.clone())));
        let filling = self
            .world
            .plan
            .fill
            .then(|| tokio::spawn(super::fill::fill_until(Arc::clone(&self.world), audits.clone())));
        let rebuilding = self
            .world
            .plan
            .rebuild
            .then(|| tokio::spawn(super::rebuild::rebuild_until(Arc::clone(&self.world), audits.clone())));
        let mut end = self.world.plan.head_start + self.world.plan.storm;
        while let Some(((at, serial), step)) = self.agenda.pop_first() {
            if at > end {
                self.agenda.insert((at, serial), step);
                break;
            }
            self.pass_until(at).await;
            if let Step::Event(Event::Silence { lasts, .. }) = step {
                end += lasts;
                self.postpone(lasts);
            }
            self.take(step);
        }
        self.pass_until(end).await;
        self.calm();
        self.writer.cancel();
        let _ = writing.await;
        audits.cancel();
        for beside in [auditing, filling, rebuilding].into_iter().flatten() {
            let _ = beside.await;
        }
    }

    /// Lets time pass until `work` is done.
    pub(super) async fn beside(&mut self, work: impl Future<Output = ()>) {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = &mut work => return,
                () = self.pass(2 * SECOND) => {}
            }
        }
    }

    /// Faults end. What was to come is dropped, but for workers that come back.
    fn calm(&mut self) {
        self.world.trace.note(format_args!("calm"));
        self.world.calm();
        self.world.search().unblock(self.world.time.millis());
        self.world.weather.clear(self.world.time.millis());
        let agenda = std::mem::take(&mut self.agenda);
        for ((at, _), step) in agenda {
            match step {
                Step::Start(_) | Step::Stop(_) => self.at(at, step),
                Step::Thaw(..) | Step::Enable => self.take(step),
                Step::Recover(..) => self.take(step),
                Step::Event(_) | Step::Repair(_) | Step::Busy | Step::Suffer(_) => {}
            }
        }
        for worker in self.slots.iter().flatten() {
            worker.gate.repair();
            worker.gate.thaw(Steady::GoesOn);
        }
        if self.world.is_tampered() {
            // What a reader takes for unreadable it reads again when it starts again.
            tamper::restore(&mut self.world.state());
            for worker in self.slots.iter().flatten() {
                worker.stop();
            }
        }
        // An operator starts those again that ended because of gaps: what is one still is.
        for slot in 0..self.slots.len() {
            if !self.world.has_ended()
                && self.slots[slot].is_none()
                && !self.agenda.values().any(|step| matches!(step, Step::Start(at) if *at == slot))
            {
                self.after(RESTART, Step::Start(slot));
            }
        }
        self.resigned = 0;
        self.world.resign(false);
        if !self.world.search().lost.is_empty() {
            self.touch_everything();
        }
    }

    /// Nobody can notice that an index is gone before something is written to it.
    fn touch_everything(&self) {
        let mut table = self.world.table();
        for key in 0..self.world.plan.keys {
            table.write(&format!("k{key}"), Change::Put("a"));
            table.write(&format!("k{key}"), Change::Put("b"));
        }
    }

    /// Lets time pass, with the steps that are due.
    pub(super) async fn pass(&mut self, millis: u64) {
        let until = self.world.time.millis() + millis;
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), step) = entry.remove_entry();
            self.pass_until(at).await;
            self.take(step);
        }
        self.pass_until(until).await;
    }

    /// Asks all workers to stop, and says whether each did so within its time.
    pub(super) async fn stop(&mut self) {
        self.agenda.clear();
        for worker in self.slots.iter().flatten() {
            worker.stop();
        }
        self.back_after.fill(u64::MAX / 4);
        self.pass(11 * SECOND).await;
        for worker in self.slots.iter().flatten() {
            self.world.trace.violation(format_args!("{} did not stop within 11 s", worker.gate.name));
        }
    }

    fn at(&mut self, at: u64, step: Step) {
        self.serial += 1;
        self.agenda.insert((at, self.serial), step);
    }

    pub(super) fn after(&mut self, millis: u64, step: Step) {
        self.at(self.world.time.millis().saturating_add(millis), step);
    }

    /// Everything that is to come comes later.
    fn postpone(&mut self, millis: u64) {
        let agenda = std::mem::take(&mut self.agenda);
        self.agenda = agenda.into_iter().map(|((at, serial), step)| ((at + millis, serial), step)).collect();
    }

    async fn pass_until(&mut self, at: u64) {
        loop {
            let check = if self.slots.iter().any(Option::is_some) { self.next_check } else { u64::MAX };
            tokio::select! {
                biased;
                Some(ended) = self.lives.join_next() => {
                    if let Ok((slot, name, end)) = ended {
                        self.ended(slot, &name, end);
                    }
                }
                () = self.world.time.until(at), if at <= check => return,
                () = self.world.time.until(check), if check < at => self.check_bounds(),
            }
        }
    }

    /// Checks what must hold at every moment. They are checked less often while everybody sleeps.
    fn check_bounds(&mut self) {
        let members: Vec<Member<'_>> = self.slots.iter().flatten().map(Worker::member).collect();
        liveness::check(&self.world, &members);
        let is_asleep = members.iter().all(|member| !member.condition.can_beat);
        let pause = if is_asleep { CHECK_WHILE_ASLEEP } else { CHECK_EVERY };
        self.next_check = self.world.time.millis() + pause;
    }

    fn ended(&mut self, slot: usize, name: &str, end: End) {
        if self.slots[slot].as_ref().is_none_or(|worker| worker.gate.name != name) {
            return;
        }
        self.slots[slot] = None;
        match end {
            End::OnlyGaps => {
                self.resigned += 1;
                if self.resigned == self.slots.len() {
                    self.world.resign(true);
                }
            }
            End::Failed => {
                if !self.world.is_tampered() {
                    self.world.trace.violation(format_args!("{name} failed"));
                }
                self.after(RESTART, Step::Start(slot));
            }
            End::ReadOut => self.world.reach_the_end(),
            End::Crashed | End::Stopped => self.after(self.back_after[slot], Step::Start(slot)),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Event(event) => self.befall(event),
            Step::Start(slot) => self.start(slot),
            Step::Stop(slot) => {
                if let Some(worker) = &self.slots[slot] {
                    worker.stop();
                }
            }
            Step::Thaw(slot, steady) => {
                if let Some(worker) = &self.slots[slot] {
                    self.world.trace.note(format_args!("{} wakes", worker.gate.name));
                    worker.gate.thaw(steady);
                }
            }
            Step::Repair(slot) => {
                if let Some(worker) = &self.slots[slot] {
                    worker.gate.repair();
                }
            }
            Step::Enable => self.world.table().enable(),
            Step::Busy => self.slow.store(0, Ordering::Relaxed),
            Step::Suffer(slot) => self.suffer(slot),
            Step::Recover(slot, millis) => {
                if let Some(worker) = &self.slots[slot] {
                    worker.gate.shift_wall(-millis);
                }
            }
        }
    }

    fn start(&mut self, slot: usize) {
        if self.slots[slot].is_some() {
            return;
        }
        self.started += 1;
        let name = format!("w{}", self.started);
        let (worker, life) = Worker::start(name.clone(), slot, &self.world);
        let mut dice = Dice::new(self.world.plan.seed, &format!("clock {name}"));
        if dice.chance(self.world.plan.wrong_clocks) {
            let millis = i64::try_from(dice.within(0..=2 * HOUR)).unwrap_or_default();
            worker.gate.shift_wall(millis - i64::try_from(HOUR).unwrap_or_default());
        }
        self.slots[slot] = Some(worker);
        self.back_after[slot] = RESTART;
        if let Some(sick) = self.world.plan.sick.filter(|sick| sick.worker == slot && !self.world.is_calm()) {
            self.fall_sick(slot, sick.sickness);
        }
        self.lives.spawn(async move { (slot, name, life.await) });
    }

    fn befall(&mut self, event: Event) {
        let world = Arc::clone(&self.world);
        world.trace.note(format_args!("{event:?}"));
        match event {
            Event::RollOver(which) => world.table().roll_over(which),
            Event::Split(which) => world.table().split(which),
            Event::TornSplit(which) => workload::torn_split(&world, which),
            Event::Flood { partition, records } => workload::flood(&world, partition, records),
            Event::Replace(off) => {
                world.table().disable();
                self.after(off, Step::Enable);
            }
            Event::ForgetTombstones => world.search().forget_tombstones(),
            Event::LoseIndex(which) => {
                let lost = world.search().lose(which);
                let matters = lost.clone().filter(|concrete| world.state().names_index(concrete));
                world.search().to_be_noticed.extend(matters);
                world.trace.note(format_args!("lost {lost:?}"));
            }
            Event::Plant { index, key, is_gone } => {
                let body = (!is_gone).then(|| serde_json::json!({"planted": key}));
                let now = world.time.millis();
                if world.search().plant(index, &format!("k{key}"), body, now) {
                    world.reached.note("index: something else writes to it");
                }
            }
            Event::Tamper { how, which } => {
                if how.apply(&mut world.state(), which) {
                    world.reached.note(how.name());
                    world.tamper();
                }
            }
            Event::BlockIndex { which, lasts } => {
                let now = world.time.millis();
                let blocked = world.search().block(which, now, now + lasts);
                world.trace.note(format_args!("blocked {blocked:?}"));
            }
            Event::Weather { endpoint, fate, thousandths, lasts } => {
                world.weather.add(Rule { endpoint, until: world.time.millis() + lasts, thousandths, fate });
            }
            Event::Crash { worker, steps, back_after } => {
                self.back_after[worker] = back_after;
                if let Some(worker) = &self.slots[worker] {
                    worker.gate.crash_after(steps);
                }
            }
            Event::Freeze { worker, lasts, stands_still } => {
                let steady = if stands_still { Steady::StandsStill } else { Steady::GoesOn };
                self.freeze(worker, lasts, steady);
            }
            Event::Cut { worker, stream, state, search, lasts } => {
                let all = [(stream, Endpoint::Stream), (state, Endpoint::State), (search, Endpoint::Search)];
                let cut: Vec<Endpoint> = all.iter().filter(|(cut, _)| *cut).map(|(_, endpoint)| *endpoint).collect();
                if let Some(found) = &self.slots[worker] {
                    found.gate.cut(&cut);
                }
                self.after(lasts, Step::Repair(worker));
            }
            Event::ShiftWall { worker, millis } => {
                if let Some(worker) = &self.slots[worker] {
                    worker.gate.shift_wall(millis);
                }
            }
            Event::Stop { worker, back_after } => {
                self.back_after[worker] = back_after;
                self.take(Step::Stop(worker));
            }
            Event::Roll { start_first } => self.roll(start_first),
            Event::Silence { lasts, sleeper } => self.silence(lasts, sleeper),
        }
    }

    pub(super) fn freeze(&mut self, slot: usize, lasts: u64, steady: Steady) {
        if let Some(worker) = &self.slots[slot] {
            worker.gate.freeze();
        }
        self.after(lasts, Step::Thaw(slot, steady));
    }

    /// One slot after the other; with `start_first` there is a slot more for a while.
    fn roll(&mut self, start_first: bool) {
        let slots = self.slots.len();
        if start_first {
            self.slots.push(None);
            self.back_after.push(RESTART);
            self.take(Step::Start(slots));
        }
        for slot in 0..slots {
            self.back_after[slot] = SECOND;
            let wait = u64::try_from(slot).unwrap_or_default() * 8 * SECOND;
            self.after(wait, Step::Stop(slot));
        }
    }

    fn silence(&mut self, lasts: u64, sleeper: bool) {
        self.slow.store(lasts / 15, Ordering::Relaxed);
        self.after(lasts, Step::Busy);
        let mut alive: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect();
        if sleeper && !alive.is_empty() {
            self.freeze(alive.remove(0), lasts + 10 * SECOND, Steady::StandsStill);
        }
        for slot in alive {
            self.back_after[slot] = lasts;
            if let Some(worker) = &self.slots[slot] {
                worker.gate.kill();
            }
        }
    }
}

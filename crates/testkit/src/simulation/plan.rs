//! The plan of a seed: the state of the world, and the time of each fault.

mod draw;
mod sickness;

use std::time::Duration;

use streamdex_config::StartPosition;
use streamdex_poller::graph::Until;

pub(super) use self::sickness::{Sick, Sickness};
use super::dice::Dice;
use super::table::{Images, StreamHabits};
use super::tamper::Tamper;
use super::time::{HOUR, MINUTE, SECOND};
use super::weather::{Endpoint, Fate};

/// A seed's world.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) workers: usize,
    /// In percent: machines whose time of day is wrong from the beginning.
    pub(super) wrong_clocks: u32,
    pub(super) keys: usize,
    pub(super) partitions: u64,
    pub(super) images: Images,
    /// Routes to two indices, and items that no route takes.
    pub(super) two_indices: bool,
    pub(super) latest: bool,
    pub(super) freshness: Duration,
    pub(super) stream: StreamHabits,
    pub(super) largest_body: Option<usize>,
    /// Writes make a missing index.
    pub(super) makes_indices: bool,
    /// Records that come before the first worker starts, and how long before.
    pub(super) head_start: u64,
    /// When faults and writes end.
    pub(super) storm: u64,
    pub(super) events: Vec<(u64, Event)>,
    /// How many tables each process reads.
    pub(super) sources: usize,
    /// One worker reads up to the present end.
    pub(super) until: Until,
    /// Services answer as they should, and only workers are in trouble.
    pub(super) is_clear: bool,
    /// The table holds items that are in no stream, and is filled beside the workers.
    pub(super) fill: bool,
    /// Searches see an earlier generation of the index until this one is compared.
    pub(super) rebuild: bool,
    /// The index is verified and repaired beside the workers, and in the end.
    pub(super) audit: bool,
    /// One worker is in trouble all the time, and nothing else is.
    pub(super) sick: Option<Sick>,
}

/// Something that befalls the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    RollOver(usize),
    Split(usize),
    /// A split with changes before it and after it in the same second.
    TornSplit(usize),
    /// So many records come to one partition at once.
    Flood {
        partition: usize,
        records: u64,
    },
    /// The stream is switched off, and on again so many milliseconds later.
    Replace(u64),
    ForgetTombstones,
    LoseIndex(usize),
    /// Something else writes to an index: a document is gone, or another one is there.
    Plant {
        index: usize,
        key: usize,
        is_gone: bool,
    },
    /// One index takes no writes for so long, while the other does.
    BlockIndex {
        which: usize,
        lasts: u64,
    },
    /// Somebody changes an item of the state table.
    Tamper {
        how: Tamper,
        which: usize,
    },
    /// A service misbehaves for so long.
    Weather {
        endpoint: Endpoint,
        fate: Fate,
        thousandths: u32,
        lasts: u64,
    },
    /// A worker is gone after so many more steps, and another one comes after so long.
    Crash {
        worker: usize,
        steps: u64,
        back_after: u64,
    },
    Freeze {
        worker: usize,
        lasts: u64,
        stands_still: bool,
    },
    Cut {
        worker: usize,
        stream: bool,
        state: bool,
        search: bool,
        lasts: u64,
    },
    ShiftWall {
        worker: usize,
        millis: i64,
    },
    Stop {
        worker: usize,
        back_after: u64,
    },
    /// All workers are replaced one after the other: the new one starts before, or after, the old one stops.
    Roll {
        start_first: bool,
    },
    /// Everybody is gone for so long, while writes go on; but for one, perhaps, who sleeps and wakes after that.
    Silence {
        lasts: u64,
        sleeper: bool,
    },
}

impl Plan {
    /// Where the group begins.
    pub(super) fn start(&self) -> StartPosition {
        if self.latest { StartPosition::Latest } else { StartPosition::TrimHorizon }
    }

    pub(super) fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed, "plan");
        let keys_only = dice.chance(15);
        let workers = *dice.pick(&[1, 1, 2, 2, 3, 3, 4, 5]);
        let storm = dice.within(30..=150) * SECOND;
        let head_start = match dice.index(10) {
            0..7 => dice.within(0..=20) * SECOND,
            7..9 => dice.within(1..=10) * MINUTE,
            _ => dice.within(20..=60) * HOUR,
        };
        let mut plan = Plan {
            seed,
            workers,
            wrong_clocks: *dice.pick(&[0, 0, 0, 40]),
            keys: usize::try_from(dice.within(3..=14)).unwrap_or(3),
            partitions: dice.within(1..=4),
            images: if keys_only { Images::KeysOnly } else { Images::NewAndOld },
            two_indices: !keys_only && dice.chance(40),
            latest: dice.chance(15),
            freshness: Duration::from_millis(*dice.pick(&[200, 1_000, 1_000, 5_000])),
            stream: Plan::habits(&mut dice),
            largest_body: dice.chance(10).then_some(700),
            makes_indices: dice.chance(60),
            head_start,
            storm,
            events: Vec::new(),
            sources: 1,
            until: Until::Stopped,
            is_clear: false,
            fill: false,
            rebuild: false,
            audit: false,
            sick: None,
        };
        let mut shape = Dice::new(seed, "shape");
        plan.is_clear = shape.chance(25);
        if shape.chance(5) {
            plan.grow(&mut shape);
        }
        if shape.chance(5) {
            plan.read_to_the_end(&mut shape);
        } else if shape.chance(15) {
            plan.sick = Some(plan.sicken(&mut shape));
        }
        if shape.chance(20) {
            plan.lie(&mut shape);
        }
        plan.shape_pages(&mut shape);
        plan.trouble_indices(&mut shape);
        if plan.until == Until::Stopped && shape.chance(8) {
            plan.sources = 2;
        }
        if plan.until == Until::Stopped && shape.chance(10) {
            plan.tamper(&mut shape);
        }
        let mut audit = Dice::new(seed, "audits");
        plan.audit = plan.until == Until::Stopped && plan.sources == 1 && audit.chance(20);
        if plan.audit {
            plan.draw_audit(&mut audit);
        }
        let mut fill = Dice::new(seed, "fills");
        plan.fill = plan.until == Until::Stopped && plan.sources == 1 && !plan.audit && fill.chance(20);
        if plan.fill {
            plan.draw_fill(&mut fill);
        }
        plan.rebuild = plan.fill && Dice::new(seed, "rebuilds").chance(40);
        plan.draw_events(&mut dice);
        plan
    }
}

//! Everything that a seed decides beforehand: how the world is, and what befalls it when.

use super::dice::Dice;
use super::table::{Images, StreamHabits};
use super::time::{HOUR, MINUTE, SECOND};
use super::weather::{Endpoint, Fate, Refusal};
use std::time::Duration;

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
}

/// Something that befalls the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    RollOver(usize),
    Split(usize),
    /// The stream is switched off, and on again so many milliseconds later.
    Replace(u64),
    ForgetTombstones,
    LoseIndex(usize),
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
            stream: habits(&mut dice),
            largest_body: dice.chance(10).then_some(700),
            makes_indices: dice.chance(60),
            head_start,
            storm,
            events: Vec::new(),
        };
        plan.draw_events(&mut dice);
        plan
    }

    fn draw_events(&mut self, dice: &mut Dice) {
        let end = self.head_start + self.storm;
        // The structure of the stream changes in nearly every seed.
        for _ in 0..dice.index(6) {
            let at = dice.within(0..=end);
            let event = if dice.chance(75) { Event::RollOver(dice.index(8)) } else { Event::Split(dice.index(8)) };
            self.events.push((at, event));
        }
        let mut hours = 4 * HOUR;
        while hours < self.head_start {
            for partition in 0..4 {
                self.events.push((hours + dice.within(0..=HOUR), Event::RollOver(partition)));
            }
            hours += 4 * HOUR;
        }
        let events = if dice.chance(15) { dice.index(30) } else { dice.index(9) };
        for _ in 0..events {
            let at = self.head_start + dice.within(0..=self.storm);
            let event = self.draw_event(dice);
            self.events.push((at, event));
        }
        if dice.chance(4) {
            let at = self.head_start + dice.within(0..=self.storm);
            self.events.push((at, Event::Replace(dice.within(0..=20) * SECOND)));
        }
        if dice.chance(3) {
            let at = self.head_start + dice.within(0..=self.storm);
            self.events.push((at, Event::LoseIndex(dice.index(2))));
        }
        if dice.chance(6) {
            let at = self.head_start + dice.within(self.storm / 4..=self.storm);
            let sleeper = dice.chance(50);
            let lasts = if sleeper { dice.within(1..=2) } else { dice.within(1..=50) } * HOUR;
            self.events.push((at, Event::Silence { lasts, sleeper }));
        }
        self.events.sort_by_key(|(at, _)| *at);
    }

    fn draw_event(&self, dice: &mut Dice) -> Event {
        let worker = dice.index(self.workers);
        match dice.index(23) {
            0..4 => Event::Crash { worker, steps: dice.within(0..=60), back_after: dice.within(0..=40) * SECOND },
            4..7 => {
                let lasts = if dice.chance(50) { dice.within(500..=10_000) } else { dice.within(10..=90) * SECOND };
                Event::Freeze { worker, lasts, stands_still: dice.chance(50) }
            }
            7..10 => {
                let which = dice.within(1..=7);
                Event::Cut {
                    worker,
                    stream: which & 1 != 0,
                    state: which & 2 != 0,
                    search: which & 4 != 0,
                    lasts: dice.within(1..=60) * SECOND,
                }
            }
            10..12 => {
                let millis = i64::try_from(dice.within(0..=HOUR)).unwrap_or_default();
                Event::ShiftWall { worker, millis: if dice.chance(50) { millis } else { -millis } }
            }
            12..14 => Event::Stop { worker, back_after: dice.within(0..=30) * SECOND },
            14 if self.workers > 1 => Event::Roll { start_first: dice.chance(50) },
            15 => Event::ForgetTombstones,
            // What a worker's judgement of itself is for: everything is in its reach but the others' signs of life.
            16..19 => {
                let lasts = dice.within(8..=40) * SECOND;
                Event::Cut { worker, stream: false, state: true, search: false, lasts }
            }
            _ => weather(dice),
        }
    }
}

fn weather(dice: &mut Dice) -> Event {
    let endpoint =
        *dice.pick(&[Endpoint::Stream, Endpoint::State, Endpoint::Search, Endpoint::Search, Endpoint::Items]);
    let lasts = dice.within(2..=60) * SECOND;
    let thousandths = *dice.pick(&[20, 100, 300, 1_000]);
    let fate = match dice.index(8) {
        0 | 1 => Fate::Refused(Refusal::Throttled),
        2 => Fate::Refused(Refusal::Failed),
        3 if endpoint == Endpoint::Search => Fate::Refused(Refusal::Blocked),
        4 if endpoint == Endpoint::Search => Fate::Refused(Refusal::SomeItems),
        3 | 4 => Fate::Slow(Duration::from_millis(dice.within(100..=3_000))),
        5 => Fate::LostRequest,
        6 => Fate::LostAnswer,
        _ => Fate::Slow(Duration::from_millis(dice.within(500..=20_000))),
    };
    // Nothing but lost answers for a minute is no weather but a cut.
    let thousandths =
        if matches!(fate, Fate::LostAnswer | Fate::LostRequest) { thousandths.min(300) } else { thousandths };
    Event::Weather { endpoint, fate, thousandths, lasts }
}

fn habits(dice: &mut Dice) -> StreamHabits {
    StreamHabits {
        shards_a_page: *dice.pick(&[1, 2, 3, 100]),
        records_a_page: *dice.pick(&[1, 3, 10, 1_000, 1_000]),
        empty_pages: *dice.pick(&[0, 10, 50]),
        iterator_life: *dice.pick(&[15 * MINUTE, 15 * MINUTE, 15 * MINUTE, 40 * SECOND, 5 * SECOND]),
        ignores_filter: dice.chance(20),
        reads_a_second: *dice.pick(&[5, 5, 5, 2]),
        forgets: *dice.pick(&[0, 0, 0, 50]),
    }
}

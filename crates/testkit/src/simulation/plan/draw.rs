//! Draws the faults of a seed.

use std::time::Duration;

use streamdex_poller::graph::Until;

use super::sickness::{Sick, Sickness};
use super::{Event, Plan};
use crate::simulation::dice::Dice;
use crate::simulation::table::{Images, Lies, StreamHabits};
use crate::simulation::tamper::Tamper;
use crate::simulation::time::{HOUR, MINUTE, SECOND};
use crate::simulation::weather::{Endpoint, Fate, Refusal};

impl Plan {
    /// How the service answers.
    pub(super) fn habits(dice: &mut Dice) -> StreamHabits {
        StreamHabits {
            shards_a_page: *dice.pick(&[1, 2, 3, 100]),
            records_a_page: *dice.pick(&[1, 3, 10, 1_000, 1_000]),
            empty_pages: *dice.pick(&[0, 10, 50]),
            iterator_life: *dice.pick(&[15 * MINUTE, 15 * MINUTE, 15 * MINUTE, 40 * SECOND, 5 * SECOND]),
            ignores_filter: dice.chance(20),
            reads_a_second: *dice.pick(&[5, 5, 5, 2]),
            forgets: *dice.pick(&[0, 0, 0, 50]),
            lies: Lies::default(),
            empty_runs: 0,
            record_bytes: 100,
            poison: 0,
            resets: false,
        }
    }

    /// Makes one worker sick, with others beside it.
    pub(super) fn sicken(&mut self, dice: &mut Dice) -> Sick {
        const ALL: [Sickness; 7] = [
            Sickness::CrashLoop,
            Sickness::NoStream,
            Sickness::NoState,
            Sickness::NoSearch,
            Sickness::Frozen,
            Sickness::ClockOff,
            Sickness::ClockJumps,
        ];
        self.workers = self.workers.max(2);
        Sick { worker: dice.index(self.workers), sickness: *dice.pick(&ALL) }
    }

    /// Dozens of shards, and more workers than anybody has.
    pub(super) fn grow(&mut self, dice: &mut Dice) {
        self.workers = usize::try_from(dice.within(2..=30)).unwrap_or(2);
        self.partitions = dice.within(40..=80);
        self.keys = usize::try_from(dice.within(20..=60)).unwrap_or(20);
        self.freshness = Duration::from_secs(5);
        self.storm = dice.within(30..=60) * SECOND;
        self.head_start = dice.within(0..=20) * SECOND;
        self.stream.shards_a_page = *dice.pick(&[7, 25, 100]);
    }

    /// Listings are wrong: lineages are long, and listings have many pages.
    pub(super) fn lie(&mut self, dice: &mut Dice) {
        self.stream.lies = lies(dice);
        self.stream.shards_a_page = *dice.pick(&[1, 2, 3, 5]);
        if self.partitions >= 40 {
            // Where one page in thirty repeats itself, a listing of eighty pages seldom comes to its end.
            self.stream.shards_a_page *= 10;
        }
        let end = self.head_start + self.storm;
        for _ in 0..dice.within(1..=3) {
            let (at, partition) = (dice.within(0..=end), dice.index(8));
            for _ in 0..dice.within(2..=4) {
                self.events.push((at + dice.within(0..=6 * SECOND), Event::RollOver(partition)));
            }
        }
    }

    /// The stream has runs of empty pages, large records, or pages of a thousand.
    pub(super) fn shape_pages(&mut self, dice: &mut Dice) {
        self.stream.empty_runs = *dice.pick(&[0, 0, 30, 150]);
        self.stream.record_bytes = *dice.pick(&[100, 100, 100, 100, 60_000, 300_000]);
        if dice.chance(5) {
            self.stream.resets = true;
            for _ in 0..dice.within(1..=6) {
                self.events.push((dice.within(0..=self.head_start + self.storm), Event::TornSplit(dice.index(8))));
            }
        }
        if dice.chance(4) {
            self.stream.records_a_page = 1_000;
            self.stream.record_bytes = *dice.pick(&[100, 1_000]);
            let at = dice.within(0..=self.head_start + self.storm);
            let records = dice.within(1_000..=2_500);
            self.events.push((at, Event::Flood { partition: dice.index(8), records }));
            if dice.chance(50) {
                self.events.push((at + 1, Event::RollOver(dice.index(8))));
            }
        }
    }

    /// An index takes no writes for minutes, or refuses some documents for ever.
    pub(super) fn trouble_indices(&mut self, dice: &mut Dice) {
        if self.two_indices && dice.chance(25) {
            let at = self.head_start + dice.within(0..=self.storm / 2);
            self.storm += dice.within(0..=MINUTE);
            let lasts = dice.within(20 * SECOND..=4 * MINUTE);
            self.events.push((at, Event::BlockIndex { which: dice.index(2), lasts }));
        }
        if !self.is_clear && self.sick.is_none() && dice.chance(10) {
            self.answer_late(dice);
        }
        if self.images == Images::NewAndOld && dice.chance(12) {
            self.stream.poison = *dice.pick(&[3, 10, 30]);
        }
    }

    /// Bulk requests are carried out late, while their reader is gone and deletes are forgotten.
    fn answer_late(&mut self, dice: &mut Dice) {
        let at = self.head_start + dice.within(0..=self.storm);
        let fate = Fate::Late(Duration::from_secs(20));
        let lasts = dice.within(5..=30) * SECOND;
        self.events.push((at, Event::Weather { endpoint: Endpoint::Search, fate, thousandths: 300, lasts }));
        for _ in 0..dice.index(3) {
            let worker = dice.index(self.workers);
            let event = Event::Crash { worker, steps: dice.within(0..=20), back_after: dice.within(0..=20) * SECOND };
            self.events.push((at + dice.within(0..=20 * SECOND), event));
        }
        self.events.push((at + dice.within(0..=40 * SECOND), Event::ForgetTombstones));
    }

    /// One worker reads what there is, and ends.
    pub(super) fn read_to_the_end(&mut self, dice: &mut Dice) {
        (self.until, self.workers, self.latest) = (Until::PresentEnd, 1, false);
        self.head_start = dice.within(0..=5 * MINUTE);
    }

    /// Items of the state table are changed, and workers start again after that.
    pub(super) fn tamper(&mut self, dice: &mut Dice) {
        let all = [Tamper::Malformed, Tamper::Newer, Tamper::MissingShard, Tamper::MissingLease];
        let how = *dice.pick(&all);
        let at = self.head_start + dice.within(5 * SECOND..=self.storm);
        self.events.push((at, Event::Tamper { how, which: dice.index(8) }));
        for _ in 0..dice.index(4) {
            let worker = dice.index(self.workers);
            let event = Event::Crash { worker, steps: 0, back_after: dice.within(0..=5) * SECOND };
            self.events.push((at + dice.within(0..=20 * SECOND), event));
        }
    }

    /// Verifications find something, and meet forgotten tombstones.
    pub(super) fn draw_audit(&mut self, dice: &mut Dice) {
        self.storm += dice.within(0..=4) * MINUTE;
        let end = self.head_start + self.storm;
        for _ in 0..dice.index(6) {
            let (index, key) = (dice.index(2), dice.index(self.keys + 2));
            let event = Event::Plant { index, key, is_gone: dice.chance(50) };
            self.events.push((dice.within(self.head_start..=end), event));
        }
        for _ in 0..dice.index(4) {
            self.events.push((dice.within(self.head_start..=end), Event::ForgetTombstones));
        }
    }

    /// A backfill takes some minutes, and meets forgotten tombstones.
    pub(super) fn draw_fill(&mut self, dice: &mut Dice) {
        self.storm += dice.within(0..=4) * MINUTE;
        self.keys += dice.index(20);
        let end = self.head_start + self.storm;
        for _ in 0..dice.index(8) {
            self.events.push((dice.within(self.head_start..=end), Event::ForgetTombstones));
        }
    }

    /// Decides what happens when.
    pub(super) fn draw_events(&mut self, dice: &mut Dice) {
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
        if self.sick.is_none() && self.until == Until::Stopped {
            self.draw_trouble(dice);
        }
        self.events.sort_by_key(|(at, _)| *at);
    }

    fn draw_trouble(&mut self, dice: &mut Dice) {
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
            _ if self.is_clear => Event::Crash { worker, steps: 0, back_after: dice.within(5..=40) * SECOND },
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
        5 if endpoint == Endpoint::Search && dice.chance(60) => Fate::Late(Duration::from_secs(20)),
        5 => Fate::LostRequest,
        6 => Fate::LostAnswer,
        _ => Fate::Slow(Duration::from_millis(dice.within(500..=20_000))),
    };
    // Nothing but lost answers for a minute is no weather but a cut.
    let thousandths = if matches!(fate, Fate::LostAnswer | Fate::LostRequest | Fate::Late(_)) {
        thousandths.min(300)
    } else {
        thousandths
    };
    Event::Weather { endpoint, fate, thousandths, lasts }
}

/// How listings are wrong, where they are.
fn lies(dice: &mut Dice) -> Lies {
    Lies {
        at_start: *dice.pick(&[0, 500]),
        children_first: *dice.pick(&[0, 8 * SECOND]),
        middle: *dice.pick(&[0, 300, 800]),
        cursors: *dice.pick(&[0, 0, 30]),
        page_errors: *dice.pick(&[0, 100, 300]),
    }
}

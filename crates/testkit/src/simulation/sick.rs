//! The faults of a sick worker.

use super::cluster::{Cluster, Step};
use super::dice::Dice;
use super::gate::Steady;
use super::plan::Sickness;
use super::time::{HOUR, SECOND};
use super::weather::Endpoint;

const A_DAY: u64 = 24 * HOUR;

impl Cluster {
    /// A worker that was just started is sick from the beginning.
    pub(super) fn fall_sick(&mut self, slot: usize, sickness: Sickness) {
        let Some(worker) = &self.slots[slot] else { return };
        self.world.reached.note(sickness.name());
        let mut dice = Dice::new(self.world.plan.seed, &format!("sick {}", worker.gate.name));
        match sickness {
            Sickness::NoStream => worker.gate.cut(&[Endpoint::Stream]),
            Sickness::NoState => worker.gate.cut(&[Endpoint::State]),
            Sickness::NoSearch => worker.gate.cut(&[Endpoint::Search]),
            Sickness::ClockOff => worker.gate.shift_wall(a_day(&mut dice)),
            Sickness::CrashLoop => self.after(dice.within(500..=8 * SECOND), Step::Suffer(slot)),
            Sickness::Frozen => self.after(dice.within(0..=20 * SECOND), Step::Suffer(slot)),
            Sickness::ClockJumps => self.after(dice.within(5 * SECOND..=20 * SECOND), Step::Suffer(slot)),
        }
    }

    /// What comes now and then comes now.
    pub(super) fn suffer(&mut self, slot: usize) {
        let Some(sick) = self.world.plan.sick else { return };
        let Some(worker) = &self.slots[slot] else { return };
        let now = self.world.time.millis();
        let mut dice = Dice::new(self.world.plan.seed, &format!("suffer {now}"));
        match sick.sickness {
            Sickness::CrashLoop => {
                worker.gate.kill();
                self.back_after[slot] = SECOND;
            }
            Sickness::Frozen => self.freeze(slot, A_DAY, Steady::StandsStill),
            Sickness::ClockJumps => {
                let millis = a_day(&mut dice);
                worker.gate.shift_wall(millis);
                self.after(10 * SECOND, Step::Recover(slot, millis));
                self.after(dice.within(15 * SECOND..=40 * SECOND), Step::Suffer(slot));
            }
            Sickness::NoStream | Sickness::NoState | Sickness::NoSearch | Sickness::ClockOff => {}
        }
    }
}

fn a_day(dice: &mut Dice) -> i64 {
    let day = i64::try_from(A_DAY).unwrap_or_default();
    if dice.chance(50) { day } else { -day }
}

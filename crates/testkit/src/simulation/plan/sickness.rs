//! One worker that is in trouble all the time, while nothing else is.

use super::Plan;
use crate::simulation::dice::Dice;

/// A worker in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) struct Sick {
    pub(in crate::simulation) worker: usize,
    pub(in crate::simulation) sickness: Sickness,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum Sickness {
    /// It crashes every few seconds.
    CrashLoop,
    NoStream,
    NoState,
    NoSearch,
    /// Its machine stands still.
    Frozen,
    /// Its time of day is a day off.
    ClockOff,
    /// Its time of day is a day off for ten seconds, now and then.
    ClockJumps,
}

impl Sickness {
    /// Its name among the kinds of weather.
    pub(in crate::simulation) fn name(self) -> &'static str {
        match self {
            Sickness::CrashLoop => "sick: crash loop",
            Sickness::NoStream => "sick: no stream",
            Sickness::NoState => "sick: no state table",
            Sickness::NoSearch => "sick: no search",
            Sickness::Frozen => "sick: frozen",
            Sickness::ClockOff => "sick: clock a day off",
            Sickness::ClockJumps => "sick: clock jumps a day",
        }
    }
}

impl Plan {
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
}

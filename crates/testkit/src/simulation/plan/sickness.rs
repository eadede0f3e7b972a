//! One worker that is in trouble all the time, while nothing else is.

/// A worker in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sick {
    pub(crate) worker: usize,
    pub(crate) sickness: Sickness,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sickness {
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
    pub(crate) fn name(self) -> &'static str {
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

//! Pauses of writing: scope, reason and start, and the times to log them. Pure: times are arguments.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use streamdex_mapping::IndexName;
use tokio::time::Instant;

use crate::classify::PauseReason;

/// A pause that lasts is reported again after this long.
const REMIND_AFTER: Duration = Duration::from_secs(60);
/// A pause that holds nothing back is over when nothing has met it for this long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// What a pause holds back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The operations of one index.
    Index(IndexName),
    /// Everything, because the credentials are not accepted.
    Credentials,
    /// Everything, because the cluster cannot be used.
    Cluster,
}

/// A pause: a state in which operations wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What is held back.
    pub scope: Scope,
    /// Why.
    pub reason: PauseReason,
    /// What was answered last, scrubbed.
    pub detail: Option<String>,
    /// Since when.
    pub since: Instant,
}

/// All pauses of a writer.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    entries: BTreeMap<Scope, Entry>,
    /// The last report of each scope, so that a pause that comes and goes is not logged each time.
    reported: BTreeMap<Scope, (PauseReason, Instant)>,
}

#[derive(Debug)]
struct Entry {
    pause: Pause,
    reported: Instant,
    /// When it was last met.
    met: Instant,
    report: Report,
}

/// Whether the beginning of a pause was reported, so that its end is too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Said,
    /// It had been reported within the last minute, and was over in between.
    Unsaid,
}

// === impl Pauses ===

impl Pauses {
    /// Notes a pause; says whether it is new or has another reason now, which is one line in the log. One that comes
    /// back within a minute is the same.
    pub(crate) fn enter(&mut self, scope: Scope, reason: PauseReason, detail: Option<String>, now: Instant) -> Change {
        if let Some(entry) = self.entries.get_mut(&scope)
            && entry.pause.reason == reason
        {
            entry.pause.detail = detail;
            entry.met = now;
            return Change::Same;
        }
        let since = self.entries.get(&scope).map_or(now, |entry| entry.pause.since);
        let last = self.reported.get(&scope).filter(|(last, _)| *last == reason).map(|(_, at)| *at);
        let recent = last.filter(|at| now.duration_since(*at) < REMIND_AFTER);
        let (report, reported) = recent.map_or((Report::Said, now), |at| (Report::Unsaid, at));
        self.reported.insert(scope.clone(), (reason, reported));
        let pause = Pause { scope: scope.clone(), reason, detail, since };
        self.entries.insert(scope, Entry { pause, reported, met: now, report });
        if report == Report::Said { Change::New } else { Change::Same }
    }

    /// Ends a pause.
    pub(crate) fn leave(&mut self, scope: &Scope) -> Option<Ended> {
        let Entry { pause, report, .. } = self.entries.remove(scope)?;
        Some(if report == Report::Said { Ended::Reported(pause) } else { Ended::Unreported(pause) })
    }

    /// Ends what holds nothing back and was not met for long.
    pub(crate) fn forget_missing(&mut self, now: Instant) -> Vec<Pause> {
        let over = |entry: &Entry| {
            entry.pause.reason == PauseReason::IndexMissing && now.duration_since(entry.met) >= FORGET_AFTER
        };
        let scopes: Vec<Scope> =
            self.entries.iter().filter(|(_, entry)| over(entry)).map(|(scope, _)| scope.clone()).collect();
        scopes.iter().filter_map(|scope| self.entries.remove(scope)).map(|entry| entry.pause).collect()
    }

    pub(crate) fn get(&self, scope: &Scope) -> Option<&Pause> {
        self.entries.get(scope).map(|entry| &entry.pause)
    }

    /// The pauses that are due to be reported again; they count as reported.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Pause> {
        let mut due = Vec::new();
        for entry in self.entries.values_mut() {
            if now.duration_since(entry.reported) >= REMIND_AFTER {
                entry.reported = now;
                entry.report = Report::Said;
                self.reported.insert(entry.pause.scope.clone(), (entry.pause.reason, now));
                due.push(entry.pause.clone());
            }
        }
        due
    }

    /// When [`Pauses::due`] has something to say next.
    pub(crate) fn next_reminder(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.reported + REMIND_AFTER).min()
    }

    /// Whether `shown` is what [`Pauses::snapshot`] would give, details aside.
    pub(crate) fn is_shown(&self, shown: &[Pause]) -> bool {
        let same = |pause: &Pause| self.get(&pause.scope).is_some_and(|now| now.reason == pause.reason);
        shown.len() == self.entries.len() && shown.iter().all(same)
    }

    /// All pauses, the oldest first.
    pub(crate) fn snapshot(&self) -> Vec<Pause> {
        let mut all: Vec<Pause> = self.entries.values().map(|entry| entry.pause.clone()).collect();
        all.sort_by_key(|pause| pause.since);
        all
    }
}

/// A pause that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its beginning is in the log; its end is worth a line.
    Reported(Pause),
    /// Its beginning is not.
    Unreported(Pause),
}

/// Whether a pause is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It began, or its reason changed.
    New,
    /// Nothing new.
    Same,
}

// === impl Ended ===

impl Ended {
    #[cfg(test)]
    pub(crate) fn pause(self) -> Pause {
        match self {
            Ended::Reported(pause) | Ended::Unreported(pause) => pause,
        }
    }
}

// === impl Scope, Pause ===

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Index(name) => write!(f, "index {name}"),
            Scope::Credentials => f.write_str("credentials"),
            Scope::Cluster => f.write_str("cluster"),
        }
    }
}

impl Pause {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.reason.hint()
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.scope, self.reason)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> Scope {
        Scope::Index(IndexName::parse(name).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_reported_when_it_changes_and_each_minute() {
        let mut pauses = Pauses::default();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(pauses.enter(index("a"), PauseReason::ReadOnly, None, start), Change::New);
        for n in 1..50 {
            assert_eq!(pauses.enter(index("a"), PauseReason::ReadOnly, None, start + second * n), Change::Same);
        }
        assert!(pauses.due(start + second * 59).is_empty());
        assert_eq!(pauses.next_reminder(), Some(start + second * 60));
        assert_eq!(pauses.due(start + second * 60).len(), 1);
        assert!(pauses.due(start + second * 61).is_empty());
        assert_eq!(pauses.enter(index("a"), PauseReason::DiskFull, None, start + second * 70), Change::New);
        let pause = pauses.leave(&index("a")).unwrap().pause();
        assert_eq!((pause.since, pause.reason), (start, PauseReason::DiskFull));
        assert_eq!(pauses.leave(&index("a")), None);
        assert_eq!(pauses.next_reminder(), None);
    }

    /// Once a second it begins and ends.
    #[tokio::test(start_paused = true)]
    async fn a_pause_that_comes_and_goes_is_a_line_a_minute() {
        let (mut pauses, start, mut lines) = (Pauses::default(), Instant::now(), 0);
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            lines += usize::from(pauses.enter(index("a"), PauseReason::CreateBlocked, None, now) == Change::New);
            lines += pauses.due(now).len();
            let ended = pauses.leave(&index("a")).unwrap();
            lines += usize::from(matches!(ended, Ended::Reported(_)));
        }
        assert_eq!(lines, 4, "a beginning and an end in each minute");
        // Another reason is news.
        let now = start + Duration::from_secs(120);
        pauses.enter(index("a"), PauseReason::CreateBlocked, None, now);
        assert_eq!(pauses.enter(index("a"), PauseReason::DiskFull, None, now), Change::New);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_index_is_forgotten_when_nothing_meets_it() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        pauses.enter(index("a"), PauseReason::IndexMissing, None, start);
        pauses.enter(index("b"), PauseReason::ReadOnly, None, start);
        pauses.enter(index("a"), PauseReason::IndexMissing, None, start + REMIND_AFTER);
        assert!(pauses.forget_missing(start + FORGET_AFTER).is_empty());
        assert_eq!(pauses.forget_missing(start + REMIND_AFTER + FORGET_AFTER).len(), 1);
        assert_eq!(pauses.snapshot().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_of_different_scopes_stand_side_by_side() {
        let mut pauses = Pauses::default();
        let now = Instant::now();
        pauses.enter(Scope::Credentials, PauseReason::CredentialsRefused, Some("401".into()), now + REMIND_AFTER);
        pauses.enter(index("a"), PauseReason::ReadOnly, None, now);
        let shown: Vec<String> = pauses.snapshot().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["index a: the index is write-protected", "credentials: OpenSearch refuses the credentials (401)"]
        );
        assert!(pauses.get(&Scope::Cluster).is_none());
    }
}

//! `streamdex run`: follows the streams of all sources.

use std::time::{Duration, Instant};

use streamdex_config::Config;
use streamdex_mapping::Tally;
use streamdex_poller::follow::{FollowEnd, FollowError, Followed, Status, StatusBoard};
use streamdex_poller::graph::Until;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::args::{Global, RunArgs};
use crate::exit::{CliError, Exit};
use crate::follow::{Prepared, keep_brakes, prepare};
use crate::following::Following;
use crate::preflight::{Uses, preflight};
use crate::progress::{Progress, dead_letters, with_outcomes};
use crate::serve::Shown;
use crate::summary::Summary;
use crate::watched::Watched;
use crate::{settings, signals};

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Followers that are asked to stop take no longer.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: RunArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    preflight(&config, &[Uses::Sources, Uses::State, Uses::OpenSearch]).await?;
    Box::pin(follow(global, config, &arguments, |_, _| {})).await
}

/// Follows the streams until the end, or until the token that `beside` is given is cancelled. What it starts is done beside
/// that.
pub(crate) async fn follow(
    global: &Global,
    config: Config,
    arguments: &RunArgs,
    beside: impl FnOnce(&mut Watched, &CancellationToken),
) -> Result<Exit, CliError> {
    let stop = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(stop.clone())?);
    beside(&mut watched, &stop);
    let until = if arguments.until_end { Until::PresentEnd } else { Until::Stopped };
    let started = Instant::now();
    let shown = Shown::start(&config, arguments.listen, &mut watched).await?;
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(&config, until, &shown.boards)) => prepared?,
        () = stop.cancelled() => {
            if until == Until::PresentEnd || global.json {
                Summary::new(Tally::default(), 0, started.elapsed()).print(global.json)?;
            }
            return Ok(Exit::Done);
        }
        broken = watched.one_ended() => return Err(broken),
    };
    let Prepared { sources, writer, writing, opensearch, brakes } = prepared;
    shown.watch(opensearch, &mut watched);
    if let Some(brakes) = brakes {
        watched.spawn("stores the brakes of indices", keep_brakes(brakes, writer.clone()));
    }
    watched.spawn("writes to OpenSearch", async move { writer.ended().await });
    let boards: Vec<StatusBoard> = sources.iter().map(Following::board).collect();
    let lines_every = Duration::from_secs(arguments.report_every.get());
    watched.spawn("shows the progress", show_progress(boards.clone(), until, lines_every));
    let mut following = JoinSet::new();
    for source in sources {
        let stop = stop.clone();
        following.spawn(async move { Box::pin(source.run(stop)).await });
    }
    let followed = all_ended(following, &stop, &mut watched).await?;
    drop(watched);
    // Only now: a page in hand at the stop was to be written to its end.
    writing.cancel();
    let total = Total::of(&boards);
    // Who asked for JSON gets it, however the command ends.
    if until == Until::PresentEnd || global.json {
        Summary::new(total.tally, total.undecided, started.elapsed()).print(global.json)?;
    }
    if until == Until::Stopped {
        with_outcomes!(total.tally, undecided = total.undecided, "stopped");
    }
    finish(&followed?, &total, until)
}

/// Waits for all followers. Gaps end one of them alone; an error ends all, and so does a task that they need.
///
/// # Errors
/// A task that is to run as long as they do has ended.
async fn all_ended(
    mut following: JoinSet<Result<Followed, CliError>>,
    stop: &CancellationToken,
    watched: &mut Watched,
) -> Result<Result<Vec<Followed>, CliError>, CliError> {
    let mut ended = Vec::new();
    let mut failed = None;
    loop {
        let joined = tokio::select! {
            joined = following.join_next() => joined,
            broken = watched.one_ended() => {
                stop.cancel();
                // What can be checkpointed is; the followers themselves take no longer.
                let _ = timeout(STOP_WITHIN, async { while following.join_next().await.is_some() {} }).await;
                return Err(broken);
            }
        };
        match joined.map(|joined| joined.map_err(|_| FollowError::Broken.into()).and_then(|followed| followed)) {
            Some(Ok(followed)) => ended.push(followed),
            Some(Err(error)) => {
                stop.cancel();
                failed.get_or_insert(error);
            }
            None => return Ok(failed.map_or(Ok(ended), Err)),
        }
    }
}

fn finish(followed: &[Followed], total: &Total, until: Until) -> Result<Exit, CliError> {
    let ended = |end: FollowEnd| followed.iter().any(|followed| followed.end == end);
    // A stop that was asked for is always a good end.
    if ended(FollowEnd::Stopped) {
        return Ok(Exit::Done);
    }
    if ended(FollowEnd::OnlyGaps) {
        let gaps: Vec<_> = followed.iter().flat_map(|followed| &followed.status.gaps).collect();
        let named: Vec<String> = gaps.iter().map(ToString::to_string).collect();
        let message = format!("only gaps are left: {}", named.join("; "));
        let hint = gaps.first().map_or("see the log for the gap", |gap| gap.kind.hint());
        return Err(CliError::new(Exit::Gapped, message).with_hint(hint));
    }
    match until {
        Until::PresentEnd => Ok(Summary::new(total.tally, total.undecided, Duration::ZERO).exit()),
        Until::Stopped => Ok(Exit::Done),
    }
}

/// All sources together.
struct Total {
    statuses: Vec<Status>,
    tally: Tally,
    undecided: u64,
}

impl Total {
    fn of(boards: &[StatusBoard]) -> Total {
        let statuses: Vec<Status> = boards.iter().map(StatusBoard::snapshot).collect();
        let mut tally = Tally::default();
        statuses.iter().for_each(|status| tally += status.tally);
        let undecided = statuses.iter().map(|status| status.undecided).sum();
        Total { statuses, tally, undecided }
    }

    fn lag(&self) -> Option<Duration> {
        self.statuses.iter().filter_map(Status::lag).max()
    }

    /// Those that this process knows: of a table that another one reads, none.
    fn gaps(&self) -> usize {
        self.statuses.iter().map(|status| status.gaps.len()).sum()
    }

    fn detail(&self) -> String {
        let shards: usize = self.statuses.iter().map(|status| status.shards.len()).sum();
        let standing_by = self.statuses.iter().filter(|status| !status.role.is_reader() && !status.is_over).count();
        let mut parts = Vec::new();
        if standing_by < self.statuses.len() {
            parts.push(format!("{shards} shards"));
        }
        if standing_by > 0 {
            let reader = self.statuses.iter().find_map(|status| status.role.reader.as_deref()).unwrap_or("nobody yet");
            parts.push(match self.statuses.len() {
                1 => format!("standing by, {reader} reads"),
                _ => format!("standing by for {standing_by} tables"),
            });
        }
        if let Some(lag) = self.lag() {
            parts.push(format!("lag {} s", lag.as_secs()));
        }
        parts.extend(dead_letters(&self.tally));
        match self.gaps() {
            0 => {}
            1 => parts.push("1 gap".to_owned()),
            gaps => parts.push(format!("{gaps} gaps")),
        }
        let pauses = self.statuses.iter().flat_map(Status::pauses);
        parts.extend(pauses.take(1).map(|pause| format!("paused: {pause}")));
        parts.join(", ")
    }
}

/// Shows the boards' state, until it is dropped.
async fn show_progress(boards: Vec<StatusBoard>, until: Until, lines_every: Duration) {
    let progress = Progress::start(None);
    let mut progress = if until == Until::Stopped { progress.with_lines_every(lines_every) } else { progress };
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let total = Total::of(&boards);
        progress.set_outcomes(&total.tally, total.lag(), total.gaps(), &total.detail());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use streamdex_poller::{Gap, GapKind};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An alarm stays on as long as each report has the number; docs/metrics.md.
    #[test]
    fn every_report_carries_the_gaps_that_are_open() {
        let gaps = vec![Gap::new(GapKind::Trimmed, "one"), Gap::new(GapKind::Unread, "two")];
        let statuses = vec![Status { gaps, ..Status::default() }, Status::default()];
        let total = Total { statuses, tally: Tally::default(), undecided: 0 };
        assert_eq!(total.gaps(), 2);
        assert!(total.detail().contains("2 gaps"), "{}", total.detail());
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut progress = Progress::start(None).with_lines_every(Duration::ZERO);
            for _ in 0..2 {
                progress.set_outcomes(&total.tally, total.lag(), total.gaps(), &total.detail());
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let reports: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = reports.iter().map(|report| report["fields"]["gaps"].as_u64()).collect();
        assert_eq!(told, [Some(2), Some(2)], "{text}");
    }
}

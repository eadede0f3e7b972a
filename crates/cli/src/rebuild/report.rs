//! The output about a rebuild.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord};
use streamdex_poller::observe::TableReport;
use streamdex_reconcile::rebuild::{Looked, Waiting};
use streamdex_sink::index::generations::{ALIASES, Made, moves};

use super::target::{Target, lag_of, reader};
use crate::args::Global;
use crate::exit::{CliError, Exit};
use crate::output;

/// What is to happen, before it begins.
pub(super) fn intention(target: &Target, record: &RebuildRecord) -> String {
    let mut text = format!(
        "rebuild of table {}: about {} items are written again, by the group {}\n",
        target.table(),
        target.items(),
        record.to
    );
    for (index, rebuilt) in &record.indices {
        let (from, to) = (rebuilt.from.generation, rebuilt.to.generation);
        // Writing to a string cannot fail.
        let _ = match rebuilt.from.is_nothing() {
            true => writeln!(text, "  {index}: searches see no generation yet; generation {to} will be filled"),
            false => {
                writeln!(text, "  {index}: searches see generation {from}, and move to {to} once it equals the table")
            }
        };
        for suffix in ALIASES.iter().filter(|suffix| rebuilt.from.aliases.contains_key(**suffix)) {
            if !rebuilt.to.aliases.contains_key(*suffix) {
                let _ = writeln!(
                    text,
                    "  {index}{suffix}: this alias will be removed, since no route has a `ttl` any more"
                );
            }
        }
    }
    text
}

/// What a rebuild waits for, and what to do about it.
pub(super) fn waiting(waiting: &Waiting) -> (String, &'static str) {
    match waiting {
        Waiting::Filled(record) if record.after_gap => (
            "all items are being compared with their documents".to_owned(),
            "nothing: searches move once they are equal",
        ),
        Waiting::Filled(record) => (
            format!("{} of about {} items are written", record.items, record.expected),
            "nothing: next they are compared with their documents",
        ),
        Waiting::Person => (
            "the next generation does not equal the table yet, or is still being filled".to_owned(),
            "`streamdex verify --full --repair` with the new configuration names and repairs the differences",
        ),
        Waiting::Gaps(gaps) => (
            format!("changes were lost in {gaps} gaps"),
            "nothing: they are closed, and all items are compared again; `streamdex status` with the new configuration names the gaps that need a decision",
        ),
        Waiting::Letters => (
            "the new mapping refuses items, so searches would no longer find them".to_owned(),
            "`streamdex dlq list` with the new configuration shows why; run `rebuild --abort`, correct the mapping and start over; or run it again with --accept-dead-letters",
        ),
        Waiting::Lag(Some(lag)) => (
            format!("the next generation is {} s behind the table", lag.as_secs()),
            "nothing, if it catches up; --max-lag allows more",
        ),
        Waiting::Lag(None) => (
            "the lag of the next generation is unknown".to_owned(),
            "nothing: the reader of the stream reports it within seconds",
        ),
    }
}

/// What is to be done when the aliases are where they belong.
pub(super) fn rest(record: &RebuildRecord) -> (&'static str, &'static str) {
    match record.phase {
        RebuildPhase::Returned => (
            "searches see the earlier generation",
            "`streamdex rebuild --again` moves them again; or stop this process, and delete the new generation with `streamdex rebuild --abort`",
        ),
        _ => (
            "searches see the next generation",
            "start `streamdex run` with the new configuration as a standby; stop this process, then the earlier `run`; as long as that one runs, `streamdex rebuild --rollback` moves searches back",
        ),
    }
}

/// Searches were moved back.
pub(super) fn rolled_back(table: &str, looked: &Looked) {
    match looked {
        Looked::Entered(record) | Looked::Settled(record) | Looked::Healed(record)
            if record.phase == RebuildPhase::Returned =>
        {
            output::note(&format!("searches of {table} see the earlier generation\n"));
        }
        _ => output::note(&format!("searches of {table}: `streamdex rebuild --status` shows their generation\n")),
    }
}

/// A rebuild, for programs.
#[derive(Debug, Serialize)]
struct Report {
    table: String,
    /// None: there is no rebuild.
    phase: Option<RebuildPhase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    began_seconds_ago: Option<u64>,
    /// What searches saw before, and who writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Side>,
    /// What they are to see, and who fills it.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Side>,
    /// The indices behind each alias.
    aliases: BTreeMap<String, Vec<String>>,
    /// Aliases that are elsewhere than the record says: the next look of a `rebuild` moves them.
    #[serde(skip_serializing_if = "is_zero")]
    elsewhere: usize,
}

/// One of the two groups.
#[derive(Debug, Serialize)]
struct Side {
    group: String,
    generations: BTreeMap<String, u32>,
    /// Who reads the stream for it now.
    reader: Option<String>,
    lag_seconds: Option<u64>,
    gaps: usize,
    /// Items that are written, and about how many there are, while it is filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled: Option<(u64, u64)>,
    /// All items are compared with their documents.
    compares: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// `--status`.
///
/// # Errors
/// A service does not answer.
pub(super) async fn print(global: &Global, targets: &[Target]) -> Result<Exit, CliError> {
    let mut reports = Vec::new();
    for target in targets {
        reports.push(Box::pin(report(target)).await?);
    }
    if global.json {
        output::print_json(&serde_json::json!({ "rebuilds": reports }))?;
        return Ok(Exit::Done);
    }
    output::print(&reports.iter().map(Report::text).collect::<String>())?;
    Ok(Exit::Done)
}

async fn report(target: &Target) -> Result<Report, CliError> {
    let (record, made) = (target.record().await?, target.made().await?);
    let aliases = aliases(&made);
    let table = target.table().to_owned();
    let Some(record) = record else {
        return Ok(Report { table, phase: None, began_seconds_ago: None, from: None, to: None, aliases, elsewhere: 0 });
    };
    let (from, to) = (target.report_of(&record.from).await?, target.report_of(&record.to).await?);
    let generations = |of: fn(&streamdex_delivery::rebuild::Rebuilt) -> u32| {
        record.indices.iter().map(|(text, rebuilt)| (text.clone(), of(rebuilt))).collect()
    };
    Ok(Report {
        table,
        phase: Some(record.phase),
        began_seconds_ago: Some(streamdex_dynamodb::time::now().saturating_sub(record.began)),
        from: Some(Side::new(&record.from, &from, generations(|rebuilt| rebuilt.from.generation))),
        to: Some(Side::new(&record.to, &to, generations(|rebuilt| rebuilt.to.generation))),
        aliases,
        elsewhere: moves(&made, &record.shown(), record.absent()).len(),
    })
}

fn aliases(made: &[Made]) -> BTreeMap<String, Vec<String>> {
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for index in made {
        for suffix in ALIASES.iter().filter(|suffix| index.alias(suffix).is_some()) {
            aliases.entry(format!("{}{suffix}", index.index)).or_default().push(index.concrete.clone());
        }
    }
    aliases
}

// === impl Side ===

impl Side {
    fn new(group: &str, report: &TableReport, generations: BTreeMap<String, u32>) -> Side {
        let filled = report.backfill.as_ref().map(|backfill| (backfill.items, backfill.expected));
        let compares = report.backfill.as_ref().is_some_and(|backfill| backfill.after_gap);
        let filled = filled.filter(|(items, expected)| *expected > 0 && (*items > 0 || !compares));
        Side {
            group: group.to_owned(),
            generations,
            reader: reader(report).map(str::to_owned),
            lag_seconds: lag_of(report).map(|lag| lag.as_secs()),
            gaps: report.gaps.len(),
            filled,
            compares,
        }
    }

    fn text(&self, what: &str) -> String {
        let generations: Vec<String> =
            self.generations.iter().map(|(text, generation)| format!("{text} {generation}")).collect();
        let mut text = format!("  {what:<8} group {}, generation of {}", self.group, generations.join(", "));
        // Writing to a string cannot fail.
        let _ = match (&self.reader, self.lag_seconds) {
            (Some(reader), Some(lag)) => write!(text, "; {reader} reads, {lag} s behind"),
            (Some(reader), None) => write!(text, "; {reader} reads"),
            (None, _) => write!(text, "; nobody reads"),
        };
        if let Some((items, expected)) = self.filled {
            let _ = write!(text, "; {items} of about {expected} items");
        }
        if self.compares {
            text.push_str("; compares all items with their documents");
        }
        if self.gaps > 0 {
            let _ = write!(text, "; {} gaps", self.gaps);
        }
        text.push('\n');
        text
    }
}

// === impl Report ===

impl Report {
    fn text(&self) -> String {
        let mut text = match (self.phase, self.began_seconds_ago) {
            (Some(phase), Some(seconds)) => {
                format!("table {}: rebuild {}, begun {seconds} s ago\n", self.table, phase.name())
            }
            _ => format!("table {}: no rebuild\n", self.table),
        };
        text.extend(self.from.iter().map(|side| side.text("before")));
        text.extend(self.to.iter().map(|side| side.text("next")));
        for (alias, indices) in &self.aliases {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  searches of {alias} see {}", indices.join(", "));
        }
        if self.elsewhere > 0 {
            text.push_str("  aliases point elsewhere than the rebuild needs: a running rebuild moves them\n");
        }
        text
    }
}

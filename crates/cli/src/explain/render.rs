//! The output of `explain` for people. Pure.

use std::fmt::Write as _;

use streamdex_mapping::{ConditionVerdict, ExternalVersion, RouteVerdict};
use streamdex_reconcile::explain::Place;

use super::answer::Answer;
use crate::mirrored::behind;
use crate::output::date;

/// All of it, the verdict last.
pub(super) fn text(answer: &Answer, values: bool) -> String {
    let explained = &answer.explained;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, said: String| {
        let _ = writeln!(text, "{name:<10} {said}");
    };
    let read = date(explained.read_at);
    match &explained.item {
        None => line("item", format!("none (read {read})")),
        Some(item) if values => line("item", item.to_string()),
        Some(item) => line("item", format!("{} bytes of JSON (read {read}); --show-values prints it", item.len())),
    }
    if let Some(expires) = explained.expires {
        line("expires", date(expires));
    }
    explained.routes.iter().for_each(|verdict| line("route", route(verdict)));
    if let Some(reason) = explained.refused {
        line("refused", format!("the item has no document: {reason}"));
    }
    if let Some((address, document)) = &explained.belongs {
        let routing = address.routing.as_ref().filter(|_| values);
        let routing = routing.map(|routing| format!(", routing {routing}")).unwrap_or_default();
        line("belongs", format!("{} under {:?}{routing}", address.index.as_str(), address.id.as_str()));
        if values {
            line("", String::from_utf8_lossy(document).into_owned());
        }
    }
    explained.places.iter().for_each(|shown| line("index", place(shown, values)));
    for letter in &explained.letters {
        line("letter", format!("{}  {}  {}: {}", letter.key, date(letter.at), letter.reason, letter.error));
    }
    line("reader", behind(answer.lag));
    line("verdict", format!("{}: {}", answer.verdict.name(), answer.sentence()));
    text
}

fn route(verdict: &RouteVerdict) -> String {
    let RouteVerdict { index, conditions, takes } = verdict;
    let one = |condition: &ConditionVerdict| {
        let holds = match condition.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None => "cannot be read",
        };
        format!("{} {}: {holds}", condition.attribute, condition.asks)
    };
    let said: Vec<String> = conditions.iter().map(one).collect();
    let said = if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) };
    let holds = conditions.iter().all(|condition| condition.holds == Some(true));
    let outcome = match (takes, holds) {
        (true, _) => "takes it",
        (false, true) => "matches it, but an earlier route takes it",
        (false, false) => "does not match it",
    };
    format!("{index}: {outcome}{said}")
}

fn place(place: &Place, values: bool) -> String {
    let index = place.address.index.as_str();
    let Some(stored) = &place.stored else { return format!("{index}: no document ({})", place.verdict.name()) };
    let written = match second_of(stored.version) {
        None => "which streamdex did not write".to_owned(),
        Some(second) => format!("of {}", date(second)),
    };
    let mut text = format!(
        "{index}: a document of {} bytes, version {} {written} ({})",
        stored.source.len(),
        stored.version,
        place.verdict.name()
    );
    if values {
        let _ = write!(text, "\n{:<10} {}", "", String::from_utf8_lossy(&stored.source));
    }
    text
}

/// DynamoDB began in 2012.
const FIRST_SECOND: u64 = 1_325_376_000;

/// The second that a document's version was made of; none of a version that somebody else gave.
pub(super) fn second_of(version: u64) -> Option<u64> {
    Some(ExternalVersion::second_of(version)).filter(|second| *second >= FIRST_SECOND)
}

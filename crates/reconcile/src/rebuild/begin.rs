//! Decides whether a rebuild can begin, and for which indices. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use streamdex_config::Manage;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord, Rebuilt};
use streamdex_sink::index::generations::{Aliases, Configured, Made, Shown};

/// What is known before a rebuild begins.
#[derive(Debug, Clone, Copy)]
pub struct Before<'b> {
    /// The table's ARN.
    pub table_arn: &'b str,
    /// The group of the configuration.
    pub group: &'b str,
    /// The group that writes what searches see, where the user names it.
    pub from: Option<&'b str>,
    /// What the configuration wants.
    pub configured: &'b [Configured],
    /// The indices of all generations.
    pub made: &'b [Made],
    /// The service's time, in seconds since 1970.
    pub now: u64,
}

/// Why a rebuild cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user makes the index.
    #[error(
        "the index {0} is under manage = \"check\" or \"never\": streamdex moves only aliases of indices that it made"
    )]
    Managed(String),
    /// No alias of streamdex is anywhere.
    #[error(
        "no index that streamdex made for this table has its alias: searches see nothing that a rebuild could replace"
    )]
    NothingShown,
    /// Some names of a route are in one generation, others in another.
    #[error("the aliases of {0} are on indices of several generations")]
    Mixed(String),
    /// The configuration wants what searches see.
    #[error("searches see generation {generation} of {text} already, as the configuration asks")]
    SameGeneration {
        /// The text of the route.
        text: String,
        /// The generation.
        generation: u32,
    },
    /// The configuration wants another generation of an archive.
    #[error(
        "{text} holds copies of expired items, which are no longer in the table: another generation cannot be filled"
    )]
    Archive {
        /// The text of the route.
        text: String,
        /// The generation that searches see.
        generation: u32,
    },
    /// The next generation is there already, and it is not the group's alone.
    #[error("{concrete} exists already, and {} has written to it", .group.as_deref().map_or("nobody says who".to_owned(), |group| format!("the group {group}")))]
    Taken {
        /// The index.
        concrete: String,
        /// The other group; none where the index names none, as that of a Lambda function.
        group: Option<String>,
    },
    /// The group of the configuration writes what searches see.
    #[error("the group {0} writes the index that searches see: the next generation needs its own group")]
    SameGroup(String),
    /// It is not clear which group writes what searches see.
    #[error("the group that writes the index that searches see is unclear: {}", if .0.is_empty() { "none has".to_owned() } else { .0.join(", ") })]
    WhichGroup(Vec<String>),
}

// === impl Refusal ===

impl Refusal {
    /// What to do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::Managed(_) => {
                "set manage = \"create\" for the new configuration, or move your own alias when `streamdex verify` says that the new index is equal"
            }
            Refusal::NothingShown => "`streamdex run` fills an empty index by itself, and makes the aliases",
            Refusal::Mixed(_) => {
                "`POST /_aliases` moves them to one generation; `streamdex index plan` shows where they are"
            }
            Refusal::SameGeneration { .. } => "raise `generation` of this index in the new configuration",
            Refusal::Archive { .. } => {
                "leave `generation` of the archive as it is: both groups write the same copies to it"
            }
            Refusal::Taken { .. } => "set a higher `generation`, or delete that index if nobody needs it",
            Refusal::SameGroup(_) => "set state.group to a new name in the new configuration, as \"v2\"",
            Refusal::WhichGroup(_) => {
                "name it with --from GROUP: it is the state.group of the configuration that runs now"
            }
        }
    }
}

/// The record that a rebuild begins with.
///
/// # Errors
/// It cannot begin.
pub fn begin(before: Before<'_>) -> Result<RebuildRecord, Refusal> {
    let Before { group, configured, made, now, .. } = before;
    let mut indices = BTreeMap::new();
    for configured in configured {
        if configured.is_archive {
            keeps(before, configured)?;
            continue;
        }
        indices.insert(configured.text.clone(), rebuilt(before, configured)?);
    }
    if indices.values().all(|index| index.from.is_nothing()) {
        return Err(Refusal::NothingShown);
    }
    let is_from = |index: &&Made| indices.contains_key(&index.text) && index.is_shown();
    let groups: BTreeSet<String> =
        made.iter().filter(is_from).flat_map(|index| groups_of(index, before.table_arn)).collect();
    if groups.contains(group) {
        return Err(Refusal::SameGroup(group.to_owned()));
    }
    let from = match (before.from, groups.len()) {
        (Some(named), _) => named.to_owned(),
        (None, 1) => groups.first().cloned().unwrap_or_default(),
        (None, _) => return Err(Refusal::WhichGroup(groups.into_iter().collect())),
    };
    if from == group {
        return Err(Refusal::SameGroup(from));
    }
    let (to, phase) = (group.to_owned(), RebuildPhase::Filling);
    Ok(RebuildRecord { phase, beat: now, began: now, at: now, from, to, indices })
}

/// Copies of expired items cannot be written again, and both groups write the same ones.
fn keeps(before: Before<'_>, archive: &Configured) -> Result<(), Refusal> {
    let Configured { text, shown, .. } = archive;
    let other = |index: &&Made| index.text == *text && index.is_shown() && index.generation != shown.generation;
    match before.made.iter().find(other) {
        Some(index) => Err(Refusal::Archive { text: text.clone(), generation: index.generation }),
        None => Ok(()),
    }
}

fn rebuilt(before: Before<'_>, configured: &Configured) -> Result<Rebuilt, Refusal> {
    let Configured { text, manage, shown, .. } = configured;
    if *manage != Manage::Create {
        return Err(Refusal::Managed(text.clone()));
    }
    let of_text = || before.made.iter().filter(|index| index.text == *text);
    let seen: Vec<&Made> = of_text().filter(|index| index.is_shown()).collect();
    let generation = seen.first().map_or(0, |index| index.generation);
    if seen.iter().any(|index| index.generation != generation) {
        return Err(Refusal::Mixed(text.clone()));
    }
    if generation == shown.generation {
        return Err(Refusal::SameGeneration { text: text.clone(), generation });
    }
    for index in of_text().filter(|index| index.generation == shown.generation) {
        let groups: Vec<String> = groups_of(index, before.table_arn).collect();
        if groups != [before.group] {
            let group = groups.into_iter().find(|group| group != before.group);
            return Err(Refusal::Taken { concrete: index.concrete.clone(), group });
        }
    }
    let names: BTreeMap<String, Aliases> =
        seen.iter().map(|index| (index.index.to_string(), index.readers_aliases())).collect();
    // For names that come later: without what a user has given one of them.
    let live = names.values().find_map(|aliases| Some(("-live".to_owned(), aliases.get("-live")?.clone())));
    let aliases = seen.first().map(|_| (String::new(), json!({}))).into_iter().chain(live).collect();
    // What a user has given an alias stays: a filter, a routing.
    let kept = |aliases: &Aliases| {
        let mut kept = shown.aliases.clone();
        kept.extend(aliases.get("").map(|body| (String::new(), body.clone())));
        kept
    };
    let to =
        Shown { names: names.iter().map(|(name, aliases)| (name.clone(), kept(aliases))).collect(), ..shown.clone() };
    Ok(Rebuilt { from: Shown { generation, aliases, names }, to })
}

/// The groups that have followed this table into the index.
fn groups_of(index: &Made, table_arn: &str) -> impl Iterator<Item = String> {
    let ending = format!("|{table_arn}");
    index.groups.iter().filter_map(move |group| group.strip_suffix(&ending).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use streamdex_mapping::IndexName;

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";

    fn made(index: &str, generation: u32, group: &str, aliases: Value) -> Made {
        Made {
            text: index.into(),
            index: IndexName::parse(index).unwrap(),
            concrete: format!("{index}-{generation:06}"),
            uuid: None,
            generation,
            groups: vec![format!("{group}|{ARN}"), "other|another table".into()],
            aliases: aliases.as_object().unwrap().clone(),
        }
    }

    fn configured(text: &str, generation: u32) -> Configured {
        let aliases = BTreeMap::from([(String::new(), json!({})), ("-live".to_owned(), json!({"filter": {"b": 1}}))]);
        let shown = Shown { generation, aliases, names: BTreeMap::new() };
        Configured { text: text.into(), manage: Manage::Create, is_archive: false, shown }
    }

    fn before<'b>(configured: &'b [Configured], made: &'b [Made]) -> Before<'b> {
        Before { table_arn: ARN, group: "v2", from: None, configured, made, now: 7 }
    }

    #[test]
    fn it_takes_over_what_the_alias_was_given_and_leaves_archives_alone() {
        let aliases = json!({"s": {"filter": {"mine": 1}}, "theirs": {}});
        let found = [made("s", 1, "default", aliases), made("s", 2, "v2", json!({}))];
        let archive = Configured { is_archive: true, ..configured("s-expired", 1) };
        let record = begin(before(&[configured("s", 2), archive, configured("new", 1)], &found)).unwrap();
        assert_eq!((record.from.as_str(), record.to.as_str(), record.phase), ("default", "v2", RebuildPhase::Filling));
        assert_eq!(record.indices.keys().collect::<Vec<_>>(), ["new", "s"]);
        let Rebuilt { from, to } = &record.indices["s"];
        assert_eq!((from.generation, to.generation), (1, 2));
        let mine = json!({"filter": {"mine": 1}});
        assert_eq!(from.names, BTreeMap::from([("s".to_owned(), BTreeMap::from([(String::new(), mine.clone())]))]));
        assert_eq!((&to.of("s")[""], &to.of("s")["-live"]), (&mine, &json!({"filter": {"b": 1}})));
        assert_eq!((&from.of("later")[""], &to.of("later")[""]), (&json!({}), &json!({})), "it is another name's");
        assert_eq!(record.indices["new"].from, Shown::nothing(), "searches saw nothing of it");
    }

    #[test]
    fn what_cannot_be_rebuilt_is_refused_with_what_to_do() {
        let shown = |generation| made("s", generation, "default", json!({"s": {}}));
        let archive = Configured { is_archive: true, ..configured("s", 2) };
        let check = Configured { manage: Manage::Check, ..configured("s", 2) };
        let rows = [
            (vec![check], vec![shown(1)], Refusal::Managed("s".into())),
            (vec![archive], vec![shown(1)], Refusal::Archive { text: "s".into(), generation: 1 }),
            (vec![configured("s", 2)], vec![], Refusal::NothingShown),
            (vec![configured("s", 3)], vec![shown(1), shown(2)], Refusal::Mixed("s".into())),
            (vec![configured("s", 1)], vec![shown(1)], Refusal::SameGeneration { text: "s".into(), generation: 1 }),
            (
                vec![configured("s", 2)],
                vec![shown(1), made("s", 2, "old", json!({}))],
                Refusal::Taken { concrete: "s-000002".into(), group: Some("old".into()) },
            ),
            (
                vec![configured("s", 2)],
                vec![shown(1), Made { groups: Vec::new(), ..made("s", 2, "v2", json!({})) }],
                Refusal::Taken { concrete: "s-000002".into(), group: None },
            ),
            (vec![configured("s", 2)], vec![made("s", 1, "v2", json!({"s": {}}))], Refusal::SameGroup("v2".into())),
            (vec![configured("s", 2)], vec![Made { groups: Vec::new(), ..shown(1) }], Refusal::WhichGroup(Vec::new())),
        ];
        for (configured, made, refusal) in rows {
            assert_eq!(begin(before(&configured, &made)), Err(refusal.clone()));
            assert!(!refusal.hint().is_empty());
        }
        let two = [Made { groups: vec![format!("a|{ARN}"), format!("b|{ARN}")], ..shown(1) }];
        let configured = [configured("s", 2)];
        assert!(matches!(begin(before(&configured, &two)), Err(Refusal::WhichGroup(groups)) if groups == ["a", "b"]));
        let named = begin(Before { from: Some("a"), ..before(&configured, &two) });
        assert_eq!(named.unwrap().from, "a");
        // Whatever the user names: a group that is in an index which searches see never fills the next one.
        let own = begin(Before { from: Some("a"), group: "b", ..before(&configured, &two) });
        assert_eq!(own, Err(Refusal::SameGroup("b".into())));
    }
}

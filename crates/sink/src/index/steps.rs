//! The steps that an index still needs, decided from its observed state: pure.

use streamdex_config::Manage;

use super::error::SetupError;
use super::finding::{Code, Finding};
use super::inspect::{differences, inspect};
use super::live;
use super::observe::{Observed, ObservedIndex};
use super::owner::{Foreign, Owner};
use super::template::Installed;
use super::wanted::{Alias, Wanted};

/// One change of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Install the index template.
    Template,
    /// Replace the index template, which is another configuration's.
    RenewTemplate,
    /// Create the index together with these aliases.
    Create(Vec<Alias>),
    /// Add aliases that name no index yet.
    AddAliases(Vec<Alias>),
    /// Give the live alias on this index the filter of this version.
    UpdateFilter(String),
}

/// The index that documents are written to, as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located<'a> {
    /// Its own name; not the written name where that is an alias of the user's.
    pub(crate) name: &'a str,
    pub(crate) index: &'a ObservedIndex,
}

// === impl Step ===

impl Step {
    /// What the step does, as `create the index sessions-000001`.
    pub fn describe(&self, wanted: &Wanted) -> String {
        let names =
            |aliases: &[Alias]| aliases.iter().map(|alias| wanted.alias_name(*alias)).collect::<Vec<_>>().join(", ");
        match self {
            Step::Template => format!("install the index template {}", wanted.template_name()),
            Step::RenewTemplate => format!("update the index template {}", wanted.template_name()),
            Step::Create(aliases) if aliases.is_empty() => format!("create the index {}", wanted.concrete),
            Step::Create(aliases) => {
                format!("create the index {} with the aliases {}", wanted.concrete, names(aliases))
            }
            Step::AddAliases(aliases) => format!("add the aliases {} to {}", names(aliases), wanted.concrete),
            Step::UpdateFilter(index) => {
                format!("update the filter of the alias {} on {index}", wanted.alias_name(Alias::Live))
            }
        }
    }
}

/// The steps; none if the index is as wanted.
///
/// # Errors
/// The index cannot be set up, or must not be written to.
pub(crate) fn steps(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, SetupError> {
    for name in [&wanted.index, &wanted.concrete] {
        if observed.is_data_stream(name) {
            return Err(SetupError::DataStream { name: name.clone() });
        }
    }
    match wanted.manage {
        Manage::Create => create_steps(wanted, observed),
        Manage::Check => {
            let located =
                located(wanted, observed)?.ok_or_else(|| SetupError::Missing { index: wanted.index.clone() })?;
            check_alias(wanted, observed)?;
            check_owner(wanted, located)?;
            Ok(Vec::new())
        }
        Manage::Never => Ok(Vec::new()),
    }
}

/// What `streamdex index apply` does: beside the steps that a first write needs, it keeps the index template as the
/// configuration wants it, and updates what an earlier version made.
///
/// # Errors
/// As [`steps`].
pub(crate) fn apply_steps(wanted: &Wanted, observed: &Observed, installed: Installed) -> Result<Vec<Step>, SetupError> {
    let mut steps = steps(wanted, observed)?;
    if wanted.manage != Manage::Create {
        return Ok(steps);
    }
    steps.retain(|step| *step != Step::Template);
    match installed {
        Installed::Missing => steps.insert(0, Step::Template),
        Installed::Other => steps.insert(0, Step::RenewTemplate),
        Installed::Same => {}
    }
    steps.extend(outdated_filters(wanted, observed).into_iter().map(Step::UpdateFilter));
    Ok(steps)
}

/// The indices of ours whose live alias has the filter of an earlier version.
fn outdated_filters(wanted: &Wanted, observed: &Observed) -> Vec<String> {
    let alias = wanted.alias_name(Alias::Live);
    let is_outdated = |name: &&str| {
        let Some(index) = observed.index(name) else { return false };
        let owner = Owner::of_mapping(&index.mapping).ok().flatten();
        let is_ours = owner.is_some_and(|owner| owner.table == wanted.owner.table);
        let filter = index.aliases.get(&alias).and_then(|alias| alias.get("filter"));
        is_ours && filter.is_some_and(|filter| live::is_of_earlier_version(filter, &wanted.fields.live))
    };
    observed.behind_alias(&alias).into_iter().filter(is_outdated).map(str::to_owned).collect()
}

/// Under `check`, the index behind the alias is the one that set-up found at first. Another one behind it changes
/// nothing; where it is behind the alias no more, searches look elsewhere.
fn check_alias(wanted: &Wanted, observed: &Observed) -> Result<(), SetupError> {
    let behind = observed.behind_alias(&wanted.index);
    if wanted.concrete == wanted.index || behind.contains(&wanted.concrete.as_str()) {
        return Ok(());
    }
    let mut found: Vec<String> = behind.into_iter().map(str::to_owned).collect();
    found.extend(observed.index(&wanted.index).map(|_| wanted.index.clone()));
    Err(SetupError::AliasMoved { alias: wanted.index.clone(), concrete: wanted.concrete.clone(), found })
}

fn create_steps(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, SetupError> {
    let taken = |taken: String, is| Err(SetupError::NameTaken { index: wanted.index.clone(), taken, is });
    for alias in wanted.aliases() {
        let name = wanted.alias_name(alias);
        if observed.index(&name).is_some() {
            return taken(name, "index");
        }
    }
    // An alias is created where it names no index, and never moved: who searches decides when to follow.
    let mut missing = wanted.aliases();
    missing.retain(|alias| observed.behind_alias(&wanted.alias_name(*alias)).is_empty());
    match located(wanted, observed)? {
        None if !observed.behind_alias(&wanted.concrete).is_empty() => taken(wanted.concrete.clone(), "alias"),
        None => Ok(vec![Step::Template, Step::Create(missing)]),
        Some(located) => {
            check_owner(wanted, located)?;
            Ok(if missing.is_empty() { Vec::new() } else { vec![Step::AddAliases(missing)] })
        }
    }
}

/// Finds the index that documents are written to.
///
/// # Errors
/// The name is an alias for several indices.
pub(crate) fn located<'a>(wanted: &Wanted, observed: &'a Observed) -> Result<Option<Located<'a>>, SetupError> {
    let mut names = observed.behind_alias(&wanted.concrete);
    if wanted.manage == Manage::Create || observed.index(&wanted.concrete).is_some() {
        names.clear();
    }
    if names.len() > 1 {
        let indices = names.into_iter().map(str::to_owned).collect();
        return Err(SetupError::SeveralIndices { name: wanted.concrete.clone(), indices });
    }
    let name = names.pop().unwrap_or(&wanted.concrete);
    Ok(observed.entry(name).map(|(name, index)| Located { name, index }))
}

/// What is to be said of who the index belongs to.
///
/// # Errors
/// It must not be written to.
pub(crate) fn check_owner(wanted: &Wanted, located: Located<'_>) -> Result<Vec<Finding>, SetupError> {
    let found = Owner::of_mapping(&located.index.mapping);
    let concrete = located.name.to_owned();
    found.and_then(|found| wanted.owner.compare(found.as_ref(), located.name)).map_err(|foreign| match foreign {
        Foreign::Table(found) => SetupError::OtherOwner { concrete, found, wanted: wanted.owner.table.clone() },
        Foreign::VersionScheme(found) => {
            SetupError::OtherVersionScheme { concrete, found, wanted: wanted.owner.version_scheme }
        }
        Foreign::Unreadable => SetupError::UnreadableOwner { concrete },
    })
}

/// What is to be known about the index that is there.
///
/// # Errors
/// As [`steps`].
pub(crate) fn findings(wanted: &Wanted, observed: &Observed) -> Result<Vec<Finding>, SetupError> {
    let Some(located) = located(wanted, observed)? else {
        return Ok(Vec::new());
    };
    let ObservedIndex { settings, mapping, .. } = located.index;
    let mut findings = check_owner(wanted, located)?;
    findings.extend(inspect(settings, mapping, &wanted.fields));
    if wanted.manage == Manage::Create {
        if matches!(Owner::of_mapping(mapping), Ok(None)) {
            findings.push(Finding::new(
                Code::NotOurs,
                format!("{} was not created by streamdex, or its _meta was overwritten", wanted.concrete),
                "raise `generation` of this index to create a new one, or set manage = \"check\"",
            ));
        }
        findings.extend(differences(wanted, settings, mapping));
        findings.extend(wanted.aliases().into_iter().filter_map(|alias| alias_finding(wanted, observed, alias)));
    } else {
        findings.extend(other_indices(wanted, observed, located.name));
    }
    Ok(findings)
}

/// Under `check`: other indices came behind the alias after it was set up.
fn other_indices(wanted: &Wanted, observed: &Observed, written: &str) -> Option<Finding> {
    let others: Vec<&str> = observed.behind_alias(&wanted.index).into_iter().filter(|name| *name != written).collect();
    (!others.is_empty()).then(|| {
        Finding::new(
            Code::AliasElsewhere,
            format!(
                "the alias {} also points to {}, but documents are written only to {written}",
                wanted.index,
                others.join(", ")
            ),
            "let the alias point to one index: searches see the documents of all of them",
        )
    })
}

fn alias_finding(wanted: &Wanted, observed: &Observed, alias: Alias) -> Option<Finding> {
    let name = wanted.alias_name(alias);
    let elsewhere = observed
        .behind_alias(&name)
        .into_iter()
        .filter(|index| *index != wanted.concrete)
        .collect::<Vec<_>>()
        .join(", ");
    if !elsewhere.is_empty() {
        return Some(Finding::new(
            Code::AliasElsewhere,
            format!("the alias {name} points to {elsewhere}, but documents are written to {}", wanted.concrete),
            "`streamdex rebuild` moves it once the new generation equals the table; to move it by hand: POST /_aliases",
        ));
    }
    let filter = observed.index(&wanted.concrete)?.aliases.get(&name)?.get("filter");
    if live::is_same(filter, wanted.alias_body(alias).get("filter")) {
        return None;
    }
    let (message, hint) = if outdated_filters(wanted, observed).contains(&wanted.concrete) {
        (
            "the filter of an earlier version: it hides items that DynamoDB never expires",
            "run `streamdex index apply`, which updates it",
        )
    } else {
        (
            "a different filter than in the configuration",
            "remove the alias, and run `streamdex index apply` to create it again",
        )
    };
    Some(Finding::new(Code::LiveAliasFilter, format!("the alias {name} has {message}"), hint))
}

#[cfg(test)]
mod tests;

//! The steps that an index still needs, decided from its observed state: pure.

use serde_json::Value;
use streamdex_config::Manage;

use super::error::SetupError;
use super::finding::{Code, Finding};
use super::inspect::{differences, inspect};
use super::observe::{Observed, ObservedIndex};
use super::owner::{Foreign, Owner};
use super::wanted::{Alias, Wanted};

/// One change of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Install the index template.
    Template,
    /// Create the index together with these aliases.
    Create(Vec<Alias>),
    /// Add aliases that name no index yet.
    AddAliases(Vec<Alias>),
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
            Step::Create(aliases) if aliases.is_empty() => format!("create the index {}", wanted.concrete),
            Step::Create(aliases) => {
                format!("create the index {} with the aliases {}", wanted.concrete, names(aliases))
            }
            Step::AddAliases(aliases) => format!("add the aliases {} to {}", names(aliases), wanted.concrete),
        }
    }
}

/// What is to be done; nothing where the index is as it should be.
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
            check_owner(wanted, located)?;
            Ok(Vec::new())
        }
        Manage::Never => Ok(Vec::new()),
    }
}

fn create_steps(wanted: &Wanted, observed: &Observed) -> Result<Vec<Step>, SetupError> {
    let taken = |taken: String, is| Err(SetupError::NameTaken { index: wanted.index.clone(), taken, is });
    for alias in wanted.aliases() {
        let name = wanted.alias_name(alias);
        if observed.index(&name).is_some() {
            return taken(name, "index");
        }
    }
    // An alias is created where it names no index, and never moved: readers decide when to follow.
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

fn check_owner(wanted: &Wanted, located: Located<'_>) -> Result<Vec<Finding>, SetupError> {
    let found = Owner::of_mapping(&located.index.mapping);
    let concrete = located.name.to_owned();
    wanted.owner.compare(found.as_ref(), located.name).map_err(|foreign| match foreign {
        Foreign::Table(found) => SetupError::OtherOwner { concrete, found, wanted: wanted.owner.table.clone() },
        Foreign::VersionScheme(found) => {
            SetupError::OtherVersionScheme { concrete, found, wanted: wanted.owner.version_scheme }
        }
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
        if Owner::of_mapping(mapping).is_none() {
            findings.push(Finding::new(
                Code::NotOurs,
                format!("{} was not made by streamdex, or its _meta was overwritten", wanted.concrete),
                "raise `generation` of this index to have one made, or set manage = \"check\"",
            ));
        }
        findings.extend(differences(wanted, settings, mapping));
        findings.extend(wanted.aliases().into_iter().filter_map(|alias| alias_finding(wanted, observed, alias)));
    }
    Ok(findings)
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
            format!("the alias {name} points to {elsewhere}, while {} is written", wanted.concrete),
            "move the alias with POST /_aliases when the new generation is complete",
        ));
    }
    let filter = observed.index(&wanted.concrete)?.aliases.get(&name)?.get("filter");
    let wanted_body = wanted.alias_body(alias);
    (filter.map(canonical) != wanted_body.get("filter").map(canonical)).then(|| {
        Finding::new(
            Code::LiveAliasFilter,
            format!("the alias {name} has another filter than the configuration gives"),
            "remove the alias, and run `streamdex index apply` to create it again",
        )
    })
}

/// Engines may add their defaults (`boost`) and write a sole element without its list.
fn canonical(filter: &Value) -> Value {
    match filter {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect(),
        Value::Array(elements) => match elements.as_slice() {
            [one] => canonical(one),
            several => several.iter().map(canonical).collect(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;

//! The commands `streamdex index plan` and `apply`.

use serde_json::Map;
use streamdex_config::Manage;

use super::admin;
use super::catalog::Entry;
use super::documents::{self, Documents};
use super::error::SetupError;
use super::indices::Indices;
use super::inspect::inspect;
use super::probe;
use super::report::{Applied, IndexApplied, IndexPlan, Plan};
use super::set_up::{Purpose, observe, set_up};
use super::simulate::{not_simulated, simulate, unknown_templates};
use super::steps::{Step, apply_steps, findings, located};
use super::template::Installed;
use super::wanted::Wanted;

const NEVER: &str = "manage = \"never\": the index is not checked, created or watched";
const PROBE: &str = "write and delete a scratch document, to see whether versions are kept";
const NOT_SHOWN: &str = "these credentials may not list them";
const PLACEHOLDERS: &str = "an index of this route is created when a record first needs it";

// === impl Indices: the commands ===

impl Indices {
    /// What [`Indices::apply`] would do, and what the indices are or would be. Changes nothing.
    pub async fn plan(&self) -> Vec<IndexPlan> {
        let mut plans = Vec::new();
        for (entry, index) in self.names() {
            let result = self.plan_one(entry, &index).await;
            plans.push(IndexPlan { index, result });
        }
        plans
    }

    /// Creates what is missing, renews the index templates, and tries what only writing shows.
    pub async fn apply(&self) -> Vec<IndexApplied> {
        let mut applied = Vec::new();
        for (entry, index) in self.names() {
            let result = self.apply_one(entry, &index).await;
            applied.push(IndexApplied { index, result });
        }
        applied
    }

    /// All names that are known: those written out, and those that placeholders have given. A text with
    /// placeholders that has given none yet is listed as it is written.
    fn names(&self) -> Vec<(&Entry, String)> {
        let mut names = Vec::new();
        for entry in self.catalog.entries() {
            names.push((entry, entry.text.clone()));
            names.extend(self.given(entry).into_iter().map(|name| (entry, name.to_string())));
        }
        names
    }

    async fn plan_one(&self, entry: &Entry, name: &str) -> Result<Plan, SetupError> {
        let wanted = self.wanted(entry, name);
        if let Some(note) = note(entry, name) {
            return Ok(Plan::unasked(&wanted, note));
        }
        let observed = observe(&self.client, &wanted, self.expected_at(name).as_ref()).await?;
        let installed = match wanted.manage {
            Manage::Create => allowed(admin::template(&self.client, &wanted).await)?,
            Manage::Check | Manage::Never => Some(Installed::Same),
        };
        let steps = apply_steps(&wanted, &observed, installed.unwrap_or(Installed::Same))?;
        let mut plan = match located(&wanted, &observed)? {
            Some(located) => {
                let mut findings = findings(&wanted, &observed)?;
                match installed {
                    Some(Installed::Same) => {}
                    // An engine that would refuse the template does so here.
                    Some(installed) => drop(simulate(&self.client, &wanted, installed).await?),
                    None => findings.push(unknown_templates(NOT_SHOWN)),
                }
                Plan {
                    writes_to: located.name.to_owned(),
                    uuid: located.index.uuid.clone(),
                    settings: located.index.settings.clone(),
                    mapping: located.index.mapping.clone(),
                    aliases: located.index.aliases.clone(),
                    findings,
                    documents: allowed(documents::look(&self.client, located.name, &located.index.settings).await)?,
                    ..Plan::of(&wanted)
                }
            }
            None => self.plan_new(&wanted, installed, &steps).await?,
        };
        plan.findings.extend(plan.documents.iter().flat_map(Documents::findings));
        plan.steps = steps.iter().map(|step| step.describe(&wanted)).collect();
        plan.tries = Some(PROBE);
        Ok(plan)
    }

    async fn plan_new(
        &self,
        wanted: &Wanted,
        installed: Option<Installed>,
        steps: &[Step],
    ) -> Result<Plan, SetupError> {
        let effective = match installed {
            Some(installed) => simulate(&self.client, wanted, installed).await?,
            None => not_simulated(wanted, NOT_SHOWN),
        };
        let mut aliases = effective.aliases;
        let created = steps.iter().find_map(|step| if let Step::Create(aliases) = step { Some(aliases) } else { None });
        aliases
            .extend(created.into_iter().flatten().map(|alias| (wanted.alias_name(*alias), wanted.alias_body(*alias))));
        let mut findings = effective.findings;
        findings.extend(inspect(&effective.settings, &effective.mapping, &wanted.fields));
        Ok(Plan { settings: effective.settings, mapping: effective.mapping, aliases, findings, ..Plan::of(wanted) })
    }

    async fn apply_one(&self, entry: &Entry, name: &str) -> Result<Applied, SetupError> {
        let wanted = self.wanted(entry, name);
        let mut applied = Applied {
            writes_to: wanted.concrete.clone(),
            uuid: None,
            done: Vec::new(),
            findings: Vec::new(),
            note: None,
        };
        if let Some(note) = note(entry, name) {
            applied.note = Some(note);
            return Ok(applied);
        }
        let set_up = set_up(&self.client, &wanted, self.expected_at(name).as_ref(), Purpose::Apply).await?;
        applied.writes_to = set_up.name;
        applied.uuid = set_up.uuid;
        applied.done = set_up.done.iter().map(|step| step.describe(&wanted)).collect();
        applied.findings = set_up.findings;
        applied.findings.extend(probe::external_versions(&self.client, &applied.writes_to).await?);
        Ok(applied)
    }
}

/// Nothing, where these credentials may not ask: what follows the stream needs neither.
fn allowed<T>(answer: Result<T, SetupError>) -> Result<Option<T>, SetupError> {
    match answer {
        Err(SetupError::Refused { status: 403, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Why nothing can be asked about an index, where that is so.
fn note(entry: &Entry, name: &str) -> Option<&'static str> {
    match entry.settings.manage {
        Manage::Never => Some(NEVER),
        _ if entry.fixed_name().is_none() && name == entry.text => Some(PLACEHOLDERS),
        _ => None,
    }
}

// === impl Plan ===

impl Plan {
    fn of(wanted: &Wanted) -> Plan {
        let manage = match wanted.manage {
            Manage::Create => "create",
            Manage::Check => "check",
            Manage::Never => "never",
        };
        Plan {
            manage,
            writes_to: wanted.concrete.clone(),
            uuid: None,
            steps: Vec::new(),
            tries: None,
            settings: Default::default(),
            mapping: Map::new(),
            aliases: Map::new(),
            findings: Vec::new(),
            documents: None,
            note: None,
        }
    }

    /// The plan of what nothing is asked about: the wanted state, where streamdex makes it.
    fn unasked(wanted: &Wanted, note: &'static str) -> Plan {
        let plan = Plan { note: Some(note), ..Plan::of(wanted) };
        if wanted.manage != Manage::Create {
            return plan;
        }
        let aliases =
            wanted.aliases().into_iter().map(|alias| (wanted.alias_name(alias), wanted.alias_body(alias))).collect();
        let findings = inspect(&wanted.settings, &wanted.mapping, &wanted.fields);
        Plan { settings: wanted.settings.clone(), mapping: wanted.mapping.clone(), aliases, findings, ..plan }
    }
}

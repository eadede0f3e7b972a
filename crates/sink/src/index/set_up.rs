//! Sets one index up: observes it and carries out what is missing, until nothing is.

use streamdex_config::Manage;

use super::admin;
use super::error::SetupError;
use super::finding::Finding;
use super::known::KnownIndex;
use super::observe::Observed;
use super::owner::Owner;
use super::readers::{ReaderAliases, without_others};
use super::steps::{Step, apply_steps, findings, located, steps};
use super::template::Installed;
use super::wanted::Wanted;
use super::watch;
use crate::client::Client;

/// Each round sees what the one before, or another worker, has done.
const ROUNDS: usize = 4;

/// An index whose set-up is complete.
#[derive(Debug)]
pub(super) struct SetUp {
    /// The index's own name.
    pub(super) name: String,
    pub(super) uuid: Option<String>,
    /// What was done, in order.
    pub(super) done: Vec<Step>,
    pub(super) findings: Vec<Finding>,
    /// The groups that have the index in their state.
    pub(super) groups: Vec<String>,
}

/// Who wants the index set up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'p> {
    /// A write that is to follow: what it needs, and no more.
    Write {
        /// The group that manages the aliases; if none is recorded, the first one.
        readers: Option<&'p dyn ReaderAliases>,
    },
    /// `streamdex index apply`: what [`apply_steps`] finds.
    Apply,
}

/// Observes the index, carries out what is missing, and observes it again, until nothing is missing. Workers may
/// do so at the same time: an index and its aliases are created in one request.
pub(super) async fn set_up(
    client: &Client,
    wanted: &Wanted,
    expected: Option<&KnownIndex>,
    purpose: Purpose<'_>,
) -> Result<SetUp, SetupError> {
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let observed = observe(client, wanted, expected).await?;
        let missing = match purpose {
            Purpose::Write { readers } => without_others(readers, wanted, steps(wanted, &observed)?).await?,
            Purpose::Apply => apply_steps(wanted, &observed, installed(client, wanted, &done).await?)?,
        };
        if missing.is_empty() {
            return finished(wanted, &observed, done);
        }
        for step in missing {
            admin::perform(client, wanted, &step).await?;
            done.push(step);
        }
    }
    Err(SetupError::Unsettled { concrete: wanted.concrete.clone() })
}

/// The state of an index, if it is still the expected one: a vanished index must not be created again unnoticed.
pub(super) async fn observe(
    client: &Client,
    wanted: &Wanted,
    expected: Option<&KnownIndex>,
) -> Result<Observed, SetupError> {
    let observed = admin::observe(client, wanted).await?;
    let Some(suspect) = expected.filter(|known| known.compare_with(&observed).is_some()) else {
        return Ok(observed);
    };
    match watch::vanished(client, std::slice::from_ref(suspect)).await?.pop() {
        Some(vanished) => Err(SetupError::Vanished(vanished)),
        None => admin::observe(client, wanted).await,
    }
}

/// The template's state; once written, it is taken for written.
async fn installed(client: &Client, wanted: &Wanted, done: &[Step]) -> Result<Installed, SetupError> {
    let is_written = done.iter().any(|step| matches!(step, Step::Template | Step::RenewTemplate));
    if is_written || wanted.manage != Manage::Create {
        return Ok(Installed::Same);
    }
    admin::template(client, wanted).await
}

fn finished(wanted: &Wanted, observed: &Observed, done: Vec<Step>) -> Result<SetUp, SetupError> {
    let findings = findings(wanted, observed)?;
    let located = located(wanted, observed)?.ok_or_else(|| SetupError::Missing { index: wanted.index.clone() })?;
    let owner = Owner::of_mapping(&located.index.mapping).ok().flatten();
    let groups = owner.map(|owner| owner.groups).unwrap_or_default();
    Ok(SetUp { name: located.name.to_owned(), uuid: located.index.uuid.clone(), done, findings, groups })
}

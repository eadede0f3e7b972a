//! The indices of a configuration while it runs: names resolved, made when first needed, watched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamdex_config::{Config, Manage};
use streamdex_mapping::IndexName;
use tokio::sync::OnceCell;

use super::admin;
use super::catalog::{Catalog, Entry, SetupContext};
use super::error::{RIGHTS, SetupError, VanishedIndex};
use super::flavour::{Engine, Flavour, is_serverless};
use super::known::{KnownIndex, Target};
use super::readers::ReaderAliases;
use super::set_up::{Purpose, SetUp, set_up};
use super::wanted::{Offering, Wanted, of_generation};
use super::watch;
use crate::client::Client;
use crate::writer::Targets;

/// The engine's answer to a name that it refuses, such as a name that the generation makes longer than 255 bytes.
const REFUSED_NAMES: [&str; 2] = ["invalid_alias_name_exception", "invalid_index_name_exception"];

/// All indices of a configuration. Shared by all writers of a process.
#[derive(Debug)]
pub struct Indices {
    pub(super) client: Client,
    pub(super) catalog: Catalog,
    offering: Offering,
    group: Option<String>,
    readers: Option<Arc<dyn ReaderAliases>>,
    engine: OnceCell<Engine>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// One cell for each name asked for, so that callers at the same time share one set-up.
    targets: HashMap<IndexName, Arc<OnceCell<Arc<Target>>>>,
    known: BTreeMap<IndexName, KnownIndex>,
    /// The names that each text with placeholders has given.
    given: BTreeMap<String, BTreeSet<IndexName>>,
    /// ARNs of tables about which the group's state holds nothing.
    unfollowed: BTreeSet<String>,
}

/// What the group's state about a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// It names indices, or an operator has said that it need not.
    Known,
    /// Nothing of any index: one that names the group means that the state is lost.
    Empty,
}

// === impl Indices ===

impl Indices {
    /// Sends nothing yet.
    pub fn new(client: Client, config: &Config, context: &SetupContext) -> Indices {
        let offering = if is_serverless(&config.opensearch) { Offering::Serverless } else { Offering::Cluster };
        let engine = OnceCell::new();
        if offering == Offering::Serverless {
            // It does not answer `GET /`.
            let _ = engine.set(Engine { flavour: Flavour::Serverless, cluster: None });
        }
        let group = context.group().map(str::to_owned);
        let (catalog, state) = (Catalog::new(config, context), Mutex::default());
        Indices { client, catalog, offering, group, readers: None, engine, state }
    }

    /// The source of the group that manages the search aliases; without one, a name without aliases gets them.
    #[must_use]
    pub fn with_readers(self, readers: Arc<dyn ReaderAliases>) -> Indices {
        Indices { readers: Some(readers), ..self }
    }

    /// Where the documents of `index` go; `None` before [`Indices::ensure`]. No I/O.
    pub fn target(&self, index: &IndexName) -> Option<Arc<Target>> {
        self.state().targets.get(index)?.get().cloned()
    }

    /// Makes sure that the index is there, once: callers at the same time share one set-up, and a
    /// failed one is tried again by the next caller. Cheap when the index is known.
    ///
    /// An index whose UUID is known is never created again.
    ///
    /// # Errors
    /// [`SetupError::kind`] says whether to try again later.
    pub async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        if let Some(target) = self.target(index) {
            return Ok(target);
        }
        let entry = self.entry(index)?;
        let cell = self.cell(entry, index)?;
        cell.get_or_try_init(|| Box::pin(self.make(entry, index))).await.cloned()
    }

    /// Where the documents of `index` go, if the index is there: for deletes, which never make one. An index whose UUID is
    /// known, and one under `manage = "never"`, is taken to be there.
    ///
    /// # Errors
    /// [`SetupError::kind`] tells whether to try again later.
    pub async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        if let Some(target) = self.target(index) {
            return Ok(Some(target));
        }
        let wanted = self.wanted(self.entry(index)?, index.as_str());
        let is_taken_to_be_there = wanted.manage == Manage::Never || self.expected(index).is_some();
        if !is_taken_to_be_there && !admin::exists(&self.client, &wanted.concrete).await? {
            return Ok(None);
        }
        self.ensure(index).await.map(Some)
    }

    /// Compares the UUIDs of all known indices with the present ones: with one small request, unless
    /// there are so many that their names do not fit into one. That an index has vanished takes a second
    /// look, a second later.
    ///
    /// Indices under `manage = "never"` are not watched: nothing is asked of them.
    ///
    /// # Errors
    /// OpenSearch did not answer, with an error, or not as itself: nothing is known then.
    pub async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        watch::vanished(&self.client, &self.known()).await
    }

    /// Whether the UUID of any index is watched: those under `manage = "never"` are not. No I/O.
    pub fn is_watched(&self) -> bool {
        self.catalog.is_watched()
    }

    /// The indices whose UUIDs are known, for the state table.
    pub fn known(&self) -> Vec<KnownIndex> {
        self.state().known.values().cloned().collect()
    }

    /// Takes over what an earlier process knew. Other generations, and names that the configuration
    /// does not give any more, are left out.
    pub fn remember(&self, earlier: impl IntoIterator<Item = KnownIndex>) {
        for known in earlier {
            let Ok(name) = IndexName::parse(&known.index) else { continue };
            let Some(entry) = self.catalog.find(&name) else { continue };
            let current = match entry.settings.manage {
                Manage::Create => known.concrete == of_generation(&name, Manage::Create, entry.settings.generation),
                Manage::Check => known.generation == entry.settings.generation,
                Manage::Never => false,
            };
            if current {
                let mut state = self.state();
                state.note_given(entry, &name);
                state.known.insert(name, known);
            }
        }
    }

    /// Takes over what the group's state says of a table. An index of the table that the state does not name was never part
    /// of a checkpoint: its UUID, and where its documents go, are forgotten, and whatever has its name may be written to.
    pub fn restore(&self, table_arn: &str, known: Vec<KnownIndex>, group: GroupState) {
        let mut state = self.state();
        match group {
            GroupState::Empty => drop(state.unfollowed.insert(table_arn.to_owned())),
            GroupState::Known => drop(state.unfollowed.remove(table_arn)),
        }
        let is_of_table = |name: &IndexName| {
            let owner = self.catalog.find(name).map(|entry| &entry.owner);
            owner.is_some_and(|owner| owner.table_arn.as_deref() == Some(table_arn))
        };
        let is_stored = |index: &KnownIndex| known.contains(index);
        let forgotten: Vec<IndexName> = state
            .known
            .iter()
            .filter(|(name, index)| is_of_table(name) && !is_stored(index))
            .map(|(name, _)| name.clone())
            .collect();
        for name in forgotten {
            state.known.remove(&name);
            state.targets.remove(&name);
        }
        drop(state);
        self.remember(known);
    }

    /// Adds the group to those that the index names in its `_meta`, where streamdex has made the index. Where the group's
    /// state is lost, that is how a later process knows.
    ///
    /// # Errors
    /// OpenSearch did not take it.
    pub async fn name_group(&self, known: &KnownIndex) -> Result<(), SetupError> {
        let Ok(name) = IndexName::parse(&known.index) else { return Ok(()) };
        let wanted = self.wanted(self.entry(&name)?, name.as_str());
        match self.group_of(&wanted) {
            Some(group) if wanted.manage == Manage::Create => admin::name_group(&self.client, &wanted, &group).await,
            _ => Ok(()),
        }
    }

    /// Which engine answers, asked once. What it lacks is logged then.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn flavour(&self) -> Result<&Flavour, SetupError> {
        Ok(&self.engine().await?.flavour)
    }

    /// The UUID of the cluster; `None` where it is not known (yet). No I/O.
    pub fn cluster(&self) -> Option<String> {
        self.engine.get()?.cluster.clone()
    }

    async fn engine(&self) -> Result<&Engine, SetupError> {
        self.engine
            .get_or_try_init(|| async {
                let engine = admin::engine(&self.client).await?;
                let flavour = &engine.flavour;
                match flavour {
                    Flavour::Unknown => {
                        tracing::warn!(hint = RIGHTS, "OpenSearch does not show its version to these credentials");
                    }
                    _ => tracing::info!(engine = %flavour, "connected"),
                }
                for lack in flavour.lacks() {
                    tracing::info!(engine = %flavour, "{lack}");
                }
                Ok(engine)
            })
            .await
    }

    async fn make(&self, entry: &Entry, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        let wanted = self.wanted(entry, index.as_str());
        if wanted.manage == Manage::Never {
            let concrete = wanted.concrete.clone();
            return Ok(Arc::new(Target::new(&wanted, concrete, None)));
        }
        self.flavour().await?;
        let expected = self.expected(index);
        let purpose = Purpose::Write { readers: self.readers.as_deref() };
        let set_up = set_up(&self.client, &wanted, expected.as_ref(), purpose).await;
        let SetUp { name, uuid, done, findings, groups } = set_up.map_err(|error| of_value(entry, error))?;
        self.check_state(&wanted, &groups, expected.as_ref())?;
        for step in &done {
            tracing::info!(index = %index, "{}", step.describe(&wanted));
        }
        for finding in &findings {
            tracing::warn!(index = %index, hint = finding.hint, "{}", finding.message);
        }
        if let Some(uuid) = uuid.clone() {
            let generation = wanted.owner.generation;
            let known = KnownIndex { index: wanted.index.clone(), concrete: name.clone(), uuid, generation };
            self.state().known.insert(index.clone(), known);
        }
        Ok(Arc::new(Target::new(&wanted, name, uuid)))
    }

    /// An index that says of a group what the group's state does not know.
    fn check_state(&self, wanted: &Wanted, groups: &[String], known: Option<&KnownIndex>) -> Result<(), SetupError> {
        let Some(arn) = wanted.owner.table_arn.as_ref().filter(|_| known.is_none()) else { return Ok(()) };
        match self.group_of(wanted) {
            Some(group) if groups.contains(&group) && self.state().unfollowed.contains(arn) => {
                Err(SetupError::StateLost { concrete: wanted.concrete.clone(), table: wanted.owner.table.clone() })
            }
            _ => Ok(()),
        }
    }

    /// A group's state is about a table in one account and region.
    fn group_of(&self, wanted: &Wanted) -> Option<String> {
        Some(format!("{}|{}", self.group.as_ref()?, wanted.owner.table_arn.as_ref()?))
    }

    /// The wanted state of an index. Under `check`, the index that set-up once found behind an alias stays the one that is
    /// written to, whatever else comes behind the alias.
    pub(super) fn wanted(&self, entry: &Entry, name: &str) -> Wanted {
        let mut wanted = Wanted::new(entry, name, self.offering);
        if wanted.manage == Manage::Check
            && let Some(known) = self.expected_at(name)
        {
            wanted.concrete = known.concrete;
        }
        wanted
    }

    pub(super) fn expected_at(&self, name: &str) -> Option<KnownIndex> {
        IndexName::parse(name).ok().and_then(|name| self.expected(&name))
    }

    pub(super) fn expected(&self, index: &IndexName) -> Option<KnownIndex> {
        self.state().known.get(index).cloned()
    }

    /// The names that a text with placeholders has given so far.
    pub(super) fn given(&self, entry: &Entry) -> Vec<IndexName> {
        self.state().given.get(&entry.text).into_iter().flatten().cloned().collect()
    }

    pub(super) fn entry(&self, index: &IndexName) -> Result<&Entry, SetupError> {
        self.catalog.find(index).ok_or_else(|| SetupError::Unknown { index: index.to_string() })
    }

    fn cell(&self, entry: &Entry, index: &IndexName) -> Result<Arc<OnceCell<Arc<Target>>>, SetupError> {
        let mut state = self.state();
        if let Some(cell) = state.targets.get(index) {
            return Ok(cell.clone());
        }
        let given = state.given.get(&entry.text);
        if given.is_some_and(|names| names.len() >= entry.max_indices() && !names.contains(index)) {
            return Err(SetupError::TooManyIndices { route: entry.text.clone(), limit: entry.max_indices() });
        }
        state.note_given(entry, index);
        Ok(state.targets.entry(index.clone()).or_default().clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the maps would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn note_given(&mut self, entry: &Entry, index: &IndexName) {
        if entry.fixed_name().is_none() {
            self.given.entry(entry.text.clone()).or_default().insert(index.clone());
        }
    }
}

/// A name that only the engine refuses, because of a placeholder's value, is the record's fault.
fn of_value(entry: &Entry, error: SetupError) -> SetupError {
    let refused = matches!(&error, SetupError::Refused { kind, .. } if REFUSED_NAMES.contains(&kind.as_str()));
    if refused && entry.fixed_name().is_none() {
        return SetupError::UnusableName { route: entry.text.clone(), source: Box::new(error) };
    }
    error
}

// === impl Targets for Indices ===

impl Targets for Indices {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        self.target(index).map(|target| target.concrete.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::TableFacts;
    use crate::index::error::SetupErrorKind;
    use crate::index::samples::{config, name, route};
    use streamdex_config::IndexSettings;
    use streamdex_mapping::route::PatternPart;
    use streamdex_mapping::{IndexPattern, Route};

    /// Nothing listens there; only what asks nothing works.
    async fn indices(manage: Manage) -> Indices {
        let parts = vec![PatternPart::Literal("orders-".into()), PatternPart::Attribute("region".into())];
        let pattern = IndexPattern::Placeholders { text: "orders-{region}".into(), parts };
        let mut config = config(vec![route("sessions"), Route { index: pattern, ..route("sessions") }]);
        for text in ["sessions", "orders-{region}"] {
            config.indices.insert(text.into(), IndexSettings { manage, generation: 2, ..IndexSettings::default() });
        }
        let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
        Indices::new(client, &config, &SetupContext::new())
    }

    fn known(index: &str, concrete: &str, generation: u32) -> KnownIndex {
        KnownIndex { index: index.into(), concrete: concrete.into(), uuid: "A".into(), generation }
    }

    #[tokio::test]
    async fn never_asks_nothing() {
        let indices = indices(Manage::Never).await;
        let target = indices.ensure(&name("sessions")).await.unwrap();
        assert_eq!(*target, Target { concrete: "sessions".into(), uuid: None, generation: 2 });
        assert_eq!(indices.target(&name("sessions")), Some(target));
        assert_eq!(indices.watch().await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_101st_index_of_a_placeholder_is_the_records_fault() {
        let indices = indices(Manage::Never).await;
        for number in 0..100 {
            indices.ensure(&name(&format!("orders-{number}"))).await.unwrap();
        }
        let refused = indices.ensure(&name("orders-100")).await.unwrap_err();
        assert!(matches!(refused, SetupError::TooManyIndices { limit: 100, .. }), "{refused:?}");
        assert_eq!(refused.kind(), SetupErrorKind::Record);
        assert!(refused.hint().contains("max_indices"));
        indices.ensure(&name("orders-7")).await.unwrap();
        indices.ensure(&name("sessions")).await.unwrap();
        assert!(matches!(indices.ensure(&name("other")).await, Err(SetupError::Unknown { .. })));
    }

    #[tokio::test]
    async fn a_name_that_only_the_engine_refuses_is_the_records_fault_where_a_value_gave_it() {
        let indices = indices(Manage::Create).await;
        let refused = |kind: &str| SetupError::Refused {
            action: "create".into(),
            status: 400,
            kind: kind.into(),
            reason: String::new(),
        };
        let kind = |index: &str, error| of_value(indices.catalog.find(&name(index)).unwrap(), error).kind();
        assert_eq!(kind("orders-eu", refused("invalid_index_name_exception")), SetupErrorKind::Record);
        assert_eq!(kind("sessions", refused("invalid_index_name_exception")), SetupErrorKind::Configuration);
        // what the whole route would meet is nobody's record
        assert_eq!(kind("orders-eu", refused("validation_exception")), SetupErrorKind::Configuration);
    }

    #[tokio::test]
    async fn only_what_the_configuration_still_gives_is_remembered() {
        let indices = indices(Manage::Create).await;
        indices.remember([
            known("sessions", "sessions-000001", 1),
            known("orders-eu", "orders-eu-000002", 2),
            known("gone", "gone-000002", 2),
            known("Not A Name", "x", 2),
        ]);
        assert_eq!(indices.known(), [known("orders-eu", "orders-eu-000002", 2)]);
    }

    #[tokio::test]
    async fn an_index_that_the_state_does_not_name_is_not_expected_any_more() {
        const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
        let facts = TableFacts { arn: Some(ARN.into()), ..TableFacts::default() };
        let config = config(vec![route("sessions")]);
        let context = SetupContext::new().with_group("default").with_table(config.sources[0].name.clone(), facts);
        let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
        let indices = Indices::new(client, &config, &context);
        let sessions = known("sessions", "sessions-000001", 1);
        indices.restore(ARN, vec![sessions.clone()], GroupState::Known);
        assert_eq!(indices.known(), std::slice::from_ref(&sessions));
        indices.restore("arn of another table", Vec::new(), GroupState::Empty);
        assert_eq!(indices.known(), [sessions]);
        indices.restore(ARN, Vec::new(), GroupState::Known);
        assert_eq!(indices.expected(&name("sessions")), None);

        let wanted = indices.wanted(indices.entry(&name("sessions")).unwrap(), "sessions");
        let (own, foreign) = ([format!("default|{ARN}")], ["default|arn of another account".to_owned()]);
        assert!(indices.check_state(&wanted, &own, None).is_ok(), "the state says that the table was followed");
        indices.restore(ARN, Vec::new(), GroupState::Empty);
        assert!(matches!(indices.check_state(&wanted, &own, None), Err(SetupError::StateLost { .. })));
        assert!(indices.check_state(&wanted, &foreign, None).is_ok());
    }

    #[tokio::test]
    async fn under_check_what_an_earlier_process_found_behind_the_alias_is_written_to() {
        let indices = indices(Manage::Check).await;
        indices.remember([known("sessions", "real-1", 2)]);
        let entry = indices.catalog.find(&name("sessions")).unwrap();
        assert_eq!(indices.wanted(entry, "sessions").concrete, "real-1");
        assert_eq!(indices.wanted(entry, "orders-eu").concrete, "orders-eu");
    }

    #[tokio::test]
    async fn no_answer_is_an_error_and_not_a_gap() {
        let indices = indices(Manage::Create).await;
        indices.remember([known("sessions", "sessions-000002", 2)]);
        assert!(matches!(indices.watch().await, Err(SetupError::Client(_))));
        assert!(indices.ensure(&name("sessions")).await.is_err());
        assert_eq!(indices.target(&name("sessions")), None);
    }
}

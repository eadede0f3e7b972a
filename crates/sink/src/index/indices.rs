//! The indices of a configuration while it runs: names resolved, made when first needed, watched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamdex_config::{Auth, Config, Manage, SigV4Service};
use streamdex_mapping::IndexName;
use tokio::sync::OnceCell;

use super::admin;
use super::catalog::{Catalog, Entry, SetupContext};
use super::error::{SetupError, VanishedIndex};
use super::flavour::Flavour;
use super::known::{KnownIndex, Target};
use super::set_up::{SetUp, set_up};
use super::wanted::{Offering, Wanted};
use crate::client::Client;
use crate::writer::Targets;

/// How many indices one route with placeholders may give before someone must say that it is meant.
const INDICES_PER_ROUTE: usize = 100;

/// All indices of a configuration. Shared by all writers of a process.
#[derive(Debug)]
pub struct Indices {
    pub(super) client: Client,
    pub(super) catalog: Catalog,
    offering: Offering,
    flavour: OnceCell<Flavour>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// One cell for each name asked for, so that callers at the same time share one set-up.
    targets: HashMap<IndexName, Arc<OnceCell<Arc<Target>>>>,
    known: BTreeMap<IndexName, KnownIndex>,
    /// The names that each text with placeholders has given.
    given: BTreeMap<String, BTreeSet<IndexName>>,
}

// === impl Indices ===

impl Indices {
    /// Sends nothing yet.
    pub fn new(client: Client, config: &Config, context: &SetupContext) -> Indices {
        let offering = match config.opensearch.auth {
            Auth::SigV4 { service: SigV4Service::Aoss, .. } => Offering::Serverless,
            _ => Offering::Cluster,
        };
        let flavour = OnceCell::new();
        if offering == Offering::Serverless {
            // It does not answer `GET /`.
            let _ = flavour.set(Flavour::Serverless);
        }
        Indices { client, catalog: Catalog::new(config, context), offering, flavour, state: Mutex::default() }
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

    /// Compares the UUIDs of all known indices with the present ones: with one small request, unless
    /// there are so many that their names do not fit into one.
    ///
    /// Indices under `manage = "never"` are not watched: nothing is asked of them.
    ///
    /// # Errors
    /// OpenSearch did not answer, or with an error: nothing is known then.
    pub async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        let known = self.known();
        let names: Vec<String> = known.iter().map(|known| known.concrete.clone()).collect();
        let observed = admin::uuids(&self.client, &names).await?;
        let found = |name: &str| observed.iter().find_map(|chunk| chunk.uuid(name));
        Ok(known.iter().filter_map(|known| known.compare(found(&known.concrete))).collect())
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
                Manage::Create => known.concrete == self.wanted(entry, name.as_str()).concrete,
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

    /// Which engine answers, asked once. What it lacks is logged then.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn flavour(&self) -> Result<&Flavour, SetupError> {
        self.flavour
            .get_or_try_init(|| async {
                let flavour = admin::flavour(&self.client).await?;
                tracing::info!(engine = %flavour, "connected");
                for lack in flavour.lacks() {
                    tracing::info!(engine = %flavour, "{lack}");
                }
                Ok(flavour)
            })
            .await
    }

    async fn make(&self, entry: &Entry, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        let wanted = self.wanted(entry, index.as_str());
        if wanted.manage == Manage::Never {
            return Ok(Arc::new(Target::new(&wanted, None)));
        }
        self.flavour().await?;
        let SetUp { name, uuid, done, findings } = set_up(&self.client, &wanted, self.expected(index).as_ref()).await?;
        for step in &done {
            tracing::info!(index = %index, "{}", step.describe(&wanted));
        }
        for finding in &findings {
            tracing::warn!(index = %index, hint = finding.hint, "{}", finding.message);
        }
        if let Some(uuid) = uuid.clone() {
            let generation = wanted.owner.generation;
            let known = KnownIndex { index: wanted.index.clone(), concrete: name, uuid, generation };
            self.state().known.insert(index.clone(), known);
        }
        Ok(Arc::new(Target::new(&wanted, uuid)))
    }

    pub(super) fn wanted(&self, entry: &Entry, name: &str) -> Wanted {
        Wanted::new(entry, name, self.offering)
    }

    pub(super) fn expected(&self, index: &IndexName) -> Option<KnownIndex> {
        self.state().known.get(index).cloned()
    }

    /// The names that a text with placeholders has given so far.
    pub(super) fn given(&self, entry: &Entry) -> Vec<IndexName> {
        self.state().given.get(&entry.text).into_iter().flatten().cloned().collect()
    }

    fn entry(&self, index: &IndexName) -> Result<&Entry, SetupError> {
        self.catalog.find(index).ok_or_else(|| SetupError::Unknown { index: index.to_string() })
    }

    fn cell(&self, entry: &Entry, index: &IndexName) -> Result<Arc<OnceCell<Arc<Target>>>, SetupError> {
        let mut state = self.state();
        if let Some(cell) = state.targets.get(index) {
            return Ok(cell.clone());
        }
        let given = state.given.get(&entry.text);
        if given.is_some_and(|names| names.len() >= INDICES_PER_ROUTE && !names.contains(index)) {
            return Err(SetupError::TooManyIndices { route: entry.text.clone(), limit: INDICES_PER_ROUTE });
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

// === impl Targets for Indices ===

impl Targets for Indices {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        self.target(index).map(|target| target.concrete.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    async fn a_route_with_placeholders_stops_past_100_indices() {
        let indices = indices(Manage::Never).await;
        for number in 0..100 {
            indices.ensure(&name(&format!("orders-{number}"))).await.unwrap();
        }
        let refused = indices.ensure(&name("orders-100")).await;
        assert!(matches!(refused, Err(SetupError::TooManyIndices { limit: 100, .. })), "{refused:?}");
        indices.ensure(&name("orders-7")).await.unwrap();
        indices.ensure(&name("sessions")).await.unwrap();
        assert!(matches!(indices.ensure(&name("other")).await, Err(SetupError::Unknown { .. })));
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
    async fn no_answer_is_an_error_and_not_a_gap() {
        let indices = indices(Manage::Create).await;
        indices.remember([known("sessions", "sessions-000002", 2)]);
        assert!(matches!(indices.watch().await, Err(SetupError::Client(_))));
        assert!(indices.ensure(&name("sessions")).await.is_err());
        assert_eq!(indices.target(&name("sessions")), None);
    }
}

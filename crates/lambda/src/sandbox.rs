//! The parts that all invocations of a sandbox share: the connection to OpenSearch, made before the first invocation,
//! and the others, made when first needed.
//!
//! Connections are part of it. One that died while the sandbox was frozen costs a retry inside the invocation
//! and no more: the writer sends again on a new one, and connections idle for 90 s are not used at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::de::IgnoredAny;
use streamdex_config::{Config, DeadLetterKind, Source, StreamArn};
use streamdex_delivery::ReadMemory;
use streamdex_delivery::capture::Capturer;
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::page::Page;
use streamdex_dynamodb::item::ItemReader;
use streamdex_dynamodb::state::StateError;
use streamdex_sink::index::TableFacts;
use streamdex_sink::{Client, ClientError, Indices, Learned, SetupContext, VanishedIndex, WriterSettings};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};

use crate::decided::Decided;
use crate::lazy::{self, LazyReader, LazyState};
use crate::memory::IndexMemory;

/// What is made once for a sandbox.
pub struct Sandbox {
    pub(crate) config: Config,
    pub(crate) capturer: Arc<Capturer>,
    /// Of records that come again.
    pub(crate) decided: Arc<Decided>,
    /// One event is mapped at a time, also where the mapping of an earlier one was given up.
    pub(crate) mapping: Arc<Semaphore>,
    pub(crate) letters: Arc<dyn DeadLetterStore>,
    /// The room for items that are read, whatever the source.
    pub(crate) memory: ReadMemory,
    client: OnceCell<Client>,
    /// What writers have learned about the cluster: its capacity and its refusals. Later invocations reuse it.
    learned: OnceLock<Learned>,
    /// By the source's place in the configuration.
    sources: Vec<Followed>,
}

/// One source.
pub(crate) struct Followed {
    pub(crate) source: Source,
    pub(crate) reader: Arc<dyn ItemReader>,
    /// The indices that earlier sandboxes knew; `None` without a state table.
    pub(crate) memory: Option<IndexMemory>,
    /// Known with the first event, whose records tell the names of the key attributes.
    indices: OnceCell<Arc<Indices>>,
    looked_at: Mutex<Option<Instant>>,
}

/// Why nothing can be sent yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unprepared {
    /// The client of OpenSearch cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state table does not tell which indices are known.
    #[error(transparent)]
    State(#[from] StateError),
}

/// So long may a sandbox take to connect before it asks for its first invocation. Lambda gives all of its start 10 s.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// So often are the UUIDs of the indices looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

// === impl Sandbox ===

impl Sandbox {
    /// Makes what costs nothing. No request is made.
    pub(crate) fn new(config: Config) -> Sandbox {
        let state = Arc::new(LazyState::new(&config));
        // Letters in files are for emulators, and do without a state table.
        let remembers = config.dead_letter.kind == DeadLetterKind::Table;
        let followed = |source: &Source| Followed {
            source: source.clone(),
            reader: Arc::new(LazyReader::new(source)),
            memory: remembers.then(|| IndexMemory::new(Arc::clone(&state))),
            indices: OnceCell::new(),
            looked_at: Mutex::new(None),
        };
        let sources = config.sources.iter().map(followed).collect();
        let letters = lazy::letters(&config, &state);
        Sandbox {
            capturer: Arc::new(Capturer::new(&config)),
            decided: Arc::default(),
            mapping: Arc::new(Semaphore::new(1)),
            letters,
            memory: ReadMemory::default(),
            client: OnceCell::new(),
            learned: OnceLock::new(),
            sources,
            config,
        }
    }

    pub(crate) fn source(&self, place: usize) -> Option<&Followed> {
        self.sources.get(place)
    }

    /// What writers have learned of the cluster.
    pub(crate) fn learned(&self, settings: &WriterSettings) -> Learned {
        self.learned.get_or_init(|| Learned::new(settings)).clone()
    }

    /// Connects to OpenSearch while no invocation waits: Lambda gives the start of a sandbox a whole processor, and the
    /// smallest functions a small part of one from then on. Where it fails, the first invocation finds out why.
    pub(crate) async fn connect(&self) {
        let ask = async { Ok::<_, ClientError>(self.client().await?.ping().await?.status) };
        match timeout(CONNECT_TIME, Box::pin(ask)).await {
            Ok(Ok(status)) => tracing::debug!(status, "connected to OpenSearch"),
            Ok(Err(error)) => tracing::debug!("not connected to OpenSearch yet: {error}"),
            Err(_) => tracing::debug!("not connected to OpenSearch yet: no answer in {CONNECT_TIME:?}"),
        }
    }

    /// The one client of OpenSearch.
    pub(crate) async fn client(&self) -> Result<&Client, ClientError> {
        let connect = || Box::pin(Client::connect(&self.config.opensearch, &self.config.aws));
        self.client.get_or_try_init(connect).await
    }

    /// The indices of a source, with what `page`, the first that comes from it, tells of its table.
    pub(crate) async fn indices(
        &self,
        followed: &Followed,
        page: &Page,
        stream_arn: Option<&str>,
    ) -> Result<Arc<Indices>, Unprepared> {
        let client = self.client().await?.clone();
        let make = || async move {
            let facts = TableFacts {
                arn: stream_arn.and_then(StreamArn::parse).map(|stream| stream.table().to_string()),
                id: None,
                key_attributes: key_names(page),
            };
            let context = SetupContext::new().with_table(followed.source.name.clone(), facts);
            let indices = Indices::new(client, &self.config, &context);
            Arc::new(match &followed.memory {
                Some(memory) => indices.with_readers(memory.readers().await),
                None => indices,
            })
        };
        let indices = followed.indices.get_or_init(make).await;
        if let Some(memory) = &followed.memory {
            memory.recall(stream_arn, indices).await?;
        }
        Ok(Arc::clone(indices))
    }
}

/// The names of the key attributes, from the first record that the configuration fits.
fn key_names(page: &Page) -> Vec<String> {
    let keys = page.fitting_keys().and_then(|keys| serde_json::from_str::<BTreeMap<String, IgnoredAny>>(keys).ok());
    keys.into_iter().flatten().map(|(name, _)| name).collect()
}

// === impl Followed ===

impl Followed {
    /// Looks, at most once a minute, whether the indices are still those that were written to. Without an
    /// answer nothing is known; the writes will show what is the matter.
    pub(crate) async fn look(&self, indices: &Indices) -> Vec<VanishedIndex> {
        let due = self.looked_at().is_some_and(|at| at.elapsed() >= LOOK_EVERY);
        if !due {
            self.set_looked_at(self.looked_at().unwrap_or_else(Instant::now));
            return Vec::new();
        }
        match indices.watch().await {
            // Not noted, so that the next invocation looks again before it writes.
            Ok(vanished) if !vanished.is_empty() => vanished,
            Ok(_) => {
                self.set_looked_at(Instant::now());
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(hint = error.hint(), "cannot check the indices: {error}");
                Vec::new()
            }
        }
    }

    fn looked_at(&self) -> Option<Instant> {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_looked_at(&self, at: Instant) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "code of tests")]
mod tests {
    use std::path::Path;

    use streamdex_sink::index::KnownIndex;
    use streamdex_testkit::fault::{FaultServer, Reply, Rule};

    use super::*;

    fn configured(server: &FaultServer, more: &str) -> Sandbox {
        let text = format!(
            "source = {{ table = 'orders' }}\nopensearch = {{ url = '{}' }}\nroute = [{{ index = 'orders' }}]\n{more}",
            server.url()
        );
        Sandbox::new(Config::parse(&text, Path::new(""), &|_| None).unwrap().config)
    }

    async fn sandbox(server: &FaultServer) -> (Sandbox, Arc<Indices>) {
        let sandbox = configured(server, "dead_letter = { kind = 'file', path = 'none' }");
        let indices = sandbox.indices(sandbox.source(0).unwrap(), &Page::default(), None).await.unwrap();
        let known =
            KnownIndex { index: "orders".into(), concrete: "orders-000001".into(), uuid: "A".into(), generation: 1 };
        indices.remember([known]);
        (sandbox, indices)
    }

    #[tokio::test]
    async fn indices_are_looked_at_once_a_minute_until_one_is_gone() {
        let server = FaultServer::scripted();
        let (sandbox, indices) = sandbox(&server).await;
        let followed = sandbox.source(0).unwrap();
        for _ in 0..3 {
            assert_eq!(followed.look(&indices).await, []);
        }
        assert!(server.requests().is_empty());
        let Some(long_ago) = Instant::now().checked_sub(LOOK_EVERY) else { return };
        followed.set_looked_at(long_ago);
        let dropped = server.add(Rule::any().drop_before());
        assert_eq!(followed.look(&indices).await, [], "no answer is no gap");
        server.remove(dropped);
        let no_index = r#"{"error":{"type":"index_not_found_exception"},"status":404}"#;
        server.add(Rule::any().answer(Reply::json(404, no_index)));
        // There is no such index; each invocation reports it until it is there again.
        for _ in 0..2 {
            assert_eq!(followed.look(&indices).await[0].concrete, "orders-000001");
        }
    }

    #[tokio::test]
    async fn the_state_table_is_not_asked_for_indices_that_are_not_watched() {
        let server = FaultServer::scripted();
        let never = format!("state = {{ endpoint_url = '{}' }}\nindex.orders = {{ manage = 'never' }}", server.url());
        let sandbox = configured(&server, &never);
        let arn = Some("arn:aws:dynamodb:eu-west-1:0:table/orders/stream/2026-01-01T00:00:00.000");
        sandbox.indices(sandbox.source(0).unwrap(), &Page::default(), arn).await.unwrap();
        assert!(server.requests().is_empty());
    }

    #[test]
    fn key_attributes_are_known_from_the_first_record() {
        let mapper = streamdex_mapping::Mapper::new(Vec::new());
        let text =
            r#"[5,{"eventName":"REMOVE","dynamodb":{"Keys":{"sk":{"N":"1"},"pk":{"S":"a"}},"SequenceNumber":"7"}}]"#;
        let mut page = Page::default();
        let add = |_, record: Result<&_, _>| page.add(&mapper, record, streamdex_mapping::Trust::InOrder);
        streamdex_mapping::event::read_captured(text, add).unwrap();
        assert_eq!(key_names(&page), ["pk", "sk"]);
    }
}

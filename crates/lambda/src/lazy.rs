//! AWS clients that are made when they are first needed: most sandboxes never read an item or write a letter,
//! and a client costs milliseconds of a cold start.

use std::sync::Arc;

use async_trait::async_trait;
use streamdex_config::{Config, DeadLetterKind, Source, State};
use streamdex_delivery::letter::{
    DeadLetter, DeadLetterStore, FileLetters, LetterError, LetterKey, LetterPage, TableLetters,
};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::clients::{SourceClients, state_client};
use streamdex_dynamodb::item::{BatchGetReader, ItemRead, ItemReader};
use streamdex_dynamodb::state::StateTable;
use streamdex_mapping::Key;
use tokio::sync::OnceCell;

/// Reads items of one source.
pub(crate) struct LazyReader {
    source: Source,
    reader: OnceCell<BatchGetReader>,
}

/// The state table.
pub(crate) struct LazyState {
    state: State,
    table: OnceCell<StateTable>,
}

/// Dead letters in the state table.
struct LazyLetters(Arc<LazyState>);

/// The store of dead letters that the configuration names.
pub(crate) fn letters(config: &Config, state: &Arc<LazyState>) -> Arc<dyn DeadLetterStore> {
    match &config.dead_letter.kind {
        DeadLetterKind::File(path) => Arc::new(FileLetters::new(path)),
        DeadLetterKind::Table => Arc::new(LazyLetters(Arc::clone(state))),
    }
}

// === impl LazyState ===

impl LazyState {
    pub(crate) fn new(config: &Config) -> LazyState {
        LazyState { state: config.state.clone(), table: OnceCell::new() }
    }

    pub(crate) async fn table(&self) -> &StateTable {
        let connect = || async {
            let client = Box::pin(state_client(&self.state)).await;
            StateTable::new(client, self.state.table.clone(), self.state.group.clone())
        };
        self.table.get_or_init(connect).await
    }
}

// === impl LazyReader ===

impl LazyReader {
    pub(crate) fn new(source: &Source) -> LazyReader {
        LazyReader { source: source.clone(), reader: OnceCell::new() }
    }
}

#[async_trait]
impl ItemReader for LazyReader {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        let connect = || async {
            let clients = Box::pin(SourceClients::connect(&self.source)).await;
            BatchGetReader::new(clients.dynamodb, self.source.table.table_name())
        };
        self.reader.get_or_init(connect).await.read(keys).await
    }
}

// === impl LazyLetters ===

impl LazyLetters {
    async fn letters(&self) -> TableLetters {
        TableLetters::new(self.0.table().await.clone())
    }
}

#[async_trait]
impl DeadLetterStore for LazyLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        self.letters().await.put(letters).await
    }

    async fn list(&self, after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        self.letters().await.list(after).await
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError> {
        self.letters().await.remove(letter).await
    }

    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        self.letters().await.get(key).await
    }
}

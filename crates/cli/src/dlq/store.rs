//! The store of dead letters, and the selection of some of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Config, DeadLetterKind};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, FileLetters, LetterKey};
use streamdex_dynamodb::time::now;
use streamdex_reconcile::letters::Selection;

use crate::args::{Global, LetterSelectionArgs, LetterStoreArgs};
use crate::exit::{CliError, Exit};
use crate::preflight::{Uses, preflight};
use crate::{connect, settings};

/// A store, and what it is called in messages.
pub(super) struct Store {
    pub(super) letters: Arc<dyn DeadLetterStore>,
    pub(super) place: String,
}

/// The letters of a store that are meant.
pub(super) struct Meant {
    pub(super) letters: Vec<DeadLetter>,
    /// Places that hold no readable letter.
    pub(super) malformed: Vec<String>,
}

// === impl Store ===

impl Store {
    pub(super) async fn open(global: &Global, store: &LetterStoreArgs) -> Result<Store, CliError> {
        if let Some(path) = &store.file {
            return Store::of_file(path);
        }
        let config = settings::configuration(global)?;
        preflight(&config, &[Uses::Letters]).await?;
        Ok(Store::of_config(&config).await)
    }

    pub(super) fn of_file(path: &Path) -> Result<Store, CliError> {
        if !path.exists() {
            return Err(CliError::new(Exit::Usage, format!("there is no file {}", path.display())));
        }
        Ok(Store { letters: Arc::new(FileLetters::new(path)), place: format!("the file {}", path.display()) })
    }

    pub(super) async fn of_config(config: &Config) -> Store {
        let place = match &config.dead_letter.kind {
            DeadLetterKind::Table => format!("the table {}, group {}", config.state.table, config.state.group),
            DeadLetterKind::File(path) => format!("the file {}", path.display()),
        };
        Store { letters: connect::letters(config).await, place }
    }

    pub(super) async fn meant(&self, selection: &Selection) -> Result<Meant, CliError> {
        let mut meant = Meant { letters: Vec::new(), malformed: Vec::new() };
        let (mut after, now) = (None, now());
        loop {
            let page = self.letters.list(after.as_ref()).await?;
            meant.letters.extend(page.letters.into_iter().filter(|letter| selection.takes(letter, now)));
            meant.malformed.extend(page.malformed);
            after = page.next;
            if after.is_none() {
                return Ok(meant);
            }
        }
    }
}

/// Which letters the arguments mean.
///
/// # Errors
/// A key is none of a letter, or there is no such source.
pub(super) fn selected(global: &Global, arguments: &LetterSelectionArgs) -> Result<Selection, CliError> {
    let table = match &arguments.source {
        Some(name) => {
            let config = settings::configuration(global)?;
            Some(settings::source(&config, Some(name))?.table.table_name().to_owned())
        }
        None => None,
    };
    let keys: Result<BTreeSet<LetterKey>, CliError> = arguments.keys.iter().map(|key| parse(key)).collect();
    Ok(Selection {
        keys: keys?,
        reason: arguments.reason.clone(),
        index: arguments.index.clone(),
        older_than: arguments.older_than.map(Duration::from_secs),
        table,
    })
}

/// The key of a letter.
///
/// # Errors
/// Status 2: it is none.
pub(super) fn parse(key: &str) -> Result<LetterKey, CliError> {
    let unknown = || CliError::new(Exit::Usage, format!("{key:?} is not the key of a dead letter")).with_hint(KEY_HINT);
    LetterKey::parse(key).ok_or_else(unknown)
}

/// How to write a key.
pub(super) const KEY_HINT: &str = "give the key as `streamdex dlq list` prints it, in quotes";

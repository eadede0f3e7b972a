//! `streamdex dlq …`: dead letters.

mod drop;
mod list;
mod replay;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Config, DeadLetterKind};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, FileLetters, LetterKey};
use streamdex_dynamodb::time::now;
use streamdex_reconcile::letters::Selection;

use crate::args::{DlqCommand, Global, LetterSelectionArgs, LetterStoreArgs};
use crate::exit::{CliError, Exit};
use crate::preflight::{Uses, preflight};
use crate::{connect, settings};

/// Runs the command.
pub(crate) async fn run(global: &Global, command: DlqCommand) -> Result<Exit, CliError> {
    match command {
        DlqCommand::List { store } => {
            let store = Store::open(global, &store).await?;
            list::list(global, &store).await
        }
        DlqCommand::Show { key, store } => {
            let key = parse(&key)?;
            list::show(global, &Store::open(global, &store).await?, &key).await
        }
        DlqCommand::Replay { selection, source, dry_run, store } => {
            let selection = selected(&selection)?;
            let request = replay::Request { selection, source, is_dry: dry_run, file: store.file };
            Box::pin(replay::run(global, request)).await
        }
        DlqCommand::Drop { selection, all, dry_run, yes, store } => {
            let selection = selected(&selection)?;
            if selection.is_all() && !all {
                let message = "no dead letters are named";
                let hint = "name keys, a reason, an index or an age; or say --all";
                return Err(CliError::new(Exit::Usage, message).with_hint(hint));
            }
            let store = Store::open(global, &store).await?;
            drop::run(global, &store, &selection, drop::How { is_dry: dry_run, is_confirmed: yes }).await
        }
    }
}

/// A store, and what it is called in messages.
struct Store {
    letters: Arc<dyn DeadLetterStore>,
    place: String,
}

/// The letters of a store that are meant.
struct Meant {
    letters: Vec<DeadLetter>,
    /// Places that hold no readable letter.
    malformed: Vec<String>,
}

// === impl Store ===

impl Store {
    async fn open(global: &Global, store: &LetterStoreArgs) -> Result<Store, CliError> {
        if let Some(path) = &store.file {
            return Store::of_file(path);
        }
        let config = settings::configuration(global)?;
        preflight(&config, &[Uses::Letters]).await?;
        Ok(Store::of_config(&config).await)
    }

    fn of_file(path: &std::path::Path) -> Result<Store, CliError> {
        if !path.exists() {
            return Err(CliError::new(Exit::Usage, format!("there is no file {}", path.display())));
        }
        Ok(Store { letters: Arc::new(FileLetters::new(path)), place: format!("the file {}", path.display()) })
    }

    async fn of_config(config: &Config) -> Store {
        let place = match &config.dead_letter.kind {
            DeadLetterKind::Table => format!("the table {}, group {}", config.state.table, config.state.group),
            DeadLetterKind::File(path) => format!("the file {}", path.display()),
        };
        Store { letters: connect::letters(config).await, place }
    }

    async fn meant(&self, selection: &Selection) -> Result<Meant, CliError> {
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

fn selected(arguments: &LetterSelectionArgs) -> Result<Selection, CliError> {
    let keys: Result<BTreeSet<LetterKey>, CliError> = arguments.keys.iter().map(|key| parse(key)).collect();
    Ok(Selection {
        keys: keys?,
        reason: arguments.reason.clone(),
        index: arguments.index.clone(),
        older_than: arguments.older_than.map(Duration::from_secs),
    })
}

fn parse(key: &str) -> Result<LetterKey, CliError> {
    let unknown = || CliError::new(Exit::Usage, format!("{key:?} is no key of a dead letter")).with_hint(KEY_HINT);
    LetterKey::parse(key).ok_or_else(unknown)
}

const KEY_HINT: &str = "give the key as `streamdex dlq list` prints it, in quotes";

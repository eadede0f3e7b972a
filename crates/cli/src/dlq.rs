//! `streamdex dlq …`: dead letters.

mod drop;
mod list;
mod replay;
mod store;

use self::store::{Store, parse, selected};
use crate::args::{DlqCommand, Global};
use crate::exit::{CliError, Exit};

/// Runs the command.
pub(crate) async fn run(global: &Global, command: DlqCommand) -> Result<Exit, CliError> {
    match command {
        DlqCommand::List { selection, store } => {
            let selection = selected(global, &selection)?;
            list::list(global, &Store::open(global, &store).await?, &selection).await
        }
        DlqCommand::Show { key, store } => {
            let key = parse(&key)?;
            list::show(global, &Store::open(global, &store).await?, &key).await
        }
        DlqCommand::Replay { selection, dry_run, store } => {
            let source = selection.source.clone();
            let selection = selected(global, &selection)?;
            let request = replay::Request { selection, source, is_dry: dry_run, file: store.file };
            Box::pin(replay::run(global, request)).await
        }
        DlqCommand::Drop { selection, all, dry_run, yes, store } => {
            let selection = selected(global, &selection)?;
            if selection.is_all() && !all {
                let message = "no dead letters are selected";
                let hint = "give --letter, --reason, --index, --older-than or --source; or --all";
                return Err(CliError::new(Exit::Usage, message).with_hint(hint));
            }
            let store = Store::open(global, &store).await?;
            drop::run(global, &store, &selection, drop::How { is_dry: dry_run, is_confirmed: yes }).await
        }
    }
}

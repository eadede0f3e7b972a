//! `streamdex dlq drop`.

use serde_json::json;
use streamdex_reconcile::letters::Selection;

use super::list::line;
use super::store::Store;
use crate::args::Global;
use crate::exit::{CliError, Exit};
use crate::{confirm, output};

/// How letters are dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) is_dry: bool,
    pub(super) is_confirmed: bool,
}

/// Removes letters without a look at their documents.
pub(super) async fn run(global: &Global, store: &Store, selection: &Selection, how: How) -> Result<Exit, CliError> {
    let letters = store.meant(selection).await?.letters;
    if !global.json {
        output::print(&letters.iter().map(line).collect::<String>())?;
    }
    let mut dropped = 0_usize;
    if !letters.is_empty() && !how.is_dry {
        let question =
            format!("{} dead letters will be removed, and their documents stay as they are. Drop them?", letters.len());
        if !how.is_confirmed && !confirm::is_wanted("dropping dead letters", &question)? {
            return Ok(Exit::Done);
        }
        for letter in &letters {
            dropped += usize::from(store.letters.remove(letter).await?);
        }
    }
    if global.json {
        output::print_json(&json!({ "letters": letters.len(), "dropped": dropped, "place": store.place }))?;
    } else if how.is_dry {
        output::note(&format!("{} dead letters match; nothing was dropped\n", letters.len()));
    } else {
        output::print(&format!("{dropped} dead letters dropped from {}\n", store.place))?;
        let changed = letters.len() - dropped;
        if changed > 0 {
            output::note(&format!("{changed} were written again meanwhile and were kept\n"));
        }
    }
    Ok(Exit::Done)
}

//! The arguments of `dlq`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

/// `streamdex dlq …`
#[derive(Debug, Clone, Subcommand)]
pub enum DlqCommand {
    /// List dead letters, without the ids and keys of items
    List {
        /// The letters to act on.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Where the letters are stored.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
    /// Show one dead letter, with the item's key and the document's id
    Show {
        /// The letter, as in the first column of `dlq list`
        // A record from no stream has a key that begins with a hyphen.
        #[arg(allow_hyphen_values = true, value_name = "LETTER")]
        key: String,
        /// Where the letters are stored.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
    /// Read the items of dead letters again, write their documents, and remove the letters that are resolved
    Replay {
        /// The letters to act on.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Show which letters match, without changing anything
        #[arg(long)]
        dry_run: bool,
        /// Where the letters are stored.
        #[command(flatten)]
        store: LetterFileArgs,
    },
    /// Remove dead letters without checking their documents
    Drop {
        /// The letters to act on.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Remove all of them
        #[arg(long, conflicts_with_all = ["keys", "reason", "index", "older_than", "source"])]
        all: bool,
        /// Show which letters match, without changing anything
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        /// Where the letters are stored.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
}

/// Filters for dead letters. A letter must match all that are given.
#[derive(Debug, Clone, Default, Args)]
pub struct LetterSelectionArgs {
    /// A letter, as in the first column of `dlq list`; may be given several times
    // A record from no stream has a key that begins with a hyphen.
    #[arg(long = "letter", alias = "key", value_name = "LETTER", allow_hyphen_values = true)]
    pub keys: Vec<String>,
    /// Letters with this reason, such as mapper_parsing_exception
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Letters for this index
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,
    /// Letters that were written at least this long ago
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub older_than: Option<u64>,
    /// Letters of this source's table
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// Where dead letters are stored.
#[derive(Debug, Clone, Args)]
pub struct LetterStoreArgs {
    /// Read dead letters from this file; no configuration is read
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// A file of dead letters, beside the configuration.
#[derive(Debug, Clone, Args)]
pub struct LetterFileArgs {
    /// Replay the letters of this file, which `replay --images` wrote
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn a_key_may_begin_with_a_hyphen() {
        for line in [["dlq", "show", "-|77|0", "--file", "letters"], ["dlq", "show", "--file", "letters", "-|77|0"]] {
            let cli = Cli::try_parse_from(["streamdex"].into_iter().chain(line)).unwrap();
            let Command::Dlq(DlqCommand::Show { key, store }) = cli.command else { panic!("{line:?}") };
            assert_eq!((key.as_str(), store.file), ("-|77|0", Some("letters".into())));
        }
    }

    #[test]
    fn names_of_letters_are_no_options() {
        let line = ["streamdex", "dlq", "replay", "--letter", "-|77|0", "--key", "s|1|2", "--dry-run", "--reason", "x"];
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Dlq(DlqCommand::Replay { selection, dry_run, .. }) = cli.command else { panic!() };
        assert_eq!(
            (selection.keys, selection.reason, dry_run),
            (vec!["-|77|0".into(), "s|1|2".into()], Some("x".into()), true)
        );
    }
}

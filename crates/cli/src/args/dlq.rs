//! The arguments of `dlq`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

/// `streamdex dlq …`
#[derive(Debug, Clone, Subcommand)]
pub enum DlqCommand {
    /// List dead letters, without ids and keys of items
    List {
        /// Which letters.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Where the letters are.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
    /// Show one dead letter, with the item's key and the document's id
    Show {
        /// The letter, as `dlq list` prints it in its first column
        // A record from no stream has a key that begins with a hyphen.
        #[arg(allow_hyphen_values = true, value_name = "LETTER")]
        key: String,
        /// Where the letters are.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
    /// Read the items of dead letters, write what is there now, and remove the letters whose documents are right then
    Replay {
        /// Which letters.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Show which letters are meant, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Where the letters are.
        #[command(flatten)]
        store: LetterFileArgs,
    },
    /// Remove dead letters without a look at their documents
    Drop {
        /// Which letters.
        #[command(flatten)]
        selection: LetterSelectionArgs,
        /// Remove all of them
        #[arg(long, conflicts_with_all = ["keys", "reason", "index", "older_than", "source"])]
        all: bool,
        /// Show which letters are meant, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
        /// Where the letters are.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
}

/// Which dead letters are meant: all that is given must hold.
#[derive(Debug, Clone, Default, Args)]
pub struct LetterSelectionArgs {
    /// A letter, as `dlq list` prints it in its first column; may be given several times
    // A record from no stream has a key that begins with a hyphen.
    #[arg(long = "letter", alias = "key", value_name = "LETTER", allow_hyphen_values = true)]
    pub keys: Vec<String>,
    /// Letters with this reason, as mapper_parsing_exception
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Letters for this index
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,
    /// Letters that were written at least so long ago
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub older_than: Option<u64>,
    /// Letters of this source's table
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// Where dead letters are.
#[derive(Debug, Clone, Args)]
pub struct LetterStoreArgs {
    /// Read this file of dead letters, and no configuration
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// A file of dead letters, beside the configuration.
#[derive(Debug, Clone, Args)]
pub struct LetterFileArgs {
    /// Replay the letters of this file, as `replay --images` writes one
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

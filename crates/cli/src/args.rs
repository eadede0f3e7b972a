//! The argument tree.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::logging::LogFormat;

/// Keeps an OpenSearch index equal to a DynamoDB table, from the table's stream.
#[derive(Debug, Parser)]
#[command(name = "streamdex", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = EXIT_STATUS)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  done, with dead letters or bad records
  2  wrong usage or configuration
  3  a source or sink could not be reached, or refused
  4  `run` has nothing left to follow but gaps";

/// Arguments that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file [env: STREAMDEX_CONFIG; its text: STREAMDEX_CONFIG_TOML]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How logs are written to stderr
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Write the result to stdout as one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply captured records to the index
    Replay(ReplayArgs),
    /// Show the bulk body that records would give, and send nothing
    Map(MapArgs),
    /// Follow the table's stream, until SIGTERM
    Run(RunArgs),
    /// See what index set-up would do, or do it
    #[command(subcommand)]
    Index(IndexCommand),
    /// The table for checkpoints and dead letters
    #[command(subcommand)]
    State(StateCommand),
    /// Records that can never be indexed
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// `streamdex index …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum IndexCommand {
    /// Show what `apply` would do and what the indices would be; change nothing
    Plan,
    /// Create what is missing, and try what only writing shows
    Apply,
}

/// `streamdex state …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum StateCommand {
    /// Create the state table, if it is not there
    Create,
}

/// `streamdex dlq …`
#[derive(Debug, Clone, Subcommand)]
pub enum DlqCommand {
    /// List dead letters, without ids and keys
    List {
        /// Where the letters are.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
    /// Show one dead letter, with id and keys
    Show {
        /// The letter's key, as `dlq list` prints it
        // A record from no stream has a key that begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// Where the letters are.
        #[command(flatten)]
        store: LetterStoreArgs,
    },
}

/// Where dead letters are.
#[derive(Debug, Clone, Args)]
pub struct LetterStoreArgs {
    /// Read this file of dead letters, and no configuration
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `streamdex config …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Report every problem of the configuration at once
    Check,
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print the resolved configuration, secrets hidden
    Show,
}

/// `streamdex map`
#[derive(Debug, Clone, Args)]
pub struct MapArgs {
    /// Files of records, items or get-item and scan output; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The source whose routes are taken, where records do not tell
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// `streamdex replay`
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Files of captured records; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Take the images as they were recorded, in place of reading the items; makes no AWS call
    #[arg(long)]
    pub images: bool,
    /// The source whose routes are taken, where records do not tell
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// `streamdex run`
#[derive(Debug, Clone, Copy, Args)]
pub struct RunArgs {
    /// Read to the present end of the stream, then exit
    #[arg(long)]
    pub until_end: bool,
    /// Where there is no terminal, log the outcomes so far every so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub report_every: NonZeroU64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_key_may_begin_with_a_hyphen() {
        for line in [["dlq", "show", "-|77|0", "--file", "letters"], ["dlq", "show", "--file", "letters", "-|77|0"]] {
            let cli = Cli::try_parse_from(["streamdex"].into_iter().chain(line)).unwrap();
            let Command::Dlq(DlqCommand::Show { key, store }) = cli.command else { panic!("{line:?}") };
            assert_eq!((key.as_str(), store.file), ("-|77|0", Some("letters".into())));
        }
    }

    #[test]
    fn the_argument_tree_is_sound() {
        Cli::command().debug_assert();
    }
}

//! The argument tree.

mod check;
mod dlq;
mod explain;
mod iam_policy;
mod init;
mod rebuild;
mod values;
mod waiting;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use url::Url;

pub use self::check::CheckArgs;
pub use self::dlq::{DlqCommand, LetterFileArgs, LetterSelectionArgs, LetterStoreArgs};
pub use self::explain::ExplainArgs;
pub use self::iam_policy::IamPolicyArgs;
pub use self::init::InitArgs;
pub use self::rebuild::RebuildArgs;
pub use self::waiting::AwaitArgs;
use crate::logging::LogFormat;

/// Keeps an OpenSearch index equal to a DynamoDB table, from the table's stream.
#[derive(Debug, Parser)]
#[command(name = "streamdex", version, propagate_version = true, max_term_width = 100)]
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
  1  done, with dead letters, bad records or differences
  2  wrong usage or configuration
  3  a source or sink could not be reached, or refused
  4  `run` has nothing left to follow but gaps, or `backfill` met one";

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
    /// Write a configuration for a table, from its description and a sample of its items
    Init(InitArgs),
    /// Look whether everything is ready: the configuration, and what it leads to
    Check(CheckArgs),
    /// Apply captured records to the index
    Replay(ReplayArgs),
    /// Show the bulk body that records would give, and send nothing
    Map(MapArgs),
    /// Follow the table's stream, until SIGTERM
    Run(RunArgs),
    /// Show who reads each table, and how far
    Status(StatusArgs),
    /// See what index set-up would do, or do it
    #[command(subcommand)]
    Index(IndexCommand),
    /// The table for checkpoints and dead letters
    #[command(subcommand)]
    State(StateCommand),
    /// Write what the table held before its stream was followed
    Backfill(BackfillArgs),
    /// Compare the index with the table, and repair it
    Verify(VerifyArgs),
    /// Show where an item's document is, or why it has none
    Explain(ExplainArgs),
    /// Wait until a search finds an item as the table holds it
    Await(AwaitArgs),
    /// Fill the next generation of an index, and move searches to it when it is equal
    Rebuild(RebuildArgs),
    /// Dead letters: changes that OpenSearch refuses as they are
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Changes that the stream has lost, or an index that is gone
    #[command(subcommand)]
    Gap(GapCommand),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the least-privilege IAM policy that a configuration needs, and its OpenSearch half
    IamPolicy(Box<IamPolicyArgs>),
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
    /// Create what is missing, and test what only a write can show
    Apply,
}

/// `streamdex state …`
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// Create the state table, if it is not there
    Create(StateCreateArgs),
}

/// `streamdex state create`. Emulators make the table without all of this.
#[derive(Debug, Clone, Args)]
pub struct StateCreateArgs {
    /// Encrypt the table with this KMS key: its id, ARN or alias
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Leave point-in-time recovery off
    #[arg(long)]
    pub no_recovery: bool,
    /// Leave deletion protection off
    #[arg(long)]
    pub no_deletion_protection: bool,
}

/// `streamdex gap …`
#[derive(Debug, Clone, Subcommand)]
pub enum GapCommand {
    /// Go on reading past gaps, from the oldest record that is left; what was lost stays missing in the index
    Close(GapCloseArgs),
}

/// `streamdex gap close`
#[derive(Debug, Clone, Args)]
pub struct GapCloseArgs {
    /// What the gaps are about, as `streamdex status` prints it: shards, an index or a stream
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "SUBJECT")]
    pub subjects: Vec<String>,
    /// Close every gap of the configured tables
    #[arg(long)]
    pub all: bool,
    /// Do not ask first
    #[arg(long, short)]
    pub yes: bool,
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
    /// Files of captured records, or s3://BUCKET/PREFIX for all objects that begin so; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Take the images as they were recorded, in place of reading the items; makes no AWS call
    #[arg(long)]
    pub images: bool,
    /// Remove each object of S3 when all of its records have an outcome
    #[arg(long, conflicts_with = "images")]
    pub remove: bool,
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
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::some_seconds)]
    pub report_every: NonZeroU64,
    /// Serve probes, metrics and status over HTTP at this address, as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", env = "STREAMDEX_LISTEN", hide_env_values = true, value_parser = values::listen)]
    pub listen: Option<SocketAddr>,
}

/// `streamdex status`
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Show what the worker at this address says of itself, as http://127.0.0.1:9464; reads no configuration
    #[arg(long, value_name = "URL", value_parser = values::worker_url)]
    pub url: Option<Url>,
    /// Show it again every 2 seconds, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Ask OpenSearch too: how many documents each index has, and how many hold values that no search finds
    #[arg(long, conflicts_with = "url")]
    pub indices: bool,
    /// Say nothing, and end with status 0 where the worker lives: for health checks
    #[arg(long, requires = "url", conflicts_with = "watch")]
    pub live: bool,
    /// End with status 4 where there is a gap, and with 1 where nobody reads, something is held back or the lag is too
    /// large: for alarms
    #[arg(long, conflicts_with_all = ["url", "watch", "live", "indices"])]
    pub check: bool,
    /// With --check: the largest lag that is still fine
    #[arg(long, value_name = "SECONDS", requires = "check", default_value_t = 60)]
    pub max_lag: u32,
}

/// `streamdex backfill`
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    /// Show what would be read, what it costs and how long it takes, and do nothing
    #[arg(long)]
    pub plan: bool,
    /// Do not ask first
    #[arg(long, short)]
    pub yes: bool,
    /// Begin at the beginning, in place of going on where it was
    #[arg(long)]
    pub restart: bool,
    /// The Lambda function follows the stream: its event source mapping is enabled and began at TRIM_HORIZON
    #[arg(long)]
    pub beside_lambda: bool,
    /// Fill once; what is written to the table from now on is not followed
    #[arg(long, conflicts_with = "beside_lambda")]
    pub no_stream: bool,
    /// The source whose table is read, where there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Read at most so many read units a second [taken if not given: half of what the table is provisioned with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_read_units: Option<u32>,
    /// Write at most so many documents a second
    #[arg(long, value_name = "N", value_parser = values::some)]
    pub max_documents: Option<NonZeroU32>,
    /// Read the table in so many segments at the same time; one that was begun keeps its own
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub segments: u32,
}

/// `streamdex verify`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 where all that was compared is equal or repaired; 1 where something differs, a dead letter explains a difference, or something could not be decided."
)]
pub struct VerifyArgs {
    /// Compare every item and every document; this alone proves that they are equal
    #[arg(long)]
    pub full: bool,
    /// Compare about so many items, and as many documents of each index [taken if neither is given: 1000]
    #[arg(long, value_name = "N", conflicts_with = "full", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sample: Option<u32>,
    /// Write what differs: each item is read, and its document is written or deleted
    #[arg(long)]
    pub repair: bool,
    /// Write each difference to this file, one JSON object a line, with ids and keys; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// The source whose table is compared, where there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How far behind the index may be [taken if not given: what the reader says in the state table]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub lag: Option<u64>,
    /// How long differences that keep changing are looked at again
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = values::seconds)]
    pub patience: u64,
    /// Read at most so many read units a second [taken if not given: half of what the table is provisioned with]
    #[arg(long, value_name = "N")]
    pub max_read_units: Option<u32>,
    /// Read the table in so many segments at the same time
    #[arg(long, value_name = "N", default_value = "8", value_parser = values::some)]
    pub segments: NonZeroU32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_argument_tree_is_sound() {
        Cli::command().debug_assert();
    }
}

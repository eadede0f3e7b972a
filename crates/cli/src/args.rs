//! The command line arguments.

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
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  done
  1  done, with dead letters, bad records or differences
  2  wrong usage or configuration
  3  a source or sink could not be reached, or refused
  4  `run` has only gaps left, or `backfill` met one";

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
    /// Check whether everything is ready: the configuration, the table, its stream and OpenSearch
    Check(CheckArgs),
    /// Apply captured records to the index
    Replay(ReplayArgs),
    /// Print the bulk body that records would produce, without sending it
    Map(MapArgs),
    /// Follow the table's stream until SIGTERM
    Run(RunArgs),
    /// Show who reads each table, and how far the reader is
    Status(StatusArgs),
    /// Show or apply the set-up of the indices
    #[command(subcommand)]
    Index(IndexCommand),
    /// Manage the table that holds checkpoints and dead letters
    #[command(subcommand)]
    State(StateCommand),
    /// Write the items that the table held before its stream was followed
    Backfill(BackfillArgs),
    /// Compare the index with the table, and repair it
    Verify(VerifyArgs),
    /// Show where an item's document is, or why it has none
    Explain(ExplainArgs),
    /// Wait until a search finds the current version of an item
    Await(AwaitArgs),
    /// Fill the next generation of an index, and move searches to it once it equals the table
    Rebuild(RebuildArgs),
    /// Manage dead letters: changes that OpenSearch refuses
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Manage gaps: lost changes, or an index that is gone
    #[command(subcommand)]
    Gap(GapCommand),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the least-privilege IAM policy or OpenSearch role that a configuration needs
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
    /// Show what `apply` would do and how the indices would look, without changing anything
    Plan,
    /// Create what is missing, and write a test document
    Apply,
}

/// `streamdex state …`
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// Create the state table if it does not exist
    Create(StateCreateArgs),
}

/// `streamdex state create`. Emulators ignore these options.
#[derive(Debug, Clone, Args)]
pub struct StateCreateArgs {
    /// Encrypt the table with this KMS key: its id, ARN or alias
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Do not turn on point-in-time recovery
    #[arg(long)]
    pub no_recovery: bool,
    /// Do not turn on deletion protection
    #[arg(long)]
    pub no_deletion_protection: bool,
}

/// `streamdex gap …`
#[derive(Debug, Clone, Subcommand)]
pub enum GapCommand {
    /// Continue reading after gaps, from the oldest record that is left; lost changes stay missing in the index
    Close(GapCloseArgs),
}

/// `streamdex gap close`
#[derive(Debug, Clone, Args)]
pub struct GapCloseArgs {
    /// Shards, an index or a stream with a gap, as `streamdex status` prints them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "SUBJECT")]
    pub subjects: Vec<String>,
    /// Close every gap of the configured tables
    #[arg(long)]
    pub all: bool,
    /// Do not ask for confirmation
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
    /// Print the resolved configuration with secrets hidden
    Show,
}

/// `streamdex map`
#[derive(Debug, Clone, Args)]
pub struct MapArgs {
    /// Files with records, items, or the output of get-item and scan; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The source whose routes apply, if records do not name their table
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// `streamdex replay`
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Files of captured records, or s3://BUCKET/PREFIX for all objects with this prefix; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Use the recorded images instead of reading the items from the table; makes no AWS calls
    #[arg(long)]
    pub images: bool,
    /// Remove each S3 object once all of its records have an outcome
    #[arg(long, conflicts_with = "images")]
    pub remove: bool,
    /// The source whose routes apply, if records do not name their table
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// `streamdex run`
#[derive(Debug, Clone, Copy, Args)]
pub struct RunArgs {
    /// Read to the current end of the stream, then exit
    #[arg(long)]
    pub until_end: bool,
    /// Without a terminal, how often to log the outcomes so far
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::some_seconds)]
    pub report_every: NonZeroU64,
    /// Serve probes, metrics and status over HTTP at this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", env = "STREAMDEX_LISTEN", hide_env_values = true, value_parser = values::listen)]
    pub listen: Option<SocketAddr>,
}

/// `streamdex status`
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Show the status of the worker at this address, such as http://127.0.0.1:9464; reads no configuration
    #[arg(long, value_name = "URL", value_parser = values::worker_url)]
    pub url: Option<Url>,
    /// Refresh every 2 seconds until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Also ask OpenSearch how many documents each index has, and how many hold values that no search finds
    #[arg(long, conflicts_with = "url")]
    pub indices: bool,
    /// Print nothing, and exit with status 0 if the worker is alive: for health checks
    #[arg(long, requires = "url", conflicts_with = "watch")]
    pub live: bool,
    /// For alarms: exit with status 4 if there is a gap, and with 1 if nobody reads, something is held back or the lag
    /// is too large
    #[arg(long, conflicts_with_all = ["url", "watch", "live", "indices"])]
    pub check: bool,
    /// With --check: the largest acceptable lag
    #[arg(long, value_name = "SECONDS", requires = "check", default_value_t = 60)]
    pub max_lag: u32,
}

/// `streamdex backfill`
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    /// Show what would be read, its cost and its duration, and exit
    #[arg(long)]
    pub plan: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Start from the beginning instead of where the last run stopped
    #[arg(long)]
    pub restart: bool,
    /// The Lambda function follows the stream: its event source mapping is enabled and began at TRIM_HORIZON
    #[arg(long)]
    pub beside_lambda: bool,
    /// Fill once, and do not follow later changes of the table
    #[arg(long, conflicts_with = "beside_lambda")]
    pub no_stream: bool,
    /// The source whose table to read, if there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Use at most this many read units a second [default: half of the table's provisioned capacity]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_read_units: Option<u32>,
    /// Write at most this many documents a second
    #[arg(long, value_name = "N", value_parser = values::some)]
    pub max_documents: Option<NonZeroU32>,
    /// The number of segments that are read in parallel; a backfill that has begun keeps its number
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub segments: u32,
}

/// `streamdex verify`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 if everything that was compared is equal or repaired; 1 if something differs, a dead letter explains a difference, or something could not be decided."
)]
pub struct VerifyArgs {
    /// Compare every item and every document; only this proves that they are equal
    #[arg(long)]
    pub full: bool,
    /// Compare about this many items, and as many documents of each index [default without --full: 1000]
    #[arg(long, value_name = "N", conflicts_with = "full", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sample: Option<u32>,
    /// Repair differences: read each item again, and write or delete its document
    #[arg(long)]
    pub repair: bool,
    /// Write each difference to this file, one JSON object per line, with ids and keys; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// The source whose table to compare, if there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How far the index may be behind [default: the lag that the reader stores in the state table]
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub lag: Option<u64>,
    /// How long to check differences again while they keep changing
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = values::seconds)]
    pub patience: u64,
    /// Use at most this many read units a second [default: half of the table's provisioned capacity]
    #[arg(long, value_name = "N")]
    pub max_read_units: Option<u32>,
    /// The number of segments that are read in parallel
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

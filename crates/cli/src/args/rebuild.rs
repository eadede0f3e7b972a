//! The arguments of `rebuild`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::values;

/// `streamdex rebuild`
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// Try all items in a scratch index with the new mapping, and name those that it refuses or cannot search
    #[arg(long, group = "what")]
    pub plan: bool,
    /// With --plan: write each document that is refused, or holds values that no search finds, to this file; `-` is
    /// stdout
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub list: Option<PathBuf>,
    /// Show the progress of the rebuild, and who reads the stream
    #[arg(long, group = "what")]
    pub status: bool,
    /// Move searches back to the earlier generation
    #[arg(long, group = "what")]
    pub rollback: bool,
    /// Delete what the rebuild made; only before searches have moved
    #[arg(long, group = "what")]
    pub abort: bool,
    /// Move searches again after a --rollback
    #[arg(long, conflicts_with = "what")]
    pub again: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// The group that writes the index that searches see, if the index does not name it
    #[arg(long, value_name = "GROUP")]
    pub from: Option<String>,
    /// The Lambda function writes the index that searches see, so it is one of the stream's two readers
    #[arg(long)]
    pub beside_lambda: bool,
    /// Move searches only to an index that is at most this many seconds behind its table
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub max_lag: u64,
    /// With --rollback: how many seconds the index that the Lambda function writes is behind its table
    #[arg(long, value_name = "SECONDS", requires = "rollback", value_parser = values::seconds)]
    pub lag: Option<u64>,
    /// Move searches even if the new mapping refuses items, which searches then no longer find
    #[arg(long)]
    pub accept_dead_letters: bool,
    /// Without a terminal, how often to log the outcomes so far
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::some_seconds)]
    pub report_every: NonZeroU64,
    /// Serve probes, metrics and status over HTTP at this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", env = "STREAMDEX_LISTEN", hide_env_values = true, value_parser = values::listen)]
    pub listen: Option<SocketAddr>,
}

//! The arguments of `rebuild`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::values;

/// `streamdex rebuild`
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// Write all items to a scratch index of the new mapping, and name those that it refuses or cannot search; move nothing
    #[arg(long, group = "what")]
    pub plan: bool,
    /// Where --plan names each document that is refused, or holds values that no search finds; `-` is stdout
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub list: Option<PathBuf>,
    /// Show how far the rebuild is, and who reads
    #[arg(long, group = "what")]
    pub status: bool,
    /// Move searches back to what they saw before
    #[arg(long, group = "what")]
    pub rollback: bool,
    /// Delete what the rebuild made, as long as searches have not moved
    #[arg(long, group = "what")]
    pub abort: bool,
    /// Move searches again after a --rollback
    #[arg(long, conflicts_with = "what")]
    pub again: bool,
    /// Do not ask first
    #[arg(long, short)]
    pub yes: bool,
    /// The group that writes what searches see, where the index does not say
    #[arg(long, value_name = "GROUP")]
    pub from: Option<String>,
    /// The Lambda function writes what searches see: it is one of the two readers that a stream has room for
    #[arg(long)]
    pub beside_lambda: bool,
    /// Searches move only to an index that is at most so many seconds behind its table
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    pub max_lag: u64,
    /// How many seconds the index behind the Lambda function is behind its table: for --rollback, which cannot ask it
    #[arg(long, value_name = "SECONDS", requires = "rollback", value_parser = values::seconds)]
    pub lag: Option<u64>,
    /// Move searches although the new mapping refuses items: they are dead letters, and found no more
    #[arg(long)]
    pub accept_dead_letters: bool,
    /// Where there is no terminal, log the outcomes so far every so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::some_seconds)]
    pub report_every: NonZeroU64,
    /// Serve probes, metrics and status over HTTP at this address, as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", env = "STREAMDEX_LISTEN", hide_env_values = true, value_parser = values::listen)]
    pub listen: Option<SocketAddr>,
}

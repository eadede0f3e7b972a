//! The command line of the demo.

use clap::Parser;

use crate::choice::EngineKind;

/// Keeps an OpenSearch index equal to a DynamoDB table for a while, under load, and compares them.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask demo")]
pub(crate) struct Options {
    /// The search engine, in place of the first one that can be had
    #[arg(long, value_enum)]
    pub(crate) engine: Option<EngineKind>,
    /// How long the table is written to
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u64).range(6..=3600))]
    pub(crate) seconds: u64,
    /// Leave everything running until Ctrl-C, and print where
    #[arg(long)]
    pub(crate) keep: bool,
}

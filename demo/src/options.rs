//! The command line of the demo. `cargo xtask` includes this file, so that it answers `--help` and a misspelt option
//! before it builds anything.

use std::ffi::OsString;

use clap::{Parser, ValueEnum};

/// Keeps an OpenSearch index equal to a DynamoDB table for a while, under load, and compares them.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(bin_name = "cargo xtask demo")]
pub(crate) struct Options {
    /// The search engine; by default the first one that is available
    #[arg(long, value_enum)]
    pub(crate) engine: Option<EngineKind>,
    /// How many seconds to write to the table
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u64).range(6..=3600))]
    pub(crate) seconds: u64,
    /// Skip the second act, which takes two more minutes
    #[arg(long)]
    pub(crate) short: bool,
    /// Leave everything running until Ctrl-C, and print the addresses
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Sources of the search engine, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineKind {
    /// The one at STREAMDEX_OPENSEARCH_URL
    Url,
    /// OpenSearch in a container
    Docker,
    /// A real OpenSearch node from Maven Central; needs Maven and a JDK 21 or newer
    Maven,
    /// osmem-server from PyPI, which speaks OpenSearch's API in memory; needs Python
    Osmem,
}

// === impl Options ===

impl Options {
    /// The arguments that give these options.
    #[allow(dead_code, reason = "the demo itself only reads them")]
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![OsString::from("--seconds"), self.seconds.to_string().into()];
        let engine = self.engine.and_then(|engine| engine.to_possible_value());
        arguments.extend(engine.map(|engine| format!("--engine={}", engine.get_name()).into()));
        arguments.extend(self.short.then(|| "--short".into()));
        arguments.extend(self.keep.then(|| "--keep".into()));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_gets_the_options_that_were_given() {
        for line in ["", "--keep", "--engine osmem --seconds 7 --short", "--seconds 3600 --keep --engine url"] {
            let options = Options::try_parse_from(["demo"].into_iter().chain(line.split_whitespace())).unwrap();
            let program = OsString::from("demo");
            let again = Options::try_parse_from(std::iter::once(program).chain(options.arguments())).unwrap();
            assert_eq!(again, options, "{line}");
        }
        assert!(Options::try_parse_from(["demo", "--seconds", "5"]).is_err());
    }
}

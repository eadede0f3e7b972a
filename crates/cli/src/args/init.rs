//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::values;

/// `streamdex init`
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The DynamoDB table; asked for on a terminal
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The address of OpenSearch; asked for on a terminal
    #[arg(long, value_name = "URL", value_parser = values::url)]
    pub opensearch: Option<Url>,
    /// The table's region, where the environment and the profile do not say it
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The address of DynamoDB, for emulators
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", hide_env_values = true, value_parser = values::url)]
    pub endpoint_url: Option<Url>,
    /// Where the configuration is written, unless --config names a file; `-` is stdout
    #[arg(long, short, value_name = "FILE", default_value = "streamdex.toml")]
    pub output: PathBuf,
    /// Replace the file, if it is there
    #[arg(long)]
    pub force: bool,
    /// About how many items are read, strongly consistent
    #[arg(long, value_name = "ITEMS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,
}

//! The arguments of `init`.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::values;

/// `streamdex init`
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// The DynamoDB table; on a terminal, the command asks for it
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The address of OpenSearch; on a terminal, the command asks for it
    #[arg(long, value_name = "URL", value_parser = values::url)]
    pub opensearch: Option<Url>,
    /// The table's region, if neither the environment nor the profile sets it
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The address of DynamoDB, for emulators
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB", hide_env_values = true, value_parser = values::url)]
    pub endpoint_url: Option<Url>,
    /// Where to write the configuration, unless --config names a file; `-` is stdout
    #[arg(long, short, value_name = "FILE", default_value = "streamdex.toml")]
    pub output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// About how many items to read, strongly consistent
    #[arg(long, value_name = "ITEMS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,
}

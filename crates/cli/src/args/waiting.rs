//! The arguments of `await`.

use clap::Args;

use super::values;

/// `streamdex await`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 if searches find the item; 1 if they never will as things are, or the time is over."
)]
pub struct AwaitArgs {
    /// A key attribute and its value, such as user_id=u1; once for each attribute of the table's key. Binary values in
    /// base64
    #[arg(long, value_name = "NAME=VALUE", required = true, value_parser = values::pair)]
    pub key: Vec<(String, String)>,
    /// The source of the item's table, if there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub timeout: u64,
}

//! The arguments of `check`.

use clap::Args;

/// `streamdex check`
#[derive(Debug, Clone, Args)]
#[command(after_help = "A line with ? could not be checked. Exit status: 0 if no line failed, else 1.")]
pub struct CheckArgs {
    /// Also ask DynamoDB and OpenSearch; nothing is changed
    #[arg(long)]
    pub online: bool,
    /// About how many items of each table to map, to see whether an index can hold them
    #[arg(long, value_name = "ITEMS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,
}

//! The arguments of `check`.

use clap::Args;

/// `streamdex check`
#[derive(Debug, Clone, Args)]
#[command(after_help = "A line with ? could not be looked at. Exit status: 0 where no line failed, else 1.")]
pub struct CheckArgs {
    /// Ask DynamoDB and OpenSearch too, in ways that change nothing
    #[arg(long)]
    pub online: bool,
    /// About how many items of each table are mapped to see whether an index can hold them
    #[arg(long, value_name = "ITEMS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,
}

//! The arguments of `explain`.

use clap::Args;

use super::values;

/// `streamdex explain`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 where nothing is wrong with the index (in_sync, filtered, expired, or neither item nor document); else 1."
)]
pub struct ExplainArgs {
    /// A key attribute and its value, as user_id=u1; once for each attribute of the table's key. Binary in base64
    #[arg(long, value_name = "NAME=VALUE", required_unless_present = "id", conflicts_with = "id", value_parser = values::pair)]
    pub key: Vec<(String, String)>,
    /// The id of a document, in place of the item's key
    #[arg(long, value_name = "DOCUMENT_ID")]
    pub id: Option<String>,
    /// The source whose table it is, where there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Print what is in item and documents too
    #[arg(long)]
    pub show_values: bool,
    /// How long a difference is looked at again, where the reader may not have come to it
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = values::seconds)]
    pub patience: u64,
}

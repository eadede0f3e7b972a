//! The arguments of `explain`.

use clap::Args;

use super::values;

/// `streamdex explain`
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 if the index is right (in_sync, filtered, expired, or neither item nor document); else 1."
)]
pub struct ExplainArgs {
    /// A key attribute and its value, such as user_id=u1; once for each attribute of the table's key. Binary values in
    /// base64
    #[arg(long, value_name = "NAME=VALUE", required_unless_present = "id", conflicts_with = "id", value_parser = values::pair)]
    pub key: Vec<(String, String)>,
    /// The id of a document, instead of the item's key
    #[arg(long, value_name = "DOCUMENT_ID")]
    pub id: Option<String>,
    /// The source of the item's table, if there are several
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Also print the values of the item and its documents
    #[arg(long)]
    pub show_values: bool,
    /// How long to check a difference again, as the reader may not have reached it yet
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = values::seconds)]
    pub patience: u64,
}

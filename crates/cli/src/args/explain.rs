//! The arguments of `explain`.

use clap::Args;

/// `streamdex explain`
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A key attribute and its value, as user_id=u1; once for each attribute of the table's key. Binary in base64
    #[arg(long, value_name = "NAME=VALUE", required_unless_present = "id", conflicts_with = "id", value_parser = pair)]
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
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub patience: u64,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

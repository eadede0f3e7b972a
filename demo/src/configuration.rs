//! The configuration that the demo writes, for `streamdex` and for people to read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use streamdex_testkit::engines::{REGION, target_folder, workspace_folder};

pub(crate) const TABLE: &str = "sessions";
pub(crate) const INDEX: &str = "sessions";
pub(crate) const ARCHIVE: &str = "sessions-expired";

/// The alias that hides expired sessions.
pub(crate) const LIVE: &str = "sessions-live";

/// Makes an empty `target/demo`.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = target_folder().join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// A path as people who stand in the workspace would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(workspace_folder()).unwrap_or(path).display().to_string()
}

/// The configuration file's text.
pub(crate) fn text(dynamodb_url: &str, opensearch_url: &str) -> String {
    format!(
        r#"# Written by `cargo xtask demo`.

[source]
table = "{TABLE}"
region = "{REGION}"
endpoint_url = "{dynamodb_url}"          # leave it out on AWS

[opensearch]
url = "{opensearch_url}"

[state]                                  # checkpoints and dead letters
table = "streamdex-state"

[[route]]
index = "{INDEX}"
id = ["user_id", "session_id"]           # where these are secrets: id_form = "hash"
exclude = ["token"]
rename = {{ ip = "client_ip" }}
# infer_expiry: this emulator does not mark expiries; DynamoDB does, and needs it only in replicas
ttl = {{ attribute = "expires_at", on_expiry = "archive", archive_index = "{ARCHIVE}", infer_expiry = true }}

[index.{INDEX}]
settings = {{ number_of_shards = 1, number_of_replicas = 0 }}

[index.{ARCHIVE}]
settings = {{ number_of_shards = 1, number_of_replicas = 0 }}
"#
    )
}

//! The configuration that the demo writes, for `streamdex` and for people to read.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use streamdex_testkit::engines::{REGION, target_folder, workspace_folder};

pub(crate) const TABLE: &str = "sessions";
/// Not the index of the examples: what a reader tries on the same engine must not meet other documents.
pub(crate) const INDEX: &str = "demo-sessions";
pub(crate) const ARCHIVE: &str = "demo-sessions-expired";

/// The alias that hides expired sessions.
pub(crate) const LIVE: &str = "demo-sessions-live";

/// The next generation of the index.
pub(crate) const SECOND_INDEX: &str = "demo-sessions-000002";

/// So many demos have files at a time.
const MOST_DEMOS: usize = 100;

/// The files of one demo: `target/demo`, or `target/demo-2` and so on while another demo has that.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked as long as this lives, whatever ends the process.
    _lock: File,
}

// === impl Folder ===

impl Folder {
    /// Makes an empty one in the target folder.
    pub(crate) fn make() -> anyhow::Result<Folder> {
        Folder::make_in(&target_folder())
    }

    fn make_in(target: &Path) -> anyhow::Result<Folder> {
        for number in 1..=MOST_DEMOS {
            let name = if number == 1 { "demo".to_owned() } else { format!("demo-{number}") };
            // Beside the folder, which is emptied.
            let lock = target.join(format!("{name}.lock"));
            let file = File::create(&lock).with_context(|| format!("making {}", lock.display()))?;
            match file.try_lock() {
                Ok(()) => return Folder::emptied(target.join(name), file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", lock.display()));
                }
            }
        }
        bail!("{MOST_DEMOS} demos run already")
    }

    fn emptied(path: PathBuf, lock: File) -> anyhow::Result<Folder> {
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("emptying {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Folder { path, _lock: lock })
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// A path as people who stand in the workspace would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(workspace_folder()).unwrap_or(path).display().to_string()
}

/// As [`text`], for another group and the next generation of the index.
pub(crate) fn second(dynamodb_url: &str, opensearch_url: &str) -> String {
    let index = format!("[index.{INDEX}]\n");
    let text = text(dynamodb_url, opensearch_url);
    text.replace("table = \"streamdex-state\"\n", "table = \"streamdex-state\"\ngroup = \"second-act\"\n")
        .replace(&index, &format!("{index}generation = 2\n"))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "code of tests")]
mod tests {
    use super::*;

    #[test]
    fn demos_at_a_time_keep_their_files_apart() {
        let target = tempfile::tempdir().unwrap();
        let make = || Folder::make_in(target.path()).unwrap();
        let first = make();
        fs::write(first.join("streamdex.toml"), "first").unwrap();
        let second = make();
        fs::write(second.join("streamdex.toml"), "second").unwrap();
        let third = make();
        assert_eq!(fs::read_to_string(first.join("streamdex.toml")).unwrap(), "first");
        assert_eq!(fs::read_to_string(second.join("streamdex.toml")).unwrap(), "second");
        assert!(third.path.ends_with("demo-3"), "{}", third.path.display());
        // What is over is emptied and used again.
        drop(first);
        let again = make();
        assert!(again.path.ends_with("demo") && !again.join("streamdex.toml").exists());
    }
}

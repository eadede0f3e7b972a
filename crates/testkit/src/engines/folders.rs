//! The folders of engines and their data, all under the target folder.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::EngineError;
use super::unique_name;

/// The root of the workspace that this crate was built in.
#[must_use]
pub fn workspace_folder() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap().to_path_buf()
}

/// The target folder in use: the one that holds this program, which is right wherever cargo was asked to place it.
#[must_use]
pub fn target_folder() -> PathBuf {
    let of_this_program = env::current_exe().ok().and_then(|program| {
        let tagged = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
        program.ancestors().skip(1).find(tagged).map(Path::to_path_buf)
    });
    of_this_program.unwrap_or_else(|| match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace_folder().join(folder),
        None => workspace_folder().join("target"),
    })
}

pub(super) fn engines_folder() -> PathBuf {
    target_folder().join("engines")
}

/// A folder for one running engine, removed when dropped; what a killed process left is removed by the next one.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    pub(super) fn create(slug: &str) -> Result<Self, EngineError> {
        let parent = target_folder().join("engine-data");
        let failed = |error: io::Error| EngineError::io("making a data folder", &error);
        fs::create_dir_all(&parent).map_err(failed)?;
        remove_abandoned(&parent);
        let path = parent.join(unique_name(slug));
        // A process id can come back: what lies there under this name has no owner.
        let _ = fs::remove_dir_all(&path);
        let lock = File::create(lock_of(&path)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        fs::create_dir_all(&path).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Left behind at worst, and then removed by the next process.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(lock_of(&self.path));
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_added_extension("lock")
}

/// Removes the folders whose lock nobody holds: their owner was killed.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for lock_path in entries.flatten().map(|entry| entry.path()) {
        if lock_path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(lock_path.with_extension(""));
            let _ = fs::remove_file(&lock_path);
        }
    }
}

//! Files of one crate that import each other.
//!
//! Where two files need each other, neither can be read or tested alone. A circle is a strongly connected part
//! of the graph "file uses file": see [`sources`] for what counts as a use.

mod graph;
mod sources;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use streamdex_testkit::engines::workspace_folder;

use crate::step::Outcome;

/// Files that still stand in a circle. The list only gets shorter: a file that is in no circle any more must go.
const KNOWN: [&str; 0] = [];

/// Looks for circles in every crate of the workspace. A circle with a file outside [`KNOWN`] is a failure.
pub(crate) fn check(name: &str) -> Outcome {
    println!("── {name}");
    let outcome = match look() {
        Ok(true) => Outcome::Passed,
        Ok(false) => Outcome::Failed,
        Err(error) => {
            println!("   {name}: {error:#}");
            Outcome::Failed
        }
    };
    println!("   {name}: {outcome:?}");
    outcome
}

fn look() -> anyhow::Result<bool> {
    let workspace = workspace_folder();
    let known: BTreeSet<PathBuf> = KNOWN.iter().map(PathBuf::from).collect();
    let mut met = BTreeSet::new();
    let mut passed = true;
    for root in roots(&workspace)? {
        let files = sources::read(&root)?;
        for circle in graph::circles(&graph::uses(&files)) {
            let shown = |file: usize| files.get(file).map_or_else(PathBuf::new, |file| shorten(&file.path, &workspace));
            let members: BTreeSet<PathBuf> = circle.files.iter().map(|file| shown(*file)).collect();
            met.extend(members.clone());
            if members.is_subset(&known) {
                continue;
            }
            passed = false;
            println!("   a circle of {} files:", members.len());
            for (user, used) in &circle.uses {
                println!("     {} uses {}", shown(*user).display(), shown(*used).display());
            }
        }
    }
    for file in known.difference(&met) {
        passed = false;
        println!("   {} is no longer in a circle: remove it from the list in xtask/src/circles", file.display());
    }
    Ok(passed)
}

/// The first file of every library and program of the workspace.
fn roots(workspace: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut packages: Vec<PathBuf> = ["bench", "demo", "tests", "xtask"].map(|name| workspace.join(name)).into();
    for entry in workspace.join("crates").read_dir().context("listing the crates")? {
        packages.push(entry.context("listing the crates")?.path());
    }
    packages.sort();
    let candidates = packages
        .iter()
        .flat_map(|package| ["src/lib.rs", "src/main.rs", "tests/main.rs"].map(|file| package.join(file)));
    Ok(candidates.filter(|file| file.exists()).collect())
}

fn shorten(path: &Path, workspace: &Path) -> PathBuf {
    path.strip_prefix(workspace).unwrap_or(path).to_owned()
}

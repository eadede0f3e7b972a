//! `cargo xtask book`: the pages of `docs/`, and those that they lead to, as one site.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome};
use crate::tools::MDBOOK;

/// Its lines name all pages of the book.
const CONTENTS: &str = "docs/SUMMARY.md";
const SETTINGS: &str = "docs/book.toml";

/// Builds `target/book`, and looks whether each link in it leads somewhere.
pub(crate) fn run(name: &str) -> Outcome {
    match build() {
        Ok(site) => {
            let mut check = Command::new("python3");
            check.arg("-B").arg(workspace_folder().join("deploy/check/site.py")).arg(&site);
            step::run(name, check)
        }
        Err(error) => {
            println!("── {name}\n   {name}: {error:#}");
            Outcome::Failed
        }
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let (source, site) = (target_folder().join("book-source"), target_folder().join("book"));
    lay_out(&source)?;
    let mut build = Command::new(MDBOOK.program()?);
    build.arg("build").arg(&source).arg("--dest-dir").arg(&site).env("RUST_LOG", "warn");
    ensure!(build.status().context("starting mdbook")?.success(), "mdbook failed");
    Ok(site)
}

/// Copies the pages, and the files that they link to, as they lie in the repository: then their links hold in the book too.
fn lay_out(source: &Path) -> anyhow::Result<()> {
    if source.exists() {
        fs::remove_dir_all(source).with_context(|| format!("removing {}", source.display()))?;
    }
    let read = |path: &Path| {
        fs::read_to_string(workspace_folder().join(path)).with_context(|| format!("reading {}", path.display()))
    };
    let contents = read(Path::new(CONTENTS))?;
    let mut files = BTreeSet::new();
    for page in linked(Path::new(CONTENTS), &contents) {
        files.extend(linked(&page, &read(&page)?));
        files.insert(page);
    }
    for file in &files {
        let (from, to) = (workspace_folder().join(file), source.join(file));
        ensure!(!from.is_dir(), "a page links to the folder {}, and a site has none: link to a file", file.display());
        let folder = to.parent().context("a file of no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::copy(&from, &to).with_context(|| format!("copying {}", file.display()))?;
    }
    fs::copy(workspace_folder().join(SETTINGS), source.join("book.toml")).context("copying the settings")?;
    fs::write(source.join("SUMMARY.md"), from_the_root(&contents)).context("writing the contents")
}

/// The files that a page links to, by their paths in the repository; what leads out of it, or nowhere, is left out.
fn linked(page: &Path, text: &str) -> BTreeSet<PathBuf> {
    let links = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let targets = links.filter_map(|link| link.split('#').next()).filter(|target| !target.is_empty());
    let paths = targets.filter_map(|target| joined(page.parent()?, target));
    paths.filter(|path| workspace_folder().join(path).exists()).collect()
}

/// A path from a folder, without `..`; `None` above the repository.
fn joined(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path)
}

/// The contents with each link from the root of the repository.
fn from_the_root(contents: &str) -> String {
    let folder = Path::new(CONTENTS).parent().unwrap_or(Path::new(""));
    let mut parts = contents.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        let (link, after) = rest.split_once(')').unwrap_or((rest, ""));
        let path = joined(folder, link).unwrap_or_else(|| link.into());
        format!("{text}]({}){after}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_the_page_and_written_from_the_root() {
        let text = "[a](operations.md#lag) ![b](../README.md) [c](https://example.org) [d](#here) [e](no-such.md)";
        let found: Vec<_> = linked(Path::new(CONTENTS), text).into_iter().collect();
        assert_eq!(found, [Path::new("README.md"), Path::new("docs/operations.md")]);
        assert_eq!(joined(Path::new("docs"), "../../x"), None);
        assert_eq!(
            from_the_root("# S\n- [a](adr/1.md)\n- [b](../README.md)\n"),
            "# S\n- [a](docs/adr/1.md)\n- [b](README.md)\n"
        );
    }
}

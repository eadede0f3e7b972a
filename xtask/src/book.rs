//! `cargo xtask book`: the pages of `docs/`, and those that they lead to, as one site.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome};
use crate::tools::MDBOOK;

/// Its lines name all pages of the book.
const CONTENTS: &str = "docs/SUMMARY.md";
const SETTINGS: [&str; 2] = ["book.toml", "book.css"];

/// Builds `target/book`, and looks whether each link in it leads somewhere.
pub(crate) fn check(name: &str) -> Outcome {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        return step::not_run(name, "not checked, there is no Python 3");
    }
    match build() {
        Ok(site) => {
            let mut check = Command::new("python3");
            check.arg("-B").arg(workspace_folder().join("deploy/check/site_links.py")).arg(&site);
            step::run(name, check)
        }
        Err(error) => step::failed(name, &error),
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let (source, site) = (target_folder().join("book-source"), target_folder().join("book"));
    lay_out(&source)?;
    let mut build = Command::new(MDBOOK.program()?);
    build.arg("build").arg(&source).arg("--dest-dir").arg(&site).env("MDBOOK_LOG", "warn");
    ensure!(build.status().context("starting mdbook")?.success(), "mdbook failed");
    Ok(site)
}

/// Copies the pages, and the files that they link to, as they lie in the repository: then their links hold in the book too.
fn lay_out(source: &Path) -> anyhow::Result<()> {
    step::empty(source)?;
    let read = |path: &Path| {
        fs::read_to_string(workspace_folder().join(path)).with_context(|| format!("reading {}", path.display()))
    };
    let contents = read(Path::new(CONTENTS))?;
    let mut files = BTreeSet::new();
    for page in linked(Path::new(CONTENTS), &contents) {
        files.extend(linked(&page, &read(&page)?));
        files.insert(page);
    }
    let pages = source.join("src");
    for file in &files {
        let (from, to) = (workspace_folder().join(file), pages.join(as_index(file)));
        ensure!(!from.is_dir(), "a page links to the folder {}, and a site has none: link to a file", file.display());
        let folder = to.parent().context("a file of no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        if file.extension().is_some_and(|extension| extension == "md") {
            let text = with_links(&read(file)?, |target| Some(as_index(Path::new(target))));
            fs::write(&to, text).with_context(|| format!("writing {}", to.display()))?;
        } else {
            fs::copy(&from, &to).with_context(|| format!("copying {}", file.display()))?;
        }
    }
    let folder = Path::new(CONTENTS).parent().context("the contents of no folder")?;
    for file in SETTINGS {
        let from = workspace_folder().join(folder).join(file);
        fs::copy(&from, source.join(file)).with_context(|| format!("copying {}", from.display()))?;
    }
    let contents = with_links(&contents, |target| Some(as_index(&joined(folder, target)?)));
    fs::write(pages.join("SUMMARY.md"), contents).context("writing the contents")
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

/// A README is the index of its folder: mdBook names the page so, and leaves links to it as they are.
fn as_index(path: &Path) -> PathBuf {
    if path.ends_with("README.md") { path.with_file_name("index.md") } else { path.to_owned() }
}

/// A page with other targets for its links to files; `None` leaves one as it is.
fn with_links(text: &str, target_of: impl Fn(&str) -> Option<PathBuf>) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        let end = rest.find(['#', ')']).unwrap_or(rest.len());
        let (target, after) = rest.split_at(end);
        let other = Some(target).filter(|target| !target.is_empty() && !target.contains("://")).and_then(&target_of);
        format!("{text}]({}{after}", other.map_or_else(|| target.to_owned(), |other| other.display().to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_the_page_and_a_readme_is_an_index() {
        let text = "[a](operations.md#lag) ![b](../README.md) [c](https://example.org) [d](#here) [e](no-such.md)";
        let found: Vec<_> = linked(Path::new(CONTENTS), text).into_iter().collect();
        assert_eq!(found, [Path::new("README.md"), Path::new("docs/operations.md")]);
        assert_eq!(joined(Path::new("docs"), "../../x"), None);
        let index = |target: &str| Some(as_index(Path::new(target)));
        assert_eq!(
            with_links("[a](../README.md#x) [b](https://example.org/README.md) [c](#y) d](e.md", index),
            "[a](../index.md#x) [b](https://example.org/README.md) [c](#y) d](e.md"
        );
    }
}

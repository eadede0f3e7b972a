//! The matrix: its text, and the comparison with the one that is checked in.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use streamdex_testkit::engines::workspace_folder;

use super::outcome::Outcome;

const INTRODUCTION: &str = "\
# Register of compatibility

[Compatibility](../compatibility.md) says which engines are supported and what the differences mean for a user. This page lists what
streamdex depends on, and what each engine did on a real node. *yes* means that the engine does what the sentence says. Other cells say
what it did instead.

Amazon OpenSearch Service runs the same versions. Elasticsearch 7.10 represents the domains of Amazon Elasticsearch Service. OpenSearch
Serverless cannot run in these tests.

The test suite writes this page (`STREAMDEX_WRITE_COMPATIBILITY=1 cargo test -p streamdex-tests compat`). Without that variable, the test
fails if an engine does something else.
";

#[derive(Default)]
pub(crate) struct Matrix {
    engines: Vec<&'static str>,
    rows: Vec<(&'static str, &'static str)>,
    cells: BTreeMap<(&'static str, &'static str), String>,
}

impl Matrix {
    pub(crate) fn enter(&mut self, engine: &'static str, heading: &'static str, check: &'static str, outcome: Outcome) {
        if !self.engines.contains(&engine) {
            self.engines.push(engine);
        }
        if !self.rows.contains(&(heading, check)) {
            self.rows.push((heading, check));
        }
        let cell = outcome.map_or_else(|how| how.replace('|', "/").replace('\n', " "), |()| "yes".to_owned());
        self.cells.insert((check, engine), cell);
    }

    pub(crate) fn render(&self) -> String {
        let mut text = INTRODUCTION.to_owned();
        let mut current = "";
        for (heading, check) in &self.rows {
            if *heading != current {
                current = heading;
                writeln!(text, "\n## {heading}\n").unwrap();
                writeln!(text, "| | {} |", self.engines.join(" | ")).unwrap();
                writeln!(text, "|---|{}", "---|".repeat(self.engines.len())).unwrap();
            }
            let cells: Vec<&str> = self.engines.iter().map(|engine| self.cells[&(*check, *engine)].as_str()).collect();
            writeln!(text, "| {check} | {} |", cells.join(" | ")).unwrap();
        }
        text
    }

    pub(crate) fn write(&self) {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), self.render()).unwrap();
    }

    /// The lines in which the file differs, for the engines that ran.
    pub(crate) fn compare(&self) -> Vec<String> {
        let file = read(&fs::read_to_string(path()).unwrap_or_default());
        let mut differences = Vec::new();
        for (_, check) in &self.rows {
            for engine in &self.engines {
                let did = &self.cells[&(*check, *engine)];
                let wanted = file.get(&((*check).to_owned(), (*engine).to_owned()));
                if wanted != Some(did) {
                    let wanted = wanted.map_or("nothing", String::as_str);
                    differences.push(format!("{engine}: {check}: {did}; the file says {wanted}"));
                }
            }
        }
        let known = |check: &String| self.rows.iter().any(|(_, row)| row == check);
        let stale = file.keys().map(|(check, _)| check).filter(|check| !self.rows.is_empty() && !known(check));
        differences.extend(stale.map(|check| format!("the file has a line that no check gives: {check}")));
        differences
    }
}

fn path() -> PathBuf {
    workspace_folder().join("docs/registers/compatibility.md")
}

fn read(text: &str) -> BTreeMap<(String, String), String> {
    let mut cells = BTreeMap::new();
    let mut engines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let mut parts = line.trim_matches('|').split('|').map(|part| part.trim().to_owned());
        let check = parts.next().unwrap_or_default();
        if check.is_empty() {
            engines = parts.collect();
        } else {
            cells.extend(engines.iter().cloned().zip(parts).map(|(engine, cell)| ((check.clone(), engine), cell)));
        }
    }
    cells
}

#[test]
fn a_matrix_is_read_back() {
    let mut matrix = Matrix::default();
    matrix.enter("A 1", "First", "it works", Ok(()));
    matrix.enter("B 2", "First", "it works", Err("400 | no".into()));
    let cells = read(&matrix.render());
    assert_eq!(cells[&("it works".to_owned(), "A 1".to_owned())], "yes");
    assert_eq!(cells[&("it works".to_owned(), "B 2".to_owned())], "400 / no");
}

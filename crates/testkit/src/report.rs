//! Reports which tests ran against which engine, and which were skipped and why.
//!
//! The test harness cannot skip a test that has started, and a test that passes because its engine is missing is a
//! lie. So every test asks for its engine here; what came of it is written to `target/test-report`, one file per
//! process, and `cargo xtask test` sums it up. With `STREAMDEX_REQUIRE_ENGINES` set, a missing engine fails the test.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[cfg(feature = "clients")]
use crate::engines::Dynoxide;
use crate::engines::{Browser, DynamoDbLocal, EngineError, Moto, SearchEngine, SearchNode, target_folder};

/// Set by CI: a machine that must have every engine.
pub const REQUIRE_ENGINES: &str = "STREAMDEX_REQUIRE_ENGINES";

/// What became of one test on one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The test program, one per crate.
    pub program: String,
    /// The test's name.
    pub test: String,
    /// The engine's label, as `OpenSearch 3.8.0`.
    pub engine: String,
    /// Why it was skipped; `None` when it ran.
    pub skipped: Option<String>,
}

/// The shared node of that engine, or `None` after noting that this test is skipped.
///
/// # Panics
/// When the engine should be there and is not: it could not be fetched, or did not come up.
pub async fn search_node(engine: SearchEngine) -> Option<Arc<SearchNode>> {
    needs(engine.label(), SearchNode::shared(engine).await)
}

/// The shared DynamoDB Local, or `None` after noting that this test is skipped.
///
/// # Panics
/// As [`search_node`].
pub async fn dynamodb_local() -> Option<Arc<DynamoDbLocal>> {
    needs(DynamoDbLocal::LABEL, DynamoDbLocal::shared().await)
}

/// The shared moto, or `None` after noting that this test is skipped.
///
/// # Panics
/// As [`search_node`].
pub async fn moto() -> Option<Arc<Moto>> {
    needs(Moto::LABEL, Moto::shared().await)
}

/// The browser of this machine, or `None` after noting that this test is skipped.
///
/// # Panics
/// When what drives it cannot be fetched.
#[must_use]
pub fn browser() -> Option<Browser> {
    needs(Browser::LABEL, Browser::find())
}

/// A dynoxide of this test's own.
///
/// # Panics
/// When it does not start.
#[cfg(feature = "clients")]
#[must_use]
pub fn dynoxide() -> Dynoxide {
    needs(Dynoxide::LABEL, Dynoxide::start()).expect("an engine in process needs no tool")
}

/// Notes what became of starting an engine by hand, for example with options of the test's own.
///
/// # Panics
/// As [`search_node`].
pub fn needs<T>(engine: &str, started: Result<T, EngineError>) -> Option<T> {
    match started {
        Ok(engine_handle) => {
            write(engine, None);
            Some(engine_handle)
        }
        Err(missing @ EngineError::Missing { .. }) if env::var_os(REQUIRE_ENGINES).is_none() => {
            let _ = writeln!(io::stderr(), "skipped: {missing}; {}", missing.hint());
            write(engine, Some(&missing.to_string()));
            None
        }
        Err(error) => panic!("{error}; {}", error.hint()),
    }
}

/// Where the reports lie.
#[must_use]
pub fn folder() -> PathBuf {
    target_folder().join("test-report")
}

/// Forgets all reports, before a run.
///
/// # Errors
/// When the folder cannot be removed.
pub fn clear() -> io::Result<()> {
    match fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All reports since [`clear`].
///
/// # Errors
/// When a report cannot be read.
pub fn read() -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let files = match fs::read_dir(folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
        files => files?,
    };
    for file in files {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        // The rest of the name is the process id.
        let program = name.rsplit_once('-').map_or(&*name, |(program, _)| program);
        let text = fs::read_to_string(&path)?;
        entries.extend(text.lines().filter_map(|line| parse(program, line)));
    }
    Ok(entries)
}

fn write(engine: &str, skipped: Option<&str>) {
    static FILE: Mutex<Option<File>> = Mutex::new(None);
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = file.get_or_insert_with(|| open().expect("a report file under the target folder"));
    let thread = thread::current();
    // The test harness names its threads after the tests.
    let test = thread.name().unwrap_or("unnamed");
    writeln!(file, "{}", line(test, engine, skipped)).unwrap();
}

fn open() -> io::Result<File> {
    fs::create_dir_all(folder())?;
    let program = env::current_exe()?;
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let path = folder().join(format!("{name}-{}.tsv", std::process::id()));
    OpenOptions::new().create(true).append(true).open(path)
}

fn line(test: &str, engine: &str, skipped: Option<&str>) -> String {
    let skipped = skipped.map(|reason| reason.replace(['\t', '\n'], " "));
    match skipped {
        Some(reason) => format!("{test}\t{engine}\tskipped\t{reason}"),
        None => format!("{test}\t{engine}\tran"),
    }
}

fn parse(program: &str, line: &str) -> Option<Entry> {
    let mut parts = line.split('\t');
    let test = parts.next()?.to_owned();
    let engine = parts.next()?.to_owned();
    let skipped = match parts.next()? {
        "ran" => None,
        _ => Some(parts.next().unwrap_or_default().to_owned()),
    };
    Some(Entry { program: program.to_owned(), test, engine, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written() {
        for skipped in [None, Some("needs a JDK 21 or newer")] {
            let entry = parse("main", &line("a::b", "OpenSearch 3.8.0", skipped)).unwrap();
            assert_eq!((entry.test.as_str(), entry.skipped.as_deref()), ("a::b", skipped));
        }
    }
}

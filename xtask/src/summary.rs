//! The end of a test run: numbers per engine, and one line for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use streamdex_testkit::report::Entry;

/// What the test harness counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

impl Counts {
    /// Adds a line of the form `test result: ok. 12 passed; 0 failed; 1 ignored; …`; others say nothing.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |word: &str| {
            let part = result.split(['.', ';']).find(|part| part.trim_end().ends_with(word))?;
            part.split_whitespace().next()?.parse::<usize>().ok()
        };
        self.passed += count("passed").unwrap_or(0);
        self.failed += count("failed").unwrap_or(0);
        self.ignored += count("ignored").unwrap_or(0);
    }
}

/// Harness and engine reports, put together.
#[derive(Debug)]
pub(crate) struct Summary {
    counts: Counts,
    engines: BTreeMap<String, Engine>,
}

#[derive(Debug, Default)]
struct Engine {
    ran: BTreeSet<(String, String)>,
    skipped: BTreeSet<(String, String)>,
    reasons: BTreeSet<String>,
}

impl Summary {
    pub(crate) fn new(counts: Counts, entries: &[Entry]) -> Self {
        let mut engines: BTreeMap<String, Engine> = BTreeMap::new();
        for entry in entries {
            let engine = engines.entry(entry.engine.clone()).or_default();
            let test = (entry.program.clone(), entry.test.clone());
            match &entry.skipped {
                None => drop(engine.ran.insert(test)),
                Some(reason) => {
                    engine.skipped.insert(test);
                    engine.reasons.insert(reason.clone());
                }
            }
        }
        Self { counts, engines }
    }

    pub(crate) fn passed(&self) -> bool {
        self.counts.failed == 0
    }

    /// `N passed, N failed, N skipped`. The harness takes a test whose engine is missing for passed; here it is
    /// skipped, if it ran on no other engine.
    pub(crate) fn last_line(&self) -> String {
        let ran: BTreeSet<_> = self.engines.values().flat_map(|engine| &engine.ran).collect();
        let skipped: BTreeSet<_> = self.engines.values().flat_map(|engine| &engine.skipped).collect();
        let skipped = skipped.difference(&ran).count();
        let passed = self.counts.passed.saturating_sub(skipped);
        format!("{passed} passed, {} failed, {} skipped", self.counts.failed, skipped + self.counts.ignored)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, engine) in &self.engines {
            writeln!(formatter, "   {name:22} {:4} ran, {} skipped", engine.ran.len(), engine.skipped.len())?;
            for reason in &engine.reasons {
                writeln!(formatter, "   {:22} skipped: {reason}", "")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(test: &str, engine: &str, skipped: Option<&str>) -> Entry {
        let skipped = skipped.map(str::to_owned);
        Entry { program: "main".to_owned(), test: test.to_owned(), engine: engine.to_owned(), skipped }
    }

    #[test]
    fn result_lines_are_summed() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.82s");
        counts.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(counts, Counts { passed: 15, failed: 2, ignored: 1 });
    }

    #[test]
    fn a_test_without_any_engine_is_skipped() {
        let counts = Counts { passed: 10, failed: 0, ignored: 1 };
        let missing = Some("needs a JDK 21 or newer");
        let entries = [
            entry("everywhere", "OpenSearch 3.8.0", missing),
            entry("everywhere", "osmem-server 0.1.6", None),
            entry("real", "OpenSearch 3.8.0", missing),
        ];
        let summary = Summary::new(counts, &entries);
        assert_eq!(summary.last_line(), "9 passed, 0 failed, 2 skipped");
        assert!(summary.to_string().contains("OpenSearch 3.8.0          0 ran, 2 skipped"), "{summary}");
    }
}

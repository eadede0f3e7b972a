//! Repeats the failures of tests at the end of a run, since an hour of output can follow the first failure.

use std::collections::VecDeque;
use std::fmt;

/// Lines of one failure that are kept: the first and the last ones.
const FIRST: usize = 10;
const LAST: usize = 30;

/// What each failed test printed, without its backtrace.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    failed: Vec<Failure>,
    is_inside: bool,
}

#[derive(Debug)]
struct Failure {
    test: String,
    first: Vec<String>,
    last: VecDeque<String>,
    left_out: usize,
}

impl Failures {
    /// Takes a line of the test harness. A failed test's output begins with `---- NAME stdout ----`.
    pub(crate) fn add(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.failed.push(Failure::new(test));
            self.is_inside = true;
        } else if ["failures:", "test result: "].iter().any(|end| line.starts_with(end)) {
            self.is_inside = false;
        } else if let (true, false, Some(failure)) = (self.is_inside, is_backtrace(line), self.failed.last_mut()) {
            failure.add(line);
        }
    }

    /// How many of these failed tests printed nothing, so that none of them is named here.
    pub(crate) fn unnamed(&self, failed: usize) -> usize {
        failed.saturating_sub(self.failed.len())
    }
}

/// A line of a backtrace, as `  12: name` and `      at file:line`, or about one.
fn is_backtrace(line: &str) -> bool {
    let rest = line.trim_start();
    let is_frame = rest.split_once(": ").is_some_and(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
    let is_indented = rest.len() < line.len();
    is_indented && (is_frame || rest.starts_with("at "))
        || ["stack backtrace:", "note: run with `RUST_BACKTRACE", "note: Some details are omitted"]
            .iter()
            .any(|start| line.starts_with(start))
}

impl Failure {
    fn new(test: &str) -> Self {
        Self { test: test.to_owned(), first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }

    fn add(&mut self, line: &str) {
        if self.first.len() < FIRST {
            self.first.push(line.to_owned());
            return;
        }
        self.last.push_back(line.to_owned());
        if self.last.len() > LAST {
            self.last.pop_front();
            self.left_out += 1;
        }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failed {
            writeln!(formatter, "── failed: {}", failure.test)?;
            failure.first.iter().try_for_each(|line| writeln!(formatter, "   {line}"))?;
            if failure.left_out > 0 {
                writeln!(formatter, "   … {} lines are left out …", failure.left_out)?;
            }
            failure.last.iter().try_for_each(|line| writeln!(formatter, "   {line}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[&str]) -> String {
        let mut failures = Failures::default();
        lines.iter().for_each(|line| failures.add(line));
        failures.to_string()
    }

    #[test]
    fn what_failed_is_kept_without_its_backtrace() {
        let lines = [
            "running 2 tests",
            "test a ... ok",
            "test b ... FAILED",
            "failures:",
            "---- b stdout ----",
            "thread 'b' panicked at src/b.rs:1:2:",
            "it is cold",
            "stack backtrace:",
            "   0: begin_unwind",
            "             at /rustc/panicking.rs:698:5",
            "run it again with SEED=7",
            "failures:",
            "    b",
            "test result: FAILED. 1 passed; 1 failed",
        ];
        assert_eq!(
            shown(&lines),
            "── failed: b\n   thread 'b' panicked at src/b.rs:1:2:\n   it is cold\n   run it again with SEED=7\n"
        );
        assert_eq!(shown(&["running 1 test", "test a ... ok"]), "");
    }

    #[test]
    fn the_middle_of_a_long_one_is_left_out() {
        let mut lines = vec!["---- b stdout ----".to_owned()];
        lines.extend((0..100).map(|number| format!("line {number}")));
        let shown = shown(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(shown.contains("   line 9\n   … 60 lines are left out …\n   line 70\n"), "{shown}");
        assert!(shown.ends_with("   line 99\n"), "{shown}");
    }
}

//! The outcomes of the records of `replay` and `run --until-end`.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use streamdex_mapping::{Outcome, Tally};

use crate::exit::{CliError, Exit};
use crate::output;

/// The counted end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Records that were decided: the sum of the outcomes.
    pub records: u64,
    /// How many records ended in each outcome.
    pub outcomes: Tally,
    /// Records that could not be decided before the command gave up.
    pub undecided: u64,
    /// How long it took.
    pub seconds: f64,
}

// === impl Summary ===

impl Summary {
    /// Adds up.
    pub fn new(outcomes: Tally, undecided: u64, took: Duration) -> Summary {
        let milliseconds = (took.as_secs_f64() * 1000.0).round();
        Summary { records: outcomes.records(), outcomes, undecided, seconds: milliseconds / 1000.0 }
    }

    /// The exit status that it amounts to.
    pub fn exit(&self) -> Exit {
        match (self.undecided, self.outcomes.dead_lettered) {
            (1.., _) => Exit::Unreachable,
            (0, 1..) => Exit::DeadLetters,
            (0, 0) => Exit::Done,
        }
    }

    /// Writes it to stdout: one JSON object, or lines for people.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn print(&self, json: bool) -> Result<(), CliError> {
        if json { output::print_json(self) } else { output::print(&self.to_string()) }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} records in {:.1} s", self.records, self.seconds)?;
        for outcome in Outcome::ALL {
            let count = self.outcomes.get(outcome);
            if count > 0 {
                writeln!(f, "  {count:>9}  {}", outcome.name().replace('_', " "))?;
            }
        }
        if self.undecided > 0 {
            writeln!(f, "  {:>9}  undecided: run the command again", self.undecided)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up_and_decides_the_status() {
        let tally = Tally { applied: 3, dead_lettered: 1, ..Tally::default() };
        let summary = Summary::new(tally, 0, Duration::from_micros(1_234_567));
        let json = serde_json::to_string(&summary).unwrap();
        let expected = concat!(
            r#"{"records":4,"outcomes":{"applied":3,"superseded":0,"absent":0,"coalesced":0,"unchanged":0,"filtered":0,"#,
            r#""dead_lettered":1},"undecided":0,"seconds":1.235}"#
        );
        assert_eq!(json, expected);
        assert_eq!(summary.to_string(), "4 records in 1.2 s\n          1  dead lettered\n          3  applied\n");
        assert_eq!(summary.exit(), Exit::DeadLetters);
        assert_eq!(Summary::new(tally, 2, Duration::ZERO).exit(), Exit::Unreachable);
        assert_eq!(Summary::new(Tally::default(), 0, Duration::ZERO).exit(), Exit::Done);
    }
}

//! The lines of a check, and their output. Pure.

use serde::Serialize;

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Passed,
    /// It works, and is hardly meant, or will hurt later.
    Warned,
    Failed,
    /// It cannot be seen from here.
    Unknown,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// What was looked at.
    pub(super) what: String,
    pub(super) state: State,
    /// What was seen.
    pub(super) says: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

/// How many lines are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) warned: usize,
    pub(super) failed: usize,
    pub(super) unknown: usize,
}

// === impl ===

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Passed => "passed",
            State::Warned => "warned",
            State::Failed => "FAILED",
            State::Unknown => "?",
        }
    }
}

impl Line {
    fn new(what: impl Into<String>, state: State, says: impl Into<String>, hint: Option<String>) -> Line {
        Line { what: what.into(), state, says: says.into(), hint }
    }

    pub(super) fn passed(what: impl Into<String>, says: impl Into<String>) -> Line {
        Line::new(what, State::Passed, says, None)
    }

    pub(super) fn warned(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Line {
        Line::new(what, State::Warned, says, Some(hint.into()))
    }

    pub(super) fn failed(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Line {
        Line::new(what, State::Failed, says, Some(hint.into()))
    }

    /// `hint` is the command that shows it, or who knows it.
    pub(super) fn unknown(what: impl Into<String>, says: impl Into<String>, hint: impl Into<String>) -> Line {
        Line::new(what, State::Unknown, says, Some(hint.into()))
    }
}

impl Counts {
    pub(super) fn of(lines: &[Line]) -> Counts {
        let mut counts = Counts::default();
        for line in lines {
            *match line.state {
                State::Passed => &mut counts.passed,
                State::Warned => &mut counts.warned,
                State::Failed => &mut counts.failed,
                State::Unknown => &mut counts.unknown,
            } += 1;
        }
        counts
    }
}

/// So many of something whose plural ends in s.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A screen of lines, and what they come to.
pub(super) fn text(lines: &[Line]) -> String {
    let widest = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Line { what, state, says, hint } in lines {
        text.push_str(&format!("{:<6}  {what:<widest$}  {says}\n", state.word()));
        if let Some(hint) = hint {
            text.push_str(&format!("{:6}  {:widest$}  -> {hint}\n", "", ""));
        }
    }
    let Counts { passed, warned, failed, unknown } = Counts::of(lines);
    text + &format!("\n{passed} passed, {warned} warned, {failed} failed, {unknown} not known\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_stand_below_what_they_are_about() {
        let lines = [Line::passed("table", "it is there"), Line::failed("a stream", "it is off", "turn it on")];
        let wanted = "passed  table     it is there\nFAILED  a stream  it is off\n                  -> turn it on\n\n1 passed, 0 warned, 1 failed, 0 not known\n";
        assert_eq!(text(&lines), wanted);
    }
}

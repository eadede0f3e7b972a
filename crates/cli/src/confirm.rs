//! Asks for confirmation before a step that cannot be undone.

use std::io::{IsTerminal, stderr, stdin};

use crate::exit::{CliError, Exit};
use crate::output;

/// Asks on a terminal; `question` ends without the choices. Elsewhere nobody could answer: `what` is not done then.
///
/// # Errors
/// There is no terminal, or no answer.
pub(crate) fn is_wanted(what: &str, question: &str) -> Result<bool, CliError> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        let message = format!("{what} needs a confirmation, but there is no terminal");
        return Err(CliError::new(Exit::Usage, message).with_hint("give --yes to confirm"));
    }
    output::note(&format!("{question} [y/N] "));
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(|error| CliError::new(Exit::Usage, "no answer").caused_by(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

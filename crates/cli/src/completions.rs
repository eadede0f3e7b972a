//! `streamdex completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{CliError, Exit};
use crate::output;

/// Prints the script. It is made in memory, since the generator cannot tell of a closed pipe.
pub(crate) fn run(shell: Shell) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "streamdex", &mut script);
    output::print_bytes(&script)?;
    Ok(Exit::Done)
}

//! The command line of streamdex.
//!
//! [`args`] is the argument tree; each command is a module of its name. Results go to stdout through
//! [`output`], logs and progress to stderr through [`logging`] and [`progress`], and every failure is a
//! [`CliError`] that knows its [`Exit`] status and what to do about it.

pub mod args;
mod backfill;
mod backfill_plan;
mod broken;
mod bucket;
mod captured;
mod check;
mod closing;
mod completions;
mod config;
mod confirm;
mod connect;
mod decode;
mod dlq;
pub mod exit;
mod explain;
mod filling;
mod follow;
mod followed;
mod following;
mod gap;
mod iam_policy;
mod index;
mod init;
mod input;
mod kinesis;
pub mod logging;
mod map;
mod mirrored;
pub mod output;
mod pause;
mod policy;
mod preflight;
pub mod progress;
mod reached;
mod rebuild;
mod replay;
mod run;
mod sample;
mod serve;
pub mod settings;
mod shared;
mod signals;
mod state;
mod status;
pub mod summary;
mod verify;
mod waiting;
mod watched;
mod worker;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
pub use crate::exit::{CliError, Exit};
use crate::logging::LogFormat;

/// Runs one command line and gives its exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal).into(),
    };
    let log_format = cli.global.log_format;
    logging::start(log_format);
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report(&error, log_format);
            error.exit().into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(arguments) => block_on(init::run(&global, arguments)),
        Command::Check(arguments) => block_on(check::run(&global, &arguments)),
        Command::Map(arguments) => map::run(&global, &arguments),
        Command::Replay(arguments) => block_on(replay::run(&global, &arguments)),
        Command::Run(arguments) => block_on(run::run(&global, arguments)),
        Command::Status(arguments) => block_on(status::run(&global, &arguments)),
        Command::Index(command) => block_on(index::run(&global, command)),
        Command::State(command) => block_on(state::run(&global, command)),
        Command::Backfill(arguments) => block_on(backfill::run(&global, &arguments)),
        Command::Verify(arguments) => block_on(verify::run(&global, &arguments)),
        Command::Explain(arguments) => block_on(explain::run(&global, &arguments)),
        Command::Await(arguments) => block_on(waiting::run(&global, &arguments)),
        Command::Rebuild(arguments) => block_on(rebuild::run(&global, arguments)),
        Command::Dlq(command) => block_on(dlq::run(&global, command)),
        Command::Gap(command) => block_on(gap::run(&global, command)),
        Command::Config(command) => config::run(&global, command),
        Command::IamPolicy(arguments) => iam_policy::run(&global, &arguments),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// After so many turns of tasks a thread looks whether timers are due and answers have come; tokio's own number is 61.
const TURNS_BETWEEN_EVENTS: u32 = 8;

fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    // A page is read, mapped and dropped in one turn of some 20 ms, and the beat of a lease must not wait for many of them.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().event_interval(TURNS_BETWEEN_EVENTS).build();
    let runtime =
        runtime.map_err(|error| CliError::new(Exit::Unreachable, "cannot start the runtime").caused_by(error))?;
    runtime.block_on(work)
}

/// The output of clap: help and version on stdout, mistakes on stderr with status 2.
fn refuse(refusal: &clap::Error) -> Exit {
    // Where this fails, nobody is left to report it to.
    let _ = refusal.print();
    if refusal.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// Tells the operator what went wrong, in the form of the logs.
fn report(error: &CliError, format: LogFormat) {
    if error.is_closed_pipe() {
        return;
    }
    match format {
        LogFormat::Json => {
            tracing::error!(target: "streamdex", hint = error.hint(), exit = error.exit().code(), "{error}")
        }
        LogFormat::Text => {
            let mut text = format!("error: {error}\n");
            if let Some(hint) = error.hint() {
                text.push_str(&format!("  hint: {hint}\n"));
            }
            // Where this fails, nobody is left to report it to.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

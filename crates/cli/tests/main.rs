//! The built binary, from outside: what it prints where, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod configuration;
mod container;
mod help;
mod hints;
mod iam_policy;
mod input;
mod letters;
mod map;
mod preflight;
mod reach;
mod services;
mod set_up;
mod status;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary with its own environment.
fn streamdex(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamdex"));
    command.args(arguments).env_clear().env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

fn end(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ended {
        status: status.code().expect("it was killed"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

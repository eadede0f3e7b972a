//! Both programs start. Cargo builds the programs of a package for `cargo test` where it has tests like this one, and
//! the end-to-end tests use the playground.
#![allow(clippy::unwrap_used, reason = "code of tests: stopping on a broken assumption is what it is for")]

use std::process::Command;

fn help(program: &str) -> String {
    let ended = Command::new(program).arg("--help").output().unwrap();
    assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn the_demo_shows_its_help() {
    assert!(help(env!("CARGO_BIN_EXE_streamdex-demo")).contains("--engine"));
}

#[test]
fn the_playground_shows_its_help() {
    assert!(help(env!("CARGO_BIN_EXE_streamdex-playground")).contains("--orders"));
}

//! The loader from outside: problems, examples, and the documents that are generated from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod documents;
mod drift;
mod effects;
mod encodings;
mod examples;
mod fields;
mod forms;
mod problems;
mod sharing;
mod support;

use std::path::{Path, PathBuf};

use streamdex_config::{Config, ConfigError, Loaded};

/// The folder of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Config::parse(text, Path::new("/nowhere"), &|_| None)
}

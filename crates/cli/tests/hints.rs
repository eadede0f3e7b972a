//! Messages and help texts name commands that exist.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use streamdex::args::Cli;

/// Words that one may take for commands: a text that names one of these with something behind it means the command.
const NO_COMMANDS: [&str; 1] = ["repair"];

#[test]
fn every_command_that_a_message_names_exists() {
    let mut tree = Cli::command();
    tree.build();
    let mut named = 0;
    let mut unknown = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in shown_lines(&path, &text) {
            for quoted in line.split('`').skip(1).step_by(2) {
                let Some(words) = command_line(quoted, &tree) else { continue };
                named += 1;
                if let Err(reason) = exists(&words, &tree) {
                    unknown.push(format!("{}:{number}: `{quoted}`: {reason}", path.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(named >= 15, "only {named} were found");
}

#[test]
fn unknown_commands_are_found() {
    let mut tree = Cli::command();
    tree.build();
    let check = |text: &str| command_line(text, &tree).map(|words| exists(&words, &tree).is_ok());
    for good in [
        "streamdex dlq list",
        "dlq list|show",
        "verify --full --repair",
        "streamdex run --listen",
        "streamdex status --url http://HOST:PORT",
    ] {
        assert_eq!(check(good), Some(true), "{good}");
    }
    for bad in ["streamdex dlq burn", "dlq burn", "verify --heal", "streamdex repair", "streamdex run --fast"] {
        assert_eq!(check(bad), Some(false), "{bad}");
    }
    for other in ["generation", "aws dynamodb update-table", "check", "index"] {
        assert_eq!(check(other), None, "{other}");
    }
}

/// The Rust files of all crates but the tests.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Lines that a user can come to see: no comments, but for those that become help texts and the reference.
fn shown_lines<'t>(path: &Path, text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
    let documented = path.ends_with("cli/src/args.rs") || path.ends_with("config/src/raw.rs");
    let until_tests = text.split("#[cfg(test)]").next().unwrap();
    until_tests.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(move |(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//") || documented && line.starts_with("///")
    })
}

/// The words behind `streamdex`, which a text may leave out where more than one word is left.
fn command_line<'t>(quoted: &'t str, tree: &Command) -> Option<Vec<&'t str>> {
    let words: Vec<&str> = quoted.split_whitespace().collect();
    let is_command = |word: &str| NO_COMMANDS.contains(&word) || tree.find_subcommand(word).is_some();
    match words.as_slice() {
        ["streamdex", rest @ ..] if !rest.is_empty() => Some(rest.to_vec()),
        // `index = "…"` is a line of the configuration.
        [first, second, ..] if is_command(first) && *second != "=" => Some(words),
        _ => None,
    }
}

fn exists(words: &[&str], tree: &Command) -> Result<(), String> {
    let mut command = tree;
    let mut value_follows = false;
    for word in words {
        if std::mem::take(&mut value_follows) {
            continue;
        }
        if let Some(flag) = word.strip_prefix("--") {
            let known = command.get_arguments().find(|argument| argument.get_long() == Some(flag));
            let Some(known) = known else { return Err(format!("no option {word}")) };
            value_follows = known.get_action().takes_values();
        } else if word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '|')) && command.has_subcommands() {
            let found: Vec<_> = word.split('|').map(|name| command.find_subcommand(name)).collect();
            let Some(Some(last)) = found.last() else { return Err(format!("no command {word}")) };
            if found.iter().any(Option::is_none) {
                return Err(format!("no command {word}"));
            }
            command = last;
        }
    }
    Ok(())
}

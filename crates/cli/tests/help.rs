//! Help texts and completions.

use std::process::Stdio;

use crate::{end, streamdex};

#[test]
fn help_texts() {
    let commands: [&[&str]; 19] = [
        &[],
        &["run"],
        &["status"],
        &["replay"],
        &["map"],
        &["index"],
        &["index", "plan"],
        &["state"],
        &["state", "create"],
        &["dlq"],
        &["verify"],
        &["dlq", "list"],
        &["dlq", "show"],
        &["dlq", "replay"],
        &["dlq", "drop"],
        &["config"],
        &["config", "check"],
        &["iam-policy"],
        &["completions"],
    ];
    let mut all = String::new();
    for command in commands {
        let ended = end(streamdex(command).arg("--help"));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        all.push_str(&format!("$ streamdex {}\n{}\n", [command, &["--help"]].concat().join(" "), ended.stdout));
    }
    insta::assert_snapshot!("help", all);
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = end(&mut streamdex(&["completions", shell]));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert!(ended.stdout.contains("dlq") && ended.stdout.contains("log-format"), "{shell}");
    }
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [
        &["frobnicate"][..],
        &["config"],
        &["completions", "tcsh"],
        &["dlq", "show"],
        &["--log-format", "xml", "config", "check"],
        &[],
    ] {
        let ended = end(&mut streamdex(arguments));
        assert_eq!(ended.status, 2, "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage: streamdex"),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let version = end(&mut streamdex(&["--version"]));
    assert_eq!((version.status, version.stdout.as_str()), (0, concat!("streamdex ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for arguments in [&["config", "schema"][..], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = streamdex(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

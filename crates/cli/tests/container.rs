//! What `deploy/` starts in containers are commands that the program takes.

use std::fs;
use std::path::Path;

use crate::{end, streamdex};

/// Takes the arguments, as far as can be checked without doing it.
fn assert_taken(arguments: &[String]) {
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    words.push("--help");
    let ended = end(&mut streamdex(&words));
    assert_eq!(ended.status, 0, "streamdex {arguments:?}: {}", ended.stderr);
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// A list in JSON, or in YAML on one line, where words that need it are quoted.
fn words(list: &str) -> Vec<String> {
    let inside = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap();
    inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}

#[test]
fn the_image_starts_and_asks_what_the_program_knows() {
    let dockerfile = read("deploy/docker/Dockerfile");
    let commands: Vec<Vec<String>> =
        dockerfile.lines().filter_map(|line| line.trim().strip_prefix("CMD ")).map(words).collect();
    let [health, run] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(health[0], "/usr/local/bin/streamdex");
    assert_taken(&health[1..]);
    assert_taken(run);
}

#[test]
fn the_templates_start_what_the_program_knows() {
    for (file, commands) in [("service.yaml", 3), ("redrive.yaml", 1)] {
        let template = read(&format!("deploy/cloudformation/{file}"));
        let lists = template.lines().filter_map(|line| line.trim().strip_prefix("Command: ")).map(words);
        let mut count = 0;
        for list in lists {
            // The health check names the program.
            let program = list.iter().position(|word| word == "/usr/local/bin/streamdex");
            assert_taken(&list[program.map_or(0, |place| place + 1)..]);
            count += 1;
        }
        assert_eq!(count, commands, "{file}");
    }
}

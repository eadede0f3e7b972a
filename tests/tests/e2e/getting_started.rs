//! docs/getting-started.md: every block is run as it stands, in order, in one shell; what it prints is what the page says.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use streamdex_testkit::engines::{SearchEngine, workspace_folder};
use streamdex_testkit::process::Supervised;
use streamdex_testkit::report::{dynamodb_local, search_node};
use tokio::time::{Instant, sleep};

use crate::lab::Program;

static STREAMDEX: Program = Program::new("streamdex", "streamdex", "STREAMDEX_BINARY");
static PLAYGROUND: Program = Program::new("streamdex-demo", "streamdex-playground", "STREAMDEX_PLAYGROUND");
/// It starts two engines and writes 45,000 items.
const FILLED_WITHIN: Duration = Duration::from_secs(300);

/// A block of the page: the words behind its backticks, its text, and what the block after it says it prints.
struct Block {
    words: String,
    text: String,
    printed: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(workspace_folder().join("docs/getting-started.md")).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let (words, text) = block.split_once('\n').unwrap();
        match (words, blocks.last_mut()) {
            ("text", Some(last)) => last.printed = text.lines().map(str::to_owned).collect(),
            _ => blocks.push(Block { words: words.to_owned(), text: text.to_owned(), printed: Vec::new() }),
        }
    }
    blocks
}

/// Waits until the log of a process holds this.
async fn until(log: &Path, part: &str, within: Duration) {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.contains(part) {
            return;
        }
        assert!(begun.elapsed() < within, "{part}: {text}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// A shell with what the blocks before left in it. It must be the process itself: what a test kills has no child that stays.
fn shell(folder: &Path, earlier: &str, block: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &format!("{earlier}\n{block}")]).current_dir(folder).stdin(Stdio::null());
    command
}

/// The same, which gives up where a block waits for what does not come.
fn limited(folder: &Path, earlier: &str, block: &str) -> Command {
    let shell = shell(folder, earlier, block);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "480"]).arg(shell.get_program()).args(shell.get_args());
    command.current_dir(folder).stdin(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_from_a_clone_to_a_proven_index() {
    // The playground starts its own; these say whether it can.
    if search_node(SearchEngine::OpenSearch3).await.is_none() || dynamodb_local().await.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (env, log) = (folder.path().join("target/playground/env"), folder.path().join("playground.log"));
    let mut playground = Command::new(PLAYGROUND.path().await);
    playground.env("STREAMDEX_PLAYGROUND_ENV", &env);
    let _playground = Supervised::spawn(playground, &log).unwrap();
    until(&log, "its stream is on", FILLED_WITHIN).await;
    // What is set in one block is there in the next ones. The page's own block names the folder of the program.
    STREAMDEX.path().await;
    let mut earlier = String::new();
    let mut running = Vec::new();
    let mut count = 0;
    for Block { words, text, printed } in blocks() {
        match words.as_str() {
            "sh playground" => {}
            "sh run" => {
                let log = folder.path().join("run.log");
                running.push(Supervised::spawn(shell(folder.path(), &earlier, &format!("exec {text}")), &log).unwrap());
            }
            "sh" => {
                let (folder, begin, block) = (folder.path().to_owned(), earlier.clone(), text.clone());
                let ended = tokio::task::spawn_blocking(move || limited(&folder, &begin, &block).output().unwrap());
                let ended = ended.await.unwrap();
                let stdout = String::from_utf8_lossy(&ended.stdout);
                let log = format!("{text}{stdout}{}", String::from_utf8_lossy(&ended.stderr));
                assert!(ended.status.success(), "{log}");
                let mut rest = &*stdout;
                for line in &printed {
                    let (_, behind) = rest.split_once(line).unwrap_or_else(|| panic!("{line} is not printed: {log}"));
                    rest = behind;
                }
                count += printed.len();
                let lasting = text.lines().filter(|line| line.starts_with(". ") || line.starts_with("export "));
                lasting.for_each(|line| earlier += &format!("{line}\n"));
            }
            other => panic!("{other}: a block that nobody runs"),
        }
    }
    assert!(count > 15, "only {count} lines are compared");
}

//! What is done with the role of each purpose.

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_testkit::workload::Sessions;

use super::lab::{ADMINISTRATOR, Secured};
use crate::e2e::program::{COMMAND_LIMIT, Ended};
use crate::lab::event::{event, insert};
use crate::lab::{CONFIG, number, text};
use crate::lambda::function::AMPLE;

/// Something that a role is tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A command, which ends with this status.
    Ends(&'static [&'static str], i32),
    /// The function gets an event.
    Invoke,
    /// `rebuild` follows until it compares, and is aborted.
    RebuildAndAbort,
    /// The administrator does this before.
    Before(&'static [&'static str], i32),
    /// An item is put.
    Put(u32),
    /// An item is deleted.
    Delete(u32),
    /// An item is put that OpenSearch refuses.
    PutRefused(u32),
    /// The table is older than its stream.
    Older,
    /// The next generation, by another group.
    Next,
}

use Step::{Before, Delete, Ends, Invoke, Next, Older, Put, PutRefused, RebuildAndAbort};

const STATE: Step = Before(&["state", "create"], 0);
const FOLLOWED: Step = Before(&["run", "--until-end"], 0);

/// Purposes, each with what is done with its role; a purpose stands several times where one way does not need all of it.
pub(crate) const SCENARIOS: [(&str, &[Step]); 10] = [
    ("index", &[Ends(&["index", "plan"], 0), Ends(&["index", "apply"], 0), Ends(&["index", "plan"], 0)]),
    ("replay", &[STATE, Ends(&["replay", "--images", "event.json"], 0)]),
    ("run", &[STATE, Put(1), Put(2), Delete(2), Ends(&["run", "--until-end"], 0)]),
    // Whether an index that is there is to be filled, its documents say.
    ("run", &[STATE, Older, Before(&["index", "apply"], 0), Put(1), Ends(&["run", "--until-end"], 0)]),
    ("lambda", &[STATE, Invoke]),
    ("backfill", &[STATE, Put(1), Ends(&["backfill", "--yes", "--no-stream"], 0)]),
    ("verify", &[STATE, Put(1), FOLLOWED, Ends(&["verify", "--full"], 0)]),
    (
        "repair",
        &[
            STATE,
            Put(1),
            Ends(&["verify", "--full", "--repair", "--lag", "0"], 0),
            Delete(1),
            Ends(&["verify", "--full", "--repair", "--lag", "0"], 0),
        ],
    ),
    (
        "dlq",
        &[
            STATE,
            PutRefused(1),
            PutRefused(2),
            Before(&["run", "--until-end"], 1),
            Delete(1),
            Put(2),
            Ends(&["dlq", "replay"], 0),
        ],
    ),
    (
        "rebuild",
        &[STATE, Put(1), FOLLOWED, Next, Ends(&["rebuild", "--plan", "--from", "default"], 0), RebuildAndAbort],
    ),
];

/// What a step came to.
pub(crate) struct Done {
    pub(crate) ended: Ended,
    /// Whether it did what it is for.
    pub(crate) is_good: bool,
}

/// Whether a log names the remedy for a permission that is missing.
pub(crate) fn is_refused(log: &str) -> bool {
    log.contains("iam-policy")
}

impl Secured {
    /// Does a step; `None` where it is not the program's.
    pub(crate) async fn take(&self, step: Step) -> Option<Done> {
        let lab = &self.lab;
        match step {
            Ends(arguments, status) => {
                // It would wait for a minute for the permission, and then say the same once more.
                let ended = lab.start(arguments).await.ended_or(COMMAND_LIMIT, is_refused).await;
                return Some(Done { is_good: ended.status == status, ended });
            }
            Before(arguments, status) => {
                let ended = lab.end_of(ADMINISTRATOR, arguments).await;
                assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
            }
            Put(key) => {
                let mut item = Sessions::key_of(key, 0);
                // A field that is not in the mapping yet.
                item.insert("city".to_owned(), text("Cork"));
                lab.put(item).await;
            }
            Delete(key) => lab.delete(Sessions::key_of(key, 0)).await,
            PutRefused(key) => {
                let mut item = Sessions::key_of(key, 0);
                // No field takes a number and a map.
                let map = AttributeValue::M([("a".to_owned(), number("1"))].into());
                item.insert("mixed".to_owned(), AttributeValue::L(vec![number("1"), map]));
                lab.put(item).await;
            }
            Older => lab.hold_before_the_stream(4).await,
            Next => {
                lab.use_group("next");
                lab.write_file(CONFIG, &format!("{}generation = 2\n", lab.read_file(CONFIG)));
            }
            Invoke => return Some(self.invoke().await),
            RebuildAndAbort => return Some(self.rebuild_and_abort().await),
        }
        None
    }

    /// The event of [`SCENARIOS`]' replay.
    pub(crate) fn write_event(&self) {
        let arn = &self.lab.table.stream_arn;
        let removed = insert(arn, 1_002, "gone", "").replace("INSERT", "REMOVE").replace("NewImage", "OldImage");
        let records = [insert(arn, 1_001, "there", r#""city":{"S":"Cork"}"#), removed];
        self.lab.write_file("event.json", &event(&records));
    }

    async fn invoke(&self) -> Done {
        let mut sandbox = self.lab.function().await.start();
        let invocation = sandbox.invoke(self.lab.read_file("event.json"), AMPLE).await;
        let is_good = invocation.answer.response() == r#"{"batchItemFailures":[]}"#;
        Done { ended: Ended { status: 0, stdout: String::new(), stderr: sandbox.log() }, is_good }
    }

    async fn rebuild_and_abort(&self) -> Done {
        let mut rebuild = self.lab.start(&["rebuild", "--yes", "--from", "default"]).await;
        let compares = |log: &str| log.contains("all items are being compared with their documents");
        let mut ended = rebuild.ended_or(COMMAND_LIMIT, |log| compares(log) || is_refused(log)).await;
        let is_good = compares(&ended.stderr);
        if is_good {
            let aborted = self.lab.end(&["rebuild", "--abort", "--yes"]).await;
            ended = Ended { stderr: ended.stderr + &aborted.stderr, ..aborted };
        }
        Done { is_good: is_good && ended.status == 0, ended }
    }
}

//! `check --online` with the role that `iam-policy --for run --opensearch` prints, and without each permission of it.

use serde_json::Value;
use streamdex_testkit::workload::Sessions;

use super::lab::{ADMINISTRATOR, Secured};

/// No harmless call asks for them: they are needed only where something is made.
const UNTRIED: [&str; 3] = ["indices:admin/index_template/put", "indices:admin/create", "indices:admin/aliases"];

/// A check of the program's user: its status, and its lines in a state as text.
struct Checked {
    status: i32,
    lines: Vec<Value>,
}

impl Checked {
    async fn of(secured: &Secured) -> Checked {
        let ended = secured.lab.end(&["check", "--online", "--json"]).await;
        let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
        Checked { status: ended.status, lines: said["lines"].as_array().unwrap().clone() }
    }

    fn has(&self, state: &str, part: &str) -> bool {
        self.lines.iter().any(|line| line["state"] == state && line.to_string().contains(part))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_of_run_that_is_missing_is_a_failed_line() {
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    let printed = secured.printed("run").await;
    secured.allow(&printed).await;
    assert_eq!(lab.end_of(ADMINISTRATOR, &["state", "create"]).await.status, 0);
    lab.put(Sessions::key_of(1, 0)).await;
    // Nothing is there yet, and these credentials may not show templates.
    let before = Checked::of(&secured).await;
    assert_eq!(before.status, 0, "{:#?}", before.lines);
    assert!(before.has("unknown", "missing indices") && before.has("warned", "template"), "{:#?}", before.lines);

    let followed = lab.end_of(ADMINISTRATOR, &["run", "--until-end"]).await;
    assert_eq!(followed.status, 0, "{}", followed.stderr);
    let whole = Checked::of(&secured).await;
    assert_eq!(whole.status, 0, "{:#?}", whole.lines);
    assert!(whole.has("passed", "write to") && !whole.has("warned", "template"), "{:#?}", whole.lines);
    let permissions = printed.permissions();
    assert!(UNTRIED.iter().all(|name| permissions.iter().any(|permission| permission.name == *name)));
    let mut missed = Vec::new();
    for permission in permissions {
        secured.allow(&printed.without(&permission)).await;
        let checked = Checked::of(&secured).await;
        let is_named = checked.has("failed", "iam-policy");
        if permission.name == "cluster:monitor/main" {
            // `run` can do without.
            assert!(checked.status == 0 && checked.has("warned", "iam-policy"), "{:#?}", checked.lines);
        } else if UNTRIED.contains(&&*permission.name) {
            assert!(checked.status == 0, "{}: {:#?}", permission.name, checked.lines);
        } else if checked.status != 1 || !is_named {
            missed.push((permission.name, checked.lines));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

//! The role of each purpose is enough, and each of its permissions is missed.

use std::collections::BTreeSet;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::lab::{Permission, Secured};
use super::scenarios::{SCENARIOS, Step, is_refused};
use crate::e2e::program::Ended;

/// Programs at once, of all tests here.
static AT_ONCE: Semaphore = Semaphore::const_new(6);

/// What a way of doing the work does not need.
const UNUSED: [(&str, &str); 6] = [
    // An item that is gone when it is read again.
    ("backfill", "indices:data/write/delete"),
    // A sandbox asks for UUIDs once a minute.
    ("lambda", "indices:monitor/settings/get"),
    // This engine is listed with a scroll, and so few documents with its first page.
    ("verify", "indices:data/read/scroll"),
    ("verify", "indices:data/read/scroll/clear"),
    ("verify", "indices:data/read/point_in_time/create"),
    ("verify", "indices:data/read/point_in_time/delete"),
];
/// Purposes that are tried with what no other one needs: with the rest they do what others do, and wait for 90 seconds first.
const LONG_ONES: [&str; 3] = ["repair", "dlq", "rebuild"];

/// What a role came to: whether all was done, and all that was logged.
async fn try_role(purpose: &str, steps: &[Step], without: Option<&Permission>) -> (bool, String) {
    let secured = Secured::new().await.unwrap();
    secured.write_event();
    let (mut is_good, mut log) = (true, String::new());
    for step in steps {
        let is_ready = !matches!(step, Step::Ends(..) | Step::Invoke | Step::RebuildAndAbort);
        if !is_ready {
            let printed = secured.printed(purpose).await;
            secured.allow(&without.map_or(printed.clone(), |permission| printed.without(permission))).await;
        }
        let Some(done) = secured.take(*step).await else { continue };
        let Ended { status, stdout, stderr } = &done.ended;
        log += &format!("--- {step:?}: status {status}\n{stdout}{stderr}");
        is_good &= done.is_good;
        if !is_good {
            break;
        }
    }
    (is_good, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_purpose_does_its_work_with_the_role_that_is_printed() {
    if Secured::new().await.is_none() {
        return;
    }
    let mut tried = JoinSet::new();
    for (purpose, steps) in SCENARIOS {
        tried.spawn(async move {
            let _turn = AT_ONCE.acquire().await.unwrap();
            let (is_good, log) = try_role(purpose, steps, None).await;
            assert!(is_good, "{purpose}: {log}");
            assert!(!log.contains("security_exception") && !log.contains("no permissions"), "{purpose}: {log}");
        });
    }
    while let Some(tried) = tried.join_next().await {
        tried.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_that_is_taken_away_is_noticed() {
    let Some(secured) = Secured::new().await else { return };
    let (mut tried, mut known) = (JoinSet::new(), BTreeSet::new());
    for (purpose, steps) in SCENARIOS {
        for permission in secured.printed(purpose).await.permissions() {
            let is_known = !known.insert(permission.name.clone());
            if UNUSED.contains(&(purpose, &permission.name)) || is_known && LONG_ONES.contains(&purpose) {
                continue;
            }
            tried.spawn(async move {
                let _turn = AT_ONCE.acquire().await.unwrap();
                let begun = std::time::Instant::now();
                let (is_good, log) = try_role(purpose, steps, Some(&permission)).await;
                let is_noticed = is_refused(&log);
                println!(
                    "{purpose}\t{}\tgood {is_good}\tnoticed {is_noticed}\t{:?}\n{log}",
                    permission.name,
                    begun.elapsed()
                );
                (purpose, permission.name, is_noticed)
            });
        }
    }
    let (mut noticed, mut all) = (BTreeSet::new(), BTreeSet::new());
    while let Some(tried) = tried.join_next().await {
        let (purpose, permission, is_noticed) = tried.unwrap();
        all.insert((purpose, permission.clone()));
        if is_noticed {
            noticed.insert((purpose, permission));
        }
    }
    let missed: Vec<_> = all.difference(&noticed).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

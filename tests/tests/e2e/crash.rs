//! `kill -9` of `streamdex run` at random moments under load.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;

use crate::lab::{Lab, Load, now};

const KILLS: u32 = 20;
/// Repeats a run: its number is printed.
const SEED: &str = "STREAMDEX_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_leave_the_index_equal_to_the_table() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
    println!("{SEED}={seed}");
    let mut random = Rng::with_seed(seed);
    let mut writer = lab.writer(seed);
    writer.write(100).await;
    let mut run = lab.start(&["run"]).await;
    lab.until_equal("before", || run.stderr()).await;
    let begun = Instant::now();
    for kill in 1..=KILLS {
        let load = Load::start(writer);
        tokio::time::sleep(Duration::from_millis(random.u64(20..1_500))).await;
        run.must_run();
        run.kill();
        run = lab.start(&["run"]).await;
        // Every fourth time once more, while it starts, waits for the lease of the one before, or takes up its work.
        if kill % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(0..9_000))).await;
            run.kill();
            run = lab.start(&["run"]).await;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..700))).await;
        writer = load.stop().await.0;
        lab.until_equal(&format!("after kill {kill} (seed {seed})"), || run.stderr()).await;
    }
    println!("{KILLS} kills in {:?}", begun.elapsed());
    run.stop().await;
    lab.no_letters().await;
    // Whoever reads the whole stream once more, from its beginning, changes nothing.
    lab.use_group("another");
    let again = lab.end(&["run", "--until-end", "--json"]).await;
    let summary = again.summary();
    assert_eq!((again.status, &summary["undecided"]), (0, &0.into()), "{}", again.stderr);
    assert!(summary["records"].as_u64().unwrap() > 1_000, "{summary}");
    lab.until_equal("after the whole stream again", || run.stderr()).await;
}

//! Captured records through `replay --images` into a real node, against a bare loop that posts the same bodies.

use anyhow::Context;
use bytes::Bytes;

use crate::bulk::{Bodies, CANDIDATES, FIRST, Settings, post};
use crate::child::{self, Run};
use crate::search::Bench;
use crate::statistics::{median, median_ratio, spread};

/// Documents of a trial of the bare loop's settings.
const TRIAL: usize = 20_000;

/// Measures, prints where asked to, and gives the replay's runs: the poller is compared with them.
pub(crate) async fn run(bench: &Bench, rounds: usize, print: bool) -> anyhow::Result<Vec<f64>> {
    let records = bench.records.to_str().context("a path in UTF-8")?;
    let path = bench.folder.join("bodies.ndjson");
    child::run(&bench.config, &["map", records], Some(&path))?;
    let body = Bytes::from(std::fs::read(&path)?);
    let settings = if print { best_settings(bench, &body).await? } else { FIRST };
    let bodies = Bodies::cut(&body, settings.documents_a_request, usize::MAX);
    let (mut bare, mut replay, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        if print {
            bench.fresh_index().await?;
            bare.push(post(&bench.node.url(), &bodies, settings).await?);
            bench.expect_documents().await?;
        }
        bench.fresh_index().await?;
        let Run { seconds, peak_megabytes } = child::run(&bench.config, &["replay", "--images", records], None)?;
        bench.expect_documents().await?;
        replay.push(seconds);
        peak = peak.max(peak_megabytes);
    }
    if print {
        table(bench, settings, (&bare, &replay), peak, body.len());
    }
    Ok(replay)
}

fn table(bench: &Bench, settings: Settings, (bare, replay): (&[f64], &[f64]), peak: u64, bytes: usize) {
    let rate = |seconds: f64| f64::from(bench.documents) / seconds;
    let Settings { connections, documents_a_request } = settings;
    println!("## Sink: {} documents, {bytes} bytes of bulk bodies, into OpenSearch 3.8.0\n", bench.documents);
    println!("| contender | documents/s (median) | ratio to the bare loop | peak memory |");
    println!("|---|---|---|---|");
    println!(
        "| bare loop, prepared bodies, {connections} connections, {documents_a_request} documents a request | {:.0} | 1 | – |",
        rate(median(bare))
    );
    println!(
        "| `streamdex replay --images`, from process start to exit | {:.0} | {:.2} ({}) | {peak} MB |\n",
        rate(median(replay)),
        median_ratio(bare, replay),
        spread(bare, replay)
    );
}

/// The settings with which the bare loop is fastest on this machine today.
async fn best_settings(bench: &Bench, body: &Bytes) -> anyhow::Result<Settings> {
    let mut best: Option<(f64, Settings)> = None;
    // The first trial warms the node up and does not count.
    for (trial, settings) in std::iter::once(&FIRST).chain(&CANDIDATES).enumerate() {
        bench.fresh_index().await?;
        let bodies = Bodies::cut(body, settings.documents_a_request, TRIAL);
        let seconds = post(&bench.node.url(), &bodies, *settings).await?;
        if trial > 0 && best.is_none_or(|(fastest, _)| seconds < fastest) {
            best = Some((seconds, *settings));
        }
    }
    best.map(|(_, settings)| settings).context("no trial")
}

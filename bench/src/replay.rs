//! Captured records through `replay --images` into a real node, against a bare loop that posts the same bodies.

use anyhow::Context;

use crate::bulk::{BareLoop, Posted};
use crate::child;
use crate::records::Records;
use crate::search::Bench;
use crate::statistics::{Contest, Timed};

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, documents: u32) -> anyhow::Result<()> {
    let records = Records::write(&bench.folder, documents)?;
    let reference = BareLoop::prepare(bench, &records).await?;
    let captured = records.path.to_str().context("a path in UTF-8")?;
    let (mut bare, mut replay, mut peak) = (Timed::default(), Timed::default(), 0);
    for _ in 0..rounds {
        let Posted { seconds, cpu_seconds } = reference.run(bench).await?;
        bare.add(seconds, cpu_seconds);
        bench.fresh_index().await?;
        let replayed = ["replay", "--images", captured];
        let run = child::run(&bench.programs.now, &bench.config, &replayed, None)?;
        bench.expect_documents(documents).await?;
        replay.add(run.seconds, run.cpu_seconds);
        peak = peak.max(run.peak_megabytes);
    }
    println!("## Sink: {documents} documents, {} bytes of bulk bodies, into OpenSearch 3.8.0\n", reference.bytes);
    let contest = Contest { documents, bare: &bare };
    contest.begin("documents", &reference.title());
    contest.row("`streamdex replay --images`, from process start to exit", &replay, Some(peak));
    println!();
    Ok(())
}

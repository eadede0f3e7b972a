//! A full stream through `run --until-end`, against a bare loop that posts the same documents.

use anyhow::Context;

use crate::bulk::BareLoop;
use crate::child::{self, Run};
use crate::figures::{Figures, MEGABYTES, MICROSECONDS, RATE, RATIO};
use crate::memory::cpu_seconds;
use crate::records::{Records, inserts};
use crate::search::Bench;
use crate::source::{PLAIN, Source, now};
use crate::statistics::median;

const SHARDS: u32 = 4;

/// The last record of each shard is created so many seconds from now: what is created after the start of
/// `--until-end` marks the end, and without it the run would watch empty pages for two seconds before it believes
/// that this is the end.
const MARKED_AHEAD: u64 = 86_400;

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, documents: u32) -> anyhow::Result<()> {
    let records = Records::write(&bench.folder, documents)?;
    let reference = BareLoop::prepare(bench, &records).await?;
    let source = filled(documents)?;
    let mut figures = Figures::new(&bench.programs);
    let ratio = RATIO.of("ratio to the bare loop of the same round").expected("≥ 0.9 for 200,000");
    let mut bare = Vec::new();
    for round in 0..rounds {
        let bare_seconds = reference.run(bench).await?.seconds;
        bare.push(bare_seconds);
        for program in bench.programs.in_turn() {
            bench.fresh_index_of(program).await?;
            // Each round has a separate group, so that each begins at the trim horizon.
            let config = source.config(bench, program, &format!("backlog-{documents}-{round}"), &PLAIN)?;
            let served_before = cpu_seconds("self").context("no /proc")?;
            let used = child::run(program, &config, &["run", "--until-end"], None)?;
            let served = cpu_seconds("self").context("no /proc")? - served_before;
            let Run { seconds, cpu_seconds, peak_megabytes } = used;
            bench.expect_documents(documents).await?;
            let each = |seconds: f64| seconds * 1e6 / f64::from(documents);
            figures.add(program, &ratio, bare_seconds / seconds);
            figures.add(program, &RATE.of("records"), f64::from(documents) / seconds);
            figures.add(program, &MICROSECONDS.of("CPU a record"), each(cpu_seconds));
            figures.add(program, &MICROSECONDS.of("CPU a record of the stream that is read"), each(served));
            let peak = f64::from(u32::try_from(peak_megabytes)?);
            figures.add(program, &MEGABYTES.of("peak memory"), peak);
        }
    }
    println!("## Backlog: {documents} records in {SHARDS} shards, into OpenSearch 3.8.0\n");
    println!("`run --until-end`, from process start to exit. The reference of each round is the");
    println!("{}: {:.0} documents/s (median of {rounds}).\n", reference.title(), f64::from(documents) / median(&bare));
    figures.print();
    Ok(())
}

/// A stream with these inserts, in turn on the shards.
pub(super) fn filled(documents: u32) -> anyhow::Result<Source> {
    let source = Source::start(usize::try_from(SHARDS)?)?;
    let marking = now()? + MARKED_AHEAD;
    for (number, mut record) in (0..documents).zip(inserts(documents)) {
        if number + SHARDS >= documents {
            record.seconds = marking;
        }
        source.stream.append(source.shard(usize::try_from(number)?), [record.to_json()]);
    }
    Ok(source)
}

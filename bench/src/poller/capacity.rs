//! The capacity of one process, writing to a sink that reads each body, counts it, and answers every operation at once.

use streamdex_testkit::bulk_counter::BulkCounter;

use super::backlog::filled;
use super::spans::count;
use crate::child;
use crate::figures::{Figures, MEGABYTES, MICROSECONDS, RATE};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

/// The processors that the process has, and how compressed its requests are.
const CASES: [Case; 4] = [
    Case { title: "1 core, gzip", cores: "0", opensearch: "" },
    Case { title: "1 core, no compression", cores: "0", opensearch: UNCOMPRESSED },
    Case { title: "2 cores, gzip", cores: "0,1", opensearch: "" },
    Case { title: "2 cores, no compression", cores: "0,1", opensearch: UNCOMPRESSED },
];
const UNCOMPRESSED: &str = "compression = \"none\"\n";

#[derive(Debug, Clone, Copy)]
struct Case {
    title: &'static str,
    cores: &'static str,
    opensearch: &'static str,
}

/// A full stream, and the sink.
struct Setting<'a> {
    bench: &'a Bench,
    source: Source,
    counter: BulkCounter,
    records: u32,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, records: u32) -> anyhow::Result<()> {
    let counter = BulkCounter::in_front_of(&bench.node.url());
    let setting = Setting { bench, source: filled(records)?, counter, records };
    let mut figures = Figures::new(&bench.programs);
    for round in 0..rounds {
        for (number, case) in CASES.iter().enumerate() {
            for program in bench.programs.in_turn() {
                let group = format!("capacity-{number}-{round}");
                setting.deliver(&program.on_cores(case.cores), case, &group, &mut figures).await?;
            }
        }
    }
    let shards = setting.source.shards().len();
    println!("## Capacity: {records} records of about 1 KB in {shards} shards, into a sink that only counts\n");
    println!(
        "`run --until-end` on the processors named. The rate is from the first bulk request to the last, the CPU that"
    );
    println!("of the whole run. Stream and sink are another process, which may use all processors.\n");
    figures.print();
    Ok(())
}

impl Setting<'_> {
    async fn deliver(&self, program: &Program, case: &Case, group: &str, figures: &mut Figures) -> anyhow::Result<()> {
        self.bench.fresh_index_of(program).await?;
        let url = self.counter.url();
        let options = Options { opensearch: case.opensearch, search_url: Some(&url), ..Options::default() };
        let config = self.source.config(self.bench, program, group, &options)?;
        self.counter.forget();
        let run = child::run(program, &config, &["run", "--until-end"], None)?;
        let counted = self.counter.counted();
        let records = self.records;
        anyhow::ensure!(counted.operations == u64::from(records), "{} operations of {records}", counted.operations);
        let named = |name: &str| format!("{}: {name}", case.title);
        let operations = count(counted.operations);
        figures.add(program, &RATE.of(named("records")), operations / counted.took().as_secs_f64());
        figures.add(program, &MICROSECONDS.of(named("CPU a record")), run.cpu_seconds * 1e6 / operations);
        figures.add(program, &MEGABYTES.of(named("peak memory")), f64::from(u32::try_from(run.peak_megabytes)?));
        Ok(())
    }
}

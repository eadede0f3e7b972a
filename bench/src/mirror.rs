//! `backfill` and `verify --full`: against a bare loop into a real node, and their memory with many items.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::value::RawValue;
use streamdex_mapping::event::read_item;
use streamdex_mapping::{IndexName, Mapper, Route};
use streamdex_testkit::engines::Dynoxide;
use streamdex_testkit::served::{Bodies, ServedIndex, ServedTable};
use streamdex_testkit::workload::{PARTITION_KEY, SORT_KEY};

use crate::child::{self, Run};
use crate::figures::{Figures, MEGABYTES, MICROSECONDS, RATE, RATIO};
use crate::program::Program;
use crate::scan;
use crate::search::{Bench, INDEX};
use crate::statistics::median;

const TABLE: &str = "sessions";
const BODIES: u32 = 1_000;
/// Of each answer of the table and of the served index, beside its making.
const LATENCY: Duration = Duration::from_millis(10);

/// A table, and the emulator that holds the state.
struct Setting<'b> {
    bench: &'b Bench,
    table: ServedTable,
    state: Dynoxide,
    items: u32,
}

/// Backfill and verify into a real node, beside the bare loop.
pub(crate) async fn backfill(bench: &Bench, rounds: usize, items: u32) -> anyhow::Result<()> {
    let setting = Setting::start(bench, items)?;
    let mut figures = Figures::new(&bench.programs);
    let mut bare = Vec::new();
    // A new node compiles its code first.
    bench.fresh_index().await?;
    scan::copy(&setting.table.endpoint_url(), TABLE, &bench.node.url(), INDEX).await?;
    for round in 0..rounds {
        bench.fresh_index().await?;
        let bare_seconds = scan::copy(&setting.table.endpoint_url(), TABLE, &bench.node.url(), INDEX).await?;
        bench.expect_documents(items).await?;
        bare.push(f64::from(items) / bare_seconds);
        for program in bench.programs.in_turn() {
            bench.fresh_index_of(program).await?;
            let config = setting.config(program, &format!("backfill-{round}"), &bench.node.url())?;
            let filled = child::run(program, &config, &["backfill", "--no-stream", "--yes"], None)?;
            bench.expect_documents(items).await?;
            setting.add(&mut figures, program, ("backfill", "≥ 0.9"), filled, Some(bare_seconds))?;
            let verified = child::run(program, &config, &["verify", "--full", "--lag", "0"], None)?;
            setting.add(&mut figures, program, ("verify", "≥ 2"), verified, Some(bare_seconds))?;
        }
    }
    println!("## Backfill: {items} items of about 1 KB, into OpenSearch 3.8.0\n");
    println!(
        "`backfill --no-stream` into an empty index, then `verify --full` of what it wrote, each from process start to"
    );
    println!(
        "exit. The table is served out of memory, a page of 1 MB at a time, each answer after {} ms. The",
        LATENCY.as_millis()
    );
    println!(
        "reference of each round is a Scan in {} segments with the AWS SDK, each page posted in one bulk request",
        scan::SEGMENTS
    );
    println!("without versions: {:.0} items/s (median of {rounds}).\n", median(&bare));
    figures.print();
    Ok(())
}

/// Verify of so many items, both sides out of memory.
pub(crate) async fn verify(bench: &Bench, rounds: usize, items: u32) -> anyhow::Result<()> {
    let setting = Setting::start(bench, items)?;
    let mapper = mapper()?;
    let documents = bodies().mapped(|body| without_key(&mapper, body))?;
    let index = ServedIndex::in_front_of(&bench.node.url(), items.into(), documents, LATENCY);
    let mut figures = Figures::new(&bench.programs);
    for round in 0..rounds {
        for program in bench.programs.in_turn() {
            bench.fresh_index_of(program).await?;
            let config = setting.config(program, &format!("verify-{items}-{round}"), &index.url())?;
            child::run(program, &config, &["state", "create"], None)?;
            let verified = child::run(program, &config, &["verify", "--full", "--lag", "0"], None)?;
            setting.add(&mut figures, program, ("verify", ""), verified, None)?;
        }
    }
    println!("## Verify: {items} items of about 1 KB, table and index served out of memory\n");
    println!(
        "`verify --full` where all agrees, from process start to exit. Pages of 1 MB of the table, 10,000 ids of the"
    );
    println!(
        "index, each answer after {} ms. What serves both is another process on the same processors.\n",
        LATENCY.as_millis()
    );
    figures.print();
    Ok(())
}

// === impl Setting ===

impl<'b> Setting<'b> {
    fn start(bench: &'b Bench, items: u32) -> anyhow::Result<Setting<'b>> {
        let table = ServedTable::start(TABLE, items.into(), bodies(), LATENCY);
        Ok(Setting { bench, table, state: Dynoxide::start()?, items })
    }

    fn config(&self, program: &Program, group: &str, search_url: &str) -> anyhow::Result<PathBuf> {
        let (table, state, version) = (self.table.endpoint_url(), self.state.endpoint_url(), program.name);
        let text = format!(
            "[source]\ntable = \"{TABLE}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{table}\"\n\n[opensearch]\n\
             url = \"{search_url}\"\ncompression = \"none\"\n\n[state]\ntable = \"streamdex-{version}\"\n\
             group = \"{group}\"\nendpoint_url = \"{state}\"\n\n[[route]]\nindex = \"{TABLE}\"\n\
             id = [\"{PARTITION_KEY}\", \"{SORT_KEY}\"]\n"
        );
        let path = self.bench.folder.join(format!("{group}-{version}.toml"));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn add(
        &self,
        figures: &mut Figures,
        program: &Program,
        (name, expected): (&str, &'static str),
        run: Run,
        bare_seconds: Option<f64>,
    ) -> anyhow::Result<()> {
        let items = f64::from(self.items);
        if let Some(bare) = bare_seconds {
            let ratio = RATIO.of(format!("{name}: ratio to the bare loop of the same round")).expected(expected);
            figures.add(program, &ratio, bare / run.seconds);
        }
        figures.add(program, &RATE.of(format!("{name}: items")), items / run.seconds);
        figures.add(program, &MICROSECONDS.of(format!("{name}: CPU an item")), run.cpu_seconds * 1e6 / items);
        let peak = MEGABYTES.of(format!("{name}: peak memory")).expected("≤ 150 MB");
        figures.add(program, &peak, f64::from(u32::try_from(run.peak_megabytes)?));
        Ok(())
    }
}

fn bodies() -> Bodies {
    Bodies::of_sessions(BODIES)
}

fn mapper() -> anyhow::Result<Mapper> {
    let mut route = Route::to(IndexName::parse(TABLE)?);
    route.id = Some([PARTITION_KEY, SORT_KEY].map(str::to_owned).into());
    Ok(Mapper::new(vec![route]))
}

/// The document of a body, without the key that it needs to be mapped.
fn without_key(mapper: &Mapper, body: &str) -> anyhow::Result<String> {
    let members = body.trim_start_matches('{');
    let item = format!(r#"{{"{PARTITION_KEY}":{{"S":"k"}},"{SORT_KEY}":{{"S":"k"}},{members}"#);
    let (_, document) = mapper.map_item(&read_item(&item)?)?.context("a document")?;
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&document)?;
    members.retain(|name, _| name != PARTITION_KEY && name != SORT_KEY);
    Ok(serde_json::to_string(&members)?)
}

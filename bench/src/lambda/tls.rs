//! streamdex's function over TLS, cold and warm, beside the same function over plain HTTP. Both write through the same
//! proxy. All figures except processor time include its time.

use std::collections::BTreeMap;

use streamdex_testkit::fault::{CertificateKind, FaultServer};

use super::contender::Contender;
use super::measure::{INVOCATIONS, Measured, cold, warm};
use crate::search::Bench;
use crate::statistics::{median, median_ratio, spread};

/// Measures and prints.
pub(super) async fn run(bench: &Bench, rounds: usize, event: &str) -> anyhow::Result<()> {
    let plain = FaultServer::in_front_of(&bench.node.url());
    let secure = FaultServer::with_tls(&bench.node.url(), CertificateKind::PrivateCa);
    let contenders = [
        Contender::streamdex_behind(bench, ("http", "http"), &plain, None)?,
        Contender::streamdex_behind(bench, ("https", "https"), &secure, Some(secure.trusted_ca()))?,
    ];
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    for contender in &contenders {
        contender.make_index(bench)?;
        cold(contender, event, measured.entry(contender.title).or_default()).await?;
    }
    warm(&contenders, rounds, event, &mut measured).await?;
    println!(
        "## Lambda over TLS: streamdex's function and that event, through a proxy, {} times\n",
        rounds * INVOCATIONS
    );
    println!(
        "| endpoint | start to first `next` | first invocation | start to first answer | time, warm, ratio to http | CPU µs a record |"
    );
    println!("|---|---|---|---|---|---|");
    let Some(http) = measured.get("http") else { return Ok(()) };
    for (title, of) in &measured {
        println!(
            "| {title} | {:.1} ms | {:.1} ms | {:.1} ms | {:.2} ({}) | {:.1} |",
            median(&of.first_next),
            median(&of.first_invocation),
            median(&of.first_answer),
            median_ratio(&of.warm, &http.warm),
            spread(&of.warm, &http.warm),
            of.cpu_microseconds(),
        );
    }
    println!();
    Ok(())
}

//! Where mapping grows: one event of each shape against `serde_json` skipping over the same bytes, many routes against one,
//! and a page of GetRecords against the SDK reading it.

use std::fmt::Write as _;
use std::hint::black_box;

use streamdex_mapping::{Condition, Mapper, Route, Test};
use streamdex_testkit::workload::{StreamRecord, lambda_event_of};

use crate::curve;
use crate::mapping::{bulk_body, mapper, milliseconds, plain_modifications, plain_route, skip};
use crate::page;
use crate::statistics::{median, median_ratio, spread};

const ROUNDS: usize = 41;
/// The largest item of DynamoDB.
const LARGEST: usize = 400_000;

/// An event of one shape, and the routes that it is mapped under.
struct Shape {
    title: String,
    /// The most that the ratio to the skip was expected to be.
    at_most: &'static str,
    event: String,
    mapper: Mapper,
}

/// Measures and prints.
pub(crate) async fn run() -> anyhow::Result<()> {
    println!("### Shapes\n");
    println!("| what | bytes | ms (median) | ratio to the skip | at most |");
    println!("|---|---|---|---|---|");
    let mut body = Vec::new();
    for Shape { title, at_most, event, mapper } in shapes()? {
        let (mut times, mut skips) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            times.push(milliseconds(|| bulk_body(black_box(&event), &mapper, &mut body))?);
            skips.push(milliseconds(|| skip(black_box(&event)))?);
        }
        let ratio = format!("{:.2} ({})", median_ratio(&times, &skips), spread(&times, &skips));
        println!("| {title} | {} | {:.3} | {ratio} | {at_most} |", event.len(), median(&times));
    }
    println!();
    let (mut hundred, mut one) = (Vec::new(), Vec::new());
    let event = changes("MODIFY", true);
    let (routed, plain) = (many_routes()?, mapper()?);
    for _ in 0..ROUNDS {
        hundred.push(milliseconds(|| bulk_body(black_box(&event), &routed, &mut body))?);
        one.push(milliseconds(|| bulk_body(black_box(&event), &plain, &mut body))?);
    }
    let ratio = format!("{:.2} ({})", median_ratio(&hundred, &one), spread(&hundred, &one));
    println!(
        "100 routes of 3 conditions, of which the last one takes every item, against one route: {ratio}, at most 1.5.\n"
    );
    curve::run()?;
    page::run(&plain).await
}

fn shapes() -> anyhow::Result<Vec<Shape>> {
    let shape = |title: &str, at_most, event, mapper| Shape { title: title.to_owned(), at_most, event, mapper };
    let mut shapes = vec![
        shape("1,000 changes, both images, the old one compared", "1.25", changes("MODIFY", true), mapper()?),
        shape("1,000 inserts", "1.6", changes("INSERT", false), mapper()?),
        shape("1,000 inserts; includes, excludes, renames, conditions", "1.6", changes("INSERT", false), projecting()?),
    ];
    for (attributes, nested) in [(100, false), (10_000, false), (80_000, false), (10_000, true)] {
        for reversed in [false, true] {
            let order = if reversed { "in reverse" } else { "in the same order" };
            let place = if nested { "members of a map" } else { "attributes" };
            let title = format!("an item of 400 KB, {attributes} {place}, old ones {order}");
            shapes.push(Shape { title, at_most: "15", event: large(attributes, nested, reversed), mapper: mapper()? });
        }
    }
    Ok(shapes)
}

fn changes(event_name: &'static str, with_old: bool) -> String {
    lambda_event_of(plain_modifications(1000).map(|record| StreamRecord {
        event_name,
        old: record.old.filter(|_| with_old),
        ..record
    }))
}

fn projecting() -> anyhow::Result<Mapper> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let kept = ["user_id", "session_id", "kind", "device", "started_at", "last_seen", "user_agent", "note", "address"];
    Ok(Mapper::new(vec![Route {
        when: vec![condition("kind", Test::EqualsString("session".to_owned()))],
        include: names(&kept),
        exclude: names(&["note"]),
        rename: [("user_agent".to_owned(), "agent".to_owned())].into(),
        ..plain_route()?
    }]))
}

fn condition(attribute: &str, test: Test) -> Condition {
    Condition { attribute: attribute.to_owned(), test, not: false }
}

/// Of the conditions of the first 99 routes, the last one alone fails.
fn many_routes() -> anyhow::Result<Mapper> {
    let with_conditions = |number: usize| {
        let when = vec![
            condition("kind", Test::EqualsString("session".to_owned())),
            condition("user_id", Test::StartsWith("user".to_owned())),
            condition("requests", Test::EqualsNumber(format!("99{number}99"))),
        ];
        Ok(Route { when, ..plain_route()? })
    };
    let mut routes = (0..99).map(with_conditions).collect::<anyhow::Result<Vec<_>>>()?;
    routes.push(plain_route()?);
    Ok(Mapper::new(routes))
}

/// One change of an item of 400 KB.
fn large(attributes: usize, nested: bool, reversed: bool) -> String {
    let filler = "x".repeat((LARGEST / attributes).saturating_sub(10));
    let attribute = |number: usize| match filler.as_str() {
        "" => format!(r#""k{number}":{{"N":"{number}"}}"#),
        filler => format!(r#""k{number}":{{"S":"{filler}{number}"}}"#),
    };
    let image = |reversed: bool| {
        let mut parts: Vec<String> = (0..attributes).map(attribute).collect();
        if reversed {
            parts.reverse();
        }
        let parts = parts.join(",");
        if nested { format!(r#"{{"m":{{"M":{{{parts}}}}}}}"#) } else { format!("{{{parts}}}") }
    };
    let mut event = r#"{"Records":[{"eventName":"MODIFY","dynamodb":{"Keys":{"k0":{"S":"a"}},"#.to_owned();
    // Writing into a string cannot fail.
    let _ = write!(event, r#""NewImage":{},"OldImage":{},"#, image(false), image(reversed));
    event.push_str(r#""ApproximateCreationDateTime":1700000000,"SequenceNumber":"7"}}]}"#);
    event
}

//! Where mapping grows: one event of each shape against `serde_json` skipping over the same bytes, many routes against one,
//! and a page of GetRecords against the SDK reading it.

use std::fmt::Write as _;
use std::hint::black_box;

use streamdex_mapping::{Condition, Constant, Dots, FieldValue, Mapper, Path, Route, Test};
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
    shaped(&mut body)?;
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
    let names = |names: &[&str]| names.iter().map(|name| Path::from(*name)).collect::<Vec<_>>();
    let kept = ["user_id", "session_id", "kind", "device", "started_at", "last_seen", "user_agent", "note", "address"];
    Ok(Mapper::new(vec![Route {
        when: vec![condition("kind", Test::EqualsString("session".to_owned()))],
        include: names(&kept),
        exclude: names(&["note"]),
        rename: [("user_agent".to_owned(), "agent".to_owned())].into(),
        ..plain_route()?
    }]))
}

/// What shaping costs: a route with one key, and one with all of them, against a plain one.
fn shaped(body: &mut Vec<u8>) -> anyhow::Result<()> {
    println!("| shaped by | both images, ratio to a plain route | inserts | at most |");
    println!("|---|---|---|---|");
    let plain = mapper()?;
    let events = [changes("MODIFY", true), changes("INSERT", false)];
    for (title, at_most, route) in shaping()? {
        let mapper = Mapper::new(vec![route]);
        let mut ratios = Vec::new();
        for event in &events {
            let (mut shaped, mut one) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                shaped.push(milliseconds(|| bulk_body(black_box(event), &mapper, body))?);
                one.push(milliseconds(|| bulk_body(black_box(event), &plain, body))?);
            }
            ratios.push(format!("{:.2} ({})", median_ratio(&shaped, &one), spread(&shaped, &one)));
        }
        println!("| {title} | {} | {at_most} |", ratios.join(" | "));
    }
    println!();
    Ok(())
}

/// Every key that shapes documents, and all of them together.
fn shaping() -> anyhow::Result<Vec<(&'static str, &'static str, Route)>> {
    let paths = |texts: &[&str]| texts.iter().map(|text| Path::parse(text)).collect::<Result<Vec<_>, _>>();
    let from = |path: &str| anyhow::Ok(FieldValue::From(Path::parse(path)?));
    let set = [
        ("number".to_owned(), FieldValue::After { from: Path::parse("user_id")?, mark: "user-".to_owned() }),
        ("entity".to_owned(), FieldValue::Constant(Constant::String("session".to_owned()))),
        ("town".to_owned(), from("address.city")?),
        (
            "place".to_owned(),
            FieldValue::Point { lat: Path::parse("address.at.lat")?, lon: Path::parse("address.at.lon")? },
        ),
    ];
    let all = Route {
        exclude: paths(&["note", "address.house"])?,
        as_json: paths(&["visits"])?,
        numbers_as_string: paths(&["requests"])?,
        dates: paths(&["started_at", "last_seen"])?,
        dots: Dots::Underscore,
        set: set.into(),
        ..plain_route()?
    };
    let one = |change: fn(&mut Route, &Route)| {
        let mut route = plain_route()?;
        change(&mut route, &all);
        anyhow::Ok(route)
    };
    Ok(vec![
        ("two paths left out", "", one(|route, all| route.exclude.clone_from(&all.exclude))?),
        ("a list as JSON text", "", one(|route, all| route.as_json.clone_from(&all.as_json))?),
        ("a number as a string", "", one(|route, all| route.numbers_as_string.clone_from(&all.numbers_as_string))?),
        ("two dates", "", one(|route, all| route.dates.clone_from(&all.dates))?),
        ("dots as underscores", "", one(|route, all| route.dots = all.dots)?),
        ("four fields of set", "", one(|route, all| route.set.clone_from(&all.set))?),
        ("all of it", "1.3", all.clone()),
    ])
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

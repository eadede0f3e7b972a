//! The cost curve of mapping: the time of one more record, byte, attribute, nesting level, route or index. If a number
//! grows along its row, the cost of each one grows too.

use std::hint::black_box;

use streamdex_mapping::{Condition, IndexPattern, Mapper, PatternPart, Route, Test};

use crate::mapping::{bulk_body, mapper, milliseconds, plain_route};
use crate::statistics::median;

const ROUNDS: usize = 21;

/// What is changed along one row, and in which unit its cost is counted.
struct Row {
    title: &'static str,
    unit: &'static str,
    points: Vec<Point>,
}

/// One event, and how many units it has.
struct Point {
    size: usize,
    units: usize,
    event: String,
    mapper: Mapper,
}

/// Measures and prints.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("### What one more costs, both images, changed in one attribute\n");
    println!("| along | ns each, at so many |");
    println!("|---|---|");
    let rows = [records()?, sizes()?, attributes(false)?, attributes(true)?, levels()?, routes()?, indices()?];
    let mut body = Vec::new();
    for Row { title, unit, points } in rows {
        let mut cells = Vec::new();
        for Point { size, units, event, mapper } in points {
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                times.push(1e6 * milliseconds(|| bulk_body(black_box(&event), &mapper, &mut body))?);
            }
            cells.push(format!("{size}: {:.0}", median(&times) / f64::from(u32::try_from(units)?)));
        }
        println!("| {title}: ns a {unit} | {} |", cells.join(" · "));
    }
    println!();
    Ok(())
}

fn records() -> anyhow::Result<Row> {
    let point = |size| Ok(Point { size, units: size, event: event(size, |_| members(20, 16)), mapper: mapper()? });
    row("records of 20 attributes", "record", &[10, 100, 1_000, 10_000], point)
}

fn sizes() -> anyhow::Result<Row> {
    const RECORDS: usize = 10;
    let point = |size| {
        let event = event(RECORDS, |_| members(1, size * 1_000));
        Ok(Point { size, units: RECORDS * size, event, mapper: mapper()? })
    };
    row("item size in KB, in one attribute", "KB", &[1, 10, 100, 400], point)
}

fn attributes(reversed: bool) -> anyhow::Result<Row> {
    const RECORDS: usize = 10;
    let title = if reversed { "attributes, old ones in reverse" } else { "attributes" };
    let point = |size| {
        let image = |is_old: bool| {
            let mut members = members(size, 10);
            if is_old && reversed {
                members.reverse();
            }
            members
        };
        Ok(Point { size, units: RECORDS * size, event: event(RECORDS, image), mapper: mapper()? })
    };
    row(title, "attribute", &[10, 100, 1_000, 10_000], point)
}

fn levels() -> anyhow::Result<Row> {
    const RECORDS: usize = 1_000;
    let point = |size: usize| {
        let nested = format!(r#""a":{}{{"S":"x"}}{}"#, r#"{"M":{"a":"#.repeat(size), "}}".repeat(size));
        let event = event(RECORDS, |_| vec![nested.clone()]);
        Ok(Point { size, units: RECORDS * size, event, mapper: mapper()? })
    };
    row("levels of nesting", "level", &[1, 3, 10, 30], point)
}

fn routes() -> anyhow::Result<Row> {
    const RECORDS: usize = 1_000;
    let point = |size: usize| {
        let other = |number| Condition {
            attribute: "kind".to_owned(),
            test: Test::EqualsString(format!("other-{number}")),
            not: false,
        };
        let mut routes = (1..size)
            .map(|number| Ok(Route { when: vec![other(number)], ..plain_route()? }))
            .collect::<anyhow::Result<Vec<_>>>()?;
        routes.push(plain_route()?);
        let event = event(RECORDS, |_| members(20, 16));
        Ok(Point { size, units: RECORDS, event, mapper: Mapper::new(routes) })
    };
    row("routes, of which the last one takes all", "record", &[1, 10, 100, 1_000], point)
}

fn indices() -> anyhow::Result<Row> {
    const RECORDS: usize = 1_000;
    let point = |size: usize| {
        let parts = vec![PatternPart::Literal("i-".to_owned()), PatternPart::Attribute("kind".to_owned())];
        let index = IndexPattern::Placeholders { text: "i-{kind}".to_owned(), parts };
        let event = event_of(RECORDS, size, |_| members(20, 16));
        Ok(Point { size, units: RECORDS, event, mapper: Mapper::new(vec![Route { index, ..plain_route()? }]) })
    };
    row("indices, by a placeholder", "record", &[1, 10, 100, 1_000], point)
}

fn row(
    title: &'static str,
    unit: &'static str,
    sizes: &[usize],
    point: impl Fn(usize) -> anyhow::Result<Point>,
) -> anyhow::Result<Row> {
    Ok(Row { title, unit, points: sizes.iter().map(|size| point(*size)).collect::<anyhow::Result<_>>()? })
}

/// Attributes with strings of so many bytes.
fn members(count: usize, bytes: usize) -> Vec<String> {
    let text = "x".repeat(bytes);
    (0..count).map(|number| format!(r#""k{number}":{{"S":"{text}"}}"#)).collect()
}

fn event(records: usize, image: impl Fn(bool) -> Vec<String>) -> String {
    event_of(records, 1, image)
}

/// An event of changes. `image` makes the attributes of the new image, and of the old one; keys, a kind of so many and an
/// attribute that differs come before them.
fn event_of(records: usize, kinds: usize, image: impl Fn(bool) -> Vec<String>) -> String {
    let (new, old) = (image(false).join(","), image(true).join(","));
    let record = |number: usize| {
        let key = format!(r#""pk":{{"S":"item-{number:08}"}}"#);
        let kind = format!(r#""kind":{{"S":"kind-{}"}}"#, number % kinds);
        format!(
            r#"{{"eventName":"MODIFY","dynamodb":{{"ApproximateCreationDateTime":1750000000,"Keys":{{{key}}},"NewImage":{{{key},{kind},"seen":{{"N":"2"}},{new}}},"OldImage":{{{key},{kind},"seen":{{"N":"1"}},{old}}},"SequenceNumber":"{number}00000000000000000000"}}}}"#
        )
    };
    let records: Vec<String> = (1..=records).map(record).collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

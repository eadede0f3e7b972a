//! The plan of a backfill: what it reads, costs and takes. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use streamdex_dynamodb::size::TableSize;

use crate::output::{approximate, size};

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plan {
    table: String,
    /// By DynamoDB's own count, which is up to six hours old.
    items: u64,
    bytes: u64,
    read_units: u64,
    /// The most read units a second that it takes; none where the table answers as fast as it can.
    read_units_per_second: Option<f64>,
    /// What the reads cost where they are paid by request.
    usd_on_demand: Option<f64>,
    /// About how long it takes.
    seconds: u64,
}

/// A million read units on demand in us-east-1 (DynamoDB's price list since November 2024). Other regions ask for more.
const USD_A_MILLION: f64 = 0.125;
/// The write rate of one OpenSearch node of modest size, if reads are not the bottleneck.
const ITEMS_A_SECOND: u32 = 10_000;

// === impl Plan ===

impl Plan {
    /// Of a table of this size, read and written at these rates a second at most.
    pub(crate) fn of(table: &str, size: &TableSize, read_units: Option<f64>, items: Option<u32>) -> Plan {
        let needed = size.read_units();
        let reading = read_units.map_or(0.0, |rate| approximate(needed) / rate);
        let writing = approximate(size.items) / f64::from(items.unwrap_or(ITEMS_A_SECOND).min(ITEMS_A_SECOND));
        Plan {
            table: table.to_owned(),
            items: size.items,
            bytes: size.bytes,
            read_units: needed,
            read_units_per_second: read_units,
            usd_on_demand: size.provisioned_reads.is_none().then(|| approximate(needed) / 1e6 * USD_A_MILLION),
            seconds: whole(reading.max(writing)),
        }
    }

    /// In one line, for a log.
    pub(crate) fn line(&self) -> String {
        self.text().lines().map(str::trim).collect::<Vec<_>>().join("; ")
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "table {}: about {} items, {} (DynamoDB's count, up to six hours old)\n",
            self.table,
            self.items,
            size(approximate(self.bytes))
        );
        // Writing to a string cannot fail.
        let _ = match (self.usd_on_demand, self.read_units_per_second) {
            (Some(usd), _) => writeln!(
                text,
                "  reads {} units: {} at the on-demand price of us-east-1, and up to twice that elsewhere",
                self.read_units,
                dollars(usd)
            ),
            (None, Some(rate)) => {
                writeln!(text, "  reads {} units, at most {rate} a second of the provisioned capacity", self.read_units)
            }
            (None, None) => writeln!(text, "  reads {} units of the provisioned capacity", self.read_units),
        };
        let _ = writeln!(text, "  takes about {}", duration(self.seconds));
        text
    }
}

fn dollars(usd: f64) -> String {
    if usd < 0.01 { "less than 0.01 USD".to_owned() } else { format!("{usd:.2} USD") }
}

fn duration(seconds: u64) -> String {
    if seconds < 120 {
        format!("{} s", seconds.max(1))
    } else if seconds < 7_200 {
        format!("{} min", seconds.div_ceil(60))
    } else {
        format!("{:.1} h", approximate(seconds) / 3_600.0)
    }
}

fn whole(number: f64) -> u64 {
    Duration::try_from_secs_f64(number.ceil()).map_or(u64::MAX, |number| number.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(items: u64, bytes: u64, provisioned_reads: Option<u64>) -> TableSize {
        TableSize { arn: None, id: None, keys: Vec::new(), items, bytes, made_empty: None, provisioned_reads }
    }

    #[test]
    fn what_it_costs_is_said_by_the_billing_mode() {
        let on_demand = Plan::of("sessions", &table(100_000_000, 40_960_000_000, None), None, None);
        insta::assert_snapshot!(on_demand.text(), @r"
        table sessions: about 100000000 items, 41.0 GB (DynamoDB's count, up to six hours old)
          reads 10000000 units: 1.25 USD at the on-demand price of us-east-1, and up to twice that elsewhere
          takes about 2.8 h
        ");
        let provisioned = Plan::of("sessions", &table(1_000, 4_096_000, Some(20)), Some(10.0), None);
        insta::assert_snapshot!(provisioned.text(), @r"
        table sessions: about 1000 items, 4.1 MB (DynamoDB's count, up to six hours old)
          reads 1000 units, at most 10 a second of the provisioned capacity
          takes about 100 s
        ");
        let slow = Plan::of("sessions", &table(6_000, 10, None), None, Some(2));
        assert_eq!((slow.seconds, slow.text().contains("50 min")), (3_000, true), "{}", slow.text());
    }
}

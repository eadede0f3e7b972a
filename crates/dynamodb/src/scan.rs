//! Pages of a table's items, segment by segment.

mod answer;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use tokio::time::{Instant, sleep};

use self::answer::ScanAnswer;
pub use self::answer::ScanPosition;
use crate::call::Call;
use crate::fault::{AwsError, Fault};
use crate::item::ItemText;
use crate::time;

const OPERATION: &str = "Scan";
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Answers in a row that lack what was asked for; then the caller decides how to go on.
const INCOMPLETE_ANSWERS: u32 = 6;

/// One of the parts that a table is scanned in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Which one, from 0.
    pub number: u32,
    /// Of how many; DynamoDB takes up to 1,000,000.
    pub of: u32,
}

/// A page of a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanPage {
    /// Its items as DynamoDB JSON; there can be none before the segment's end.
    pub items: Vec<ItemText>,
    /// Where the segment goes on; `None` at its end.
    pub next: Option<ScanPosition>,
    /// The server's time of the answer, in seconds since 1970.
    pub at: u64,
    /// When the answer came, on this process's steady clock.
    pub answered: Instant,
    /// The read units that it took, where the service says so.
    pub read_units: Option<f64>,
}

/// Reads the items of one table, page by page.
#[async_trait]
pub trait ScanSource: Send + Sync {
    /// The page of `segment` after `position`, strongly consistent; `limit` is the most items that it may have.
    async fn page(
        &self,
        segment: Segment,
        position: Option<&ScanPosition>,
        limit: Option<u32>,
    ) -> Result<ScanPage, AwsError>;
}

/// Scans one table.
#[derive(Debug, Clone)]
pub struct TableScan {
    client: Client,
    table: String,
}

// === impl TableScan ===

impl TableScan {
    /// Scans `table`, which can be a name or an ARN.
    pub fn new(client: Client, table: impl Into<String>) -> TableScan {
        TableScan { client, table: table.into() }
    }

    async fn call(
        &self,
        segment: Segment,
        position: Option<&ScanPosition>,
        limit: Option<u32>,
    ) -> Result<ScanPage, AwsError> {
        let of_call = Call::of(OPERATION).raw();
        let number = |number: u32| i32::try_from(number).map_err(|_| AwsError::new(Fault::Invalid, OPERATION));
        let start = position.map(|position| position.key().ok_or_else(|| AwsError::new(Fault::Invalid, OPERATION)));
        let call = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .segment(number(segment.number)?)
            .total_segments(number(segment.of)?)
            .set_limit(limit.map(number).transpose()?)
            .set_exclusive_start_key(start.transpose()?);
        let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
        let answered = Instant::now();
        answer.map_err(|error| of_call.failed(&error))?;
        let (body, at) = (of_call.body().await?, of_call.date());
        let read = ScanAnswer::read(&body).map_err(|error| of_call.unreadable(&error))?;
        // The end of a segment is believed of an answer that holds items, or says that it has none.
        let items = read.items.ok_or_else(|| of_call.lacks("Items"))?;
        if read.next.is_some() && read.next.as_ref() == position {
            return Err(of_call.lacks("a LastEvaluatedKey to continue from"));
        }
        // Emulators that send no date get this machine's clock.
        let at = at.unwrap_or_else(time::now);
        Ok(ScanPage { items, next: read.next, at, answered, read_units: read.read_units })
    }
}

#[async_trait]
impl ScanSource for TableScan {
    async fn page(
        &self,
        segment: Segment,
        position: Option<&ScanPosition>,
        limit: Option<u32>,
    ) -> Result<ScanPage, AwsError> {
        let (mut wait, mut incomplete) = (FIRST_WAIT, 0);
        loop {
            match self.call(segment, position, limit).await {
                Err(error) if error.is_incomplete() && incomplete + 1 < INCOMPLETE_ANSWERS => incomplete += 1,
                answered => return answered,
            }
            sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

impl Segment {
    /// A table in `of` segments; one at least.
    pub fn all(of: u32) -> impl Iterator<Item = Segment> {
        let of = of.max(1);
        (0..of).map(move |number| Segment { number, of })
    }
}

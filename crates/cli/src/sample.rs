//! A sample of a table's items.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::item::ItemText;
use streamdex_dynamodb::scan::{ScanSource, Segment, TableScan};

/// Items, and how far this machine's clock is from the server's.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// As DynamoDB JSON.
    pub(crate) items: Vec<ItemText>,
    /// The difference of the clocks at the first answer, to the second.
    pub(crate) clock: Duration,
}

/// Pages of a segment; a page has up to 1 MB.
const PAGES: usize = 2;

impl Sample {
    /// About `most` items of `table`, read strongly consistent at so many places, spread by the hash of the partition key.
    ///
    /// # Errors
    /// The table cannot be scanned.
    pub(crate) async fn of(clients: &SourceClients, table: &str, most: u32, places: u32) -> Result<Sample, AwsError> {
        let scan = TableScan::new(clients.dynamodb.clone(), table);
        let (mut items, mut clock) = (Vec::new(), None);
        for segment in Segment::all(places) {
            let (mut left, mut next) = (most.div_ceil(places.max(1)), None);
            for _ in 0..PAGES {
                let page = scan.page(segment, next.as_ref(), Some(left)).await?;
                clock.get_or_insert_with(|| difference(page.at));
                left = left.saturating_sub(u32::try_from(page.items.len()).unwrap_or(u32::MAX));
                items.extend(page.items);
                next = page.next;
                if left == 0 || next.is_none() {
                    break;
                }
            }
        }
        Ok(Sample { items, clock: clock.unwrap_or_default() })
    }
}

fn difference(server: u64) -> Duration {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_secs()).unwrap_or_default();
    Duration::from_secs(here.abs_diff(server))
}

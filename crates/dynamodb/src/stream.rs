//! A DynamoDB stream as the poller sees it: pages of shards, iterators, pages of records.

mod sdk;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use streamdex_mapping::SequenceNumber;

pub use self::sdk::SdkStream;
use crate::fault::AwsError;
use crate::records::Records;

/// A stream keeps records for 24 hours.
pub const KEPT_SECONDS: u64 = 24 * 60 * 60;

/// A shard's id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(Arc<str>);

/// A shard as one DescribeStream page shows it. Two pages can come from different moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedShard {
    /// The shard.
    pub id: ShardId,
    /// The shard that it came from; it may be trimmed by now.
    pub parent: Option<ShardId>,
    /// Whether an ending sequence number is shown. Emulators show one on open shards too, and a
    /// closed shard may not show it yet, so nothing is decided by this alone.
    pub closed: bool,
}

/// One page of DescribeStream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPage {
    /// The shards.
    pub shards: Vec<ListedShard>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<ShardId>,
    /// Whether the stream still takes changes.
    pub status: StreamStatus,
    /// The service's time of the answer, in seconds since 1970; `None` where it tells none.
    pub date: Option<u64>,
}

/// Whether a stream still takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStatus {
    /// It does, or is about to.
    Enabled,
    /// It does not; what it holds can be read for 24 hours.
    Disabled,
}

/// Where in a shard an iterator begins. There is no LATEST here: it would lose what was written
/// between two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The oldest record that the shard still holds.
    TrimHorizon,
    /// The record after this one.
    After(SequenceNumber),
}

/// A shard iterator; good for 15 minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct ShardIterator(String);

/// One page of GetRecords.
#[derive(Debug)]
pub struct RecordsPage {
    /// At most 1,000 records or 1 MB. None is normal on an open shard.
    pub records: Records,
    /// `None` on the last page of a closed shard, which may carry records all the same. Emulators and proxies leave it
    /// out on open shards too.
    pub next: Option<ShardIterator>,
}

/// One stream.
#[async_trait]
pub trait StreamSource: Send + Sync {
    /// One page of the stream's shards, those after `after`.
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError>;

    /// The shards that came from `parent`. Some sources return others with them.
    async fn children(&self, parent: &ShardId) -> Result<Vec<ListedShard>, AwsError>;

    /// A new iterator.
    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError>;

    /// The records at an iterator, at most `limit` where one is given. The answer is well formed: one without a list of
    /// records is an error.
    async fn records(&self, iterator: &ShardIterator, limit: Option<i32>) -> Result<RecordsPage, AwsError>;

    /// The ARN of the stream that the table writes to now; `None` where it writes to none, or where
    /// the table cannot be asked.
    async fn current_stream(&self) -> Result<Option<String>, AwsError>;
}

// === impl ShardId ===

impl ShardId {
    /// Takes the id as it is.
    pub fn new(id: impl Into<Arc<str>>) -> ShardId {
        ShardId(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the shard was opened, in seconds since 1970, as the service's ids tell: `shardId-`, milliseconds in
    /// twenty digits, `-`, and what tells siblings apart. No document promises that; `None` for other forms.
    pub fn opened(&self) -> Option<u64> {
        let (milliseconds, _) = self.0.strip_prefix("shardId-")?.split_once('-')?;
        (milliseconds.len() == 20).then(|| milliseconds.parse::<u64>().ok())?.map(|milliseconds| milliseconds / 1_000)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl ShardIterator ===

impl ShardIterator {
    /// Takes the iterator as it is.
    pub fn new(text: impl Into<String>) -> ShardIterator {
        ShardIterator(text.into())
    }

    /// The text to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Iterators are long and say nothing.
impl fmt::Debug for ShardIterator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardIterator")
    }
}

// === impl RecordsPage ===

impl RecordsPage {
    /// A page ends at 1,000 records.
    const MANY_RECORDS: usize = 500;
    /// A page ends at 1 MB; sizes are reported per record and leave the envelope out.
    const MANY_BYTES: u64 = 400_000;

    /// Whether the page is so full that more records may wait. A page ends at 1,000 records or 1 MB of answer; the
    /// share of the envelope is not documented. If it is asked too early, the service answers with a small page.
    pub fn is_full(&self) -> bool {
        self.records.len() >= RecordsPage::MANY_RECORDS || self.records.sizes() >= RecordsPage::MANY_BYTES
    }
}

/// A listing of all shards of a stream, page by page. One page that fails does not throw the others away.
#[derive(Debug, Default)]
pub struct Listing {
    shards: Vec<ListedShard>,
    after: Option<ShardId>,
    cursors: BTreeSet<ShardId>,
    /// The status that the last page had, which is the listing's.
    status: Option<StreamStatus>,
    over: bool,
}

// === impl Listing ===

impl Listing {
    /// Where the next page begins; `None` is the first one.
    pub fn next_after(&self) -> Option<&ShardId> {
        self.after.as_ref()
    }

    /// Whether the listing is complete. Only then does absence from it mean anything.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Adds the next page. Returns false if its next page begins where an earlier one did, or nowhere: the rest cannot
    /// be requested, and the listing is incomplete.
    pub fn add(&mut self, page: ShardPage) -> bool {
        self.shards.extend(page.shards);
        self.status = Some(page.status);
        let Some(next) = page.next else {
            self.over = true;
            return true;
        };
        let is_new = !next.as_str().is_empty() && self.cursors.insert(next.clone());
        self.after = Some(next);
        is_new
    }

    /// Whether the stream still takes changes.
    pub fn status(&self) -> StreamStatus {
        self.status.unwrap_or(StreamStatus::Enabled)
    }

    /// What was listed.
    pub fn into_shards(self) -> Vec<ListedShard> {
        self.shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(shards: &[&str], next: Option<&str>) -> ShardPage {
        let shard = |name: &&str| ListedShard { id: ShardId::new(*name), parent: None, closed: false };
        ShardPage {
            shards: shards.iter().map(shard).collect(),
            next: next.map(ShardId::new),
            status: StreamStatus::Enabled,
            date: None,
        }
    }

    #[test]
    fn a_listing_goes_on_where_its_last_page_ended_and_knows_when_it_is_complete() {
        let mut listing = Listing::default();
        assert!(listing.add(page(&["a", "b"], Some("b"))) && !listing.is_over());
        assert_eq!(listing.next_after(), Some(&ShardId::new("b")));
        assert!(listing.add(page(&["c"], None)) && listing.is_over());
        assert_eq!(listing.into_shards().len(), 3);
    }

    #[test]
    fn a_cursor_that_comes_again_or_is_empty_does_not_complete_a_listing() {
        for cursors in [vec!["b", "c", "b"], vec!["b", "b"], vec![""]] {
            let mut listing = Listing::default();
            let added: Vec<bool> = cursors.iter().map(|next| listing.add(page(&["a"], Some(next)))).collect();
            assert_eq!(added.last(), Some(&false), "{cursors:?}");
            assert!(!listing.is_over(), "{cursors:?}");
        }
    }
}

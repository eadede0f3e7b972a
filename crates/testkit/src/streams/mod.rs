//! A table's stream served from memory over loopback HTTP, with as many records and shards as a measurement wants, and
//! without limits on speed.
//!
//! ```text
//! measurement ── append ──▶ ServedStream ◀── DescribeTable, DescribeStream, GetShardIterator, GetRecords ── program
//! ```
//! It holds the table's description, and no items: an append takes the place of the put that the service would
//! make a record of. Iterators never expire, and nothing is trimmed. Nobody is throttled, unless it is asked to be as
//! [limited](ServedStream::limited) as the service.

mod answer;
mod limits;
mod log;
mod serve;
mod state;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::limits::Allowance;
use self::log::ShardLog;
use self::state::{LABEL, Shared};
use crate::engines::REGION;
use crate::server_thread::ServerThread;

/// Emulators put their tables into this account.
const EMULATOR: &str = "000000000000";
/// An account as the service has them: with it a follower keeps to the limits of the service.
const ACCOUNT: &str = "123456789012";

/// A stream that is being served; it ends when dropped.
#[derive(Debug)]
pub struct ServedStream {
    shared: Arc<Shared>,
    server: ServerThread,
}

/// A shard to be opened.
#[derive(Debug, Clone)]
pub struct NewShard {
    id: String,
    parent: Option<String>,
    starting: String,
}

// === impl NewShard ===

impl NewShard {
    /// A shard without a parent.
    #[must_use]
    pub fn root(id: &str) -> Self {
        Self { id: id.to_owned(), parent: None, starting: "100000000000000000000".to_owned() }
    }

    /// A shard that came from `parent`, which need not be listed any more.
    #[must_use]
    pub fn child(id: &str, parent: &str) -> Self {
        Self { parent: Some(parent.to_owned()), ..Self::root(id) }
    }

    /// Where its sequence numbers begin.
    #[must_use]
    pub fn starting_at(mut self, sequence_number: &str) -> Self {
        sequence_number.clone_into(&mut self.starting);
        self
    }
}

// === impl ServedStream ===

impl ServedStream {
    /// Serves the stream of a sessions table (see [`workload`](crate::workload)) with both images, without shards.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(table: &str) -> Self {
        Self::start_in(EMULATOR, table, None)
    }

    /// The same in an account of the service, with its limits: 10 calls of DescribeStream a second, and on a shard 5 of
    /// GetRecords. What is above is throttled.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn limited(table: &str) -> Self {
        Self::start_in(ACCOUNT, table, Some(Mutex::new(Allowance::of_describe_stream())))
    }

    fn start_in(account: &str, table: &str, describe_stream: Option<Mutex<Allowance>>) -> Self {
        let table_arn = format!("arn:aws:dynamodb:{REGION}:{account}:table/{table}");
        let shared = Arc::new(Shared {
            table: table.to_owned(),
            stream_arn: format!("{table_arn}/stream/{LABEL}"),
            table_arn,
            shards: Mutex::default(),
            calls: Mutex::default(),
            describe_stream,
            between_reads: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let server = ServerThread::start(|listener| serve::run(listener, served)).expect("a port for a stream");
        Self { shared, server }
    }

    /// `http://127.0.0.1:PORT`, for table and stream.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The stream's ARN.
    #[must_use]
    pub fn stream_arn(&self) -> &str {
        &self.shared.stream_arn
    }

    /// Adds an open shard, which is listed from now on.
    pub fn open_shard(&self, shard: NewShard) {
        let NewShard { id, parent, starting } = shard;
        self.shared.shards().insert(id, ShardLog::new(parent, starting));
    }

    /// Ends a shard: what it holds can still be read, and its last page has no next iterator.
    ///
    /// # Panics
    /// When there is no such shard.
    pub fn close_shard(&self, id: &str) {
        self.shared.shards().get_mut(id).expect("an open shard").close();
    }

    /// Puts records behind those of the shard, as GetRecords gives them: JSON objects with ascending
    /// `dynamodb.SequenceNumber`. They can be read when this returns.
    ///
    /// # Panics
    /// When there is no such open shard, or a text is no such record.
    pub fn append<T: AsRef<str>>(&self, id: &str, records: impl IntoIterator<Item = T>) {
        let mut shards = self.shared.shards();
        let shard = shards.get_mut(id).expect("an open shard");
        for record in records {
            shard.append(record.as_ref());
        }
    }

    /// How often an operation was called, as `GetRecords`.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.shared.calls(operation).all
    }

    /// How many of these calls were throttled.
    #[must_use]
    pub fn throttled(&self, operation: &str) -> u64 {
        self.shared.calls(operation).throttled
    }

    /// Shards of which something was asked for already.
    #[must_use]
    pub fn shards_read(&self) -> usize {
        self.shared.shards().values().filter(|shard| shard.reads.have_begun()).count()
    }

    /// The times between two reads of one shard, of all shards, since the last time that this was asked.
    pub fn take_times_between_reads(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.shared.between_reads())
    }
}

#[cfg(test)]
mod tests;

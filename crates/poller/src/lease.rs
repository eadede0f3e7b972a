//! Who reads which shard: leases, workers, and the judgements about them. Pure but for [`Tenure`]'s timer.
//!
//! There is no leader. Every worker beats once in [`BEAT`], reads what the others wrote, and computes the same
//! assignment; conditional writes settle who was first. A worker whose own beat was not confirmed for
//! [`TENURE`] stops by itself, before the others take its leases over after [`EXPIRY`].

mod assign;
mod membership;
mod tenure;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;

pub use self::assign::{Plan, plan};
pub use self::membership::{Member, Membership};
pub use self::tenure::Tenure;

/// A worker writes a beat, and reads the others', this often.
pub const BEAT: Duration = Duration::from_millis(1_500);
/// A worker without a confirmed beat for so long stops what it does.
pub const TENURE: Duration = Duration::from_millis(4_500);
/// A worker whose beat did not change for so long is gone, and its leases are free.
pub const EXPIRY: Duration = Duration::from_millis(6_000);

/// A worker's id: another one for each start of a process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

/// A lease as it stands in the state table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Who has it; nobody, where it was released or never claimed.
    pub owner: Option<WorkerId>,
    /// Grows by one with each claim; 0 before the first.
    pub fence: u64,
}

/// A lease that this worker has claimed. Every write under it names the fence, so that a later owner's cannot
/// be overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: ShardId,
    /// The fence it was claimed with.
    pub fence: u64,
}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// The lease is another worker's, or gone.
    Lost,
}

// === impl WorkerId ===

impl WorkerId {
    /// Takes the id as it is.
    pub fn new(id: impl Into<Arc<str>>) -> WorkerId {
        WorkerId(id.into())
    }

    /// An id for this process: the name of the host, the process, and a number that tells starts apart.
    pub fn of_process(host: &str, random: u64) -> WorkerId {
        WorkerId::new(format!("{host}-{}-{:08x}", std::process::id(), random & 0xffff_ffff))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! The lease of a table: one worker has it and reads all shards, the others stand by. Pure but for [`Tenure`]'s timer.
//!
//! The reader beats once in [`BEAT`]. One whose beat was not confirmed for [`TENURE`] writes nothing, and others may take
//! its lease when they saw the same beat for [`EXPIRY`]. `docs/adr/0010-one-reader.md` has the conditions of each write.

mod give_up;
mod tenure;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::give_up::{GiveUp, longest_without_progress};
pub use self::tenure::Tenure;
pub use self::watch::{LeaseWatch, Verdict};

/// The reader writes a beat this often.
pub const BEAT: Duration = Duration::from_millis(1_500);
/// A standby reads the lease this often, so that a lease that was given back is taken within a second.
pub const LEASE_READ: Duration = Duration::from_millis(750);
/// The time without a confirmed beat after which a reader stops writing.
pub const TENURE: Duration = Duration::from_millis(4_500);
/// The time without a new beat after which a reader counts as gone and its lease is free.
pub const EXPIRY: Duration = Duration::from_millis(6_000);

/// A worker's id: another one for each start of a process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

/// A lease that this worker has taken. Every write under it names owner and term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub owner: WorkerId,
    /// Grows with each time that the lease is taken.
    pub term: u64,
}

/// What a conditional write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
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

    /// The name of the host; the whole id where it is of another form.
    pub fn host(&self) -> &str {
        self.0.rsplitn(3, '-').nth(2).unwrap_or(&self.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_knows_its_host() {
        assert_eq!(WorkerId::of_process("pod-a-1", 7).host(), "pod-a-1");
        assert_eq!(WorkerId::new("w1").host(), "w1");
    }
}

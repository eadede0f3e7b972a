//! What writers have learned about a cluster. It holds no operations, so it can outlive its writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::echo::AFTER;
use super::limits::Limits;
use super::refusals::Refusals;
use super::settings::WriterSettings;
use super::streaks::{Braked, Streaks};

/// What writers have learned about a cluster: its capacity, whether it accepts compression, and the causes of its
/// refusals. Clones share it.
///
/// Give it to the next writer where each has a short life, as in the Lambda function: what one invocation learned,
/// the next one knows. It is good for one cluster and one configuration.
#[derive(Debug, Clone)]
pub struct Learned(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Of the hashes that documents are known by; a secret, so that nobody can make them collide. It belongs here,
    /// since what was learned of documents is kept by their hashes.
    seed: u64,
    knowledge: Mutex<Knowledge>,
}

#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) limits: Limits,
    pub(super) refusals: Refusals,
    pub(super) streaks: Streaks,
    /// Until when requests of an earlier process may still be carried out.
    pub(super) doubted_until: Option<Instant>,
}

// === impl Learned ===

impl Learned {
    /// Nothing yet. Limits begin where `settings` put them; the settings of later writers do not change them.
    pub fn new(settings: &WriterSettings) -> Learned {
        let knowledge = Knowledge {
            limits: Limits::new(settings),
            refusals: Refusals::default(),
            streaks: Streaks::default(),
            doubted_until: None,
        };
        let seed = settings.seed.unwrap_or_else(|| fastrand::u64(..));
        Learned(Arc::new(Shared { seed, knowledge: Mutex::new(knowledge) }))
    }

    /// The indices under the brake.
    pub fn braked(&self) -> Vec<Braked> {
        self.lock().streaks.braked()
    }

    /// Notes that requests of an earlier process may still be carried out: deletes of the next minute are repeated a
    /// minute later, with the same version.
    pub fn doubt_earlier_requests(&self) {
        self.lock().doubted_until = Some(Instant::now() + AFTER);
    }

    /// Puts the brake on an index, by its concrete name, as an earlier process left it: writing to it begins with one
    /// operation, and goes on once that is accepted.
    pub fn brake(&self, concrete: Arc<str>) {
        self.lock().streaks.brake(concrete);
    }

    /// Never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Knowledge> {
        self.0.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.seed
    }
}

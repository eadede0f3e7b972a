//! The permission to send, which a caller can lose.

use std::sync::Arc;

use async_trait::async_trait;

/// The permission to write, which can be lost at any moment, such as the lease of a table.
///
/// It is checked directly before each request, retries included. When it is revoked, a request in flight is abandoned.
/// Operations without a permit are decided as cancelled.
#[async_trait]
pub trait Permit: Send + Sync + std::fmt::Debug {
    /// Whether it is granted at this moment. A permit that was revoked can be granted again.
    fn is_granted(&self) -> bool;
    /// Returns once it is revoked.
    async fn revoked(&self);
}

/// The permits that a request depends on, each once.
pub(super) struct Permits(Vec<Arc<dyn Permit>>);

impl Permits {
    /// Leaves out what comes up again.
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Arc<dyn Permit>>) -> Permits {
        let mut permits: Vec<Arc<dyn Permit>> = Vec::new();
        for permit in all {
            if !permits.iter().any(|known| Arc::ptr_eq(known, permit)) {
                permits.push(Arc::clone(permit));
            }
        }
        Permits(permits)
    }

    pub(super) fn are_granted(&self) -> bool {
        self.0.iter().all(|permit| permit.is_granted())
    }

    /// Returns when one of them is revoked; never, where there are none.
    pub(super) async fn one_revoked(&self) {
        let waits: Vec<_> = self.0.iter().map(|permit| permit.revoked()).collect();
        if waits.is_empty() {
            std::future::pending::<()>().await;
        }
        futures::future::select_all(waits).await;
    }
}

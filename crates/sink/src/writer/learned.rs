//! What a writer has learned of the cluster. It holds no operation, so that it can outlive the writer.

use super::limits::Limits;
use super::refusals::Refusals;
use super::settings::WriterSettings;

#[derive(Debug)]
pub(super) struct Learned {
    pub(super) limits: Limits,
    pub(super) refusals: Refusals,
}

impl Learned {
    /// Nothing yet.
    pub(super) fn new(settings: &WriterSettings) -> Learned {
        Learned { limits: Limits::new(settings), refusals: Refusals::default() }
    }
}

//! Errors of following a stream.

use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::state::StateError;

use crate::beside::Undecided;

/// Errors of following a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The state table.
    #[error(transparent)]
    State(#[from] StateError),
    /// The stream.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The group's checkpoints were made with another generation of an index (exit status 4).
    #[error(
        "the group's checkpoints belong to generation {stored} of {index}, but the configuration says {configured}"
    )]
    OtherGeneration {
        /// The index, as the configuration names it.
        index: String,
        /// The generation of the checkpoints.
        stored: u32,
        /// The generation of the configuration.
        configured: u32,
    },
    /// A one-shot command saw no progress for too long.
    #[error("gave up: {message}")]
    GaveUp {
        /// What did not pass.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The lease says that another cluster is written to (exit status 4).
    #[error("the group writes to the OpenSearch cluster {stored}, but the configuration points to {configured}")]
    OtherCluster {
        /// The UUID of the cluster in the lease.
        stored: String,
        /// The UUID of the cluster of the configuration.
        configured: String,
    },
    /// `--until-end` met another reader of the group.
    #[error("{0} reads the table for the same group")]
    OthersAtWork(String),
    /// The work beside reading cannot be decided.
    #[error(transparent)]
    Undecided(#[from] Undecided),
    /// A task broke; this is a defect.
    #[error("a task of the follower failed")]
    Broken,
}

// === impl FollowError ===

impl FollowError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            FollowError::State(error) => error.hint(),
            FollowError::Aws(error) => error.hint().to_owned(),
            FollowError::OtherGeneration { .. } => {
                "the index of another generation is empty: set state.group to a new name to fill it from the start of the stream, or restore the generation".to_owned()
            }
            FollowError::OtherCluster { .. } => {
                "an index in another cluster lacks what was written before: set state.group to a new name to fill it from the start of the stream, or correct opensearch.url".to_owned()
            }
            FollowError::OthersAtWork(_) => {
                "stop it, or set state.group to another name: `--until-end` needs the table for itself".to_owned()
            }
            FollowError::GaveUp { hint, .. } => hint.clone(),
            FollowError::Undecided(undecided) => undecided.hint.clone(),
            FollowError::Broken => "start again; the work continues from the last checkpoint. Please report it".to_owned(),
        }
    }
}

//! The facts that a policy needs besides the configuration.

use clap::ValueEnum;
use streamdex_sink::access::Work;

use super::place::Around;

/// What the credentials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// `streamdex run`
    Run,
    /// The execution role of the Lambda function
    Lambda,
    /// `streamdex replay`, which reads items (--images makes no such call)
    Replay,
    /// `streamdex backfill`
    Backfill,
    /// `streamdex verify`, `explain` and `await`
    Verify,
    /// `streamdex verify --repair`
    Repair,
    /// `streamdex rebuild`
    Rebuild,
    /// `streamdex dlq list|show|replay|drop`
    Dlq,
    /// `streamdex status` (--url makes no such call)
    Status,
    /// `streamdex state create`
    StateCreate,
    /// `streamdex index plan|apply`
    Index,
}

/// What the table's stream carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum View {
    /// Old and new image
    #[default]
    NewAndOldImages,
    /// The new image
    NewImage,
    /// The old image: items are read
    OldImage,
    /// The keys alone: items are read
    KeysOnly,
}

/// The facts that a policy needs besides the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) view: View,
    /// Whether on-failure records are sent to the function again; their items are read.
    pub(crate) redrive: bool,
    /// Account and region, where the configuration gives none.
    pub(crate) around: Around,
    /// Customer keys of the source tables.
    pub(crate) source_keys: Vec<String>,
    /// The customer key of the state table.
    pub(crate) state_key: Option<String>,
    /// The customer key of the secret with the OpenSearch password.
    pub(crate) secret_key: Option<String>,
    /// The bucket for batches that Lambda gives up.
    pub(crate) failure_bucket: Option<String>,
    /// The customer key of that bucket.
    pub(crate) bucket_key: Option<String>,
    /// The function's log group.
    pub(crate) log_group: Option<String>,
    /// The customer key of the function's environment.
    pub(crate) function_key: Option<String>,
    /// The function's name.
    pub(crate) function: Option<String>,
    /// Where the function is, in a VPC.
    pub(crate) subnets: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    /// The OpenSearch domain, where its address does not tell.
    pub(crate) domain: Option<String>,
    /// The name of the Serverless collection; its address tells the id alone.
    pub(crate) collection: Option<String>,
    /// Who signs, for the OpenSearch half.
    pub(crate) signer: Option<String>,
}

// === impl Purpose ===

impl Purpose {
    /// What OpenSearch is asked for; `None` where it is not asked.
    pub(super) fn work(self) -> Option<Work> {
        Some(match self {
            Purpose::Run => Work::Run,
            Purpose::Lambda => Work::Lambda,
            Purpose::Replay => Work::Replay,
            Purpose::Backfill => Work::Backfill,
            Purpose::Verify => Work::Verify,
            Purpose::Repair => Work::Repair,
            Purpose::Rebuild => Work::Rebuild,
            Purpose::Dlq => Work::Dlq,
            Purpose::Index => Work::Index,
            Purpose::Status | Purpose::StateCreate => return None,
        })
    }

    /// Whether items are read by key.
    pub(super) fn reads_items(self, facts: &Facts) -> bool {
        let keys_alone = matches!(facts.view, View::KeysOnly | View::OldImage);
        match self {
            Purpose::Run => keys_alone,
            Purpose::Lambda => keys_alone || facts.redrive,
            Purpose::Replay
            | Purpose::Backfill
            | Purpose::Verify
            | Purpose::Repair
            | Purpose::Rebuild
            | Purpose::Dlq => true,
            Purpose::Status | Purpose::StateCreate | Purpose::Index => false,
        }
    }
}

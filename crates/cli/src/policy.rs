//! The least that a configuration must be granted: pure, from the configuration and what it does not hold.
//!
//! [`tables`] has one line for each AWS call that the crates make, [`search`] one for each request to OpenSearch,
//! [`lambda`] what AWS Lambda itself does under a function's role. `docs/iam.md` names the test that each action
//! stands against; the tests read the calls off the program's own traffic, so that neither list can drift.
//!
//! Grants are collected by [`Principal`]: a `role_arn` anywhere in the configuration makes another one, and lets
//! the process's own credentials assume it.

mod document;
mod lambda;
mod place;
mod search;
mod tables;

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use streamdex_config::{AwsSettings, Config, Source};

pub(crate) use self::document::{PolicyDocument, Statement};
pub(crate) use self::place::Around;
pub(crate) use self::search::{Access, access};

/// What the credentials are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// `streamdex run`
    Run,
    /// The execution role of the Lambda function
    Lambda,
    /// `streamdex replay`, which reads items (--images makes no such call)
    Replay,
    /// `streamdex dlq list|show`
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

/// What a policy depends on besides the configuration.
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

/// Whose policy it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Principal {
    /// The credentials that the process has: of its role, its environment, or a profile.
    Own { profile: Option<String> },
    /// A role that the configuration names.
    Role(String),
}

/// One policy for each principal, the process's own first.
pub(crate) type Policies = BTreeMap<Principal, PolicyDocument>;

/// The policies that `config` needs.
pub(crate) fn policies(config: &Config, purpose: Purpose, facts: &Facts) -> Policies {
    let sources: Vec<&Source> = config.sources.iter().collect();
    let mut grants = Grants::default();
    if purpose == Purpose::Lambda {
        lambda::grant(&mut grants, &sources, facts);
    }
    tables::grant(&mut grants, config, &sources, purpose, facts);
    search::grant(&mut grants, config, purpose, facts);
    grants.policies
}

/// Statements by principal.
#[derive(Debug, Default)]
struct Grants {
    policies: Policies,
}

// === impl Purpose ===

impl Purpose {
    /// Whether items are read by key.
    fn reads_items(self, facts: &Facts) -> bool {
        let keys_alone = matches!(facts.view, View::KeysOnly | View::OldImage);
        match self {
            Purpose::Run => keys_alone,
            Purpose::Lambda => keys_alone || facts.redrive,
            Purpose::Replay => true,
            Purpose::Dlq | Purpose::Status | Purpose::StateCreate | Purpose::Index => false,
        }
    }
}

// === impl Principal ===

impl Principal {
    fn of(credentials: &AwsSettings) -> Principal {
        match &credentials.role_arn {
            Some(role) => Principal::Role(role.clone()),
            None => Principal::Own { profile: credentials.profile.clone() },
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Own { profile: None } => f.write_str("the process's own credentials"),
            Principal::Own { profile: Some(profile) } => write!(f, "profile {profile}"),
            Principal::Role(arn) => f.write_str(arn),
        }
    }
}

// === impl Grants ===

impl Grants {
    /// Grants to those whom `credentials` name, and lets a role be assumed.
    fn allow(&mut self, credentials: &AwsSettings, statement: Statement) {
        if statement.action.is_empty() {
            return;
        }
        if let Some(role) = &credentials.role_arn {
            let own = Principal::Own { profile: credentials.profile.clone() };
            let assume = Statement::new("AssumeRole", &["sts:AssumeRole"], role.clone());
            self.policies.entry(own).or_default().add(assume);
        }
        self.policies.entry(Principal::of(credentials)).or_default().add(statement);
    }
}

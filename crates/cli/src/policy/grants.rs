//! Statements by those who need them.

use std::collections::BTreeMap;
use std::fmt;

use streamdex_config::AwsSettings;

use super::document::{PolicyDocument, Statement};

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

/// Statements by principal.
#[derive(Debug, Default)]
pub(super) struct Grants {
    pub(super) policies: Policies,
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
    pub(super) fn allow(&mut self, credentials: &AwsSettings, statement: Statement) {
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

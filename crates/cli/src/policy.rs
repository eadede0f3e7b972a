//! Computes the least privileges of a configuration, from the configuration and from facts outside of it. Pure.
//!
//! [`tables`] has one line for each call to DynamoDB that the crates make, [`search`] one for each request to OpenSearch,
//! [`bucket`] what `replay` asks of S3, and [`lambda`] what AWS Lambda itself does under a function's role.
//! `docs/registers/permissions.md` names the test of each action; the tests read the calls off the program's own traffic, so that neither list can drift.
//!
//! [`grants`] collects statements by [`Principal`]: a `role_arn` anywhere in the configuration makes another one, and
//! lets the process's own credentials assume it.

mod bucket;
mod document;
mod effect;
mod facts;
mod grants;
mod lambda;
mod place;
mod search;
mod tables;

use streamdex_config::{Config, Source};

pub(crate) use self::document::PolicyDocument;
pub(crate) use self::effect::{FACTS, VIEW, without_effect};
pub(crate) use self::facts::{Facts, Purpose, View};
use self::grants::Grants;
pub(crate) use self::grants::{Policies, Principal};
pub(crate) use self::place::Around;
pub(crate) use self::search::{Access, access, domain_of};

/// The policies that `config` needs.
pub(crate) fn policies(config: &Config, purpose: Purpose, facts: &Facts) -> Policies {
    let sources: Vec<&Source> = config.sources.iter().collect();
    let mut grants = Grants::default();
    if purpose == Purpose::Lambda {
        lambda::grant(&mut grants, &sources, facts);
    }
    if purpose == Purpose::Replay {
        bucket::grant(&mut grants, config, facts);
    }
    tables::grant(&mut grants, config, &sources, purpose, facts);
    search::grant(&mut grants, config, purpose, facts);
    grants.policies
}

//! From the raw tables to the validated types: one module for each part of the file.
//!
//! A check reports and goes on with a default, so that one bad key hides no other problem. The result
//! counts only where nothing was reported.

mod endpoint;
mod http;
mod indices;
mod lambda;
mod name;
mod opensearch;
mod overlap;
mod pattern;
mod route;
mod source;
mod store;

use std::path::Path;

use crate::model::{AwsSettings, Config};
use crate::problem::{Place, Problems};
use crate::raw::Root;
use crate::read::{Key, Located};

pub use endpoint::is_loopback;

/// Checks the whole file.
pub(crate) fn config(root: &Root, base_dir: &Path, problems: &mut Problems) -> Option<Config> {
    let whole_file = Place::default();
    let aws = root.aws.get().map_or_else(AwsSettings::default, |table| {
        credentials([&table.profile, &table.role_arn, &table.external_id], &AwsSettings::default(), problems)
    });
    let mut sources = source::sources(root, &aws, problems);
    let routes = route::routes(root, &mut sources, problems);
    overlap::check(&routes, problems);
    let sole_source = match sources.as_slice() {
        [source] => Some(source),
        _ => None,
    };
    let opensearch = root.opensearch.required(&whole_file, "opensearch", problems).and_then(|table| {
        opensearch::opensearch(table, &opensearch::Surroundings { base_dir, aws: &aws, sole_source }, problems)
    });
    let state = store::state(root, sole_source, &aws, problems);
    let dead_letter = store::dead_letter(root, base_dir, problems);
    let lambda = lambda::lambda(root, problems);
    let http = http::http(root, problems);
    let indices = indices::indices(root, &routes, base_dir, problems);
    if !problems.is_empty() {
        return None;
    }
    Some(Config { aws, sources, opensearch: opensearch?, state, dead_letter, lambda, http, indices })
}

/// Profile, role and external id: its own, else those of `fallback`. An external id goes with its role.
fn credentials(keys: [&Key<String>; 3], fallback: &AwsSettings, problems: &mut Problems) -> AwsSettings {
    let [profile, role_arn, external_id] = keys.map(present);
    if let Some(role) = role_arn
        && !(role.starts_with("arn:") && role.contains(":role/"))
    {
        problems.error_with_hint(
            &role.place,
            "this is no ARN of a role",
            "a role's ARN reads arn:aws:iam::ACCOUNT:role/NAME",
        );
    }
    let own = |key: Option<&Located<String>>| key.map(|located| located.value.clone());
    let settings = AwsSettings {
        profile: own(profile).or_else(|| fallback.profile.clone()),
        role_arn: own(role_arn).or_else(|| fallback.role_arn.clone()),
        external_id: match role_arn {
            Some(_) => own(external_id),
            None => own(external_id).or_else(|| fallback.external_id.clone()),
        },
    };
    if let (None, Some(external_id)) = (&settings.role_arn, external_id) {
        problems.error_with_hint(&external_id.place, "an external id without a role", "set role_arn too");
    }
    settings
}

/// The value of an optional key; an empty text (of an unset variable with an empty default) is none.
fn present(key: &Key<String>) -> Option<&Located<String>> {
    key.given().filter(|located| !located.is_empty())
}

//! From the raw tables to the validated types: one module for each part of the file.
//!
//! A check reports and goes on with a default, so that one bad key hides no other problem. The result
//! counts only where nothing was reported.

mod condition;
mod credentials;
mod endpoint;
mod fields;
mod http;
mod indices;
mod lambda;
mod made;
mod name;
mod opensearch;
mod overlap;
mod pattern;
mod region;
mod route;
mod source;
mod store;

use std::path::Path;

use crate::model::{AwsSettings, Config};
use crate::problem::{Place, Problems};
use crate::raw::Root;

pub use endpoint::is_loopback;
pub use region::is_region;

/// Checks the whole file.
pub(crate) fn config(root: &Root, base_dir: &Path, problems: &mut Problems) -> Option<Config> {
    let whole_file = Place::default();
    let aws = root.aws.get().map_or_else(AwsSettings::default, |table| {
        credentials::credentials(
            [&table.profile, &table.role_arn, &table.external_id],
            &AwsSettings::default(),
            problems,
        )
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
    store::apart_from_sources(root, &state, &sources, problems);
    let dead_letter = store::dead_letter(root, base_dir, problems);
    let lambda = lambda::lambda(root, problems);
    let http = http::http(root, problems);
    let indices = indices::indices(root, &routes, base_dir, problems);
    if !problems.is_empty() {
        return None;
    }
    Some(Config { aws, sources, opensearch: opensearch?, state, dead_letter, lambda, http, indices })
}

//! The tables that the configuration follows, as the state table knows them.

use streamdex_config::{Source, State, TableReference};

/// A table that the configuration follows, as far as the state table's description can identify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FollowedTable {
    /// By its ARN.
    Arn(String),
    /// By its name, where it lies in the place of the state table.
    Name(String),
}

// === impl FollowedTable ===

impl FollowedTable {
    /// `None` for a name in another place: another endpoint, another region, or other credentials, which may be those
    /// of another account. `StateTable::ensure` compares the ARN there.
    pub(super) fn of(source: &Source, state: &State) -> Option<FollowedTable> {
        let name = match &source.table {
            TableReference::StreamArn(arn) => return Some(FollowedTable::Arn(arn.table().to_string())),
            TableReference::Name(name) => name,
        };
        let other_region =
            matches!((&source.region, &state.region), (Some(of_source), Some(of_state)) if of_source != of_state);
        let elsewhere = other_region || source.endpoint_url != state.endpoint_url || source.aws != state.aws;
        (!elsewhere).then(|| FollowedTable::Name(name.clone()))
    }
}

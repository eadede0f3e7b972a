//! `[state]` and `[dead_letter]`.

use std::path::Path;

use super::credentials::credentials;
use super::{endpoint, name, region};
use crate::model::{AwsSettings, DeadLetter, DeadLetterKind, Source, State};
use crate::problem::{Place, Problems};
use crate::raw::{DeadLetterTable, DeadLetterWord, Root, StateTable};
use crate::read::{Key, Located};

/// The state table: its own settings, else the sole source's, else those of `[aws]`.
pub(super) fn state(root: &Root, sole_source: Option<&Source>, aws: &AwsSettings, problems: &mut Problems) -> State {
    let nothing = StateTable::default();
    let table = root.state.get().unwrap_or(&nothing);
    let fallback = sole_source.map_or(aws, |source| &source.aws);
    let endpoint_url = table.endpoint_url.present().and_then(|text| endpoint::endpoint(text, problems));
    State {
        table: table
            .table
            .given()
            .filter(|name| name::is_table(name, problems))
            .map_or_else(|| "streamdex-state".to_owned(), |name| name.value.clone()),
        group: table
            .group
            .given()
            .filter(|name| name::is_label(name, problems))
            .map_or_else(|| "default".to_owned(), |name| name.value.clone()),
        region: table
            .region
            .present()
            .inspect(|region| {
                let endpoint = table.endpoint_url.present().is_some();
                let inherited = sole_source.is_some_and(|source| source.endpoint_url.is_some());
                if !endpoint && !inherited {
                    region::check(region, problems);
                }
            })
            .map(|region| region.value.clone())
            .or_else(|| sole_source.and_then(|source| source.region.clone())),
        endpoint_url: endpoint_url.or_else(|| sole_source.and_then(|source| source.endpoint_url.clone())),
        aws: credentials([&table.profile, &table.role_arn, &table.external_id], fallback, problems),
    }
}

/// Leases, checkpoints and dead letters in a table that is followed would be taken for items, and items for them: tables
/// of a single-table design have the same key names.
pub(super) fn apart_from_sources(root: &Root, state: &State, sources: &[Source], problems: &mut Problems) {
    let followed = sources.iter().find(|source| is_of(state, source));
    let Some(source) = followed else { return };
    let whole_file = Place::default();
    let place =
        root.state.given().map_or(&whole_file, |table| table.table.given().map_or(&table.place, |name| &name.place));
    problems.error_with_hint(
        place,
        format!("the state table is the table of the source {:?}", source.name),
        "use a separate table for the state, for example table = \"streamdex-state\" under [state]",
    );
}

/// Whether the state table is the table of `source`; says yes where the rest of the file does not tell them apart.
fn is_of(state: &State, source: &Source) -> bool {
    let table = source.table.table_name();
    let elsewhere = matches!((&state.region, &source.region), (Some(one), Some(other)) if one != other);
    state.table == table && !elsewhere && state.endpoint_url == source.endpoint_url
}

/// Where dead letters go.
pub(super) fn dead_letter(root: &Root, base_dir: &Path, problems: &mut Problems) -> DeadLetter {
    let nothing = Located { value: DeadLetterTable::default(), place: Place::default() };
    let table = root.dead_letter.given().unwrap_or(&nothing);
    let kind = match (table.kind.get(), &table.path) {
        (Some(DeadLetterWord::File), Key::Given(path)) if path.is_empty() => {
            problems.error(&path.place, "the path is empty");
            DeadLetterKind::Table
        }
        (Some(DeadLetterWord::File), Key::Given(path)) => DeadLetterKind::File(base_dir.join(&path.value)),
        (Some(DeadLetterWord::File), path) => {
            path.required(&table.place, "path", problems);
            DeadLetterKind::Table
        }
        (Some(DeadLetterWord::Table) | None, path) => {
            if let (Some(path), false) = (path.given(), matches!(table.kind, Key::Bad)) {
                problems.error_with_hint(
                    &path.place,
                    "path has no effect: the kind is \"table\"",
                    "set kind = \"file\"",
                );
            }
            DeadLetterKind::Table
        }
    };
    DeadLetter { kind, written_out: !root.dead_letter.is_absent() }
}

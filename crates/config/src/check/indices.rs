//! `[index.NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use streamdex_mapping::{OnExpiry, Ttl};

use super::route::Checked;
use crate::model::{IndexSettings, Manage};
use crate::problem::{Place, Problems};
use crate::raw::{IndexTable, ManageWord, Root};
use crate::read::Located;
use crate::text;

type JsonObject = serde_json::Map<String, serde_json::Value>;

/// What stands beside a mapping in the body that creates an index, and what to do with it here.
const BESIDE_MAPPING: [(&str, &str); 4] = [
    ("aliases", "remove it: streamdex creates the aliases NAME and NAME-live; add others with POST /_aliases"),
    ("mappings", "keep only the contents of \"mappings\": { \"properties\": { … } }"),
    ("settings", "move them to the configuration: settings = { number_of_shards = 1 } under [index.NAME]"),
    ("template", "keep only the contents of its \"mappings\": { \"properties\": { … } }"),
];

/// All `[index.NAME]` tables; each must be named by a route.
pub(super) fn indices(
    root: &Root,
    routes: &[Checked],
    base_dir: &Path,
    problems: &mut Problems,
) -> BTreeMap<String, IndexSettings> {
    let named = names(routes);
    let written = root.route.get().map_or(0, Vec::len);
    let mut indices = BTreeMap::new();
    for (name, table) in root.index.get().map_or([].as_slice(), |named| named.0.as_slice()) {
        // Where a route is broken, its index is not known.
        if !named.contains(name.as_str()) && routes.len() == written {
            let known = named.iter().copied().collect::<Vec<_>>().join(", ");
            problems.error_with_hint(
                &table.place,
                format!("no route names the index {name:?}"),
                format!("indices of the routes: {known}"),
            );
        }
        let settings = settings(table, base_dir, problems);
        if let (Manage::Never, Some(manage)) = (settings.manage, table.manage.given()) {
            idle_ttl(name, &manage.place, routes, problems);
        }
        indices.insert(name.clone(), settings);
    }
    indices
}

/// A TTL attribute that is not archived makes the live alias and the field's mapping, and nothing else.
fn idle_ttl(index: &str, place: &Place, routes: &[Checked], problems: &mut Problems) {
    let idle = |ttl: &Ttl| ttl.on_expiry == OnExpiry::Delete;
    for Checked { place: route, .. } in routes
        .iter()
        .filter(|checked| checked.route.index.text() == index && checked.route.ttl.as_ref().is_some_and(idle))
    {
        let message = format!("ttl of {} has no effect, since streamdex does not set up {index:?}", route.path);
        problems.warning(place, message, "create the alias that hides expired documents yourself, or remove ttl");
    }
}

fn names(routes: &[Checked]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for Checked { route, .. } in routes {
        names.insert(route.index.text());
        if let Some(OnExpiry::Archive(index)) = route.ttl.as_ref().map(|ttl| &ttl.on_expiry) {
            names.insert(index.as_str());
        }
    }
    names
}

fn settings(table: &Located<IndexTable>, base_dir: &Path, problems: &mut Problems) -> IndexSettings {
    let manage = match table.manage.get() {
        Some(ManageWord::Check) => Manage::Check,
        Some(ManageWord::Never) => Manage::Never,
        Some(ManageWord::Create) | None => Manage::Create,
    };
    if manage != Manage::Create {
        let unused = [
            ("generation", table.generation.given().map(|key| &key.place)),
            ("settings", table.settings.given().map(|key| &key.place)),
            ("mapping_file", table.mapping_file.given().map(|key| &key.place)),
        ];
        for (key, place) in unused {
            if let Some(place) = place {
                problems.warning(place, format!("{key} is used only with manage = \"create\""), "take it out");
            }
        }
    }
    let generation = table.generation.given().map_or(1, |generation| {
        if !(1..=999_999).contains(&generation.value) {
            problems.error_with_hint(
                &generation.place,
                format!("{} is out of range", generation.value),
                "give 1 to 999999",
            );
        }
        u32::try_from(generation.value).unwrap_or(1)
    });
    IndexSettings {
        manage,
        generation,
        settings: table.settings.get().map_or_else(JsonObject::new, |object| object.0.clone()),
        mapping: table.mapping_file.given().and_then(|file| mapping(file, base_dir, problems)),
    }
}

fn mapping(file: &Located<String>, base_dir: &Path, problems: &mut Problems) -> Option<JsonObject> {
    let path = base_dir.join(&file.value);
    let text = match std::fs::read(&path).and_then(text::decode) {
        Ok(text) => text,
        Err(error) => {
            let hint = "the path is relative to the folder of the configuration file";
            problems.error_with_hint(&file.place, format!("cannot read this file: {error}"), hint);
            return None;
        }
    };
    match serde_json::from_str(&text) {
        Ok(serde_json::Value::Object(object)) if object.len() == 1 && object.contains_key("mappings") => {
            problems.error_with_hint(
                &file.place,
                "the mapping is wrapped in \"mappings\"",
                "keep only its contents: { \"properties\": { … } }",
            );
            None
        }
        Ok(serde_json::Value::Object(object)) => {
            for (key, hint) in BESIDE_MAPPING {
                if object.contains_key(key) {
                    let message = format!("{key:?} is not part of a mapping, so it has no effect in this file");
                    problems.error_with_hint(&file.place, message, hint);
                }
            }
            Some(object)
        }
        Ok(_) => {
            problems.error_with_hint(
                &file.place,
                "this file is not a JSON object",
                "a mapping has the form { \"properties\": { … } }",
            );
            None
        }
        Err(error) => {
            problems.error(
                &file.place,
                format!("this file is not valid JSON: line {}, column {}", error.line(), error.column()),
            );
            None
        }
    }
}

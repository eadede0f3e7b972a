//! The installed index template, compared with the wanted one: pure.

use serde_json::{Map, Value};

use super::inspect::text_of;
use super::merge::{FlatSettings, flatten_settings};
use super::wanted::Wanted;

/// The index template of an index, as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// There is none of its name.
    Missing,
    /// As the configuration wants it.
    Same,
    /// Of its name, from another configuration or version.
    Other,
}

// === impl Installed ===

impl Installed {
    /// Compares a template as OpenSearch shows it with the wanted one.
    pub(crate) fn compare(wanted: &Wanted, found: &Map<String, Value>) -> Installed {
        let wanted = wanted.template_body();
        let same = wanted.as_object().is_some_and(|wanted| {
            ["index_patterns", "priority", "_meta"].iter().all(|part| found.get(*part) == wanted.get(*part))
                && settings(found) == settings(wanted)
                && member(found, "mappings") == member(wanted, "mappings")
                && member(found, "aliases").is_none_or(Map::is_empty)
                && found.get("composed_of").and_then(Value::as_array).is_none_or(Vec::is_empty)
        });
        if same { Installed::Same } else { Installed::Other }
    }
}

fn member<'a>(template: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    template.get("template")?.get(name)?.as_object()
}

/// Settings come back as texts, and nested.
fn settings(template: &Map<String, Value>) -> FlatSettings {
    let flat = member(template, "settings").map(flatten_settings).unwrap_or_default();
    flat.into_iter().map(|(name, value)| (name, Value::String(text_of(&value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::catalog::{Catalog, SetupContext};
    use crate::index::samples::{config, name, session_route};
    use crate::index::wanted::Offering;
    use serde_json::json;

    #[test]
    fn a_template_is_the_same_however_its_settings_are_written() {
        let catalog = Catalog::new(&config(vec![session_route()]), &SetupContext::new());
        let wanted = Wanted::new(catalog.find(&name("sessions")).unwrap(), "sessions", Offering::Cluster);
        let mut shown = wanted.template_body();
        shown["template"]["settings"] =
            json!({"index": {"gc_deletes": "1h", "mapping": {"depth": {"limit": "40"}, "ignore_malformed": "true"}}});
        shown["composed_of"] = json!([]);
        let compare = |shown: &Value| Installed::compare(&wanted, shown.as_object().unwrap());
        assert_eq!(compare(&shown), Installed::Same);
        for (path, value) in [
            ("/template/settings/index/gc_deletes", json!("60s")),
            ("/template/mappings/date_detection", json!(true)),
            ("/priority", json!(7)),
            ("/index_patterns", json!(["x-*"])),
            ("/_meta/streamdex/table", json!("orders")),
            ("/composed_of", json!(["theirs"])),
        ] {
            let mut other = shown.clone();
            *other.pointer_mut(path).unwrap() = value;
            assert_eq!(compare(&other), Installed::Other, "{path}");
        }
    }
}

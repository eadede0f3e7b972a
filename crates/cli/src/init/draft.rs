//! Writes the configuration for a table. Pure.

use std::fmt::Write;

use streamdex_dynamodb::survey::Survey;
use streamdex_dynamodb::table::switch_stream_on;
use streamdex_mapping::{IndexName, IndexNameError, KeyType};
use url::Url;

use super::fields::{Suited, sounds_secret, suited};
use super::kinds::{Condition, Kind, index_part};
use crate::output::{self, approximate};

/// What is known of a table and its cluster.
pub(super) struct Facts<'a> {
    pub(super) survey: &'a Survey,
    /// The attribute whose time items expire at.
    pub(super) ttl: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) endpoint: Option<&'a Url>,
    pub(super) opensearch: &'a Url,
    pub(super) kinds: &'a [Kind<'a>],
}

/// OpenSearch takes 255 bytes, endings included.
const LONGEST_NAME: usize = 200;
/// OpenSearch's own advice is 10 to 50 GB a shard ("Choosing the number of shards", Amazon OpenSearch Service).
const BYTES_A_SHARD: f64 = 30e9;

impl Facts<'_> {
    /// The text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    /// What to do before the configuration can be used.
    pub(super) fn before(&self) -> Vec<String> {
        let table = &self.survey.table;
        let mut before = Vec::new();
        match &self.survey.stream {
            None => before.push(format!("turn on the table's stream: {}", switch_stream_on(table))),
            Some((_, view)) if view.has_old_image() || self.is_told_by_keys() => {}
            Some((_, view)) => before.push(format!(
                "the stream carries {}, but conditions on non-key attributes need NEW_AND_OLD_IMAGES",
                view.name()
            )),
        }
        if let Some(key) = &self.survey.kms_key {
            before.push(format!("the table has a customer key: streamdex iam-policy --for run --source-key {key}"));
        }
        if !self.survey.replicas.is_empty() {
            let regions = self.survey.replicas.join(", ");
            before.push(format!(
                "the table has replicas ({regions}): follow it in one region; docs/global-tables.md says more"
            ));
        }
        before
    }

    /// The names of the routes' indices, in their order.
    pub(super) fn indices(&self) -> Vec<String> {
        let table = index_part(&self.survey.table);
        let table = if table.is_empty() { "items".to_owned() } else { table };
        let name = |kind: &Kind<'_>| match kind.name.as_str() {
            "" => allowed(&table),
            name => allowed(&format!("{table}-{name}")),
        };
        self.kinds.iter().map(name).collect()
    }

    /// Whether keys alone distinguish the kinds of items.
    fn is_told_by_keys(&self) -> bool {
        let keys = self.survey.size.key_names();
        self.kinds.iter().flat_map(|kind| &kind.when).all(|condition| keys.contains(&condition.attribute))
    }

    fn sampled(&self) -> usize {
        self.kinds.iter().map(|kind| kind.items.len()).sum()
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Survey { table, size, .. } = self.survey;
        writeln!(
            text,
            "# Written by `streamdex init`. The table has about {} items, {}; the sample has {} items.",
            size.items,
            output::size(approximate(size.bytes)),
            self.sampled()
        )?;
        writeln!(text, "# A `#` disables a line. All keys: `streamdex config schema`, or docs/configuration.md.\n")?;
        let keys: Vec<String> = size.keys.iter().map(|key| format!("{} ({})", key.name, kind_name(key.kind))).collect();
        writeln!(text, "[source]\ntable = {} # its key: {}", quoted(table), keys.join(", "))?;
        if let Some(region) = self.region {
            writeln!(text, "region = {}", quoted(region))?;
        }
        if let Some(endpoint) = self.endpoint {
            writeln!(text, "endpoint_url = {}", quoted(endpoint.as_str()))?;
        }
        writeln!(text, "\n[opensearch]\nurl = {}", quoted(self.opensearch.as_str()))?;
        writeln!(text, "{}\n", self.auth())?;
        if self.kinds.len() > 1 {
            writeln!(
                text,
                "# An item goes to the first route that matches it. An item without a matching route is not indexed."
            )?;
        }
        let indices = self.indices();
        for (place, (kind, index)) in self.kinds.iter().zip(&indices).enumerate() {
            self.write_route(text, kind, index)?;
            // Kinds whose names differ in signs alone go to one index.
            if !indices.iter().take(place).any(|earlier| earlier == index) {
                self.write_index(text, kind, index)?;
            }
        }
        if self.kinds.iter().all(|kind| !kind.when.is_empty()) {
            writeln!(
                text,
                "\n# All other items, such as kinds that are not in the sample. Remove the # to index them:"
            )?;
            let (table, keys) = (index_part(&self.survey.table), list(&self.survey.size.key_names()));
            writeln!(text, "# [[route]]\n# index = {}\n# id = {keys}", quoted(&allowed(&format!("{table}-other"))))?;
        }
        Ok(())
    }

    fn auth(&self) -> &'static str {
        let host = self.opensearch.host_str().unwrap_or_default();
        if self.is_serverless() {
            "auth = { kind = \"sigv4\", service = \"aoss\" }"
        } else if host.ends_with(".es.amazonaws.com") || host.ends_with(".es.amazonaws.com.cn") {
            "auth = { kind = \"sigv4\", service = \"es\" }   # or { kind = \"basic\", username = \"…\", password_env = \"OPENSEARCH_PASSWORD\" }"
        } else {
            "# auth = { kind = \"basic\", username = \"…\", password_env = \"OPENSEARCH_PASSWORD\" }"
        }
    }

    fn is_serverless(&self) -> bool {
        self.opensearch.host_str().is_some_and(|host| host.ends_with(".aoss.amazonaws.com"))
    }

    fn write_route(&self, text: &mut String, kind: &Kind<'_>, index: &str) -> std::fmt::Result {
        let keys = self.survey.size.key_names();
        let told_by = kind.when.iter().map(|condition| condition.attribute.as_str());
        let fixed: Vec<&str> = keys.iter().map(String::as_str).chain(self.ttl).chain(told_by).collect();
        let Suited { dates, as_json, numbers_as_string, exclude, points } = suited(&kind.items, &fixed);
        if self.kinds.len() > 1 {
            writeln!(text, "\n# {} of the {} items of the sample.", kind.items.len(), self.sampled())?;
        }
        writeln!(text, "[[route]]\nindex = {}", quoted(index))?;
        match kind.when.as_slice() {
            [] => {}
            [one] => writeln!(text, "when = {}", condition(one))?,
            several => {
                writeln!(text, "when = [{}]", several.iter().map(condition).collect::<Vec<_>>().join(", "))?;
            }
        }
        writeln!(text, "id = {}", list(&keys))?;
        if keys.iter().any(|key| sounds_secret(key)) {
            writeln!(
                text,
                "# More people see the ids of documents than the documents. If the key is a secret, hash it:"
            )?;
            writeln!(text, "# id_form = \"hash\"")?;
        }
        if let Some(ttl) = self.ttl {
            writeln!(text, "ttl = {{ attribute = {} }}", quoted(ttl))?;
        }
        for (key, paths, why) in [
            ("exclude", &exclude, "Left out because of their names."),
            ("dates", &dates, "Times."),
            (
                "as_json",
                &as_json,
                "Stored as JSON text: maps whose keys differ from item to item, or a map in some items only.",
            ),
            (
                "numbers_as_string",
                &numbers_as_string,
                "Stored as text: more digits than searches can distinguish, or text in other items.",
            ),
        ] {
            if !paths.is_empty() {
                writeln!(text, "# {why}\n{key} = {}", list(paths))?;
            }
        }
        let fields = set(kind, &points);
        if !fields.is_empty() {
            writeln!(text, "set = {{ {} }}", fields.join(", "))?;
        }
        Ok(())
    }

    fn write_index(&self, text: &mut String, kind: &Kind<'_>, index: &str) -> std::fmt::Result {
        if self.is_serverless() {
            return Ok(());
        }
        let number = |items: usize| approximate(u64::try_from(items).unwrap_or(u64::MAX));
        let share = number(kind.items.len()) / number(self.sampled()).max(1.0);
        let bytes_here = approximate(self.survey.size.bytes) * share;
        let shards = (bytes_here / BYTES_A_SHARD).ceil().max(1.0);
        writeln!(
            text,
            "\n[index.{}]\nsettings = {{ number_of_shards = {shards} }}   # about {}; 30 GB a shard",
            quoted(index),
            output::size(bytes_here)
        )
    }
}

/// A name that an index may have: not too long, and without an ending that is reserved.
fn allowed(name: &str) -> String {
    let name: String = name.chars().take(LONGEST_NAME).collect();
    let is_reserved = IndexName::parse(&name) == Err(IndexNameError::Reserved);
    if is_reserved { format!("{name}-items") } else { name }
}

/// The fields that are made of others.
fn set(kind: &Kind<'_>, points: &[(String, String)]) -> Vec<String> {
    let is_free = |name: &str| !kind.items.iter().any(|item| item.contains_key(name));
    let is_taken = |name: &str| name == "location" && !points.is_empty();
    let parts = kind.parts.iter().filter(|part| is_free(&part.name) && !is_taken(&part.name));
    let part = |part: &super::kinds::Part| {
        format!("{} = {{ from = {}, after = {} }}", part.name, quoted(&part.attribute), quoted(&part.after))
    };
    let point =
        |(lat, lon): &(String, String)| format!("location = {{ lat = {}, lon = {} }}", quoted(lat), quoted(lon));
    parts.map(part).chain(points.iter().filter(|_| is_free("location")).map(point)).collect()
}

fn condition(condition: &Condition) -> String {
    format!("{{ attribute = {}, {} = {} }}", quoted(&condition.attribute), condition.test, quoted(&condition.value))
}

/// A TOML string. Those of JSON are such; `${` would be a variable.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace("${", "$${")
}

fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

fn kind_name(kind: KeyType) -> &'static str {
    match kind {
        KeyType::String => "string",
        KeyType::Number => "number",
        KeyType::Binary => "binary",
    }
}

#[cfg(test)]
mod tests;

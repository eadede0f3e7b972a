//! The indices of a configuration, and the one that a logical name belongs to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use streamdex_config::{Config, IndexSettings, Manage, Source};
use streamdex_mapping::route::{PatternPart, could_give};
use streamdex_mapping::{Condition, Constant, Dots, FieldValue, IndexName, IndexPattern, OnExpiry, Path, Route, Test};

use super::owner::{Owner, VERSION_SCHEME};

/// What set-up has to know beside the configuration, by the name of the source.
///
/// All of it is optional: `replay` without access to the table knows nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupContext {
    tables: BTreeMap<String, TableFacts>,
    group: Option<String>,
}

/// What is known of a source's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// The table's ARN.
    pub arn: Option<String>,
    /// The table's id, which a re-created table does not keep.
    pub id: Option<String>,
    /// The names of its key attributes; empty where they are not known.
    pub key_attributes: Vec<String>,
}

/// All indices of a configuration, those of one name before those of placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    entries: Vec<Entry>,
}

/// One index, or all indices of one text with placeholders.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The text in the configuration, as `sessions` or `orders-{region}`.
    pub(crate) text: String,
    /// `[index."TEXT"]`.
    pub(crate) settings: IndexSettings,
    /// What `_meta.streamdex` will say.
    pub(crate) owner: Owner,
    /// The fields that set-up knows.
    pub(crate) fields: Fields,
    name: NameShape,
}

#[derive(Debug, Clone)]
enum NameShape {
    Fixed(IndexName),
    Placeholders {
        parts: Vec<PatternPart>,
        /// How many indices the text may give.
        most: usize,
    },
}

/// The fields of an index that the routes name, by the names that they have after `rename`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Key, routing and `when` attributes: looked up whole.
    pub keywords: BTreeSet<String>,
    /// Times of `dates`, each by the names that lead to it.
    pub dates: BTreeSet<Vec<String>>,
    /// Points of `set`.
    pub points: BTreeSet<String>,
    /// TTL attributes: dates in seconds.
    pub ttl: BTreeSet<String>,
    /// TTL attributes that the `-live` alias hides by; empty where there is none.
    pub live: BTreeSet<String>,
    /// Whether documents here are the last forms of expired items, with `expired_at`.
    pub archive: bool,
    /// Whether some route writes here without routing.
    pub unrouted: bool,
    /// Whether some route's key attributes are not known yet.
    pub keys_unknown: bool,
}

// === impl SetupContext ===

impl SetupContext {
    /// Nothing but the configuration is known.
    pub fn new() -> SetupContext {
        SetupContext::default()
    }

    /// Adds what is known of the table of the source named `source`.
    #[must_use]
    pub fn with_table(mut self, source: impl Into<String>, facts: TableFacts) -> SetupContext {
        self.tables.insert(source.into(), facts);
        self
    }

    /// The group that follows the tables and keeps state about the indices; none where only records are applied.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> SetupContext {
        self.group = Some(group.into());
        self
    }

    pub(crate) fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    fn table(&self, source: &str) -> TableFacts {
        self.tables.get(source).cloned().unwrap_or_default()
    }
}

// === impl Catalog ===

impl Catalog {
    pub(crate) fn new(config: &Config, context: &SetupContext) -> Catalog {
        let mut catalog = Catalog { entries: Vec::new() };
        for source in &config.sources {
            let facts = context.table(&source.name);
            for route in &source.routes {
                let name = NameShape::of(&route.index, usize::try_from(route.max_indices).unwrap_or(usize::MAX));
                let fields = Fields::of_route(route, &facts);
                if let Some(OnExpiry::Archive(archive)) = route.ttl.as_ref().map(|ttl| &ttl.on_expiry) {
                    let shape = NameShape::Fixed(archive.clone());
                    catalog.add(
                        config,
                        shape,
                        owner(config, source, &facts, archive.as_str()),
                        fields.clone().of_archive(),
                    );
                }
                catalog.add(config, name, owner(config, source, &facts, route.index.text()), fields);
            }
        }
        // A name that is written out is meant before one that a placeholder could give.
        catalog.entries.sort_by_key(|entry| matches!(entry.name, NameShape::Placeholders { .. }));
        catalog
    }

    fn add(&mut self, config: &Config, name: NameShape, owned: (String, Owner), fields: Fields) {
        let (text, owner) = owned;
        if let Some(known) = self.entries.iter_mut().find(|entry| entry.text == text) {
            known.fields.join(fields);
            known.name.allow(&name);
            return;
        }
        let settings = config.indices.get(&text).cloned().unwrap_or_default();
        self.entries.push(Entry { text, settings, owner, fields, name });
    }

    /// The entry that a logical name belongs to.
    pub(crate) fn find(&self, index: &IndexName) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name.gives(index))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the UUID of any index is watched: those under `manage = "never"` are not.
    pub(crate) fn is_watched(&self) -> bool {
        self.entries.iter().any(|entry| entry.settings.manage != Manage::Never)
    }
}

fn owner(config: &Config, source: &Source, facts: &TableFacts, text: &str) -> (String, Owner) {
    let generation = config.indices.get(text).map_or(1, |settings| settings.generation);
    let owner = Owner {
        version_scheme: VERSION_SCHEME,
        table: source.table.table_name().to_owned(),
        table_arn: facts.arn.clone(),
        table_id: facts.id.clone(),
        routes: streamdex_config::fingerprint(source),
        generation,
        groups: Vec::new(),
    };
    (text.to_owned(), owner)
}

// === impl Entry ===

impl Entry {
    /// The one logical name, where there are no placeholders.
    pub(crate) fn fixed_name(&self) -> Option<&IndexName> {
        match &self.name {
            NameShape::Fixed(name) => Some(name),
            NameShape::Placeholders { .. } => None,
        }
    }

    /// How many indices the text may give.
    pub(crate) fn max_indices(&self) -> usize {
        match self.name {
            NameShape::Fixed(_) => 1,
            NameShape::Placeholders { most, .. } => most,
        }
    }

    /// The name, with `*` for each placeholder.
    pub(crate) fn pattern(&self) -> String {
        match &self.name {
            NameShape::Fixed(name) => name.to_string(),
            NameShape::Placeholders { parts, .. } => {
                let parts = parts.iter().map(|part| match part {
                    PatternPart::Literal(text) => text.to_lowercase(),
                    PatternPart::Attribute(_) => "*".to_owned(),
                });
                parts.collect()
            }
        }
    }
}

// === impl NameShape ===

impl NameShape {
    fn of(pattern: &IndexPattern, most: usize) -> NameShape {
        match pattern {
            IndexPattern::Fixed(name) => NameShape::Fixed(name.clone()),
            IndexPattern::Placeholders { parts, .. } => NameShape::Placeholders { parts: parts.clone(), most },
        }
    }

    /// Of several routes with one text, the most that one of them allows.
    fn allow(&mut self, other: &NameShape) {
        if let (NameShape::Placeholders { most, .. }, NameShape::Placeholders { most: theirs, .. }) = (self, other) {
            *most = (*most).max(*theirs);
        }
    }

    fn gives(&self, index: &IndexName) -> bool {
        match self {
            NameShape::Fixed(name) => name == index,
            NameShape::Placeholders { parts, .. } => could_give(parts, index.as_str()),
        }
    }
}

// === impl Fields ===

impl Fields {
    fn of_route(route: &Route, facts: &TableFacts) -> Fields {
        let field = |attribute: &str| route.field_of(attribute).map(Cow::into_owned);
        let keys = route.id.as_ref().unwrap_or(&facts.key_attributes);
        let conditions = route.when.iter().filter(|condition| is_of_one_scalar_type(condition));
        let attributes = keys.iter().chain(&route.routing).chain(conditions.map(|condition| &condition.attribute));
        let ttl: BTreeSet<String> = route.ttl.iter().filter_map(|ttl| field(&ttl.attribute)).collect();
        Fields {
            keywords: attributes.filter_map(|attribute| field(attribute)).chain(made_keywords(route)).collect(),
            dates: route.dates.iter().filter_map(|path| field_at(route, path)).collect(),
            points: made_points(route),
            live: ttl.clone(),
            ttl,
            archive: false,
            unrouted: route.routing.is_none(),
            keys_unknown: keys.is_empty(),
        }
    }

    fn of_archive(self) -> Fields {
        Fields { live: BTreeSet::new(), archive: true, ..self }
    }

    /// Those of the keywords that are mapped as nothing else.
    pub(crate) fn only_keywords(&self) -> impl Iterator<Item = &String> {
        let is_date = |field: &String| self.dates.iter().any(|path| matches!(path.as_slice(), [name] if name == field));
        let is_other = move |field: &String| self.ttl.contains(field) || self.points.contains(field) || is_date(field);
        self.keywords.iter().filter(move |field| !is_other(field))
    }

    /// Adds the fields of another route into the same index.
    fn join(&mut self, other: Fields) {
        self.keywords.extend(other.keywords);
        self.ttl.extend(other.ttl);
        self.dates.extend(other.dates);
        self.points.extend(other.points);
        self.live.extend(other.live);
        self.archive |= other.archive;
        self.unrouted |= other.unrouted;
        self.keys_unknown |= other.keys_unknown;
    }
}

/// The names that lead to the field at `path`; `None` where that is no field of its own.
fn field_at(route: &Route, path: &Path) -> Option<Vec<String>> {
    let is_left_out = |dropped: &Path| dropped.holds(path);
    let is_kept = |kept: &Path| kept.holds(path) || path.holds(kept);
    let kept = route.include.is_empty() || route.include.iter().any(is_kept);
    if !kept || route.exclude.iter().any(is_left_out) || route.as_json.iter().any(|json| json.holds(path)) {
        return None;
    }
    let inside = path.names().iter().skip(1).map(|name| match route.dots {
        Dots::Underscore => name.replace('.', "_"),
        Dots::Keep | Dots::Expand => name.clone(),
    });
    let names = std::iter::once(route.field_of(path.attribute())?.into_owned()).chain(inside);
    // OpenSearch takes a dot for a step into an object.
    Some(names.flat_map(|name| name.split('.').map(str::to_owned).collect::<Vec<_>>()).collect())
}

/// Fields of `set` that hold short texts.
fn made_keywords(route: &Route) -> impl Iterator<Item = String> {
    let is_text =
        |value: &FieldValue| matches!(value, FieldValue::After { .. } | FieldValue::Constant(Constant::String(_)));
    route.set.iter().filter(move |(_, value)| is_text(value)).map(|(field, _)| field.clone())
}

fn made_points(route: &Route) -> BTreeSet<String> {
    let points = route.set.iter().filter(|(_, value)| matches!(value, FieldValue::Point { .. }));
    points.map(|(field, _)| field.clone()).collect()
}

/// Only a condition that asks for a string, number or boolean says that the field holds nothing else: a
/// keyword field refuses a map, which an `exists` or negated condition would let through.
fn is_of_one_scalar_type(condition: &Condition) -> bool {
    !condition.not && !matches!(condition.test, Test::Exists(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::samples::{config, route};
    use streamdex_mapping::Ttl;

    fn name(text: &str) -> IndexName {
        IndexName::parse(text).unwrap()
    }

    fn regional() -> IndexPattern {
        IndexPattern::Placeholders {
            text: "Orders-{region}-x".into(),
            parts: vec![
                PatternPart::Literal("Orders-".into()),
                PatternPart::Attribute("region".into()),
                PatternPart::Literal("-x".into()),
            ],
        }
    }

    #[test]
    fn a_placeholder_name_takes_the_settings_of_the_routes_text() {
        let mut config = config(vec![Route { index: regional(), ..route("sessions") }, route("orders-eu-x")]);
        let never = IndexSettings { manage: Manage::Never, ..IndexSettings::default() };
        config.indices.insert("Orders-{region}-x".into(), never);
        let catalog = Catalog::new(&config, &SetupContext::new());
        assert_eq!(catalog.find(&name("orders-us-x")).unwrap().settings.manage, Manage::Never);
        assert_eq!(catalog.find(&name("orders-x-x")).unwrap().text, "Orders-{region}-x");
        // written out, so it is not the placeholder's
        assert_eq!(catalog.find(&name("orders-eu-x")).unwrap().text, "orders-eu-x");
        for stranger in ["orders-", "orders-x", "other", "orders-eu-y"] {
            assert!(catalog.find(&name(stranger)).is_none(), "{stranger}");
        }
    }

    #[test]
    fn fields_have_the_names_after_rename() {
        let mut sessions = route("sessions");
        sessions.rename.insert("user_id".into(), "user".into());
        sessions.rename.insert("expires_at".into(), "until".into());
        sessions.exclude.push("session_id".into());
        sessions.routing = Some("user_id".into());
        let condition = |attribute: &str, test: Test, not: bool| Condition { attribute: attribute.into(), test, not };
        sessions.when = vec![
            condition("kind", Test::EqualsString("session".into()), false),
            condition("prefs", Test::Exists(true), false),
            condition("mode", Test::StartsWith("x".into()), true),
        ];
        sessions.ttl = Some(Ttl {
            attribute: "expires_at".into(),
            on_expiry: OnExpiry::Archive(name("sessions-expired")),
            infer_expiry: false,
        });
        let facts = TableFacts { key_attributes: vec!["user_id".into(), "session_id".into()], ..TableFacts::default() };
        let catalog = Catalog::new(&config(vec![sessions]), &SetupContext::new().with_table("sessions", facts));

        let live = &catalog.find(&name("sessions")).unwrap().fields;
        assert_eq!(live.keywords, BTreeSet::from(["kind".to_owned(), "user".to_owned()]));
        assert_eq!(live.ttl, BTreeSet::from(["until".to_owned()]));
        assert_eq!(live.live, live.ttl);
        assert!(!live.archive && !live.keys_unknown && !live.unrouted);

        let archive = &catalog.find(&name("sessions-expired")).unwrap().fields;
        assert!(archive.archive && archive.live.is_empty());
        assert_eq!(archive.ttl, live.ttl);
    }

    #[test]
    fn routes_into_one_index_join_their_fields() {
        let mut first = route("sessions");
        first.id = Some(vec!["a".into()]);
        let mut second = route("sessions");
        second.id = Some(vec!["a".into()]);
        second.routing = Some("b".into());
        let catalog = Catalog::new(&config(vec![first, second]), &SetupContext::new());
        assert_eq!(catalog.entries().len(), 1);
        let fields = &catalog.find(&name("sessions")).unwrap().fields;
        assert_eq!(fields.keywords, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert!(fields.unrouted);
    }
}

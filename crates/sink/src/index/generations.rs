//! The existing generations of a table's indices, and those that searches see.

use std::collections::{BTreeMap, BTreeSet};

use opensearch::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use streamdex_config::Manage;
use streamdex_mapping::IndexName;

use super::admin::{self, ask, escape};
use super::catalog::Entry;
use super::error::SetupError;
use super::indices::Indices;
use super::live;
use super::owner::{Owner, VERSION_SCHEME};
use super::wanted::{Alias, Wanted};

/// An index that streamdex made for the table, of whatever generation: its `_meta` says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The text of the route, as `sessions` or `orders-{region}`.
    pub text: String,
    /// The logical name, which is also the search alias.
    pub index: IndexName,
    /// Its own name.
    pub concrete: String,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its generation.
    pub generation: u32,
    /// The groups that have it in their state, as `GROUP|TABLE_ARN`.
    pub groups: Vec<String>,
    /// All aliases that it has, with their filters.
    pub aliases: Map<String, Value>,
}

/// Which generation searches are to see of the indices that one text gives, and through which aliases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The generation.
    pub generation: u32,
    /// The aliases as OpenSearch takes them, by what follows the logical name: nothing, or `-live`.
    pub aliases: Aliases,
    /// Those of names that have others, by logical name.
    #[serde(default)]
    pub names: BTreeMap<String, Aliases>,
}

/// Aliases as OpenSearch takes them, by what follows the logical name: nothing, or `-live`.
pub type Aliases = BTreeMap<String, Value>;

/// The treatment of a logical name without an index of the shown generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Its searches see what they see, until the index is made.
    Keep,
    /// Its searches see nothing: the earlier generation never had it.
    Hide,
}

/// The indices that one text of the routes gives, as the configuration wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// The text.
    pub text: String,
    /// Who makes the indices.
    pub manage: Manage,
    /// Whether they hold the copies of expired items, which no item of the table stands behind.
    pub is_archive: bool,
    /// What searches are to see.
    pub shown: Shown,
}

/// What follows the logical name in an alias that set-up makes.
pub const ALIASES: [&str; 2] = ["", "-live"];

// === impl Made ===

impl Made {
    /// What this alias is on the index, if it is there.
    pub fn alias(&self, suffix: &str) -> Option<&Value> {
        self.aliases.get(&self.alias_name(suffix))
    }

    /// Whether any of the search aliases is on it.
    pub fn is_shown(&self) -> bool {
        ALIASES.iter().any(|suffix| self.alias(suffix).is_some())
    }

    /// The search aliases on it.
    pub fn readers_aliases(&self) -> Aliases {
        let body = |suffix: &str| Some((suffix.to_owned(), self.alias(suffix)?.clone()));
        ALIASES.into_iter().filter_map(body).collect()
    }

    fn alias_name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.index)
    }
}

// === impl Shown ===

impl Shown {
    /// Searches see no index.
    pub fn nothing() -> Shown {
        Shown { generation: 0, aliases: Aliases::new(), names: BTreeMap::new() }
    }

    /// The aliases of a logical name.
    pub fn of(&self, name: &str) -> &Aliases {
        self.names.get(name).unwrap_or(&self.aliases)
    }

    /// Whether searches see no index.
    pub fn is_nothing(&self) -> bool {
        self.aliases.is_empty() && self.names.is_empty()
    }
}

/// The actions of one `_aliases` request after which searches see what is `shown`, by the texts of the routes: none where
/// they do. What becomes of a name that lacks that generation says `absent`; see [`lacking`].
pub fn moves(made: &[Made], shown: &BTreeMap<String, Shown>, absent: Absent) -> Vec<Value> {
    let mut actions = Vec::new();
    for (index, shown) in made.iter().filter_map(|index| Some((index, shown.get(&index.text)?))) {
        let is_kept = match absent {
            Absent::Keep => !shown.is_nothing() && !has_generation(made, index, shown.generation),
            // Searches of the name see nothing else: what it is for them is not ours to change.
            Absent::Hide => seen_of(made, index) == BTreeSet::from([shown.generation]),
        };
        if is_kept {
            continue;
        }
        for suffix in ALIASES {
            let aliases = shown.of(index.index.as_str());
            let wanted = aliases.get(suffix).filter(|_| index.generation == shown.generation);
            let (found, alias) = (index.alias(suffix), index.alias_name(suffix));
            match wanted {
                None if found.is_some() => actions.push(json!({"remove": {"index": index.concrete, "alias": alias}})),
                Some(body) if !live::is_same(Some(body), found) => {
                    let mut add = body.as_object().cloned().unwrap_or_default();
                    add.insert("index".to_owned(), index.concrete.clone().into());
                    add.insert("alias".to_owned(), alias.into());
                    actions.push(json!({ "add": add }));
                }
                _ => {}
            }
        }
    }
    actions
}

/// The logical names whose searches see another generation because the `shown` one does not exist: a placeholder
/// produced the name once, but no item does now.
pub fn lacking(made: &[Made], shown: &BTreeMap<String, Shown>) -> BTreeSet<IndexName> {
    let lacks = |index: &&Made| {
        let shown = shown.get(&index.text);
        let is_absent = |shown: &Shown| !shown.is_nothing() && !has_generation(made, index, shown.generation);
        index.is_shown() && shown.is_some_and(is_absent)
    };
    made.iter().filter(lacks).map(|index| index.index.clone()).collect()
}

fn has_generation(made: &[Made], index: &Made, generation: u32) -> bool {
    made.iter().any(|other| other.index == index.index && other.generation == generation)
}

/// The generations that searches of the index's name see.
fn seen_of(made: &[Made], index: &Made) -> BTreeSet<u32> {
    let is_seen = |other: &&Made| other.index == index.index && other.is_shown();
    made.iter().filter(is_seen).map(|other| other.generation).collect()
}

// === impl Indices ===

impl Indices {
    /// What the configuration wants for each text of the table's routes. No I/O.
    pub fn configured(&self, table: &str) -> Vec<Configured> {
        let entries = self.catalog.entries().iter().filter(|entry| entry.owner.table == table);
        let configured = entries.map(|entry| {
            let wanted = self.wanted(entry, &entry.text);
            let body = |alias: Alias| {
                let name = wanted.alias_name(alias);
                (name[wanted.index.len()..].to_owned(), wanted.alias_body(alias))
            };
            Configured {
                text: entry.text.clone(),
                manage: wanted.manage,
                is_archive: wanted.fields.archive,
                shown: Shown {
                    generation: wanted.owner.generation,
                    aliases: wanted.aliases().into_iter().map(body).collect(),
                    names: BTreeMap::new(),
                },
            }
        });
        configured.collect()
    }

    /// The indices of all generations that streamdex made for the table, as far as the configuration gives their names. Asks
    /// twice: that there is no further index is not believed of one answer.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn made(&self, table: &str) -> Result<Vec<Made>, SetupError> {
        let mut made = BTreeMap::new();
        for entry in self.catalog.entries().iter().filter(|entry| entry.owner.table == table) {
            made.extend(self.made_like(entry, &format!("{}-*", entry.pattern())).await?);
        }
        Ok(made.into_values().collect())
    }

    /// Those of one text whose own names are like this, by them.
    async fn made_like(&self, entry: &Entry, pattern: &str) -> Result<BTreeMap<String, Made>, SetupError> {
        let mut made = BTreeMap::new();
        for _ in 0..2 {
            for (concrete, found) in admin::matching(&self.client, pattern).await? {
                let owner = Owner::of_mapping(&found.mapping).ok().flatten();
                let Some(owner) = owner.filter(|owner| owner.table == entry.owner.table) else { continue };
                let Some(index) = self.name_of(entry, &concrete, &owner) else { continue };
                let (text, uuid) = (entry.text.clone(), found.uuid);
                let Owner { generation, groups, .. } = owner;
                let (name, aliases) = (concrete.clone(), found.aliases);
                made.insert(concrete, Made { text, index, concrete: name, uuid, generation, groups, aliases });
            }
        }
        Ok(made)
    }

    /// The indices behind the alias of a text without placeholders, or the index of that name.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn behind(&self, text: &str) -> Result<Vec<String>, SetupError> {
        let entry = self.catalog.entries().iter().find(|entry| entry.text == text);
        let Some(entry) = entry.filter(|entry| entry.fixed_name().is_some()) else { return Ok(Vec::new()) };
        let wanted = Wanted { manage: Manage::Check, ..self.wanted(entry, text) };
        let observed = admin::observe(&self.client, &wanted).await?;
        let mut names: Vec<String> = observed.behind_alias(text).into_iter().map(str::to_owned).collect();
        names.extend(observed.index(text).map(|_| text.to_owned()));
        Ok(names)
    }

    /// Sends the actions of [`moves`] in one request: searches see all of them, or none.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn move_aliases(&self, actions: &[Value]) -> Result<(), SetupError> {
        let body = json!({ "actions": actions });
        ask(&self.client, Method::Post, "_aliases", Some(&body)).await?.acknowledged("move the aliases")
    }

    /// Deletes an index that streamdex made, and its template. One that is gone already is a success.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused; nothing is deleted where a search alias is on the index, or where it is
    /// another one than was seen.
    pub async fn delete(&self, made: &Made) -> Result<(), SetupError> {
        let action = format!("delete the index {}", made.concrete);
        let entry = self.entry(&made.index)?;
        // A pattern, since one without a match is no error.
        let found = self.made_like(entry, &format!("{}*", made.concrete)).await?.remove(&made.concrete);
        if let Some(found) = found {
            if found.is_shown() || found.uuid != made.uuid || found.generation != made.generation {
                return Err(SetupError::Unsettled { concrete: made.concrete.clone() });
            }
            let reply = ask(&self.client, Method::Delete, &escape(&made.concrete), None).await?;
            if !reply.says_no_index() {
                reply.acknowledged(&action)?;
            }
        }
        let template = format!("streamdex-{}", made.concrete);
        let reply = ask(&self.client, Method::Delete, &format!("_index_template/{}", escape(&template)), None).await?;
        if reply.status == 404 {
            return Ok(());
        }
        reply.acknowledged(&format!("delete the index template {template}"))
    }

    /// The logical name behind `NAME-000002`, where the owner says the same of it and this entry gives it.
    fn name_of(&self, entry: &Entry, concrete: &str, owner: &Owner) -> Option<IndexName> {
        let name = concrete.strip_suffix(&format!("-{:06}", owner.generation))?;
        let name = IndexName::parse(name).ok()?;
        let is_given = self.catalog.find(&name).is_some_and(|found| found.text == entry.text);
        (is_given && owner.version_scheme == VERSION_SCHEME).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str, index: &str, generation: u32, aliases: &[&str]) -> Made {
        Made {
            text: text.into(),
            index: IndexName::parse(index).unwrap(),
            concrete: format!("{index}-{generation:06}"),
            uuid: Some("A".into()),
            generation,
            groups: Vec::new(),
            aliases: aliases.iter().map(|alias| ((*alias).to_owned(), json!({}))).collect(),
        }
    }

    fn shown(text: &str, generation: u32, aliases: &[(&str, Value)]) -> BTreeMap<String, Shown> {
        let aliases = aliases.iter().map(|(suffix, body)| ((*suffix).to_owned(), body.clone())).collect();
        BTreeMap::from([(text.to_owned(), Shown { generation, aliases, names: BTreeMap::new() })])
    }

    #[test]
    fn both_aliases_move_in_one_request_and_nothing_else_does() {
        let filter = json!({"filter": {"term": {"a": 1}}});
        let both = [("", json!({})), ("-live", filter.clone())];
        let found = [
            made("s", "s", 1, &["s", "s-live", "theirs"]),
            made("s", "s", 2, &["other"]),
            made("s-x", "s-x", 1, &["s-x"]),
        ];
        let actions = moves(&found, &shown("s", 2, &both), Absent::Keep);
        assert_eq!(
            actions,
            [
                json!({"remove": {"index": "s-000001", "alias": "s"}}),
                json!({"remove": {"index": "s-000001", "alias": "s-live"}}),
                json!({"add": {"index": "s-000002", "alias": "s"}}),
                json!({"add": {"index": "s-000002", "alias": "s-live", "filter": {"term": {"a": 1}}}}),
            ]
        );
        let mut moved = [made("s", "s", 1, &["theirs"]), made("s", "s", 2, &["other", "s", "s-live"])];
        moved[1].aliases["s-live"] = filter;
        assert_eq!(moves(&moved, &shown("s", 2, &both), Absent::Keep), Vec::<Value>::new());
        // Back again, where the earlier generation had no live alias.
        let back = moves(&moved, &shown("s", 1, &[("", json!({}))]), Absent::Hide);
        assert_eq!(
            back,
            [
                json!({"add": {"index": "s-000001", "alias": "s"}}),
                json!({"remove": {"index": "s-000002", "alias": "s"}}),
                json!({"remove": {"index": "s-000002", "alias": "s-live"}}),
            ]
        );
    }

    #[test]
    fn n1_each_name_of_a_placeholder_moves_where_its_generation_is_there() {
        let found = [
            made("o-{r}", "o-eu", 1, &["o-eu"]),
            made("o-{r}", "o-eu", 2, &[]),
            made("o-{r}", "o-us", 1, &["o-us"]),
            made("o-{r}", "o-cn", 1, &[]),
            made("o-{r}", "o-jp", 2, &[]),
        ];
        let shown = shown("o-{r}", 2, &[("", json!({}))]);
        assert_eq!(
            moves(&found, &shown, Absent::Keep),
            [
                json!({"remove": {"index": "o-eu-000001", "alias": "o-eu"}}),
                json!({"add": {"index": "o-eu-000002", "alias": "o-eu"}}),
                json!({"add": {"index": "o-jp-000002", "alias": "o-jp"}}),
            ]
        );
        let nothing = BTreeMap::from([("o-{r}".to_owned(), Shown::nothing())]);
        assert_eq!(
            moves(&found[..2], &nothing, Absent::Keep),
            [json!({"remove": {"index": "o-eu-000001", "alias": "o-eu"}})]
        );
        assert_eq!(lacking(&found, &nothing), BTreeSet::new());
        // On the way back, a name that the earlier generation never had is seen no more.
        let mut moved = found[..2].to_vec();
        moved[1].aliases = std::mem::take(&mut moved[0].aliases);
        moved.push(made("o-{r}", "o-jp", 2, &["o-jp"]));
        let mut earlier = Shown { generation: 1, ..shown["o-{r}"].clone() };
        earlier.names.insert("o-eu".into(), BTreeMap::from([(String::new(), json!({"routing": "7"}))]));
        assert_eq!(
            moves(&moved, &BTreeMap::from([("o-{r}".to_owned(), earlier)]), Absent::Hide),
            [
                json!({"add": {"index": "o-eu-000001", "alias": "o-eu", "routing": "7"}}),
                json!({"remove": {"index": "o-eu-000002", "alias": "o-eu"}}),
                json!({"remove": {"index": "o-jp-000002", "alias": "o-jp"}}),
            ]
        );
        assert_eq!(lacking(&found, &shown), BTreeSet::from([IndexName::parse("o-us").unwrap()]));
    }
}

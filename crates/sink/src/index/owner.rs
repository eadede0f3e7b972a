//! The owner of an index: `_meta.streamdex` in its mapping.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::finding::{Code, Finding};

/// The scheme of document versions (ADR 0001). Indices written under another one cannot be compared.
pub const VERSION_SCHEME: u32 = 1;
const META_KEY: &str = "streamdex";

/// What `_meta.streamdex` holds. It is written once per generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The scheme of the documents' versions.
    pub version_scheme: u32,
    /// The source table's name.
    pub table: String,
    /// The source table's ARN, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_arn: Option<String>,
    /// The source table's id, which a re-created table does not keep; where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_id: Option<String>,
    /// The fingerprint of the source's routes.
    pub routes: String,
    /// The generation.
    pub generation: u32,
    /// The groups that have followed a table into this index, and have it in their state, as `GROUP|TABLE_ARN`. The set-up
    /// does not write them: each group adds itself when it has stored the index's UUID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Why an index must not be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Another table feeds it.
    Table(String),
    /// Its documents carry versions of another scheme.
    VersionScheme(u32),
    /// It says who it belongs to in a way that is not known here.
    Unreadable,
}

// === impl Owner ===

impl Owner {
    /// Reads `_meta.streamdex` of a mapping; `None` where there is none.
    ///
    /// # Errors
    /// It exists but cannot be read, which is not the same as absent: [`Foreign::Unreadable`].
    pub fn of_mapping(mapping: &Map<String, Value>) -> Result<Option<Owner>, Foreign> {
        let Some(meta) = mapping.get("_meta").and_then(|meta| meta.get(META_KEY)) else {
            return Ok(None);
        };
        serde_json::from_value(meta.clone()).map(Some).map_err(|_| Foreign::Unreadable)
    }

    /// The `_meta` member of a mapping.
    pub fn to_meta(&self) -> Value {
        // A struct of numbers and texts always serialises.
        let owner = serde_json::to_value(self).unwrap_or_default();
        Value::Object(Map::from_iter([(META_KEY.to_owned(), owner)]))
    }

    /// The whole `_meta` of an index with one more group; `None` where the group is there already, or the index is not
    /// ours.
    pub fn meta_with_group(mapping: &Map<String, Value>, group: &str) -> Option<Value> {
        let mut owner = Owner::of_mapping(mapping).ok().flatten()?;
        if owner.groups.iter().any(|known| known == group) {
            return None;
        }
        owner.groups.push(group.to_owned());
        let mut meta = mapping.get("_meta")?.as_object()?.clone();
        let known = meta.get_mut(META_KEY)?.as_object_mut()?;
        // What other versions wrote there stays.
        known.insert("groups".to_owned(), owner.groups.into());
        Some(Value::Object(meta))
    }

    /// Compares with what an existing index says.
    ///
    /// # Errors
    /// The index is another table's, or of another version scheme.
    pub fn compare(&self, found: Option<&Owner>, concrete: &str) -> Result<Vec<Finding>, Foreign> {
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        if found.table != self.table {
            return Err(Foreign::Table(found.table.clone()));
        }
        if found.version_scheme != self.version_scheme {
            return Err(Foreign::VersionScheme(found.version_scheme));
        }
        let mut findings = Vec::new();
        let differs = |mine: &Option<String>, theirs: &Option<String>| matches!((mine, theirs), (Some(mine), Some(theirs)) if mine != theirs);
        if differs(&self.table_arn, &found.table_arn) {
            findings.push(Finding::new(
                Code::OtherTableArn,
                format!("{concrete} was made for a table of the same name in another account or region"),
                "make sure that only one deployment writes to this index; after a fail-over to another region, raise its `generation` to start a clean one",
            ));
        } else if differs(&self.table_id, &found.table_id) {
            findings.push(Finding::new(
                Code::OtherTableId,
                format!("{concrete} was made for an earlier table of the same name"),
                "documents of the earlier table stay until they are written again; raise `generation` of this index to start a clean one",
            ));
        }
        if found.routes != self.routes {
            findings.push(Finding::new(
                Code::OtherRoutes,
                format!("the routes of {} have changed since {concrete} was made", self.table),
                "unchanged documents keep their old form; raise `generation` of this index to write all of them again (the index keeps one fingerprint of all routes, so the changed route is unknown)",
            ));
        }
        Ok(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owner() -> Owner {
        Owner {
            version_scheme: VERSION_SCHEME,
            table: "sessions".into(),
            table_arn: Some("arn:aws:dynamodb:eu-west-1:000000000000:table/sessions".into()),
            table_id: Some("a".into()),
            routes: "f1".into(),
            generation: 1,
            groups: Vec::new(),
        }
    }

    fn codes(findings: Result<Vec<Finding>, Foreign>) -> Vec<Code> {
        findings.unwrap().into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn it_is_read_back_from_a_mapping() {
        let mapping = Map::from_iter([("_meta".to_owned(), owner().to_meta())]);
        assert_eq!(Owner::of_mapping(&mapping), Ok(Some(owner())));
        assert_eq!(Owner::of_mapping(&Map::new()), Ok(None));
        for unknown in [json!("x"), json!({"format": 2}), Value::Null] {
            let foreign = json!({"_meta": {"streamdex": unknown}});
            assert_eq!(Owner::of_mapping(foreign.as_object().unwrap()), Err(Foreign::Unreadable));
        }
    }

    #[test]
    fn another_table_name_or_scheme_is_refused() {
        let other = Owner { table: "orders".into(), ..owner() };
        assert_eq!(owner().compare(Some(&other), "x"), Err(Foreign::Table("orders".into())));
        let newer = Owner { version_scheme: 2, ..owner() };
        assert_eq!(owner().compare(Some(&newer), "x"), Err(Foreign::VersionScheme(2)));
    }

    #[test]
    fn another_account_id_or_fingerprint_is_a_warning() {
        assert_eq!(codes(owner().compare(Some(&owner()), "x")), []);
        assert_eq!(codes(owner().compare(None, "x")), []);
        let region = Owner {
            table_arn: Some("arn:aws:dynamodb:us-east-1:000000000000:table/sessions".into()),
            table_id: Some("b".into()),
            ..owner()
        };
        assert_eq!(codes(owner().compare(Some(&region), "x")), [Code::OtherTableArn]);
        let unknown = Owner { table_arn: None, table_id: Some("b".into()), routes: "f2".into(), ..owner() };
        assert_eq!(codes(owner().compare(Some(&unknown), "x")), [Code::OtherTableId, Code::OtherRoutes]);
    }

    #[test]
    fn l7_a_group_is_added_once_and_what_else_is_there_stays() {
        let mut mapping = Map::from_iter([("_meta".to_owned(), owner().to_meta())]);
        mapping["_meta"]["team"] = json!("x");
        mapping["_meta"]["streamdex"]["later"] = json!(7);
        let meta = Owner::meta_with_group(&mapping, "default").unwrap();
        assert_eq!(meta.pointer("/streamdex/groups"), Some(&json!(["default"])));
        assert_eq!((meta.pointer("/team"), meta.pointer("/streamdex/later")), (Some(&json!("x")), Some(&json!(7))));
        mapping["_meta"] = meta;
        assert_eq!(Owner::meta_with_group(&mapping, "default"), None);
        let both = Owner::meta_with_group(&mapping, "blue").unwrap();
        assert_eq!(both.pointer("/streamdex/groups"), Some(&json!(["default", "blue"])));
        assert_eq!(Owner::meta_with_group(&Map::new(), "default"), None, "an index of somebody else's");
    }
}

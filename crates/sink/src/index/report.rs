//! What `streamdex index plan` and `apply` show, for people (`Display`) and for programs (`Serialize`).

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::documents::Documents;
use super::error::SetupError;
use super::finding::Finding;
use super::merge::FlatSettings;

/// The plan for one index, or why it cannot be set up.
#[derive(Debug)]
pub struct IndexPlan {
    /// The logical name, or a route's text with placeholders.
    pub index: String,
    /// The plan.
    pub result: Result<Plan, SetupError>,
}

/// What would be done, and what the index is or would be then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// `create`, `check` or `never`.
    pub manage: &'static str,
    /// The name that documents are written to.
    pub writes_to: String,
    /// The UUID of the index that is there.
    pub uuid: Option<String>,
    /// What `apply` would do; empty: nothing. Of it, a first write does what creates the index and its aliases.
    pub steps: Vec<String>,
    /// What `apply` tries besides, each time.
    pub tries: Option<&'static str>,
    /// The settings: those of the index that is there, else those that it would get.
    pub settings: FlatSettings,
    /// The mapping: that of the index that is there, else the one that it would get.
    pub mapping: Map<String, Value>,
    /// The aliases.
    pub aliases: Map<String, Value>,
    /// What is to be known about it.
    pub findings: Vec<Finding>,
    /// What its documents show; `None` where there is no index yet.
    pub documents: Option<Documents>,
    /// What cannot be planned, in a sentence.
    pub note: Option<&'static str>,
}

/// What was done to one index, or why it could not be set up.
#[derive(Debug)]
pub struct IndexApplied {
    /// The logical name, or a route's text with placeholders.
    pub index: String,
    /// What was done.
    pub result: Result<Applied, SetupError>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Applied {
    /// The name that documents are written to.
    pub writes_to: String,
    /// The UUID of the index.
    pub uuid: Option<String>,
    /// What was done; empty: nothing was missing.
    pub done: Vec<String>,
    /// What is to be known about the index.
    pub findings: Vec<Finding>,
    /// What was not done, in a sentence.
    pub note: Option<&'static str>,
}

// === impl ===

impl Serialize for IndexPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_result(serializer, &self.index, "plan", &self.result)
    }
}

impl Serialize for IndexApplied {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_result(serializer, &self.index, "applied", &self.result)
    }
}

fn serialize_result<S: Serializer>(
    serializer: S,
    index: &str,
    name: &'static str,
    result: &Result<impl Serialize, SetupError>,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("index", index)?;
    match result {
        Ok(value) => map.serialize_entry(name, value)?,
        Err(error) => {
            let error = serde_json::json!({"message": error.to_string(), "hint": error.hint()});
            map.serialize_entry("error", &error)?;
        }
    }
    map.end()
}

impl fmt::Display for IndexPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(plan) => {
                writeln!(f, "{}", self.index)?;
                plan.fmt(f)
            }
            Err(error) => write_error(f, &self.index, error),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = self.uuid.as_deref().map_or_else(|| "not there yet".to_owned(), |uuid| format!("UUID {uuid}"));
        writeln!(f, "  manage     {}", self.manage)?;
        if self.note.is_none() {
            writeln!(f, "  writes to  {} ({uuid})", self.writes_to)?;
        }
        write_list(f, "to do", &self.steps)?;
        if let Some(tries) = self.tries {
            writeln!(f, "  each time  {tries}")?;
        }
        for (name, value) in &self.settings {
            writeln!(f, "  setting    {name} = {value}")?;
        }
        for (name, value) in &self.aliases {
            writeln!(f, "  alias      {name} {value}")?;
        }
        if !self.mapping.is_empty() {
            let text = serde_json::to_string_pretty(&self.mapping).unwrap_or_default();
            writeln!(f, "  mapping    {}", text.replace('\n', "\n             "))?;
        }
        if let Some(documents) = &self.documents {
            writeln!(f, "  documents  {documents}")?;
        }
        write_end(f, &self.findings, self.note)
    }
}

impl fmt::Display for IndexApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applied = match &self.result {
            Ok(applied) => applied,
            Err(error) => return write_error(f, &self.index, error),
        };
        writeln!(f, "{}", self.index)?;
        if applied.note.is_none() {
            let uuid = applied.uuid.as_deref().unwrap_or("unknown");
            writeln!(f, "  writes to  {} (UUID {uuid})", applied.writes_to)?;
        }
        write_list(f, "done", &applied.done)?;
        write_end(f, &applied.findings, applied.note)
    }
}

fn write_error(f: &mut fmt::Formatter<'_>, index: &str, error: &SetupError) -> fmt::Result {
    writeln!(f, "{index}")?;
    writeln!(f, "  error      {error}")?;
    writeln!(f, "  hint       {}", error.hint())
}

fn write_list(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return writeln!(f, "  {title:<10} nothing");
    }
    lines.iter().try_for_each(|line| writeln!(f, "  {title:<10} {line}"))
}

fn write_end(f: &mut fmt::Formatter<'_>, findings: &[Finding], note: Option<&str>) -> fmt::Result {
    for finding in findings {
        writeln!(f, "  warning    {}", finding.message)?;
        writeln!(f, "             hint: {}", finding.hint)?;
    }
    note.map_or(Ok(()), |note| writeln!(f, "  note       {note}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::finding::Code;
    use serde_json::json;

    fn plan() -> IndexPlan {
        let plan = Plan {
            manage: "create",
            writes_to: "x-000001".into(),
            uuid: None,
            steps: vec!["create the index x-000001".into()],
            tries: Some("write a scratch document"),
            settings: FlatSettings::from([("index.gc_deletes".to_owned(), json!("1h"))]),
            mapping: Map::from_iter([("date_detection".to_owned(), json!(false))]),
            aliases: Map::from_iter([("x".to_owned(), json!({}))]),
            findings: vec![Finding::new(Code::DateDetection, "it is on", "turn it off")],
            documents: Some(Documents { count: 12, with_ignored_values: 1, ..Documents::default() }),
            note: None,
        };
        IndexPlan { index: "x".into(), result: Ok(plan) }
    }

    #[test]
    fn a_plan_for_people() {
        let wanted = "x\n  manage     create\n  writes to  x-000001 (not there yet)\n  to do      create the index x-000001\n  each time  write a scratch document\n  \
                      setting    index.gc_deletes = \"1h\"\n  alias      x {}\n  mapping    {\n               \"date_detection\": false\n             }\n  \
                      documents  12, with values that no search finds: 1\n  \
                      warning    it is on\n             hint: turn it off\n";
        assert_eq!(plan().to_string(), wanted);
    }

    #[test]
    fn errors_are_part_of_the_json() {
        let failed = IndexApplied { index: "x".into(), result: Err(SetupError::Missing { index: "x".into() }) };
        let json = serde_json::to_value([&failed]).unwrap();
        assert!(json[0]["error"]["hint"].as_str().is_some_and(|hint| hint.contains("create")));
        assert_eq!(serde_json::to_value(plan()).unwrap()["plan"]["findings"][0]["code"], json!("date_detection"));
        assert!(failed.to_string().contains("hint"));
    }
}

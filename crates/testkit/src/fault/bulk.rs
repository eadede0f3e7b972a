//! Bulk bodies and answers, taken apart and put together.

use serde_json::{Map, Value, json};

use super::reply::ItemError;

/// One operation of a bulk request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkOperation {
    /// `index`, `create`, `update` or `delete`.
    pub kind: String,
    /// What stands in the action line: `_index`, `_id`, `version`, ….
    pub meta: Map<String, Value>,
    /// The action line as sent.
    pub action: String,
    /// The document's line as sent; `None` for a delete.
    pub document: Option<String>,
}

impl BulkOperation {
    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.meta.get("_id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &str {
        self.meta.get("_index").and_then(Value::as_str).unwrap_or_default()
    }

    /// The external version.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.meta.get("version").and_then(Value::as_u64)
    }
}

/// The operations of a bulk body.
///
/// # Panics
/// When the body is not a bulk body: no sender of ours may send one.
pub(super) fn operations(body: &[u8]) -> Vec<BulkOperation> {
    let text = std::str::from_utf8(body).expect("a bulk body is UTF-8");
    let mut lines = text.lines();
    let mut operations = Vec::new();
    while let Some(action) = lines.next() {
        let parsed: Map<String, Value> = serde_json::from_str(action).expect("an action line");
        let (kind, meta) = parsed.into_iter().next().expect("an action line names its action");
        let document = (kind != "delete").then(|| lines.next().expect("a document line").to_owned());
        let meta = meta.as_object().cloned().unwrap_or_default();
        operations.push(BulkOperation { kind, meta, action: action.to_owned(), document });
    }
    operations
}

pub(super) fn body_of<'a>(operations: impl Iterator<Item = &'a BulkOperation>) -> String {
    let mut body = String::new();
    for operation in operations {
        body.push_str(&operation.action);
        body.push('\n');
        if let Some(document) = &operation.document {
            body.push_str(document);
            body.push('\n');
        }
    }
    body
}

/// The item that a refused operation gets.
pub(super) fn refused(operation: &BulkOperation, error: &ItemError) -> Value {
    json!({ operation.kind.clone(): {
        "_index": operation.index(),
        "_id": operation.id(),
        "status": error.status,
        "error": { "type": error.kind, "reason": error.reason },
    }})
}

/// The item that an operation gets from a server that takes everything.
pub(super) fn taken(operation: &BulkOperation) -> Value {
    let (status, result) = if operation.kind == "delete" { (200, "deleted") } else { (201, "created") };
    json!({ operation.kind.clone(): {
        "_index": operation.index(),
        "_id": operation.id(),
        "_version": operation.version(),
        "status": status,
        "result": result,
    }})
}

/// An answer with these items.
pub(super) fn answer_of(items: &[Value]) -> String {
    let failed =
        |item: &Value| item.as_object().is_some_and(|item| item.values().any(|one| one.get("error").is_some()));
    json!({ "took": 1, "errors": items.iter().any(failed), "items": items }).to_string()
}

/// The items of an answer; `None` when the whole request was refused.
pub(super) fn items_of(answer: &[u8]) -> Option<Vec<Value>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer.get("items")?.as_array().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{\"index\":{\"_index\":\"a\",\"_id\":\"1\",\"version\":9}}\n{\"x\":1}\n\
                        {\"delete\":{\"_index\":\"a\",\"_id\":\"2\"}}\n";

    #[test]
    fn a_body_is_taken_apart_and_put_together() {
        let operations = operations(BODY.as_bytes());
        assert_eq!(operations.len(), 2);
        assert_eq!((operations[0].id(), operations[0].version()), ("1", Some(9)));
        assert_eq!(operations[1].document, None);
        assert_eq!(body_of(operations.iter()), BODY);
    }

    #[test]
    fn errors_are_told_at_the_top() {
        let operations = operations(BODY.as_bytes());
        let error = ItemError::new(429, "rejected_execution_exception");
        let fine: Vec<Value> = operations.iter().map(taken).collect();
        assert!(answer_of(&fine).contains("\"errors\":false"));
        let mixed = [taken(&operations[0]), refused(&operations[1], &error)];
        assert!(answer_of(&mixed).contains("\"errors\":true"));
    }
}

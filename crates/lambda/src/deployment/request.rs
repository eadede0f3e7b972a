//! Requests and answers of a CloudFormation custom resource:
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>. Pure.

use serde::{Deserialize, Serialize};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    pub(super) request_type: RequestType,
    /// Where the answer is put.
    #[serde(rename = "ResponseURL")]
    pub(super) response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    /// Absent from the first request.
    physical_resource_id: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum RequestType {
    Create,
    Update,
    Delete,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Reply {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
}

/// An answer may have 4,096 bytes, of which so many are for the reason, as JSON.
const LONGEST_REASON: usize = 2_500;

// === impl Reply ===

impl Reply {
    /// `group` is the state's. A resource keeps the id that its first answer gave it.
    pub(super) fn new(request: &Request, group: &str, done: Result<(), String>) -> Reply {
        Reply {
            status: if done.is_ok() { "SUCCESS" } else { "FAILED" },
            reason: done.err().map(shortened),
            physical_resource_id: request.physical_resource_id.clone().unwrap_or_else(|| format!("streamdex-{group}")),
            stack_id: request.stack_id.clone(),
            request_id: request.request_id.clone(),
            logical_resource_id: request.logical_resource_id.clone(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Text and no maps: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// As much of the beginning as there is room for: CloudFormation takes no longer answer, and would wait for another one.
fn shortened(mut reason: String) -> String {
    while serde_json::to_string(&reason).map_or(0, |json| json.len()) > LONGEST_REASON {
        let kept = reason.chars().count() * 9 / 10;
        reason = reason.chars().take(kept).collect();
    }
    reason
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "code of tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(kind: &str) -> Request {
        let event = json!({
            "RequestType": kind, "ServiceToken": "arn:aws:lambda:x", "ResponseURL": "https://bucket/answer?signed",
            "StackId": "arn:aws:cloudformation:s", "RequestId": "r1", "LogicalResourceId": "SetUp",
            "ResourceType": "Custom::StreamdexSetUp", "PhysicalResourceId": "streamdex-default",
            "ResourceProperties": {"ServiceToken": "x", "WriterArns": ["arn:of an attacker"]}
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_request_is_read_and_answered_for_the_same_resource() {
        let create = request("Create");
        assert_eq!(create.request_type, RequestType::Create);
        let reply: Value = serde_json::from_str(&Reply::new(&create, "renamed", Ok(())).to_json()).unwrap();
        let first = Request { physical_resource_id: None, ..create };
        assert_eq!(Reply::new(&first, "renamed", Ok(())).physical_resource_id, "streamdex-renamed");
        let expected = json!({
            "Status": "SUCCESS", "PhysicalResourceId": "streamdex-default", "StackId": "arn:aws:cloudformation:s",
            "RequestId": "r1", "LogicalResourceId": "SetUp"
        });
        assert_eq!(reply, expected);
    }

    #[test]
    fn a_failure_says_why_and_fits_into_an_answer() {
        for letter in ["e", "é", "😀", "\"", "\u{1}"] {
            let reply = Reply::new(&request("Update"), "g", Err(letter.repeat(5_000))).to_json();
            assert!(reply.len() < 4_096 && reply.contains(r#""Status":"FAILED""#), "{letter:?}: {}", reply.len());
            assert!(reply.len() > 2_000, "{letter:?}: {}", reply.len());
        }
        assert!(serde_json::from_value::<Request>(json!({"Records": []})).is_err());
    }
}

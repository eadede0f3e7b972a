//! An answer to an administrative request, and a description of unexpected answers.
//!
//! A proxy, a load balancer or a login page can answer 200 in place of OpenSearch. So an incomplete answer is not used:
//! it is [`SetupError::Unexpected`], which is temporary.

use serde_json::{Map, Value};

use super::error::SetupError;
use crate::client::Answer;

/// An answer, read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The body; `null` where it is no JSON.
    pub(crate) body: Value,
    /// What the body is, for messages.
    what: &'static str,
}

/// An answer that is no success, as the error of what was asked.
pub fn refusal(answer: &Answer, action: impl Into<String>) -> SetupError {
    Reply::read(answer).refused(action)
}

// === impl Reply ===

impl Reply {
    pub(crate) fn read(answer: &Answer) -> Reply {
        match answer.json::<Value>() {
            Ok(body) => {
                let what =
                    if body.is_object() { "JSON without the expected fields" } else { "JSON that is not an object" };
                Reply { status: answer.status, body, what }
            }
            Err(_) => Reply { status: answer.status, body: Value::Null, what: no_json(&answer.body) },
        }
    }

    /// Of an answer whose body is read elsewhere.
    pub(crate) fn of_status(answer: &Answer) -> Reply {
        Reply { status: answer.status, body: Value::Null, what: "" }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The type of the error, as `resource_already_exists_exception`.
    pub(crate) fn kind(&self) -> &str {
        self.body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether OpenSearch itself says that a name names no index, alias or data stream.
    pub(crate) fn says_no_index(&self) -> bool {
        self.status == 404 && self.kind() == "index_not_found_exception"
    }

    /// Whether the body can be OpenSearch's: its errors, and those of AWS's front end, are JSON objects. A 404 without
    /// `error` comes from something that does not know the path.
    fn can_be_of_opensearch(&self) -> bool {
        match self.status {
            // The security plugin answers these with plain text; any status of this line passes or names its cause.
            401 | 403 | 408 | 429 | 500.. => true,
            404 => self.body.get("error").is_some(),
            _ => self.body.is_object(),
        }
    }

    /// The answer as an error of what was asked.
    pub(crate) fn refused(&self, action: impl Into<String>) -> SetupError {
        if !self.can_be_of_opensearch() {
            return self.unexpected(action);
        }
        let reason = ["/error/caused_by/reason", "/error/reason", "/message", "/Message", "/error"]
            .iter()
            .find_map(|path| self.body.pointer(path).and_then(Value::as_str))
            .unwrap_or("no reason was given");
        let (action, status, kind) = (action.into(), self.status, self.kind().to_owned());
        SetupError::Refused { action, status, kind, reason: reason.to_owned() }
    }

    /// The answer as an error: it does not hold what OpenSearch would have said.
    pub(crate) fn unexpected(&self, action: impl Into<String>) -> SetupError {
        SetupError::Unexpected { action: action.into(), status: self.status, what: self.what }
    }

    /// The members of a success.
    ///
    /// # Errors
    /// OpenSearch refused, or the body is no object.
    pub(crate) fn members(&self, action: &str) -> Result<&Map<String, Value>, SetupError> {
        if !self.is_success() {
            return Err(self.refused(action));
        }
        self.body.as_object().ok_or_else(|| self.unexpected(action))
    }

    /// Whether a change was carried out: OpenSearch says `acknowledged` with each.
    ///
    /// # Errors
    /// OpenSearch refused, or did not say it.
    pub(crate) fn acknowledged(&self, action: &str) -> Result<(), SetupError> {
        match self.members(action)?.get("acknowledged") {
            Some(Value::Bool(true)) => Ok(()),
            // The change was taken, and not every node has it yet.
            Some(Value::Bool(false)) => Err(SetupError::Unacknowledged { action: action.to_owned() }),
            _ => Err(self.unexpected(action)),
        }
    }

    /// What the body is, as `a page of HTML`.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }
}

/// What a body is that is no JSON.
fn no_json(body: &[u8]) -> &'static str {
    match body.trim_ascii_start() {
        [] => "empty",
        [b'<', ..] => "a page of HTML or XML",
        [b'{' | b'[', ..] => "truncated JSON",
        _ => "no JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn reply(status: u16, body: &str) -> Reply {
        Reply::read(&Answer { status, body: Bytes::from(body.to_owned()), retry_after: None })
    }

    #[test]
    fn errors_of_the_engine_and_of_what_stands_before_it_are_read() {
        let engine =
            json!({"error": {"type": "illegal_argument_exception", "reason": "no", "caused_by": {"reason": "why"}}});
        assert_eq!(
            reply(400, &engine.to_string()).refused("look").to_string(),
            "OpenSearch refused to look (400 illegal_argument_exception): why"
        );
        let ends = |status, body, end: &str| reply(status, body).refused("look").to_string().ends_with(end);
        assert!(ends(403, r#"{"Message": "not you"}"#, "not you"));
        assert!(ends(405, r#"{"error": "wrong method"}"#, "wrong method"));
        assert!(ends(502, "<html>", "no reason was given"));
        assert!(ends(401, "Unauthorized", "no reason was given"));
    }

    /// One row per line: what answers in place of OpenSearch is no answer of OpenSearch's.
    #[test]
    fn what_answers_in_place_of_opensearch_is_said() {
        let rows = [
            (200, "", "empty"),
            (200, " <html>Welcome", "a page of HTML or XML"),
            (200, "[]", "JSON that is not an object"),
            (200, "{\"a\":", "truncated JSON"),
            (200, "ok", "no JSON"),
            (404, "<html>", "a page of HTML or XML"),
            (404, r#"{"message":"no Route matched"}"#, "JSON without the expected fields"),
            (400, "Bad Request", "no JSON"),
            (302, "", "empty"),
        ];
        for (status, body, expected) in rows {
            let error = match reply(status, body).members("look") {
                Err(error) => error,
                Ok(members) => panic!("{status} {body}: {members:?}"),
            };
            assert!(
                matches!(error, SetupError::Unexpected { what, .. } if what == expected),
                "{status} {body}: {error}"
            );
        }
        assert!(reply(404, r#"{"error":{"type":"index_not_found_exception"}}"#).says_no_index());
        assert!(!reply(404, r#"{"error":"no such page"}"#).says_no_index());
        assert!(!reply(200, r#"{"error":{"type":"index_not_found_exception"}}"#).says_no_index());
    }

    #[test]
    fn a_change_is_carried_out_when_opensearch_says_so() {
        assert!(reply(200, r#"{"acknowledged":true}"#).acknowledged("x").is_ok());
        for body in ["{}", "<html>", "", r#"{"acknowledged":"yes"}"#] {
            assert!(matches!(reply(200, body).acknowledged("x"), Err(SetupError::Unexpected { .. })), "{body}");
        }
        let late = reply(200, r#"{"acknowledged":false}"#).acknowledged("x");
        assert!(matches!(late, Err(SetupError::Unacknowledged { .. })));
    }
}

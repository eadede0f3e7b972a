//! The result of an invocation.

use std::process::ExitStatus;

use serde_json::Value;

/// The result of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What the function gave back.
    Response(String),
    /// The function said that it failed.
    Error(FunctionError),
    /// No answer by the deadline.
    TimedOut,
    /// The process ended without an answer; only a sandbox knows.
    Crashed(ExitStatus),
}

/// What a function tells of its failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// `errorType`
    pub kind: String,
    /// `errorMessage`
    pub message: String,
}

impl Answer {
    /// The response.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn response(&self) -> &str {
        match self {
            Self::Response(text) => text,
            other => panic!("no response: {other:?}"),
        }
    }

    /// The failure.
    ///
    /// # Panics
    /// When it did not fail by saying so.
    #[must_use]
    pub fn error(&self) -> &FunctionError {
        match self {
            Self::Error(error) => error,
            other => panic!("no error: {other:?}"),
        }
    }
}

impl FunctionError {
    /// From the body of a request to one of the error routes.
    pub(super) fn from_body(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { kind: text("errorType"), message: text("errorMessage") }
    }
}

//! Answers that a test makes up, for a request or for items of a bulk request.

/// An answer made up by the test.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) end: End,
}

/// How the body of an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The connection is closed after so many bytes, though the whole length was announced.
    Cut(usize),
    /// Nothing comes after so many bytes, and the connection stays open.
    Stalled(usize),
}

impl Reply {
    /// A status with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.into().into_bytes(), end: End::Whole }
    }

    /// A status with a body that is not JSON, as a load balancer or API gateway sends it.
    #[must_use]
    pub fn html(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec(), end: End::Whole }
    }

    /// Closes the connection after that many bytes of the body.
    #[must_use]
    pub fn cut(self, after: usize) -> Self {
        Self { end: End::Cut(after), ..self }
    }

    /// Sends that many bytes of the body and then nothing.
    #[must_use]
    pub fn stalled(self, after: usize) -> Self {
        Self { end: End::Stalled(after), ..self }
    }

    /// Adds a header, as `Retry-After`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The error that items of a bulk answer are given.
#[derive(Debug, Clone)]
pub struct ItemError {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) reason: String,
}

impl ItemError {
    /// A status and an error type, as `(429, "rejected_execution_exception")`.
    #[must_use]
    pub fn new(status: u16, kind: &str) -> Self {
        Self { status, kind: kind.to_owned(), reason: "made up by the test".to_owned() }
    }

    /// Another reason text.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }
}

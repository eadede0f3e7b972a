//! The number of connections and the request size of the bare loop.

/// How the loop posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) documents_a_request: usize,
}

/// Where the search begins.
pub(crate) const FIRST: Settings = Settings { connections: 1, documents_a_request: 1000 };

/// What is tried to find the loop's best settings.
pub(crate) const CANDIDATES: [Settings; 6] = [
    FIRST,
    Settings { connections: 1, documents_a_request: 4000 },
    Settings { connections: 2, documents_a_request: 1000 },
    Settings { connections: 2, documents_a_request: 2000 },
    Settings { connections: 4, documents_a_request: 1000 },
    Settings { connections: 4, documents_a_request: 2000 },
];

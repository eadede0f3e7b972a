//! Writes document operations to OpenSearch: bulk requests, retries, index set-up.

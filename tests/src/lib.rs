//! End-to-end tests on real engines.

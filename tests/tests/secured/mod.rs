//! The programs on a node with the real Security plugin: over TLS of a private authority, with exactly the role that
//! `iam-policy --opensearch` prints.

mod check;
mod deployment;
mod lab;
mod rights;
mod scenarios;
mod telling;

//! The sink over real connections. What needs no network is tested beside the code.
#![allow(missing_docs, reason = "tests")]

mod faults;
mod sigv4;
mod support;
mod tls;

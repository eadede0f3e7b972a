//! One TOML file to validated configuration types and a JSON Schema.

pub mod model;

pub use model::*;

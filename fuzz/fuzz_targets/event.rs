//! The reader of DynamoDB JSON and what the mapping makes of it, against a reference that is made of `serde_json` alone: it
//! accepts the same texts, finds the same records, attributes and problems, and writes the same documents.
//!
//! `cargo +nightly fuzz run event fuzz/seeds/event`
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/mapping/tests/reference.rs"]
mod reference;

fuzz_target!(|text: &str| {
    reference::check_event(text);
    reference::check_item(text);
});

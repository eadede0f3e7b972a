//! The reader of stream records never panics, loses no record, and what it maps is JSON on one line.
//!
//! `cargo +nightly fuzz run event fuzz/seeds/event`
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use streamdex_mapping::event::read_captured;
use streamdex_mapping::{Action, IndexName, Mapped, Mapper, Route, Trust};

fuzz_target!(|text: &str| {
    let index = IndexName::parse("fuzz").expect("a good name");
    let mapper = Mapper::new(vec![Route::to(index)]);
    let mut next = 0;
    let _ = read_captured(text, |place, record| {
        assert_eq!(place, next, "records come in order, each once");
        next += 1;
        let Ok(change) = record else { return };
        let Ok(Mapped::Operations(operations)) = mapper.map(change, Trust::InOrder) else { return };
        for operation in operations {
            let id = operation.address.id.as_str();
            assert!(!id.is_empty() && id.len() <= 512);
            assert!(i64::try_from(operation.version.get()).is_ok());
            if let Action::Index(document) = operation.action {
                assert!(!document.contains(&b'\n'));
                serde_json::from_slice::<&RawValue>(&document).expect("a document is JSON");
            }
        }
    });
});

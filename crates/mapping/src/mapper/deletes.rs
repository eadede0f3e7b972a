//! Rule D1 (docs/registers/guarantees.md): the deletes that go with a dead letter.

use super::tests::{both, image, index, lines, map, map_with, split, to};
use super::*;
use crate::route::{IndexPattern, OnExpiry, PatternPart, Ttl};

/// A value that no image may hold.
const BAD: &str = r#","bad":{"Z":1}"#;
/// Items go to `x` or to `rest` by this, and nobody can tell.
const BAD_K: &str = r#","k":{"Z":1}"#;
const X: &str = r#","k":{"S":"x"}"#;
const Y: &str = r#","k":{"S":"y"}"#;

/// A refusal: the kind of error, the operations that are sent anyway, and the remains.
fn refused(routes: Vec<Route>, event: &str, data: &str) -> (&'static str, Vec<String>, Remains) {
    let refusal = map(routes, event, data).unwrap_err();
    let sent = match &refusal.sent {
        None => Vec::new(),
        Some(Mapped::Operations(operations)) => lines(operations),
        Some(other) => panic!("{other:?}"),
    };
    (refusal.error.name(), sent, refusal.remains)
}

fn by_region() -> Vec<Route> {
    let parts = vec![PatternPart::Literal("i-".into()), PatternPart::Attribute("k".into())];
    let pattern = IndexPattern::Placeholders { text: "i-{k}".into(), parts };
    vec![Route { index: pattern, ..to("i") }]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn d1_a_remove_deletes_wherever_key_and_readable_old_image_can_name() {
    let unreadable = r#","OldImage":[]"#;
    for (routes, old, kind, deletes, remains) in [
        (vec![to("i")], image("OldImage", BAD), "unknown_type_tag", words(&["-i/a"]), Remains::Deleted),
        (vec![to("i")], unreadable.to_owned(), "unreadable_image", words(&["-i/a"]), Remains::Deleted),
        (split(), image("OldImage", &format!("{X}{BAD}")), "unknown_type_tag", words(&["-x/a"]), Remains::Deleted),
        (split(), image("OldImage", &format!("{Y}{BAD}")), "unknown_type_tag", words(&["-rest/a"]), Remains::Deleted),
        // Which of the two is not known; the item is gone, so it has a document in neither.
        (split(), image("OldImage", BAD_K), "unknown_type_tag", words(&["-x/a", "-rest/a"]), Remains::LeftOver),
        (split(), unreadable.to_owned(), "unreadable_image", words(&["-x/a", "-rest/a"]), Remains::LeftOver),
        // An index that only the bad attribute names cannot be named.
        (by_region(), image("OldImage", BAD_K), "unknown_type_tag", words(&[]), Remains::LeftOver),
    ] {
        assert_eq!(refused(routes, "REMOVE", &old), (kind, deletes, remains), "{old}");
    }
}

#[test]
fn d1_a_modify_whose_old_image_alone_is_bad_is_written_from_its_new_image() {
    let written = r#"+rest/a {"pk":"a","k":"y"}"#;
    for (old, sent, remains) in [
        (format!("{Y}{BAD}"), words(&[written]), Remains::Written),
        (format!("{X}{BAD}"), words(&["-x/a", written]), Remains::Written),
        (BAD_K.to_owned(), words(&["-x/a", written]), Remains::LeftOver),
    ] {
        assert_eq!(refused(split(), "MODIFY", &both(&old, Y)), ("unknown_type_tag", sent, remains), "{old}");
    }
    // Equal but for what cannot be read: that is no reason not to write it.
    let refusal = map(vec![to("i")], "MODIFY", &both(BAD, "")).unwrap_err();
    assert!(refusal.sent.is_some());
    assert_eq!(
        refusal.to_string(),
        r#"attribute "bad": a value has an unknown type tag; its document is written from the new image"#
    );
}

#[test]
fn d1_a_live_items_document_is_not_deleted_because_an_attribute_is_bad() {
    for (old, new, remains) in [
        // The same address: the document is stale.
        (Y.to_owned(), format!("{Y}{BAD}"), Remains::Stale),
        // The new address is not known.
        (Y.to_owned(), BAD_K.to_owned(), Remains::Stale),
        (X.to_owned(), BAD_K.to_owned(), Remains::Stale),
        (BAD_K.to_owned(), BAD_K.to_owned(), Remains::Stale),
    ] {
        let data = both(&old, &new);
        assert_eq!(refused(split(), "MODIFY", &data), ("unknown_type_tag", Vec::new(), remains), "{data}");
    }
    let unreadable = image("OldImage", X) + r#","NewImage":7"#;
    assert_eq!(refused(split(), "MODIFY", &unreadable), ("unreadable_image", Vec::new(), Remains::Stale));
    // The letter names where the old document stays.
    let refusal = map(split(), "MODIFY", &unreadable).unwrap_err();
    assert_eq!(refusal.address.unwrap().index, index("x"));
    let insert = refused(split(), "INSERT", &image("NewImage", BAD_K));
    assert_eq!(insert, ("unknown_type_tag", Vec::new(), Remains::NotWritten));
}

#[test]
fn d1_the_old_address_is_deleted_when_the_new_one_is_another_or_known_to_be_none() {
    for (routes, old, new, kind) in [
        (split(), X, format!("{Y}{BAD}"), "unknown_type_tag"),
        (split().into_iter().take(1).collect(), X, format!("{Y}{BAD}"), "unknown_type_tag"),
        (split(), X, format!(r#"{Y},"_id":{{"S":"1"}},"x_id":{{"S":"1"}}"#), "colliding_field_name"),
    ] {
        assert_eq!(refused(routes, "MODIFY", &both(old, &new)), (kind, words(&["-x/a"]), Remains::Moved), "{new}");
    }
    // A value that is no index name, or none at all: readable, and so the item has no document.
    let eu = r#","k":{"S":"eu"}"#;
    for new in [r#","k":{"S":"E U"}"#, r#","k":{"L":[]}"#, ""] {
        let expected = ("no_index_name", words(&["-i-eu/a"]), Remains::Moved);
        assert_eq!(refused(by_region(), "MODIFY", &both(eu, new)), expected, "{new}");
    }
}

#[test]
fn d1_a_document_that_cannot_be_made_leaves_the_old_one_at_the_same_address() {
    let twice = both("", r#","_id":{"S":"1"},"x_id":{"S":"1"}"#);
    assert_eq!(refused(vec![to("i")], "MODIFY", &twice), ("colliding_field_name", Vec::new(), Remains::Stale));
}

#[test]
fn d1_what_is_wrong_with_the_archive_copy_does_not_withhold_the_delete() {
    let ttl = Ttl { attribute: "ttl".into(), on_expiry: OnExpiry::Archive(index("gone")), infer_expiry: true };
    let routes = || vec![Route { ttl: Some(ttl.clone()), ..to("i") }];
    let expired = r#","ttl":{"N":"1699999999"}"#;
    for (more, kind) in [(r#","expired_at":{"N":"1"}"#, "colliding_field_name"), (BAD, "unknown_type_tag")] {
        let old = image("OldImage", &format!("{expired}{more}"));
        let refusal = map(routes(), "REMOVE", &old).unwrap_err();
        assert_eq!(refusal.error.name(), kind);
        assert_eq!(refusal.remains, Remains::NotArchived, "{more}");
        let Some(Mapped::Operations(operations)) = refusal.sent else { panic!("{more}") };
        assert_eq!(lines(&operations), ["-i/a"]);
    }
}

#[test]
fn d1_a_read_goes_on_whatever_the_images_are_like() {
    let mapped = map_with(split(), "MODIFY", &both(&format!("{X}{BAD}"), Y), Trust::ReadItem);
    let Ok(Mapped::Fetch { fetch, .. }) = mapped else { panic!("{mapped:?}") };
    assert_eq!(fetch.addresses.len(), 2);
    let refusal = map_with(split(), "REMOVE", &image("OldImage", BAD_K), Trust::ReadItem).unwrap_err();
    let Some(Mapped::Fetch { fetch, .. }) = refusal.sent else { panic!("{:?}", refusal.sent) };
    assert_eq!((fetch.addresses.len(), refusal.remains), (2, Remains::LeftOver));

    let mapper = Mapper::new(split());
    let resolve = |item: &str| {
        let item = crate::event::read_item(item).unwrap();
        let refusal = mapper.resolve(&fetch, Some(&item), 1_700_000_100).unwrap_err();
        let sent = match refusal.sent {
            Some(Mapped::Operations(operations)) => lines(&operations),
            _ => Vec::new(),
        };
        (sent, refusal.remains)
    };
    let item = |more: &str| format!(r#"{{"pk":{{"S":"a"}}{more}}}"#);
    // It belongs to `rest`, where its document stays; there is none of it in `x`.
    assert_eq!(resolve(&item(BAD).replace("bad", "worse")), (words(&["-x/a"]), Remains::Stale));
    assert_eq!(resolve(&item(BAD_K)), (Vec::new(), Remains::Stale));
}

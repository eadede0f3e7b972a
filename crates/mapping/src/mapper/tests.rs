use super::*;
use crate::event::read_captured;
use crate::fetch::FetchVersion;
use crate::operation::IndexName;
use crate::route::{Condition, IndexPattern, OnExpiry, PatternPart, Test, Ttl};

pub(super) fn index(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

pub(super) fn to(name: &str) -> Route {
    Route::to(index(name))
}

/// Maps one record whose `dynamodb` member holds `data` beside key, time and place.
pub(super) fn map_with(routes: Vec<Route>, event: &str, data: &str, trust: Trust) -> Result<Mapped, Box<Refusal>> {
    let text = format!(
        r#"{{"eventName":"{event}","dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"a"}}}},"SequenceNumber":"7"{data}}}}}"#
    );
    let mut mapped = None;
    read_captured(&text, |_, change| mapped = Some(Mapper::new(routes.clone()).map(change.unwrap(), trust))).unwrap();
    mapped.unwrap()
}

pub(super) fn map(routes: Vec<Route>, event: &str, data: &str) -> Result<Mapped, Box<Refusal>> {
    map_with(routes, event, data, Trust::InOrder)
}

/// What is sent, readable: `+index/id document` and `-index/id`.
pub(super) fn lines(operations: &[Operation]) -> Vec<String> {
    let line = |operation: &Operation| {
        let place = format!("{}/{}", operation.address.index, operation.address.id.as_str());
        match &operation.action {
            Action::Index(text) => format!("+{place} {}", String::from_utf8_lossy(text)),
            Action::Delete => format!("-{place}"),
        }
    };
    operations.iter().map(line).collect()
}

fn sent(mapped: Result<Mapped, Box<Refusal>>) -> Vec<String> {
    match mapped.unwrap() {
        Mapped::Operations(operations) => lines(&operations),
        other => panic!("{other:?}"),
    }
}

pub(super) fn image(which: &str, attributes: &str) -> String {
    format!(r#","{which}":{{"pk":{{"S":"a"}}{attributes}}}"#)
}

pub(super) fn both(old: &str, new: &str) -> String {
    image("OldImage", old) + &image("NewImage", new)
}

/// Items with `k` = "x" go to `x`, the rest to `rest`.
pub(super) fn split() -> Vec<Route> {
    let when = vec![Condition { attribute: "k".into(), test: Test::EqualsString("x".into()), not: false }];
    vec![Route { when, ..to("x") }, to("rest")]
}

#[test]
fn an_item_is_indexed_changed_and_deleted() {
    assert_eq!(sent(map(vec![to("i")], "INSERT", &image("NewImage", ""))), [r#"+i/a {"pk":"a"}"#]);
    assert_eq!(sent(map(vec![to("i")], "MODIFY", &both("", r#","n":{"N":"1"}"#))), [r#"+i/a {"pk":"a","n":1}"#]);
    assert_eq!(sent(map(vec![to("i")], "REMOVE", &image("OldImage", ""))), ["-i/a"]);
}

#[test]
fn old_and_new_image_are_routed_separately() {
    let (x, y) = (r#","k":{"S":"x"}"#, r#","k":{"S":"y"}"#);
    assert_eq!(sent(map(split(), "MODIFY", &both(x, y))), ["-x/a", r#"+rest/a {"pk":"a","k":"y"}"#]);
    let only_x = vec![split().remove(0)];
    assert_eq!(sent(map(only_x.clone(), "MODIFY", &both(x, y))), ["-x/a"]);
    assert_eq!(sent(map(only_x.clone(), "MODIFY", &both(y, x))), [r#"+x/a {"pk":"a","k":"x"}"#]);
    assert_eq!(map(only_x.clone(), "MODIFY", &both(y, y)), Ok(Mapped::Nothing(Outcome::Filtered)));
    assert_eq!(map(only_x, "REMOVE", &image("OldImage", y)), Ok(Mapped::Nothing(Outcome::Filtered)));
}

#[test]
fn what_changes_nothing_is_not_sent() {
    let excluding = Route { exclude: vec!["seen".into()], ..to("i") };
    let data = both(r#","seen":{"N":"1"}"#, r#","seen":{"N":"2"}"#);
    assert_eq!(map(vec![excluding], "MODIFY", &data), Ok(Mapped::Nothing(Outcome::Unchanged)));
    // An INSERT has nothing to be equal to, whatever it carries.
    assert_eq!(sent(map(vec![to("i")], "INSERT", &both("", ""))).len(), 1);
}

#[test]
fn view_types_without_the_new_image_ask_for_the_item() {
    for (event, data, addresses) in [
        ("INSERT", String::new(), 1),
        ("MODIFY", image("OldImage", ""), 1),
        ("MODIFY", image("OldImage", r#","k":{"S":"x"}"#), 1),
    ] {
        let Ok(Mapped::Fetch { fetch, archive: None }) = map(split(), event, &data) else { panic!("{event} {data}") };
        assert_eq!(fetch.addresses.len(), addresses);
        assert_eq!(fetch.key.canonical(), r#"{"pk":{"S":"a"}}"#);
    }
    // A key alone is enough for a delete.
    assert_eq!(sent(map(vec![to("i")], "REMOVE", "")), ["-i/a"]);
    // A stream of new images: nothing is known of the old one, and nothing needs to be.
    assert_eq!(sent(map(vec![to("i")], "MODIFY", &image("NewImage", ""))), [r#"+i/a {"pk":"a"}"#]);
}

#[test]
fn out_of_order_records_are_reads_of_every_address_they_name() {
    let (x, y) = (r#","k":{"S":"x"}"#, r#","k":{"S":"y"}"#);
    let mapped = map_with(split(), "MODIFY", &both(x, y), Trust::ReadItem);
    let Ok(Mapped::Fetch { fetch, .. }) = mapped else { panic!("{mapped:?}") };
    assert_eq!(fetch.addresses.len(), 2);
    let mapper = Mapper::new(split());
    let item = fetch.key.image();
    let operations = mapper.resolve(&fetch, Some(&item), 1_700_000_100).unwrap();
    assert_eq!(lines(&operations), ["-x/a", r#"+rest/a {"pk":"a"}"#]);
    assert!(operations.iter().all(|operation| operation.origin == Origin::Read { at: 1_700_000_100 }));
    assert!(operations.iter().all(|operation| FetchVersion::OfChange(operation.version) == fetch.version));
    let gone = mapper.resolve(&fetch, None, 1_700_000_100).unwrap();
    assert_eq!(lines(&gone), ["-x/a", "-rest/a"]);
}

fn archiving(infer_expiry: bool) -> Vec<Route> {
    let ttl = Ttl { attribute: "ttl".into(), on_expiry: OnExpiry::Archive(index("gone")), infer_expiry };
    vec![Route { ttl: Some(ttl), ..to("i") }]
}

#[test]
fn expiries_are_archived_when_they_are_told_or_inferred() {
    let old = |ttl: &str| image("OldImage", &format!(r#","ttl":{ttl}"#));
    let archived =
        [r"-i/a".to_owned(), r#"+gone/a|1700000000 {"pk":"a","ttl":1699999999,"expired_at":1700000000}"#.to_owned()];
    assert_eq!(sent(map(archiving(true), "REMOVE", &old(r#"{"N":"1699999999"}"#))), archived);
    // 0, and more than five years before: DynamoDB never expires such an item.
    for not_expired in [
        r#"{"N":"1700000000"}"#,
        r#"{"S":"never"}"#,
        r#"{"N":"1E+125"}"#,
        r#"{"N":"0"}"#,
        r#"{"N":"0.5"}"#,
        r#"{"N":"1542000000"}"#,
    ] {
        assert_eq!(sent(map(archiving(true), "REMOVE", &old(not_expired))), ["-i/a"], "{not_expired}");
    }
    assert_eq!(sent(map(archiving(false), "REMOVE", &old(r#"{"N":"1"}"#))), ["-i/a"]);
}

#[test]
fn an_expiry_told_by_dynamodb_is_archived_and_needs_the_old_image() {
    let read = |data: &str| {
        let text = format!(
            r#"{{"eventName":"REMOVE","userIdentity":{{"type":"Service","principalId":"dynamodb.amazonaws.com"}},"dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"a"}}}}{data}}}}}"#
        );
        let mut mapped = None;
        let mapper = Mapper::new(archiving(false));
        read_captured(&text, |_, change| mapped = Some(mapper.map(change.unwrap(), Trust::ReadItem))).unwrap();
        mapped.unwrap()
    };
    // The archive copy is taken from the image in every mode, since the item is gone.
    let Ok(Mapped::Fetch { archive: Some(archive), .. }) = read(&image("OldImage", "")) else { panic!() };
    assert_eq!((archive.role, archive.origin), (Role::Archive, Origin::Image));
    assert_eq!(read("").unwrap_err().error, MapError::NothingToArchive);
}

#[test]
fn what_cannot_be_mapped_says_why() {
    let untimed = r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"pk":{"S":"a"}}}}"#;
    let mapper = Mapper::new(vec![to("i")]);
    read_captured(untimed, |_, change| {
        assert_eq!(mapper.map(change.unwrap(), Trust::InOrder).unwrap_err().error, MapError::NoTime);
    })
    .unwrap();

    let unknown = map(vec![to("i")], "INSERT", &image("NewImage", r#","odd":{"Z":"1"}"#)).unwrap_err();
    assert_eq!(unknown.error.to_string(), r#"attribute "odd": a value has an unknown type tag"#);
    assert!(!unknown.error.is_configuration());

    let route = Route { id: Some(vec!["user".into()]), ..to("i") };
    assert!(map(vec![route], "INSERT", &image("NewImage", "")).unwrap_err().error.is_configuration());
}

#[test]
fn an_old_image_without_an_index_was_never_written() {
    let parts = vec![PatternPart::Literal("i-".into()), PatternPart::Attribute("k".into())];
    let pattern = IndexPattern::Placeholders { text: "i-{k}".into(), parts };
    let routes = || vec![Route { index: pattern.clone(), ..to("x") }];
    let (good, bad) = (r#","k":{"S":"eu"}"#, r#","k":{"S":"E U"}"#);
    assert_eq!(sent(map(routes(), "MODIFY", &both(bad, good))), [r#"+i-eu/a {"pk":"a","k":"eu"}"#]);
    assert!(matches!(map(routes(), "MODIFY", &both(good, bad)).unwrap_err().error, MapError::Pattern(_)));
}

#[test]
fn items_alone_are_mapped_without_a_version() {
    let text = r#"{"pk":{"S":"a"},"n":{"N":"1"}}"#;
    let item = crate::event::read_item(text).unwrap();
    let with_id = Mapper::new(vec![Route { id: Some(vec!["pk".into()]), ..to("i") }]);
    let (address, document) = with_id.map_item(&item).unwrap().unwrap();
    assert_eq!((address.id.as_str(), document.as_ref()), ("a", br#"{"pk":"a","n":1}"#.as_slice()));
    assert!(Mapper::new(vec![to("i")]).map_item(&item).is_err());
}

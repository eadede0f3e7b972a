use streamdex_mapping::event::read_captured;
use streamdex_mapping::{Action, IndexName, Route};

use super::*;

fn page(text: &str) -> Page {
    let mapper = Mapper::new(vec![Route::to(IndexName::parse("i").unwrap())]);
    let mut page = Page::default();
    read_captured(text, |_, record| page.add(&mapper, record, Trust::InOrder)).unwrap();
    page
}

#[test]
fn records_are_known_by_stream_and_sequence_else_by_a_digest() {
    let arn = r#""eventSourceARN":"arn:aws:dynamodb:eu-west-1:0:table/t/stream/2026-01-01T00:00:00.000""#;
    let keys = r#""Keys":{"pk":{"S":"a"}}"#;
    let page = page(&format!(
        r#"[{{{arn},"eventName":"REMOVE","dynamodb":{{{keys},"SequenceNumber":"7"}}}},5,6,
           {{"eventName":"REMOVE","dynamodb":{{{keys}}}}}]"#
    ));
    let origin = page.letter_origin(0);
    assert_eq!((&*origin.stream, origin.identity()), ("2026-01-01T00:00:00.000", "7"));
    assert_eq!(&*page.letter_origin(1).stream, "-");
    let digests: Vec<_> = (1..4).map(|record| page.letter_origin(record).identity().to_owned()).collect();
    assert!(digests.iter().all(|digest| digest.len() == 64));
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    let reasons: Vec<_> = page.refused.iter().map(|refused| refused.reason).collect();
    assert_eq!(reasons, ["no_creation_time", "malformed_record", "malformed_record", "no_creation_time"]);
    assert_eq!(page.batch.tally().1, 4);
}

/// A record that creates the item with this key, a second after 1970 for each.
fn record(sequence: usize, keys: &str, more: &str) -> String {
    format!(
        r#"{{"eventName":"MODIFY","dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{keys},
        "SequenceNumber":"{sequence}00000000000000000001"{more}}}}}"#
    )
}

const KEYS: &str = r#"{"pk":{"S":"a"}}"#;
const OTHER_KEYS: &str = r#"{"sk":{"S":"a"}}"#;

fn by_pk() -> Mapper {
    let route = Route::to(IndexName::parse("i").unwrap());
    Mapper::new(vec![Route { id: Some(vec!["pk".into()]), routing: Some("pk".into()), ..route }])
}

fn page_under(mapper: &Mapper, records: &[String]) -> Page {
    let mut page = Page::default();
    let text = format!("[{}]", records.join(","));
    read_captured(&text, |_, record| page.add(mapper, record, Trust::InOrder)).unwrap();
    page
}

#[test]
fn other_key_names_are_one_records_problem_where_a_neighbour_fits() {
    let image = r#","NewImage":{"pk":{"S":"a"}}"#;
    let (good, odd) = (record(1, KEYS, image), record(2, OTHER_KEYS, image));
    let proof = KeyProof::default();
    // Alone, and before anything fitted, it is the configuration that is wrong.
    let page = page_under(&by_pk(), std::slice::from_ref(&odd));
    assert!(page.check_keys(&proof).unwrap_err().is_configuration());
    for records in [[odd.clone(), good.clone()], [good.clone(), odd.clone()]] {
        let page = page_under(&by_pk(), &records);
        page.check_keys(&proof).unwrap();
        assert_eq!((page.refused[0].reason, page.len(), page.refused()), ("no_document_id", 2, 1));
        assert_eq!(page.fitting_keys(), Some(KEYS));
    }
    // What an earlier page has proved holds for the next.
    page_under(&by_pk(), &[odd]).check_keys(&proof).unwrap();
}

#[test]
fn a_route_that_no_record_fits_is_not_proved_right_by_another_one() {
    let wrong = Route { id: Some(vec!["user".into()]), ..Route::to(IndexName::parse("j").unwrap()) };
    let when = streamdex_mapping::Condition {
        attribute: "k".into(),
        test: streamdex_mapping::Test::Exists(false),
        not: false,
    };
    let right = Route { id: Some(vec!["pk".into()]), when: vec![when], ..Route::to(IndexName::parse("i").unwrap()) };
    let mapper = Mapper::new(vec![right, wrong]);
    let good = record(1, KEYS, r#","NewImage":{"pk":{"S":"a"}}"#);
    let to_wrong = record(2, KEYS, r#","NewImage":{"pk":{"S":"a"},"k":{"S":"x"}}"#);
    let page = page_under(&mapper, &[good, to_wrong]);
    assert!(page.check_keys(&KeyProof::default()).unwrap_err().is_configuration());
}

#[test]
fn d1_what_is_right_is_sent_beside_the_dead_letter() {
    let removed = record(1, KEYS, r#","OldImage":{"pk":{"S":"a"},"x":{"Z":1}}"#).replace("MODIFY", "REMOVE");
    let page = page_under(&by_pk(), &[removed]);
    assert_eq!(
        page.refused[0].error,
        r#"attribute "x": a value has an unknown type tag; its document is deleted anyway"#
    );
    let (operations, fates) = page.into_parts();
    assert!(matches!(operations.as_slice(), [Operation { action: Action::Delete, .. }]));
    assert!(matches!(fates.as_slice(), [Fate::Refused { .. }]));
}

#[test]
fn d3_the_later_change_of_a_page_is_sent_although_its_creation_time_is_earlier() {
    let change = |sequence, second: &str, number| {
        let image = format!(r#","NewImage":{{"pk":{{"S":"a"}},"n":{{"N":"{number}"}}}}"#);
        record(sequence, KEYS, &image).replace("1700000000", second)
    };
    let page = page_under(&by_pk(), &[change(1, "1700000005", 1), change(2, "1700000002", 2)]);
    assert_eq!(page.steps_back(), 1);
    let (operations, fates) = page.into_parts();
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0].action, Action::Index(r#"{"pk":"a","n":2}"#.into()));
    assert_eq!(operations[0].version.get(), 1_700_000_005 << 31 | 2);
    assert_eq!(fates, [Fate::Nothing(Outcome::Coalesced), Fate::Sent]);
}

/// A letter looks its record's digest up; a file of records without numbers has as many of both.
#[test]
fn digests_are_found_whatever_stands_between_them() {
    let text: Vec<String> =
        (0..5).map(|number| if number % 2 == 0 { number.to_string() } else { record(number, KEYS, "") }).collect();
    let page = page_under(&by_pk(), &text);
    let identities: Vec<_> = (0..5).map(|at| page.letter_origin(at).identity().len()).collect();
    assert_eq!(identities, [64, 21, 64, 21, 64]);
}

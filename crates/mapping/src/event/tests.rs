use super::*;
use crate::change::{EventName, RecordProblem};
use crate::image::AttributeProblemKind;
use crate::version::CreationTime;

fn read(text: &str) -> (Vec<Result<Change<'_>, RecordError>>, Result<&'static str, CapturedError>) {
    let mut records = Vec::new();
    let captured = read_captured(text, |index, record| {
        assert_eq!(index, records.len());
        records.push(record.cloned());
    });
    let kind = captured.map(|captured| match captured {
        Captured::Records => "records",
        Captured::OnFailure(_) => "on failure",
        Captured::Items(_) => "items",
    });
    (records, kind)
}

fn record(data: &str) -> String {
    format!(r#"{{"eventName":"INSERT","dynamodb":{{"Keys":{{"pk":{{"S":"a"}}}},"SequenceNumber":"7",{data}}}}}"#)
}

#[test]
fn one_bad_record_leaves_its_neighbours_alone() {
    let good = record(r#""ApproximateCreationDateTime":1.7E9"#);
    let bad = [
        ("5", None),
        (r#"{"eventName":"INSERT","dynamodb":{"SequenceNumber":"8","Keys":[]}}"#, Some("8")),
        (r#"{"eventName":"UPSERT","dynamodb":{"SequenceNumber":"9","Keys":{"pk":{"S":"a"}}}}"#, Some("9")),
        (r#"{"eventName":"INSERT","dynamodb":{"SequenceNumber":"10"}}"#, Some("10")),
        (r#"{"eventName":"INSERT"}"#, None),
    ];
    for (bad, sequence) in bad {
        let text = format!(r#"{{"Records":[{good},{bad},{good}]}}"#);
        let (records, kind) = read(&text);
        assert_eq!(kind, Ok("records"));
        assert_eq!(records.len(), 3, "{bad}");
        assert!(records[0].is_ok() && records[2].is_ok(), "{bad}");
        let error = records[1].as_ref().unwrap_err();
        assert_eq!(error.sequence.as_ref().map(|sequence| sequence.as_str()), sequence, "{bad}");
    }
}

#[test]
fn creation_times_and_identities_in_every_form() {
    for (time, seconds) in [
        ("1700000000", Some(1_700_000_000)),
        ("1700000000.0", Some(1_700_000_000)),
        ("1700000000.75", Some(1_700_000_000)),
        ("1.7E9", Some(1_700_000_000)),
        (r#""1700000000""#, Some(1_700_000_000)),
        (r#""2023-11-14T22:13:20+00:00""#, Some(1_700_000_000)),
        ("1700000000123", Some(1_700_000_000)),
        ("null", None),
        ("{}", None),
    ] {
        let text = record(&format!(r#""ApproximateCreationDateTime":{time}"#));
        let (records, _) = read(&text);
        let change = records[0].as_ref().unwrap();
        assert_eq!(change.created.map(CreationTime::seconds), seconds, "{time}");
    }
    for (identity, expired) in [
        ("null", false),
        (r#"{"type":"Service","principalId":"dynamodb.amazonaws.com"}"#, true),
        (r#"{"Type":"Service","PrincipalId":"dynamodb.amazonaws.com"}"#, true),
        (r#"{"type":"Service","principalId":"other.amazonaws.com"}"#, false),
        (r#"{"type":null}"#, false),
        (r#""x""#, false),
    ] {
        let text =
            format!(r#"{{"userIdentity":{identity},"eventName":"REMOVE","dynamodb":{{"Keys":{{"pk":{{"S":"a"}}}}}}}}"#);
        let (records, _) = read(&text);
        assert_eq!(records[0].as_ref().unwrap().expired, expired, "{identity}");
    }
}

#[test]
fn a_value_with_an_unknown_tag_is_the_images_problem() {
    for (value, kind) in [
        (r#"{"X":"1"}"#, "a value has an unknown type tag"),
        (r#"{"S":"1","N":"1"}"#, "a value has several type tags"),
        ("{}", "a value has no type tag"),
        (r#"{"S":1}"#, "a value does not fit its type tag"),
        (r#"{"N":"one"}"#, "a number is not decimal digits"),
        (r#"{"L":[{"M":{"x":{"Z":1}}}]}"#, "a value has an unknown type tag"),
        (r#"{"NS":["1","x"]}"#, "a number is not decimal digits"),
    ] {
        let text = record(&format!(r#""NewImage":{{"pk":{{"S":"a"}},"bad":{value},"after":{{"S":"b"}}}}"#));
        let (records, _) = read(&text);
        let image = records[0].as_ref().unwrap().new_image.clone().unwrap();
        let problem = image.problem().unwrap();
        assert_eq!((problem.attribute.as_str(), problem.kind.to_string().as_str()), ("bad", kind), "{value}");
        assert_eq!(image.attribute_names().count(), 3, "{value}");
    }
}

#[test]
fn shapes_are_told_apart() {
    let one = record(r#""NewImage":null"#);
    let event = format!(r#"{{"Records":[{one}]}}"#);
    let escaped = serde_json::to_string(&event).unwrap();
    for (text, records, kind) in [
        (one.clone(), 1, Ok("records")),
        (format!("[{one},{one}]"), 2, Ok("records")),
        (event.clone(), 1, Ok("records")),
        (r#"{"Records":[]}"#.to_owned(), 0, Ok("records")),
        (format!(r#"{{"version":"1.0","DDBStreamBatchInfo":{{}},"payload":{escaped}}}"#), 0, Ok("on failure")),
        (r#"{"version":"1.0","DDBStreamBatchInfo":{}}"#.to_owned(), 0, Err(CapturedError::NoPayload)),
        (r#"{"Items":[{"pk":{"S":"a"}}],"Count":1}"#.to_owned(), 0, Ok("items")),
        (r#"{"Item":{"pk":{"S":"a"}}}"#.to_owned(), 0, Ok("items")),
        (r#"{"key1":"value1"}"#.to_owned(), 0, Err(CapturedError::Unknown)),
        ("7".to_owned(), 0, Err(CapturedError::Unknown)),
        ("{".to_owned(), 0, Err(CapturedError::Json { line: 1, column: 1 })),
    ] {
        let (found, found_kind) = read(&text);
        assert_eq!((found.len(), found_kind), (records, kind), "{text}");
    }
    let (_, kind) = read(r#"{"window":{},"Records":[],"state":{}}"#);
    assert_eq!(kind, Err(CapturedError::TumblingWindow));
}

#[test]
fn memory_of_one_record_does_not_leak_into_the_next() {
    let full = r#"{"eventName":"MODIFY","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"ApproximateCreationDateTime":1,"Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"}},"OldImage":{"pk":{"S":"a"}},"SequenceNumber":"1"}}"#;
    let bare = r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"pk":{"S":"b"}}}}"#;
    let text = format!("[{full},{bare}]");
    let (records, _) = read(&text);
    let change = records[1].as_ref().unwrap();
    assert_eq!(change.event, EventName::Remove);
    assert!(change.new_image.is_none() && change.old_image.is_none() && change.sequence.is_none());
    assert!(change.created.is_none() && !change.expired);
    assert_eq!(change.canonical_keys(), r#"{"pk":{"S":"b"}}"#);
}

#[test]
fn thirty_two_levels_and_more_are_read() {
    let deep = |levels: usize| {
        let mut value = r#"{"S":"x"}"#.to_owned();
        for _ in 0..levels {
            value = format!(r#"{{"M":{{"m":{value}}}}}"#);
        }
        record(&format!(r#""NewImage":{{"deep":{value}}}"#))
    };
    assert!(read(&deep(40)).0[0].is_ok());
    let too_deep = deep(200);
    let (records, kind) = read(&too_deep);
    assert_eq!(kind, Ok("records"));
    // Too deep for the reader: that attribute's problem, and the key is still good.
    let change = records[0].as_ref().unwrap();
    let problem = change.new_image.as_ref().unwrap().problem().unwrap();
    assert_eq!((problem.attribute.as_str(), problem.kind), ("deep", AttributeProblemKind::Unreadable));
    assert_eq!(change.canonical_keys(), r#"{"pk":{"S":"a"}}"#);
}

#[test]
fn what_is_no_attribute_value_is_that_attributes_problem_and_what_is_no_image_the_images() {
    for (image, attribute, kind) in [
        (r#"{"pk":{"S":"a"},"bad":5,"after":{"S":"b"}}"#, "bad", AttributeProblemKind::Unreadable),
        (r#"{"pk":{"S":"a"},"bad":{"M":[]},"after":{"S":"b"}}"#, "bad", AttributeProblemKind::Unreadable),
        (r#"{"pk":{"S":"a"},"bad":{"L":[null]},"after":{"S":"b"}}"#, "bad", AttributeProblemKind::Unreadable),
        (r#"{"pk":{"S":"a"},"bad":{"S":"\ud800"},"after":{"S":"b"}}"#, "bad", AttributeProblemKind::WrongValue),
        ("5", "", AttributeProblemKind::NoImage),
        ("[]", "", AttributeProblemKind::NoImage),
        (r#"{"\ud800":{"S":"a"}}"#, "", AttributeProblemKind::NoImage),
    ] {
        let text = record(&format!(r#""OldImage":{image}"#));
        let (records, _) = read(&text);
        let change = records[0].as_ref().unwrap();
        let problem = change.old_image.as_ref().unwrap().problem().unwrap();
        assert_eq!((problem.attribute.as_str(), problem.kind), (attribute, kind), "{image}");
    }
}

/// Members that come twice must not show in it.
fn document_of(item: &str) -> String {
    let image = read_item(item).unwrap();
    assert!(image.problem().is_none(), "{item}: {:?}", image.problem());
    let route = crate::route::Route::to(crate::operation::IndexName::parse("i").unwrap());
    String::from_utf8(crate::document::document(&crate::shape::Shaped::new(route), &image).unwrap().into()).unwrap()
}

#[test]
fn j2_of_two_lists_of_records_in_an_answer_the_last_counts() {
    let records = |text: &str| read_records(text, "arn").unwrap().records.map(|records| records.len());
    assert_eq!(records(r#"{"Records":[],"Records":[{}]}"#), Some(1));
    assert_eq!(records(r#"{"Records":[{}],"Records":[]}"#), Some(0));
    assert_eq!(records(r#"{"Records":[{}],"Records":null}"#), None);
}

#[test]
fn j2_the_last_of_members_with_one_name_wins_at_every_depth() {
    for (text, expected) in [
        (r#"{"a":{"S":"1"},"b":{"S":"x"},"a":{"S":"2"}}"#, r#"{"b":"x","a":"2"}"#),
        (r#"{"a":{"S":"1"},"\u0061":{"S":"2"}}"#, r#"{"\u0061":"2"}"#),
        (
            r#"{"m":{"M":{"k":{"N":"1"},"l":{"M":{"z":{"N":"1"},"z":{"N":"2"}}},"k":{"N":"3"}}}}"#,
            r#"{"m":{"l":{"z":2},"k":3}}"#,
        ),
        (r#"{"l":{"L":[{"M":{"k":{"N":"1"},"k":{"N":"2"}}}]}}"#, r#"{"l":[{"k":2}]}"#),
        (r#"{"a":{"S":"1","S":"2"}}"#, r#"{"a":"2"}"#),
        (r#"{"a":{"L":[{"S":"1"}],"L":[]}}"#, r#"{"a":[]}"#),
        // What is wrong with a value that does not count does not count.
        (r#"{"a":{"N":"one"},"a":{"N":"1"}}"#, r#"{"a":1}"#),
        (r#"{"a":{"N":"one","N":"1"}}"#, r#"{"a":1}"#),
        (r#"{"m":{"M":{"k":{"Z":1},"k":{"N":"1"}}}}"#, r#"{"m":{"k":1}}"#),
    ] {
        assert_eq!(document_of(text), expected, "{text}");
        let one_pass = record(&format!(r#""NewImage":{text}"#));
        let (records, _) = read(&one_pass);
        assert!(records[0].as_ref().unwrap().new_image.as_ref().unwrap().problem().is_none(), "{text}");
    }
    for names in [20, 200] {
        let many: String =
            (0..2 * names).map(|number| format!(r#""k{}":{{"N":"{number}"}},"#, number % names)).collect();
        let expected: String = (names..2 * names).map(|number| format!(r#""k{}":{number},"#, number % names)).collect();
        assert_eq!(
            document_of(&format!("{{{}}}", many.trim_end_matches(','))),
            format!("{{{}}}", expected.trim_end_matches(','))
        );
    }
    let (records, _) = read(
        r#"{"eventName":"INSERT","dynamodb":{"Keys":{"pk":{"S":"old"}},"SequenceNumber":"1","NewImage":{"x":{"S":"x"}}},"eventName":"REMOVE","userIdentity":{"type":"User","type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"Keys":{"sk":{"S":"b"}},"Keys":{"pk":{"S":"a"}}}}"#,
    );
    let change = records[0].as_ref().unwrap();
    assert_eq!((change.event, change.canonical_keys().as_str()), (EventName::Remove, r#"{"pk":{"S":"a"}}"#));
    assert!(change.expired && change.new_image.is_none() && change.sequence.is_none());
}

#[test]
fn a_number_with_escapes_is_a_number() {
    assert_eq!(document_of(r#"{"n":{"N":"\u0031\u0032"},"s":{"NS":["\u0032","1"]}}"#), r#"{"n":12,"s":[1,2]}"#);
    let keyed = r#"[{"eventName":"REMOVE","dynamodb":{"Keys":{"pk":{"N":"\u0031\u0032"}}}}]"#;
    assert_eq!(read(keyed).0[0].as_ref().unwrap().canonical_keys(), r#"{"pk":{"N":"12"}}"#);
}

/// Members that come twice are found without comparing each with each.
#[test]
fn many_members_are_read_without_comparing_each_with_each() {
    let comparisons = |members: usize| {
        let item: String = (0..members).map(|number| format!(r#""k{number}":{{"N":"1"}},"#)).collect();
        let item = format!(r#"{{"m":{{"M":{{{}}}}}}}"#, item.trim_end_matches(','));
        crate::text::count::comparisons_of(|| drop(read_item(&item).unwrap()))
    };
    assert!(comparisons(4_000) <= 2 * 4_000, "{}", comparisons(4_000));
}

#[test]
fn the_view_type_is_read_where_it_is_known() {
    use crate::change::StreamView;
    let rows = [
        (r#","StreamViewType":"NEW_IMAGE""#, Some(StreamView::NewImage)),
        (r#","StreamViewType":"NEW_AND_OLD_IMAGES""#, Some(StreamView::NewAndOldImages)),
        (r#","StreamViewType":"OLD_IMAGE""#, Some(StreamView::OldImage)),
        (r#","StreamViewType":"KEYS_ONLY""#, Some(StreamView::KeysOnly)),
        (r#","StreamViewType":"KEYS_\u004FNLY""#, Some(StreamView::KeysOnly)),
        (r#","StreamViewType":"NEWER""#, None),
        (r#","StreamViewType":7"#, None),
        (r#","StreamViewType":null"#, None),
        ("", None),
    ];
    // One after the other into the same memory: a record must not take over the view of the one before it.
    let records: Vec<String> =
        rows.iter().map(|(view, _)| record(&format!(r#""ApproximateCreationDateTime":1{view}"#))).collect();
    let text = format!("[{}]", records.join(","));
    let (found, _) = read(&text);
    let found: Vec<_> = found.into_iter().map(|record| record.unwrap().view).collect();
    assert_eq!(found, rows.map(|(_, view)| view));
}

#[test]
fn a_part_that_cannot_be_read_is_named_by_its_place_and_what_follows_is_read() {
    let (records, _) = read("[{\n\"dynamodb\":{\"Keys\":[],\n\"SequenceNumber\":\"8\"}}]");
    let error = records[0].as_ref().unwrap_err();
    let place = RecordProblem::Malformed { shape: "unexpected structure", line: 2, column: 21 };
    assert_eq!((&error.reason, error.sequence.as_ref().map(|number| number.as_str())), (&place, Some("8")));
    let bad = r#""Keys":1,"#.repeat(3);
    let text = format!(r#"[{{"eventName":"INSERT","dynamodb":{{{bad}"Keys":{{"pk":{{"S":"a"}}}}}}}}]"#);
    assert!(read(&text).0[0].is_ok(), "the last one counts");
}

use super::*;
use crate::change::EventName;
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
    assert!(matches!(records[0], Err(RecordError { reason: RecordProblem::Malformed { .. }, .. })));
}

/// One pass borrows strings as the parser lends them, record by record they are raw JSON; nobody may see a difference.
#[test]
fn one_pass_and_record_by_record_give_the_same() {
    let values = [
        r#"{"S":"plain"}"#,
        r#"{ "S" : "a\"b\\" }"#,
        r#"{"S":"\ud83d\ude00 \u00e9 \/"}"#,
        r#"{"S":"\ud800"}"#,
        r#"{"S":""}"#,
        r#"{"S":7}"#,
        r#"{"S":{"S":"x"}}"#,
        r#"{"N":"1.50"}"#,
        r#"{"N":"\u0031"}"#,
        r#"{"N":1}"#,
        r#"{"N":1e999}"#,
        r#"{"B":"AP8="}"#,
        r#"{"B":"AP\/8"}"#,
        r#"{"BOOL":true}"#,
        r#"{"BOOL":"true"}"#,
        r#"{"NULL":true}"#,
        r#"{"NULL":"x"}"#,
        r#"{"SS":["a","\"b\"", "\\" , "c"]}"#,
        r#"{"SS":["a",1,"\"b\""]}"#,
        r#"{"NS":["1","2"]}"#,
        r#"{"BS":["AA==","\u0041A=="]}"#,
        r#"{"L":[{"S":"\n"},{"S":"x"},{"L":[{"S":"\t"}]}]}"#,
        r#"{"M":{"k":{"S":"\n"},"esc\u0061ped":{"S":"\"x\""}}}"#,
        r#"{"\u0053":"escaped tag"}"#,
        r#"{"\u0053":"escaped \"tag\""}"#,
        r#"{"S":"several","N":"1"}"#,
        r#"{"Q":["\"x\""]}"#,
        r#"{}"#,
    ];
    for first in values {
        for second in ["{\"S\":\"\\\"last\\\"\"}", "{\"N\":\"2\"}"] {
            let data = format!(r#""NewImage":{{"a":{first},"b":{second}}}"#);
            let text = record(&data);
            let event = format!(r#"{{"Records":[{text},{text}]}}"#);
            let raw: &RawValue = serde_json::from_str(&text).unwrap();
            let alone = read_record(raw).map(|change| (change.new_image.unwrap(), change.sequence));
            let (together, _) = read(&event);
            assert_eq!(together.len(), 2, "{first}");
            for change in together {
                let change = change.map(|change| (change.new_image.unwrap(), change.sequence));
                match (&alone, &change) {
                    (Ok((left, _)), Ok((right, _))) => {
                        assert_eq!(left.nodes, right.nodes, "{first}");
                        assert_eq!(left.problem, right.problem, "{first}");
                    }
                    (Err(left), Err(right)) => assert_eq!(left.sequence, right.sequence, "{first}"),
                    _ => panic!("{first}: {alone:?} and {change:?}"),
                }
            }
        }
    }
}

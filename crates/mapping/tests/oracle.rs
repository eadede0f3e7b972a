//! Texts of every kind, good and bad, through the reader and through the reference.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::reference::{check_event, check_item};

/// What stands between two tokens.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => select(vec![" ", "\n", "\t", "\r\n", "  "])]
}

/// A string literal: plain, with escapes, long, or wrong.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,3}",
        2 => "[ -!#-\\[\\]-~]{0,40}",
        2 => "[é😀\u{7f}\u{80}\u{2028}a-c]{0,12}",
        2 => vec(select(vec![r#"\""#, r"\\", r"\/", r"\n", r"\u0041", r"\u00e9", r"\ud83d\ude00", "x", "é"]), 0..6)
            .prop_map(|parts| parts.concat()),
        1 => select(vec![r"\ud800", r"\udc00x", r"\ud800\ud800\udc00", r"\x", r"\u12", "\n", "\u{1}", "\u{1f}", r"\"])
            .prop_map(str::to_owned),
    ]
    .prop_map(|inner| format!("\"{inner}\""))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["a", "b", "c", "pk", "_id", "aws:rep:x", "name of many letters"]).prop_map(|name| format!("\"{name}\"")),
        1 => select(vec![r#""\u0061""#, r#""\u0070k""#, r#""\u0061ws:rep:x""#, r#""\u005fid""#]).prop_map(str::to_owned),
        1 => literal(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        1 => select(vec!["1e999", "00", "1.", "-", "+1", "", " 1", "1 ", r"\u0031", "NaN"]).prop_map(str::to_owned),
    ]
}

/// Any JSON, or nearly.
fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["null", "true", "false", "5", "-0.5e3", "1e999", "{}", "[]", r#"[[{"a":[]}]]"#, "nul", "x", "01"])
            .prop_map(str::to_owned),
        literal(),
    ]
}

fn tag(name: &'static str) -> impl Strategy<Value = String> {
    let escaped: String = name.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect();
    prop_oneof![19 => Just(format!("\"{name}\"")), 1 => Just(format!("\"{escaped}\""))]
}

fn tagged(name: &'static str, content: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let content = prop_oneof![19 => content.boxed(), 1 => anything().boxed()];
    (tag(name), space(), space(), content)
        .prop_map(|(tag, left, right, content)| format!("{tag}{left}:{right}{content}"))
        .boxed()
}

fn list(element: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec(element, 0..4), space(), space())
        .prop_map(|(elements, left, right)| format!("[{left}{}{right}]", elements.join(",")))
}

fn object(members: impl Strategy<Value = (String, String)>, most: usize) -> impl Strategy<Value = String> {
    (vec(members, 0..most), space(), space()).prop_map(|(members, left, right)| {
        let members: Vec<String> =
            members.into_iter().map(|(name, value)| format!("{name}{right}:{left}{value}")).collect();
        format!("{{{right}{}{left}}}", members.join(&format!("{left},{right}")))
    })
}

/// An attribute value, mostly a good one.
fn value() -> impl Strategy<Value = String> {
    let digits = || number().prop_map(|digits| format!("\"{digits}\""));
    let word = |words: &'static [&'static str]| select(words).prop_map(str::to_owned);
    let scalar = prop_oneof![
        tagged("S", literal()),
        tagged("N", digits()),
        tagged("B", select(vec!["\"AP8=\"", "\"\"", "\"%\""]).prop_map(str::to_owned)),
        tagged("BOOL", word(&["true", "false"])),
        tagged("NULL", word(&["true"])),
        tagged("SS", list(literal())),
        tagged("NS", list(digits())),
        tagged("BS", list(literal())),
        tagged("X", anything()),
    ];
    let closed = |tagged: BoxedStrategy<String>| {
        prop_oneof![
            30 => tagged.clone().prop_map(|tagged| format!("{{{tagged}}}")),
            1 => (tagged.clone(), tagged).prop_map(|(first, second)| format!("{{{first},{second}}}")),
            1 => anything(),
        ]
        .boxed()
    };
    closed(scalar.boxed()).prop_recursive(4, 24, 4, move |inner| {
        closed(prop_oneof![tagged("L", list(inner.clone())), tagged("M", object((name(), inner), 5))].boxed())
    })
}

fn image() -> impl Strategy<Value = String> {
    prop_oneof![15 => object((name(), value()), 8), 1 => anything()]
}

/// Two images: unlike, alike, or alike but for the order.
fn images() -> impl Strategy<Value = (String, String)> {
    let attributes = || vec((name(), value()), 0..8);
    let text = |attributes: Vec<(String, String)>| {
        format!(
            "{{{}}}",
            attributes.into_iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(",")
        )
    };
    prop_oneof![
        (image(), image()),
        (attributes(), any::<Index>(), value()).prop_map(move |(attributes, place, value)| {
            let mut other = attributes.clone();
            if !other.is_empty() {
                let place = place.index(other.len());
                other[place].1 = value;
            }
            (text(attributes), text(other))
        }),
        (attributes(), any::<Index>()).prop_map(move |(attributes, place)| {
            let mut other = attributes.clone();
            if !other.is_empty() {
                let place = place.index(other.len());
                other.rotate_left(place);
            }
            (text(attributes), text(other))
        }),
    ]
}

fn record() -> impl Strategy<Value = String> {
    let event = select(vec!["\"INSERT\"", "\"MODIFY\"", "\"MODIFY\"", "\"modify\"", "\"REMOVE\"", "\"X\"", "5"]);
    let keys = prop_oneof![15 => Just(r#"{"pk":{"S":"k"}}"#.to_owned()), 1 => image()];
    (event, keys, images(), any::<bool>(), anything(), 0..30).prop_map(|(event, keys, (new, old), swapped, extra, odd)| {
        let images = [format!("\"NewImage\":{new}"), format!("\"OldImage\":{old}")];
        let images = if swapped { format!("{},{}", images[1], images[0]) } else { images.join(",") };
        match odd {
            0 => format!(r#"{{"eventName":{event},"dynamodb":{extra}}}"#),
            1 => format!(r#"{{"eventName":{event},"dynamodb":{{"Keys":{keys},{images}}},"dynamodb":{{"Keys":{keys}}}}}"#),
            2 => format!(r#"{{"eventName":{event},"dynamodb":{{"Keys":{keys},{images},"NewImage":{{}},"Keys":{keys}}}}}"#),
            3 => extra,
            _ => format!(
                r#"{{"eventName":{event},"x":{extra},"dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{keys},{images},"SequenceNumber":"7"}}}}"#
            ),
        }
    })
}

fn event() -> impl Strategy<Value = String> {
    let list = || vec(record(), 0..4).prop_map(|records| format!("[{}]", records.join(",")));
    prop_oneof![
        8 => list().prop_map(|list| format!(r#"{{"Records":{list}}}"#)),
        2 => list(),
        1 => record(),
        1 => (record(), anything()).prop_map(|(record, extra)| format!(r#"{{"Records":{extra},"Records":[{record}]}}"#)),
    ]
}

/// The text with one character taken out, put in, or put in the place of another.
fn broken(text: String, place: Index, with: Option<char>, take: bool) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.is_empty() {
        return text;
    }
    let place = place.index(letters.len());
    if take {
        letters.remove(place);
    }
    if let Some(with) = with {
        letters.insert(place, with);
    }
    letters.into_iter().collect()
}

fn perhaps_broken(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let with = proptest::option::of(select(vec![
        '"', '\\', '{', '}', '[', ']', ',', ':', ' ', '\n', 'S', '0', '-', '\u{feff}',
    ]));
    (text, any::<Index>(), with, any::<bool>(), 0..3)
        .prop_map(|(text, place, with, take, odds)| if odds == 0 { broken(text, place, with, take) } else { text })
}

/// Runs with a stack on which such strategies fit without optimisation.
fn check<S: Strategy<Value = String> + 'static>(texts: impl FnOnce() -> S + Send + 'static, check: fn(&str)) {
    let test = move || {
        let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(CASES) };
        let run = proptest::test_runner::TestRunner::new(config).run(&texts(), |text| {
            check(&text);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{error}"));
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join().unwrap();
}

const CASES: u32 = 4_000;

#[test]
fn j3_items_are_read_as_serde_json_reads_them() {
    check(|| perhaps_broken(image()), check_item);
}

#[test]
fn j3_events_are_read_and_written_as_serde_json_says() {
    check(|| perhaps_broken(event()), check_event);
}

#[test]
fn deep_values_and_long_lists_are_read_as_serde_json_reads_them() {
    for depth in [1, 30, 61, 62, 63, 64, 65, 200, 5_000] {
        for (open, close) in [(r#"{"M":{"m":"#, "}}"), (r#"{"L":["#, "]}"), (r#"{"L":[{"S":"x"},"#, "]}")] {
            let text =
                format!(r#"{{"deep":{}{{"S":"x"}}{},"after":{{"N":"1"}}}}"#, open.repeat(depth), close.repeat(depth));
            check_item(&text);
        }
    }
    let brackets = "[".repeat(100_000);
    check_item(&brackets);
    check_item(&format!(r#"{{"a":{brackets}{}}}"#, "]".repeat(100_000)));
}

#[test]
fn a_byte_order_mark_is_no_json() {
    check_event("\u{feff}{\"Records\":[]}");
    check_item("\u{feff}{}");
}

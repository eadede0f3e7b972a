//! Encodes operations as lines of a bulk body, and checks them, so that a bad operation does not reach OpenSearch.

use streamdex_config::LARGEST_BODY;
use streamdex_mapping::{Action, LONGEST_ID, Operation};

/// An operation that would make its whole request fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// `_id` is empty or longer than [`LONGEST_ID`].
    #[error("the document id has {0} bytes, but only 1 to {LONGEST_ID} are allowed")]
    Id(usize),
    /// The version does not fit into the 63 bits that OpenSearch has for it.
    #[error("the document version is above 2^63 - 1")]
    Version,
    /// Larger than any request may be.
    #[error("the document has {bytes} bytes with its action, but a request is limited to {LARGEST_BODY}")]
    TooLarge {
        /// Of both lines.
        bytes: usize,
    },
    /// An empty document, which would be no line of the body.
    #[error("the document is empty")]
    Empty,
}

impl Unsendable {
    /// A short name in the style of OpenSearch's error types.
    pub fn name(&self) -> &'static str {
        match self {
            Unsendable::Id(_) => "invalid_document_id",
            Unsendable::Version => "invalid_document_version",
            Unsendable::TooLarge { .. } => "document_too_large",
            Unsendable::Empty => "invalid_document",
        }
    }
}

/// Appends the lines of one operation: the action, and for an index operation the document. Each ends in a
/// line break, so that lines of operations one after the other are a complete bulk body.
pub fn encode_operation(out: &mut Vec<u8>, concrete: &str, operation: &Operation) {
    out.reserve(encoded_len(concrete, operation));
    out.extend_from_slice(verb(&operation.action));
    push_text(out, concrete);
    out.extend_from_slice(ID);
    push_text(out, operation.address.id.as_str());
    if let Some(routing) = &operation.address.routing {
        out.extend_from_slice(ROUTING);
        push_text(out, routing);
    }
    out.extend_from_slice(VERSION);
    out.extend_from_slice(operation.version.to_string().as_bytes());
    out.extend_from_slice(END);
    if let Action::Index(document) = &operation.action {
        out.extend_from_slice(document);
        out.push(b'\n');
    }
}

/// The number of bytes that [`encode_operation`] appends.
pub fn encoded_len(concrete: &str, operation: &Operation) -> usize {
    let address = &operation.address;
    let routing = address.routing.as_deref().map_or(0, |text| ROUTING.len() + text_len(text));
    let document = match &operation.action {
        Action::Index(document) => document.len() + 1,
        Action::Delete => 0,
    };
    let names = text_len(concrete) + text_len(address.id.as_str()) + routing + digits(operation.version.get());
    verb(&operation.action).len() + ID.len() + VERSION.len() + END.len() + names + document
}

/// Checks what would make OpenSearch refuse the whole request; `bytes` is the operation's
/// [`encoded_len`].
///
/// # Errors
/// The first rule that the operation breaks.
pub fn check(operation: &Operation, bytes: usize) -> Result<(), Unsendable> {
    let id = operation.address.id.as_str();
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(Unsendable::Id(id.len()));
    }
    if i64::try_from(operation.version.get()).is_err() {
        return Err(Unsendable::Version);
    }
    // Documents come from the mapper, which writes no line break into them: it is not looked for again here.
    if matches!(&operation.action, Action::Index(document) if document.is_empty()) {
        return Err(Unsendable::Empty);
    }
    if bytes > LARGEST_BODY {
        return Err(Unsendable::TooLarge { bytes });
    }
    Ok(())
}

const ID: &[u8] = br#","_id":"#;
const ROUTING: &[u8] = br#","routing":"#;
const VERSION: &[u8] = br#","version":"#;
const END: &[u8] = b",\"version_type\":\"external_gte\"}}\n";

fn verb(action: &Action) -> &'static [u8] {
    match action {
        Action::Index(_) => br#"{"index":{"_index":"#,
        Action::Delete => br#"{"delete":{"_index":"#,
    }
}

fn digits(number: u64) -> usize {
    let below_ten = number.checked_ilog10().unwrap_or(0);
    usize::try_from(below_ten).unwrap_or(0) + 1
}

/// A JSON string with its quotes.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex(byte >> 4), hex(byte & 0xf)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn text_len(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escapes.sum::<usize>() + 2
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamdex_mapping::{Address, CreationTime, DocumentId, ExternalVersion, IndexName, Origin, Role};

    fn operation(id: &str, routing: Option<&str>, action: Action) -> Operation {
        Operation {
            address: Address {
                index: IndexName::parse("sessions").unwrap(),
                id: DocumentId::parse(id).unwrap(),
                routing: routing.map(Into::into),
            },
            version: ExternalVersion::of_change(CreationTime::from_seconds(1), None),
            action,
            origin: Origin::Image,
            role: Role::Live,
        }
    }

    fn encoded(operation: &Operation) -> String {
        let mut out = Vec::new();
        encode_operation(&mut out, "sessions-000001", operation);
        assert_eq!(out.len(), encoded_len("sessions-000001", operation));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_index_operation_is_two_lines() {
        let text = encoded(&operation("u1|s1", Some("u1"), Action::Index(r#"{"a":1}"#.into())));
        let action = r#"{"index":{"_index":"sessions-000001","_id":"u1|s1","routing":"u1","version":2147483648,"version_type":"external_gte"}}"#;
        assert_eq!(text, format!("{action}\n{{\"a\":1}}\n"));
    }

    #[test]
    fn a_delete_is_one_line() {
        let text = encoded(&operation("u1", None, Action::Delete));
        let action =
            r#"{"delete":{"_index":"sessions-000001","_id":"u1","version":2147483648,"version_type":"external_gte"}}"#;
        assert_eq!(text, format!("{action}\n"));
    }

    #[test]
    fn ids_survive_json() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let id: String = (0..random.usize(1..60)).map(|_| random.char('\u{0}'..'\u{2ff}')).collect();
            let routing = (round % 2 == 0).then_some(id.as_str());
            let text = encoded(&operation(&id, routing, Action::Delete));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["delete"]["_id"], id.as_str());
            assert_eq!(value["delete"]["routing"].as_str(), routing);
        }
    }

    #[test]
    fn poison_is_found_before_it_is_sent() {
        let check_all = |operation: &Operation| check(operation, encoded_len("x", operation));
        let index = |document: &[u8]| operation("a", None, Action::Index(document.to_vec().into()));
        assert_eq!(check_all(&index(b"{}")), Ok(()));
        assert_eq!(check_all(&index(b"")), Err(Unsendable::Empty));
        assert!(matches!(check_all(&index(&vec![b' '; LARGEST_BODY])), Err(Unsendable::TooLarge { .. })));
        assert_eq!(check_all(&operation(&"x".repeat(512), None, Action::Delete)), Ok(()));
    }
}

//! Records with bytes that are not text. Each is refused separately.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::decode::Decoded;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct OnFailure<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Whether the text is the record of a failure, which carries a whole event inside a string: nobody can tell which of
/// its records is the broken one.
pub(crate) fn wraps_an_event(decoded: &Decoded) -> bool {
    serde_json::from_str::<OnFailure<'_>>(&decoded.text).is_ok_and(|failure| failure.payload.is_some())
}

/// Replaces each record of a list that contains bytes that are not text by an unreadable record with a digest, which
/// distinguishes it from others. `None`: such bytes are in it, and it is no list of records.
pub(crate) fn isolate(decoded: &Decoded) -> Option<Cow<'_, str>> {
    let text = decoded.text.as_str();
    if decoded.broken.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let list = serde_json::from_str::<Event<'_>>(text).map(|event| event.records);
    let records = list.or_else(|_| serde_json::from_str::<Vec<&RawValue>>(text)).ok()?;
    let (mut out, mut written) = (String::with_capacity(text.len()), 0);
    for record in records {
        let raw = record.get();
        let start = raw.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let end = start + raw.len();
        if decoded.broken.iter().any(|offset| (start..end).contains(offset)) {
            out.push_str(text.get(written..start)?);
            let digest = Sha256::digest(raw.as_bytes());
            out.push_str(&format!("{{\"dynamodb\":\"bytes that are not text; SHA-256 {}\"}}", hex::encode(digest)));
            written = end;
        }
    }
    out.push_str(text.get(written..)?);
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolated(text: &str) -> Option<String> {
        let broken = text.match_indices('\u{fffd}').map(|(offset, _)| offset).collect();
        isolate(&Decoded { text: text.to_owned(), broken }).map(Cow::into_owned)
    }

    #[test]
    fn only_the_record_with_the_bytes_changes() {
        let whole = "{\"x\": 1, \"Records\": [{\"a\":1}, {\"a\":\"\u{fffd}\"},{\"a\":3}]}";
        let text = isolated(whole).unwrap();
        assert!(text.starts_with("{\"x\": 1, \"Records\": [{\"a\":1}, {\"dynamodb\":\"bytes that"), "{text}");
        assert!(text.ends_with("\"},{\"a\":3}]}"), "{text}");
        let list = isolated("[\"\u{fffd}1\",\"\u{fffd}2\"]").unwrap();
        let records: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
        assert_ne!(records[0], records[1]);
        assert_eq!(isolated("{\"a\":\"\u{fffd}\"}"), None);
        assert_eq!(isolated("{\"a\":1}").as_deref(), Some("{\"a\":1}"));
    }
}

//! Decides what to do with a letter. Pure.

use bytes::Bytes;
use serde::Serialize;
use streamdex_delivery::letter::{DeadLetter, LetterRole};
use streamdex_mapping::{
    Action, Address, CreationTime, ExternalVersion, Key, Operation, Origin, READ_MARGIN_SECONDS, RecordMeta, Role,
};

use crate::suspect::{address_of, key_of_text};

/// What came of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The document equals the item, and the letter was removed.
    Healed,
    /// It is refused as before.
    Refused,
    /// The document does not equal the item yet, or the letter was written again meanwhile.
    Left,
    /// It does not name its item; only a repair of the whole index resolves it.
    Unreplayable,
}

/// What a letter asks for.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// The item is read, and written.
    Read(Reread),
    /// The copy of an expired item is sent as it was kept.
    Copy(RecordMeta, Box<Operation>),
    /// Nothing can be done with it, for this reason.
    Nothing(&'static str),
}

/// An item that is to be read again for a letter.
#[derive(Debug, Clone)]
pub(crate) struct Reread {
    pub(crate) key: Key,
    /// Where the letter says that its document would have been written.
    pub(crate) address: Option<Address>,
    /// When its change happened.
    pub(crate) created: Option<CreationTime>,
    /// Only what is read later than this, in seconds since 1970, is surely written over what the letter speaks of.
    pub(crate) read_after: u64,
}

/// What is to be done about a letter.
pub(crate) fn wanted(letter: &DeadLetter) -> Wanted {
    let address = letter.address.as_ref();
    let address = address.and_then(|place| address_of(&place.index, &place.id, place.routing.as_deref()));
    let created = letter.created.and_then(|created| u32::try_from(created).ok()).map(CreationTime::from_seconds);
    if letter.role == LetterRole::Archive {
        let Some(document) = letter.document() else {
            return Wanted::Nothing("the copy of the expired item was too large to store");
        };
        let version = letter.version.and_then(ExternalVersion::of_stored);
        let (Some(address), Some(version)) = (address, version) else {
            return Wanted::Nothing("it does not name the place of the copy");
        };
        let keys = letter.keys.clone().unwrap_or_default();
        let action = Action::Index(Bytes::from(document));
        let operation = Operation { address, version, action, origin: Origin::Image, role: Role::Archive };
        return Wanted::Copy(RecordMeta { sequence: None, created, keys }, Box::new(operation));
    }
    let Some(key) = letter.keys.as_deref().and_then(key_of_text) else {
        return Wanted::Nothing("it does not contain the key of its item");
    };
    let of_version = letter.version.map(ExternalVersion::second_of);
    let of_change = letter.created.max(of_version);
    let read_after = of_change.map_or(0, |second| second + READ_MARGIN_SECONDS);
    Wanted::Read(Reread { key, address, created, read_after })
}

// === impl Fate ===

impl Fate {
    /// Why a letter cannot be replayed; `None` where it can.
    pub fn unreplayable(letter: &DeadLetter) -> Option<&'static str> {
        match wanted(letter) {
            Wanted::Nothing(reason) => Some(reason),
            Wanted::Read(_) | Wanted::Copy(..) => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use streamdex_delivery::letter::{LetterAddress, LetterKey};

    use super::*;

    /// A letter of a document that OpenSearch refused.
    pub(crate) fn letter() -> DeadLetter {
        DeadLetter {
            format: 1,
            key: LetterKey { stream: "s".into(), record: "1".into(), ordinal: 1 },
            table: "sessions".into(),
            at: 1_700_000_000,
            created: Some(1_699_999_000),
            keys: Some(r#"{"pk":{"S":"a"}}"#.into()),
            role: LetterRole::Live,
            address: Some(LetterAddress {
                index: "sessions".into(),
                generation: Some(1),
                id: "a".into(),
                routing: None,
            }),
            version: Some(1_699_999_005 << 31),
            reason: "mapper_parsing_exception".into(),
            error: "field [x]".into(),
            document: None,
            document_omitted: false,
        }
    }

    #[test]
    fn an_item_is_read_later_than_its_change_and_the_margin() {
        let read_after = |letter: DeadLetter| match wanted(&letter) {
            Wanted::Read(reread) => reread.read_after,
            other => panic!("{other:?}"),
        };
        // Its version can be of a later second than its change: the clamp of seconds.
        assert_eq!(read_after(letter()), 1_699_999_095);
        assert_eq!(read_after(DeadLetter { version: None, ..letter() }), 1_699_999_090);
        assert_eq!(read_after(DeadLetter { version: None, created: None, ..letter() }), 0);
        let reread_at = read_after(letter()) + 1;
        assert!(ExternalVersion::of_read(reread_at).get() > letter().version.unwrap());
        assert!(ExternalVersion::of_read(reread_at - 1).get() <= letter().version.unwrap());
    }

    #[test]
    fn a_copy_is_sent_as_it_was_kept() {
        let archive = DeadLetter { role: LetterRole::Archive, ..letter() }.with_document(b"{\"a\":1.50}");
        let Wanted::Copy(meta, operation) = wanted(&archive) else { panic!() };
        assert_eq!(meta.keys, r#"{"pk":{"S":"a"}}"#);
        assert_eq!(
            (operation.version.get(), operation.origin, operation.role),
            (1_699_999_005 << 31, Origin::Image, Role::Archive)
        );
        assert_eq!(operation.action, Action::Index(Bytes::from_static(b"{\"a\":1.50}")));
    }

    #[test]
    fn letters_that_do_not_tell_their_item_are_named() {
        let archive = DeadLetter { role: LetterRole::Archive, document_omitted: true, ..letter() };
        for (letter, reason) in [
            (DeadLetter { keys: None, ..letter() }, "it does not contain the key of its item"),
            (DeadLetter { keys: Some("{}".into()), ..letter() }, "it does not contain the key of its item"),
            (archive.clone(), "the copy of the expired item was too large to store"),
            (DeadLetter { address: None, ..archive.with_document(b"{}") }, "it does not name the place of the copy"),
        ] {
            assert_eq!(Fate::unreplayable(&letter), Some(reason));
        }
        assert_eq!(Fate::unreplayable(&letter()), None);
    }
}

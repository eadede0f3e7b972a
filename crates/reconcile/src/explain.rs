//! Explains one item and its documents: what exists, what should exist, and why.

use std::sync::Arc;

use bytes::Bytes;
use streamdex_delivery::Term;
use streamdex_delivery::letter::DeadLetter;
use streamdex_dynamodb::item::Found;
use streamdex_mapping::{Address, Image, Key, RouteVerdict};
use streamdex_sink::read::{HeldIndex, StoredDocument};

use crate::expected::Expected;
use crate::fault::Fault;
use crate::mirror::Mirror;
use crate::suspect::Seen;
use crate::verdict::{Facts, Kind, Verdict, judge};

/// What was seen of one item.
pub struct Explained {
    /// The item as DynamoDB JSON, by a consistent read; `None` where there is none.
    pub item: Option<Arc<str>>,
    /// The server's time of the read, in seconds since 1970.
    pub read_at: u64,
    /// What each route says of the item; empty where there is none.
    pub routes: Vec<RouteVerdict>,
    /// Where the item's document belongs, and its text.
    pub belongs: Option<(Address, Bytes)>,
    /// Why the item gives no document although a route takes it.
    pub refused: Option<&'static str>,
    /// When the item expires, in seconds since 1970.
    pub expires: Option<u64>,
    /// The places where it has a document, or should have one.
    pub places: Vec<Place>,
    /// The dead letters that name it.
    pub letters: Vec<DeadLetter>,
    /// What is true of it as a whole.
    pub verdict: Verdict,
    /// What both sides looked like.
    seen: Vec<Seen>,
}

/// A place where a document of the item is, or should be.
pub struct Place {
    /// Where.
    pub address: Address,
    /// What is there.
    pub stored: Option<StoredDocument>,
    /// What is true of it.
    pub verdict: Verdict,
    /// How it differs, if it does.
    pub kind: Option<Kind>,
}

// === impl Explained ===

impl Explained {
    /// Whether a document is extra, missing or different.
    pub fn differs(&self) -> bool {
        self.places.iter().any(|place| place.kind.is_some()) || self.refused.is_some()
    }

    /// Whether item and documents are what they were at another look.
    pub fn is_unchanged_since(&self, other: &Explained) -> bool {
        self.seen == other.seen && self.verdict == other.verdict
    }
}

/// Looks at the item with this key, at its documents in every index of its table, and at its dead letters.
///
/// # Errors
/// A service did not answer for longer than patience lasts, or refused.
pub async fn explain(mirror: &Mirror, key: &Key, term: Term<'_>) -> Result<Explained, Fault> {
    let attempts = mirror.attempts();
    let keys = std::slice::from_ref(key);
    let mut reads = attempts.make(term, "read the item", || mirror.items.read(keys)).await?;
    let read = reads.pop().ok_or(Fault::Broken)?;
    let held = mirror.held(term).await?;
    let expected = Expected::of_found(&mirror.mapper, &mirror.key_names(), &read.found);
    let item = match read.found {
        Found::Item(item) => Some(item),
        Found::Absent | Found::Refused(_) => None,
    };
    let letters = letters_of(mirror, key, term).await?;
    let has_letter = !letters.is_empty();
    let facts = Facts { now: read.at, has_letter, ..Facts::default() };
    let places = places(mirror, key, (&expected, &held), facts, term).await?;
    let image = item.as_deref().map(Image::of_item);
    let (belongs, expires) = match &expected {
        Expected::Document { address, text, expires } => (Some((address.clone(), text.clone())), *expires),
        Expected::Filtered | Expected::Refused { .. } | Expected::NoItem => (None, None),
    };
    Ok(Explained {
        read_at: read.at,
        routes: image.as_ref().map(|image| mirror.mapper.verdicts(image)).unwrap_or_default(),
        refused: match &expected {
            Expected::Refused { reason } => Some(reason),
            _ => None,
        },
        verdict: whole(&expected, &places, has_letter),
        seen: places.iter().map(|place| Seen::of(&expected, place.stored.as_ref())).collect(),
        item,
        belongs,
        expires,
        places,
        letters,
    })
}

/// The places where the item with this key has a document, or should have one. `held` are the indices of its table.
pub(crate) async fn places(
    mirror: &Mirror,
    key: &Key,
    (expected, held): (&Expected, &[HeldIndex]),
    facts: Facts,
    term: Term<'_>,
) -> Result<Vec<Place>, Fault> {
    let elsewhere = held.iter().filter(|index| !index.is_archive);
    let mut addresses: Vec<Address> =
        elsewhere.filter_map(|index| mirror.mapper.address_in(&index.index, key)).collect();
    if let Some(here) = expected.address().filter(|here| !addresses.contains(here)) {
        addresses.push(here.clone());
    }
    let stored = mirror.attempts().make(term, "read documents", || mirror.index.get(&addresses)).await?;
    let mut places = Vec::new();
    for (address, stored) in addresses.into_iter().zip(stored) {
        let routes = held.iter().find(|index| index.index == address.index).and_then(|index| index.has_these_routes);
        let facts = Facts { has_other_routes: routes == Some(false), ..facts };
        let judged = judge(Some(&address), expected, stored.as_ref(), facts);
        if stored.is_some() || expected.address() == Some(&address) {
            places.push(Place { address, stored, verdict: judged.verdict, kind: judged.kind });
        }
    }
    Ok(places)
}

/// What differs decides, that at the item's own place first.
fn whole(expected: &Expected, places: &[Place], has_letter: bool) -> Verdict {
    let own = |place: &&Place| expected.address() == Some(&place.address);
    let differing = || places.iter().filter(|place| place.kind.is_some());
    if let Some(place) = differing().find(own).or_else(|| differing().next()) {
        return place.verdict;
    }
    match expected {
        Expected::Document { .. } => Verdict::InSync,
        Expected::Filtered => Verdict::Filtered,
        Expected::NoItem => Verdict::NotInTable,
        Expected::Refused { .. } if has_letter => Verdict::DeadLettered,
        Expected::Refused { .. } => Verdict::Missing,
    }
}

async fn letters_of(mirror: &Mirror, key: &Key, term: Term<'_>) -> Result<Vec<DeadLetter>, Fault> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (letters, next) = mirror.letters_after(after.as_ref(), term).await?;
        found.extend(letters.into_iter().filter(|letter| letter.keys.as_deref() == Some(key.canonical())));
        after = next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

//! Waits until searches find of one item what the table holds.
//!
//! The item is read once, strongly consistent, and again when its document changes to something else: then the table may hold a
//! later state too. Documents are read by their ids, which sees what was written at once; searches see it after a refresh
//! of all copies of the index, so one is asked for at the end. It is the only place where streamdex refreshes an index that it
//! writes to, because somebody waits for it.

use std::time::Duration;

use streamdex_delivery::Term;
use streamdex_mapping::Key;
use streamdex_sink::read::HeldIndex;
use tokio::time::Instant;

use crate::expected::Expected;
use crate::explain::{Explained, Place, explain, places};
use crate::fault::Fault;
use crate::mirror::Mirror;
use crate::verdict::{Facts, Verdict};
use crate::verify::Lag;

/// How a wait ended.
pub enum Settled {
    /// Searches find what the table holds: a document ([`Verdict::InSync`]), or none of an item that is gone
    /// ([`Verdict::NotInTable`]).
    Searchable(Verdict),
    /// They never will, as things are, and why.
    Never(Box<Explained>),
    /// They do not yet.
    Late(Box<Explained>),
}

/// How long it is waited.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// The end of patience.
    pub until: Instant,
    /// The lag of the reader is so coarse: a difference that is older than lag and this is not on its way.
    pub margin: Duration,
}

/// The first wait between looks, which doubles up to the longest one.
const FIRST_NAP: Duration = Duration::from_millis(20);
const LONGEST_NAP: Duration = Duration::from_millis(250);
/// The lag is asked for so often: it is a read of the state table.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// What was seen of the item and its documents.
struct Look {
    expected: Expected,
    read_at: u64,
    places: Vec<Place>,
}

/// Waits for the item with this key. `reader` says how far behind the index is, where somebody knows.
///
/// # Errors
/// A service did not answer for longer than patience lasts, or refused.
pub async fn settle(
    mirror: &Mirror,
    key: &Key,
    reader: Option<&dyn Lag>,
    waits: Waits,
    term: Term<'_>,
) -> Result<Settled, Fault> {
    let held = mirror.held(term).await?;
    let mut look = Look::fresh(mirror, key, &held, term).await?;
    let (mut nap, mut unchanged_since) = (FIRST_NAP, Instant::now());
    let mut ask_lag_at = unchanged_since + waits.margin;
    loop {
        if !look.differs() {
            if let Some(settled) = look.settled(mirror, key, &held, term).await? {
                return Ok(settled);
            }
            look = Look::fresh(mirror, key, &held, term).await?;
        }
        let now = Instant::now();
        if matches!(look.expected, Expected::Refused { .. })
            || is_passed(reader, unchanged_since, &mut ask_lag_at, waits).await
        {
            // All of it is looked at once more: a letter, or a state that came in between.
            let explained = Box::new(explain(mirror, key, term).await?);
            if explained.differs() {
                return Ok(Settled::Never(explained));
            }
        }
        if now >= waits.until {
            return Ok(Settled::Late(Box::new(explain(mirror, key, term).await?)));
        }
        term.sleep(nap.min(waits.until - now)).await?;
        nap = (nap * 2).min(LONGEST_NAP);
        let next = look.again(mirror, key, &held, term).await?;
        if next.versions() != look.versions() && next.differs() {
            // Something else came: the table may hold a later state as well.
            look = Look::fresh(mirror, key, &held, term).await?;
            (nap, unchanged_since) = (FIRST_NAP, Instant::now());
            ask_lag_at = unchanged_since + waits.margin;
        } else {
            look = next;
        }
    }
}

/// Whether the reader has come past everything that was written before `unchanged_since`.
async fn is_passed(reader: Option<&dyn Lag>, unchanged_since: Instant, ask_at: &mut Instant, waits: Waits) -> bool {
    let Some(reader) = reader.filter(|_| Instant::now() >= *ask_at) else { return false };
    *ask_at = Instant::now() + LAG_EVERY;
    reader.lag().await.is_some_and(|lag| unchanged_since.elapsed() > lag + waits.margin)
}

// === impl Look ===

impl Look {
    /// Item and documents.
    async fn fresh(mirror: &Mirror, key: &Key, held: &[HeldIndex], term: Term<'_>) -> Result<Look, Fault> {
        let keys = std::slice::from_ref(key);
        let mut reads = mirror.attempts().make(term, "read the item", || mirror.items.read(keys)).await?;
        let read = reads.pop().ok_or(Fault::Broken)?;
        let expected = Expected::of_found(&mirror.mapper, &mirror.key_names(), &read.found);
        let facts = Facts { now: read.at, ..Facts::default() };
        let places = places(mirror, key, (&expected, held), facts, term).await?;
        Ok(Look { expected, read_at: read.at, places })
    }

    /// The documents, for the same item.
    async fn again(&self, mirror: &Mirror, key: &Key, held: &[HeldIndex], term: Term<'_>) -> Result<Look, Fault> {
        let facts = Facts { now: self.read_at, ..Facts::default() };
        let places = places(mirror, key, (&self.expected, held), facts, term).await?;
        Ok(Look { expected: self.expected.clone(), read_at: self.read_at, places })
    }

    fn differs(&self) -> bool {
        self.places.iter().any(|place| place.kind.is_some()) || matches!(self.expected, Expected::Refused { .. })
    }

    fn versions(&self) -> Vec<Option<u64>> {
        self.places.iter().map(|place| place.stored.as_ref().map(|stored| stored.version)).collect()
    }

    /// The documents are right; what is left is that searches find them. `None`: something has changed meanwhile.
    async fn settled(
        &self,
        mirror: &Mirror,
        key: &Key,
        held: &[HeldIndex],
        term: Term<'_>,
    ) -> Result<Option<Settled>, Fault> {
        // The first write makes an index.
        let made = match self.expected.address() {
            Some(here) if !held.iter().any(|index| index.index == here.index) => mirror.held(term).await?,
            _ => Vec::new(),
        };
        for index in held.iter().chain(&made).filter(|index| !index.is_archive) {
            mirror.attempts().make(term, "refresh the index", || mirror.index.refresh(index)).await?;
        }
        Ok(match &self.expected {
            Expected::NoItem => Some(Settled::Searchable(Verdict::NotInTable)),
            Expected::Document { .. } | Expected::Refused { .. } => Some(Settled::Searchable(Verdict::InSync)),
            // Searches do not find it any more, and never will as it is.
            Expected::Filtered => {
                let explained = explain(mirror, key, term).await?;
                let is_it = explained.verdict == Verdict::Filtered;
                is_it.then(|| Settled::Never(Box::new(explained)))
            }
        })
    }
}

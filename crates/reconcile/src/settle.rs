//! Waits until searches find the current version of an item.
//!
//! The item is read once, strongly consistent, and again when its document changes to something else, or when its
//! difference is old: then the table may hold a later state too. Documents are read by their ids, which sees what was
//! written at once; searches see it after a refresh of all copies of the index, so one is asked for at the end. It is the only
//! place where streamdex refreshes an index that it writes to, because somebody waits for it.

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
    Late,
}

/// How long it is waited.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// The end of patience.
    pub until: Instant,
    /// How much longer than the reader's lag a difference must have stood before it is not on its way any more.
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
    /// The indices of the table.
    held: Vec<HeldIndex>,
    places: Vec<Place>,
    /// When item and documents began to be as they are.
    since: Instant,
}

/// Waits for the item with this key. `reader` says how far behind the index is, where somebody knows.
///
/// # Errors
/// A service did not answer for longer than patience lasts, or refused.
pub async fn settle(
    mirror: &Mirror,
    key: &Key,
    reader: &dyn Lag,
    waits: Waits,
    term: Term<'_>,
) -> Result<Settled, Fault> {
    let mut look = Look::fresh(mirror, key, term).await?;
    let (mut nap, mut ask_lag_at) = (FIRST_NAP, look.since + waits.margin);
    loop {
        if !look.differs() {
            if let Some(settled) = look.settled(mirror, key, term).await? {
                return Ok(settled);
            }
            look = Look::fresh(mirror, key, term).await?;
        } else if look.is_refused() || look.is_old(reader, &mut ask_lag_at, waits).await {
            // Reads the item and the indices again: only an unchanged difference is reported as final.
            let fresh = Look::fresh(mirror, key, term).await?;
            if fresh.expected == look.expected && fresh.versions() == look.versions() {
                return Ok(Settled::Never(Box::new(explain(mirror, key, term).await?)));
            }
            look = fresh;
        }
        let left = waits.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // A correct document counts even if the change was not observed, such as a change back.
            let last = Look::fresh(mirror, key, term).await?;
            let settled = if last.differs() { None } else { last.settled(mirror, key, term).await? };
            return Ok(settled.unwrap_or(Settled::Late));
        }
        term.sleep(nap.min(left)).await?;
        nap = (nap * 2).min(LONGEST_NAP);
        let versions = look.versions();
        look = look.again(mirror, key, term).await?;
        if look.versions() != versions && look.differs() {
            // Something else came: the table may hold a later state as well.
            look = Look::fresh(mirror, key, term).await?;
            nap = FIRST_NAP;
        }
    }
}

// === impl Look ===

impl Look {
    /// Item, indices and documents.
    async fn fresh(mirror: &Mirror, key: &Key, term: Term<'_>) -> Result<Look, Fault> {
        let held = mirror.held(term).await?;
        let keys = std::slice::from_ref(key);
        let mut reads = mirror.attempts().make(term, "read the item", || mirror.items.read(keys)).await?;
        let read = reads.pop().ok_or(Fault::Broken)?;
        let expected = Expected::of_found(&mirror.mapper, &mirror.key_names(), &read.found);
        let look = Look { expected, read_at: read.at, held, places: Vec::new(), since: Instant::now() };
        look.again(mirror, key, term).await
    }

    /// The documents, for the same item.
    async fn again(self, mirror: &Mirror, key: &Key, term: Term<'_>) -> Result<Look, Fault> {
        let facts = Facts { now: self.read_at, ..Facts::default() };
        let places = places(mirror, key, (&self.expected, &self.held), facts, term).await?;
        Ok(Look { places, ..self })
    }

    fn differs(&self) -> bool {
        self.places.iter().any(|place| place.kind.is_some()) || self.is_refused()
    }

    fn is_refused(&self) -> bool {
        matches!(self.expected, Expected::Refused { .. })
    }

    fn versions(&self) -> Vec<Option<u64>> {
        self.places.iter().map(|place| place.stored.as_ref().map(|stored| stored.version)).collect()
    }

    /// Whether the reader has come past everything that was written before the item was read.
    async fn is_old(&self, reader: &dyn Lag, ask_at: &mut Instant, waits: Waits) -> bool {
        if Instant::now() < *ask_at {
            return false;
        }
        *ask_at = Instant::now() + LAG_EVERY;
        reader.lag().await.is_some_and(|lag| self.since.elapsed() > lag + waits.margin)
    }

    /// The documents are right; what is left is that searches find them. `None`: something has changed meanwhile.
    async fn settled(&self, mirror: &Mirror, key: &Key, term: Term<'_>) -> Result<Option<Settled>, Fault> {
        // The first write makes an index, and another one may hold an earlier document then.
        let held = mirror.held(term).await?;
        let has = |index: &HeldIndex| self.held.iter().any(|known| known.concrete == index.concrete);
        let is_own = |index: &&HeldIndex| self.expected.address().is_some_and(|here| here.index == index.index);
        if held.iter().any(|index| !has(index) && !is_own(&index)) {
            return Ok(None);
        }
        for index in held.iter().filter(|index| !index.is_archive) {
            mirror.attempts().make(term, "refresh the index", || mirror.index.refresh(index)).await?;
        }
        Ok(match &self.expected {
            Expected::NoItem => Some(Settled::Searchable(Verdict::NotInTable)),
            Expected::Document { .. } => Some(Settled::Searchable(Verdict::InSync)),
            // Searches do not find it any more, and never will as it is.
            Expected::Filtered => {
                let explained = explain(mirror, key, term).await?;
                let is_it = explained.verdict == Verdict::Filtered;
                is_it.then(|| Settled::Never(Box::new(explained)))
            }
            Expected::Refused { .. } => None,
        })
    }
}

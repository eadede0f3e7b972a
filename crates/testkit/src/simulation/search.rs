//! OpenSearch: external versions, tombstones that expire and vanish, and an index that can be lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::dice::Dice;
use super::table::{POISON, TEXT};
use super::time::HOUR;

/// The cluster.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) dice: Dice,
    /// Every index that is there, with its UUID.
    pub(super) indices: BTreeMap<String, String>,
    documents: BTreeMap<(String, String), Document>,
    /// Every index that was lost.
    pub(super) lost: Vec<String>,
    /// Those of them that held what was acknowledged. What was written to another one is read again, and written.
    pub(super) to_be_noticed: Vec<String>,
    created: u32,
    /// Writes make the index that they name, where there is none (`action.auto_create_index`).
    makes_indices: bool,
    /// An index that takes no writes, from when until when.
    blocked: Option<(String, u64, u64)>,
}

#[derive(Debug)]
struct Document {
    version: u64,
    /// `None`: a tombstone.
    body: Option<Value>,
    changed: u64,
}

/// One operation of a bulk body.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) index: String,
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) body: Option<Value>,
}

/// `index.gc_deletes` as set-up writes it.
const KEEP_TOMBSTONES: u64 = HOUR;

impl Search {
    pub(super) fn new(seed: u64, makes_indices: bool) -> Search {
        Search {
            dice: Dice::new(seed, "search"),
            indices: BTreeMap::new(),
            documents: BTreeMap::new(),
            lost: Vec::new(),
            to_be_noticed: Vec::new(),
            created: 0,
            makes_indices,
            blocked: None,
        }
    }

    /// One of the indices takes no writes between these moments.
    pub(super) fn block(&mut self, which: usize, from: u64, until: u64) -> Option<String> {
        let concrete = self.indices.keys().nth(which % self.indices.len().max(1))?.clone();
        self.blocked = Some((concrete.clone(), from, until));
        Some(concrete)
    }

    pub(super) fn unblock(&mut self, now: u64) {
        if let Some((_, _, until)) = &mut self.blocked {
            *until = now.min(*until);
        }
    }

    /// When the index that took no writes took some again; 0 where there was none.
    pub(super) fn unblocked(&self) -> u64 {
        self.blocked.as_ref().map_or(0, |(_, _, until)| *until)
    }

    /// The index that takes no writes now, and since when.
    pub(super) fn blocked(&self, now: u64) -> Option<(&str, u64)> {
        let (concrete, from, _) = self.blocked.as_ref().filter(|(_, from, until)| *from <= now && now < *until)?;
        Some((concrete, *from))
    }

    /// The version of a document, or of its tombstone.
    pub(super) fn version(&self, concrete: &str, id: &str) -> Option<u64> {
        self.documents.get(&(concrete.to_owned(), id.to_owned())).map(|document| document.version)
    }

    /// The UUID of an index that is there now, or is made now.
    pub(super) fn create(&mut self, concrete: &str) -> String {
        if let Some(uuid) = self.indices.get(concrete) {
            return uuid.clone();
        }
        self.created += 1;
        let uuid = format!("uuid-{}", self.created);
        self.indices.insert(concrete.to_owned(), uuid.clone());
        uuid
    }

    /// The documents of all indices.
    pub(super) fn live(&self) -> BTreeMap<(String, String), Value> {
        let live = self.documents.iter().filter_map(|(key, document)| Some((key.clone(), document.body.clone()?)));
        live.collect()
    }

    /// A document that is there, with its version.
    pub(super) fn document(&self, concrete: &str, id: &str) -> Option<(u64, Value)> {
        let document = self.documents.get(&(concrete.to_owned(), id.to_owned()))?;
        Some((document.version, document.body.clone()?))
    }

    /// The ids and versions of an index.
    pub(super) fn ids(&self, concrete: &str) -> Vec<(String, u64)> {
        let of_index =
            self.documents.iter().filter(|((index, _), document)| index == concrete && document.body.is_some());
        of_index.map(|((_, id), document)| (id.clone(), document.version)).collect()
    }

    /// Something else writes to an index: `id` is gone, or holds something else. Its version grows by one, as with any
    /// write that names none. Whether there is such an index.
    pub(super) fn plant(&mut self, which: usize, id: &str, body: Option<Value>, now: u64) -> bool {
        let Some(concrete) = self.indices.keys().nth(which % self.indices.len().max(1)).cloned() else { return false };
        let document = self.documents.entry((concrete, id.to_owned()));
        let document = document.or_insert(Document { version: 0, body: None, changed: now });
        *document = Document { version: document.version + 1, body, changed: now };
        true
    }

    /// A flush and a restart: tombstones are forgotten.
    pub(super) fn forget_tombstones(&mut self) {
        self.documents.retain(|_, document| document.body.is_some());
    }

    /// Somebody deletes an index.
    pub(super) fn lose(&mut self, which: usize) -> Option<String> {
        let concrete = self.indices.keys().nth(which % self.indices.len().max(1))?.clone();
        self.indices.remove(&concrete);
        self.documents.retain(|(index, _), _| *index != concrete);
        self.lost.push(concrete.clone());
        Some(concrete)
    }

    /// Carries one operation out.
    pub(super) fn apply(&mut self, line: &Line, now: u64) -> String {
        if !self.indices.contains_key(&line.index) {
            if !self.makes_indices {
                return refused(404, "index_not_found_exception");
            }
            self.create(&line.index);
        }
        if self.blocked(now).is_some_and(|(concrete, _)| concrete == line.index) {
            return refused(403, "cluster_block_exception");
        }
        if line.body.as_ref().is_some_and(is_poison) {
            return refused(400, "mapper_parsing_exception");
        }
        let key = (line.index.clone(), line.id.clone());
        let expired = |document: &Document| document.body.is_none() && document.changed + KEEP_TOMBSTONES < now;
        let known = self.documents.get(&key).filter(|document| !expired(document));
        if known.is_some_and(|document| document.version > line.version) {
            return refused(409, "version_conflict_engine_exception");
        }
        let was_live = known.is_some_and(|document| document.body.is_some());
        let answer = match (&line.body, was_live) {
            (Some(_), _) => "{\"index\":{\"status\":201}}",
            (None, true) => "{\"delete\":{\"status\":200}}",
            (None, false) => "{\"delete\":{\"status\":404,\"result\":\"not_found\"}}",
        };
        self.documents.insert(key, Document { version: line.version, body: line.body.clone(), changed: now });
        answer.to_owned()
    }
}

/// No mapping takes such a document.
fn is_poison(body: &Value) -> bool {
    body.get(TEXT).and_then(Value::as_str) == Some(POISON)
}

pub(super) fn refused(status: u16, error_type: &str) -> String {
    let mut text = String::new();
    let _ =
        write!(text, "{{\"index\":{{\"status\":{status},\"error\":{{\"type\":\"{error_type}\",\"reason\":\"x\"}}}}}}");
    text
}

//! The second pass: finds documents without an item.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use streamdex_mapping::Address;
use streamdex_sink::read::{Entry, HeldIndex, Slice};
use tokio::task::JoinSet;

use super::{Job, Report};
use crate::fault::Fault;
use crate::ids::{Spill, hash_of};
use crate::look::AT_ONCE;
use crate::suspect::{Suspect, Suspects, address_of};
use crate::verdict::{Judged, Kind, Verdict};

/// Walks at the same time, over all indices.
const SLICES: u32 = 4;
/// A walk that comes to too few documents is begun again so often.
const WALKS: u32 = 3;

/// A document, as it is spilled.
#[derive(Serialize)]
struct Record<'a>(&'a str, &'a str, Option<&'a str>);

// === impl Job ===

impl Job {
    /// Lists every document, and gives those that the table does not give.
    pub(super) async fn walk_all(
        &self,
        live: &[&HeldIndex],
        given: Spill,
        report: &mut Report,
    ) -> Result<Suspects, Fault> {
        let folder = &self.settings.folder;
        let spill = Arc::new(Mutex::new(Spill::new(folder)));
        for index in live {
            let refresh = || self.mirror.index.refresh(index);
            self.mirror.attempts().make(self.term(), "refresh the index", refresh).await?;
            let of = index.shards.clamp(1, SLICES);
            let mut slices = JoinSet::new();
            for number in 0..of {
                let (job, index, spill) = (self.clone(), (*index).clone(), Arc::clone(&spill));
                slices.spawn(async move { job.walk(&index, Slice { number, of }, &spill).await });
            }
            while let Some(ended) = slices.join_next().await {
                report.documents += ended.map_err(|_| Fault::Broken)??;
            }
        }
        let spill = Arc::into_inner(spill).ok_or(Fault::Broken)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut extras = Suspects::new(folder);
        let compared = tokio::task::spawn_blocking(move || {
            Spill::missing_in(spill, given, |record| extras.push(&suspect_of(&record)?)).map(|()| extras)
        });
        Ok(compared.await.map_err(|_| Fault::Broken)??)
    }

    async fn walk(&self, index: &HeldIndex, slice: Slice, spill: &Mutex<Spill>) -> Result<u64, Fault> {
        let mut walks = 1;
        loop {
            match self.walk_once(index, slice, spill).await {
                Err(fault) if walks < WALKS && !fault.is_stop() => {
                    tracing::info!(index = %index.index, %fault, "starting the list of documents over");
                    walks += 1;
                }
                ended => return ended,
            }
        }
    }

    async fn walk_once(&self, index: &HeldIndex, slice: Slice, spill: &Mutex<Spill>) -> Result<u64, Fault> {
        let reader = &self.mirror.index;
        let begin = || reader.begin(index, slice);
        let mut page = self.mirror.attempts().make(self.term(), "list the documents", begin).await?;
        let mut documents = 0;
        loop {
            let count = page.entries.len();
            documents += u64::try_from(count).unwrap_or(u64::MAX);
            self.progress.add_documents(count);
            {
                let mut spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
                for entry in &page.entries {
                    let Some(address) = address_in(index, entry) else { continue };
                    let record = Record(index.index.as_str(), &entry.id, entry.routing.as_deref());
                    spill.push(hash_of(&address), &serde_json::to_vec(&record).map_err(io::Error::from)?)?;
                }
            }
            let Some(walk) = page.next else { return Ok(documents) };
            let go_on = || reader.go_on(walk.clone());
            page = self.mirror.attempts().make(self.term(), "list the documents", go_on).await?;
        }
    }

    /// Some documents of each index.
    pub(super) async fn sample_all(&self, live: &[&HeldIndex], report: &mut Report) -> Result<Suspects, Fault> {
        let mut extras = Suspects::new(&self.settings.folder);
        let super::Scope::Sample(most) = self.settings.scope else { return Ok(extras) };
        for index in live {
            let sample = || self.mirror.index.sample(index, most);
            let entries = self.mirror.attempts().make(self.term(), "sample documents", sample).await?;
            report.documents += u64::try_from(entries.len()).unwrap_or(u64::MAX);
            for entry in &entries {
                let address = address_in(index, entry);
                extras.push(&Suspect { key: None, address, seen: None, repairs: 0 })?;
            }
        }
        Ok(extras)
    }

    /// Looks at documents that the table did not give when it was read. Most of them are of items that were written since.
    pub(super) async fn look_at_extras(
        &self,
        extras: Suspects,
        suspects: &mut Suspects,
        report: &mut Report,
    ) -> Result<(), Fault> {
        if self.settings.scope == super::Scope::Full && extras.count() > 0 {
            tracing::info!(
                documents = extras.count(),
                read_units = extras.count(),
                "some documents have items that were not in the table when it was read: each item is looked up, for one read unit or more"
            );
        }
        let mut extras = extras.into_reader()?;
        loop {
            let batch = extras.next(AT_ONCE)?;
            if batch.is_empty() {
                return Ok(());
            }
            let batch = self.with_keys(batch, report).await?;
            for sight in self.look().at(batch).await? {
                if !sight.judged.is_fine() {
                    suspects.push(&Suspect { seen: Some(sight.seen), ..sight.suspect })?;
                }
            }
            self.progress.set_suspects(suspects.count());
        }
    }

    /// Adds the keys of their items to documents. Where a document does not tell it, it is undecided, or nobody's.
    async fn with_keys(&self, batch: Vec<Suspect>, report: &mut Report) -> Result<Vec<Suspect>, Fault> {
        let mirror = &self.mirror;
        let addresses: Vec<Address> = batch.into_iter().filter_map(|suspect| suspect.address).collect();
        let is_hashed = |address: &&Address| mirror.mapper.is_hashed(&address.index, address.id.as_str());
        let hashed: Vec<Address> = addresses.iter().filter(is_hashed).cloned().collect();
        let mut documents = self.look().documents(&hashed).await?.into_iter();
        let mut with_keys = Vec::with_capacity(addresses.len());
        for address in addresses {
            let (id, hashed) = (address.id.as_str(), is_hashed(&&address));
            let document = if hashed { documents.next().flatten() } else { None };
            let source = document.as_ref().map(|document| &*document.source);
            let key = mirror.mapper.key_of(&address.index, id, &mirror.keys, source);
            if key.is_some() {
                with_keys.push(Suspect { key, address: Some(address), seen: None, repairs: 0 });
            } else if !hashed || document.is_some() {
                self.decide_without_key(address, hashed, report)?;
            }
        }
        Ok(with_keys)
    }

    /// A document whose id is no key of the table belongs to no item. One whose id is a hash may belong to one: where the
    /// key's attributes are left out of documents, nobody can know.
    fn decide_without_key(&self, address: Address, is_hashed: bool, report: &mut Report) -> Result<(), Fault> {
        let (verdict, reason) = if is_hashed {
            (Verdict::Inconclusive, "the id is a hash, and the document does not hold the key of its item")
        } else {
            (Verdict::NotInTable, "the id is not a key of this table: something else wrote the document")
        };
        let judged = Judged { verdict, kind: Some(Kind::Extra) };
        let suspect = Suspect { key: None, address: Some(address), seen: None, repairs: 0 };
        self.report(&suspect, judged, reason, report)
    }
}

fn address_in(index: &HeldIndex, entry: &Entry) -> Option<Address> {
    address_of(index.index.as_str(), &entry.id, entry.routing.as_deref())
}

fn suspect_of(record: &[u8]) -> io::Result<Suspect> {
    // Texts with escapes cannot be borrowed.
    let (index, id, routing): (String, String, Option<String>) = serde_json::from_slice(record)?;
    Ok(Suspect { key: None, address: address_of(&index, &id, routing.as_deref()), seen: None, repairs: 0 })
}

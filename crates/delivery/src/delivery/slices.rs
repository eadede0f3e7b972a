//! A page's items are read and its operations written in slices, so that no more than a bound is held.
//!
//! ```text
//! page ─▶ next keys ─▶ room ─▶ read ─▶ map ─▶ … ─▶ a write for each index ─▶ decisions
//!            ▲                                            │ beside the next reads
//!            └────────────────────────────────────────────┘
//! ```
//! Records are joined by key over the whole page before, so one slice alone writes what comes of a key.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use streamdex_dynamodb::convert::table_image;
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_mapping::{Action, FetchHandle, IndexName, Key, Operation, OperationHandle, Outcome};
use streamdex_sink::writer::Decision;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::{Bounds, Delivery, Readiness, Sent, deletes};
use crate::fault::DeliveryFault;
use crate::memory::{KEYS_AT_ONCE, Room};
use crate::page::{Page, RefusedRecord};

/// Reads that fail for so long become a pause with a reason, where the caller tries for ever.
const READS_FAIL_FOR: Duration = Duration::from_secs(60);
/// What an operation takes beside its document.
const BESIDE_DOCUMENT: usize = 512;

/// What was read and mapped, and waits to be written.
#[derive(Default)]
struct Slice {
    room: Option<Room>,
    /// When the answer came that carried the item.
    answered: HashMap<FetchHandle, Instant>,
}

/// Operations on one index.
#[derive(Default)]
struct Group {
    sent: Vec<Sent>,
    operations: Vec<(Operation, Instant)>,
    /// What its operations from reads take.
    bytes: usize,
}

/// The writes of a pass: one for each slice and index.
#[derive(Default)]
struct Writes<'d> {
    running: FuturesUnordered<BoxFuture<'d, Written>>,
    ended: Vec<Written>,
    fault: Option<DeliveryFault>,
}

struct Written {
    sent: Vec<Sent>,
    /// The index, where something was sent to it.
    index: Option<IndexName>,
    decisions: Result<Vec<Decision>, DeliveryFault>,
}

impl Delivery {
    /// Reads all that waits to be read and writes all that waits to be written, once. Says whether anything was sent.
    ///
    /// A slice that cannot be written does not hold back the others; what stops one is returned at the end.
    pub(super) async fn pass(&self, page: &mut Page, bounds: &Bounds) -> Result<bool, DeliveryFault> {
        let mut waiting: VecDeque<FetchHandle> = page.batch.fetches().into();
        let mut writes = Writes::default();
        let mut any = false;
        loop {
            match self.read_slice(page, &mut waiting, &mut writes, &bounds.cancel).await {
                Ok(slice) => any |= self.start(page, slice, bounds, &mut writes),
                Err(fault) => {
                    writes.fault.get_or_insert(fault);
                    break;
                }
            }
            if waiting.is_empty() {
                break;
            }
        }
        while let Some(written) = writes.running.next().await {
            writes.ended.push(written);
            self.settle(page, &mut writes, &bounds.cancel).await;
        }
        self.settle(page, &mut writes, &bounds.cancel).await;
        writes.fault.map_or(Ok(any), Err)
    }

    /// Reads items until there is enough to write, or none is left. Writes go on beside it.
    async fn read_slice(
        &self,
        page: &mut Page,
        waiting: &mut VecDeque<FetchHandle>,
        writes: &mut Writes<'_>,
        cancel: &CancellationToken,
    ) -> Result<Slice, DeliveryFault> {
        let mut slice = Slice::default();
        if waiting.is_empty() {
            return Ok(slice);
        }
        let reader = self.reader.as_ref().ok_or(DeliveryFault::NoReader)?;
        while !waiting.is_empty() {
            let next = waiting.len().min(KEYS_AT_ONCE);
            let fits = match &mut slice.room {
                Some(room) => room.grow(next),
                None => {
                    slice.room = tokio::select! {
                        biased;
                        () = cancel.cancelled() => return Err(DeliveryFault::Cancelled(None)),
                        room = writes.beside(self.memory.room(next)) => room,
                    };
                    true
                }
            };
            if !fits {
                break;
            }
            let handles: Vec<FetchHandle> = waiting.drain(..next).collect();
            let key = |handle: &FetchHandle| page.batch.fetch(*handle).map(|(fetch, _)| fetch.key.clone());
            let keys: Vec<Key> = handles.iter().filter_map(key).collect();
            let reads = writes.beside(self.read(reader.as_ref(), &keys, cancel)).await?;
            self.settle(page, writes, cancel).await;
            slice.answered.extend(handles.iter().zip(&reads).map(|(handle, read)| (*handle, read.answered)));
            let bytes = self.resolve(page, handles, reads, cancel).await?;
            if let Some(room) = &mut slice.room {
                room.fill(bytes);
            }
        }
        Ok(slice)
    }

    async fn read(
        &self,
        reader: &dyn ItemReader,
        keys: &[Key],
        cancel: &CancellationToken,
    ) -> Result<Vec<ItemRead>, DeliveryFault> {
        let limit = self.limit().min(READS_FAIL_FOR);
        self.patiently_for(limit, cancel, "read items", || reader.read(keys)).await
    }

    /// Maps what was read, and says how many bytes that takes.
    async fn resolve(
        &self,
        page: &mut Page,
        handles: Vec<FetchHandle>,
        reads: Vec<ItemRead>,
        cancel: &CancellationToken,
    ) -> Result<usize, DeliveryFault> {
        let mut bytes = 0;
        let mut letters = Vec::new();
        let mut unresolvable = Vec::new();
        for (handle, read) in handles.into_iter().zip(reads) {
            let Some((fetch, owner)) = page.batch.fetch(handle) else { continue };
            let resolved = match &read.found {
                Found::Refused(error) => {
                    let address = fetch.addresses.first().cloned();
                    let (reason, error) = ("item_not_readable", error.to_string());
                    letters.push(self.record_letter(page, &RefusedRecord { record: owner, address, reason, error }));
                    unresolvable.push((handle, Vec::new()));
                    continue;
                }
                Found::Item(item) => self.mapper.resolve(fetch, Some(&table_image(item)), read.at),
                Found::Absent => self.mapper.resolve(fetch, None, read.at),
            };
            match resolved {
                Ok(operations) => {
                    bytes += operations.iter().map(size).sum::<usize>();
                    page.batch.resolved(handle, operations);
                }
                Err(refusal) => {
                    letters.push(self.record_letter(page, &RefusedRecord::of(owner, &refusal)));
                    unresolvable.push((handle, deletes(refusal.sent)));
                }
            }
        }
        self.store(&letters, cancel).await?;
        for (handle, deletes) in unresolvable {
            bytes += deletes.iter().map(size).sum::<usize>();
            page.batch.unresolvable(handle, deletes);
        }
        Ok(bytes)
    }

    /// Starts to write what waits, index by index at the same time. Says whether there is anything.
    fn start<'d>(&'d self, page: &mut Page, slice: Slice, bounds: &'d Bounds, writes: &mut Writes<'d>) -> bool {
        let Slice { mut room, answered } = slice;
        let now = Instant::now();
        let mut groups: BTreeMap<IndexName, Group> = BTreeMap::new();
        for (handle, operation) in page.batch.take_operations() {
            let answered = page.batch.fetch_of(handle).and_then(|fetch| answered.get(&fetch).copied());
            groups.entry(operation.address.index.clone()).or_default().add(handle, operation, answered, now);
        }
        let any = !groups.is_empty();
        for (index, group) in groups {
            let part = room.as_mut().and_then(|room| room.part(group.bytes));
            writes.running.push(Box::pin(self.write(index, group, bounds, part)));
        }
        any
    }

    async fn write(
        &self,
        index: IndexName,
        group: Group,
        bounds: &Bounds,
        room: Option<OwnedSemaphorePermit>,
    ) -> Written {
        let Group { sent, operations, .. } = group;
        let written = match self.ensure(&index, &operations, &bounds.cancel).await {
            Ok(Readiness::Ready) => {
                let decisions = self.writer.write_taken(operations, bounds.permit.clone()).await;
                Written { sent, index: Some(index), decisions: Ok(decisions) }
            }
            Ok(Readiness::Absent) => {
                let decisions = sent.iter().map(|_| Decision::Done(Outcome::Absent)).collect();
                Written { sent, index: None, decisions: Ok(decisions) }
            }
            Ok(Readiness::Refused(refusal)) => {
                let decisions = sent.iter().map(|_| Decision::Refused(refusal.clone())).collect();
                Written { sent, index: None, decisions: Ok(decisions) }
            }
            Err(fault) => Written { sent, index: None, decisions: Err(fault) },
        };
        drop(room);
        written
    }

    /// Takes the writer's decisions, and stores the dead letters among them.
    async fn settle(&self, page: &mut Page, writes: &mut Writes<'_>, cancel: &CancellationToken) {
        let mut letters = Vec::new();
        let mut refused = Vec::new();
        for Written { sent, index, decisions } in std::mem::take(&mut writes.ended) {
            page.indices.extend(index.map(|index| index.as_str().to_owned()));
            let decisions = match decisions {
                Ok(decisions) => decisions,
                Err(fault) => {
                    writes.fault.get_or_insert(fault);
                    continue;
                }
            };
            for (sent, decision) in sent.into_iter().zip(decisions) {
                match decision {
                    Decision::Done(outcome) => page.batch.decide(sent.handle, outcome),
                    Decision::ReadAgain => page.batch.read_again(sent.handle),
                    Decision::Stopped(stopped) => {
                        writes.fault.get_or_insert(DeliveryFault::Writer(stopped));
                    }
                    Decision::Refused(refusal) => {
                        letters.push(self.operation_letter(page, &sent, &refusal));
                        refused.push(sent.handle);
                    }
                }
            }
        }
        if let Err(fault) = self.store(&letters, cancel).await {
            writes.fault.get_or_insert(fault);
            return;
        }
        for handle in refused {
            page.batch.decide(handle, Outcome::DeadLettered);
        }
    }
}

impl Group {
    fn add(&mut self, handle: OperationHandle, operation: Operation, answered: Option<Instant>, now: Instant) {
        if answered.is_some() {
            self.bytes += size(&operation);
        }
        self.sent.push(Sent::of(handle, &operation));
        self.operations.push((operation, answered.unwrap_or(now)));
    }
}

impl Writes<'_> {
    /// Does `work`, and lets writes that end meanwhile end.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(written) = self.running.next(), if !self.running.is_empty() => self.ended.push(written),
            }
        }
    }
}

fn size(operation: &Operation) -> usize {
    let document = match &operation.action {
        Action::Index(document) => document.len(),
        Action::Delete => 0,
    };
    document + BESIDE_DOCUMENT
}

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::read_item;
use crate::fetch::{FetchVersion, Key};
use crate::operation::{Address, Origin, Role};
use crate::operation::{DocumentId, IndexName};
use crate::version::ExternalVersion;

fn address(id: &str) -> Address {
    Address { index: IndexName::parse("i").unwrap(), id: DocumentId::new(id.to_owned()), routing: None }
}

fn version(seconds: u32) -> ExternalVersion {
    ExternalVersion::of_change(CreationTime::from_seconds(seconds), None)
}

fn operation(id: &str, seconds: u32, content: Option<&str>) -> Operation {
    let action = content.map_or(Action::Delete, |text| Action::Index(text.to_owned().into()));
    Operation { address: address(id), version: version(seconds), action, origin: Origin::Image, role: Role::Live }
}

fn key(id: &str) -> Key {
    let text = format!(r#"{{"pk":{{"S":"{id}"}}}}"#);
    Key::from_image(&read_item(&text).unwrap()).unwrap()
}

fn meta(id: &str) -> RecordMeta {
    RecordMeta { keys: key(id).canonical().to_owned(), ..RecordMeta::default() }
}

fn fetch(id: &str, seconds: u32) -> Mapped {
    let fetch = Fetch { key: key(id), version: FetchVersion::OfChange(version(seconds)), addresses: vec![address(id)] };
    Mapped::Fetch { fetch, archive: None }
}

fn outcomes(batch: &Batch) -> Vec<Option<Outcome>> {
    batch.outcomes().collect()
}

#[test]
fn the_later_operation_on_a_document_is_sent_in_place_of_the_earlier() {
    let mut batch = Batch::default();
    batch.push(meta("a"), Mapped::Operations(vec![operation("a", 1, Some("1"))]));
    batch.push(meta("b"), Mapped::Operations(vec![operation("b", 1, Some("1"))]));
    batch.push(meta("a"), Mapped::Operations(vec![operation("a", 1, None)]));
    batch.push(meta("c"), Mapped::Nothing(Outcome::Filtered));
    let sent = batch.take_operations();
    let ids: Vec<_> = sent.iter().map(|(_, operation)| (operation.address.id.as_str(), &operation.action)).collect();
    assert_eq!(ids, [("a", &Action::Delete), ("b", &Action::Index("1".into()))]);
    assert_eq!(batch.origin(sent[0].0), Some((2, 0)));
    assert_eq!(outcomes(&batch), [None, None, None, Some(Outcome::Filtered)]);
    batch.decide(sent[0].0, Outcome::Absent);
    batch.decide(sent[1].0, Outcome::Applied);
    let (tally, undecided) = batch.tally();
    assert_eq!((tally.records(), undecided), (4, 0));
    assert_eq!((tally.coalesced, tally.absent, tally.applied, tally.filtered), (1, 1, 1, 1));
}

#[test]
fn d4_a_coalesced_record_is_decided_when_its_survivor_is() {
    let mut batch = Batch::default();
    // The second stands: its version is higher than the third's.
    for seconds in [1, 3, 2] {
        batch.push(meta("a"), Mapped::Operations(vec![operation("a", seconds, Some("x"))]));
    }
    let sent = batch.take_operations();
    assert_eq!(sent.len(), 1);
    assert_eq!((outcomes(&batch), batch.tally().1), (vec![None; 3], 3));
    let shown = [Some(Outcome::Coalesced), None, Some(Outcome::Coalesced)];
    assert_eq!(batch.outcomes_unsent(), shown);
    batch.decide(sent[0].0, Outcome::DeadLettered);
    let coalesced = Some(Outcome::Coalesced);
    assert_eq!(outcomes(&batch), [coalesced, Some(Outcome::DeadLettered), coalesced]);
}

#[test]
fn d4_a_coalesced_record_waits_for_the_read_that_took_its_survivor() {
    let mut batch = Batch::default();
    batch.push(meta("a"), Mapped::Operations(vec![operation("a", 1, Some("x"))]));
    batch.push(meta("a"), Mapped::Operations(vec![operation("a", 2, Some("x"))]));
    batch.push(meta("a"), fetch("a", 3));
    let handles = batch.fetches();
    assert_eq!(outcomes(&batch), [None; 3]);
    batch.resolved(handles[0], vec![operation("a", 3, Some("now"))]);
    let sent = batch.take_operations();
    assert_eq!(batch.fetch_of(sent[0].0), Some(handles[0]));
    batch.read_again(sent[0].0);
    assert_eq!(outcomes(&batch), [None; 3]);
    batch.resolved(handles[0], vec![operation("a", 3, Some("later"))]);
    let sent = batch.take_operations();
    batch.decide(sent[0].0, Outcome::Applied);
    let coalesced = Some(Outcome::Coalesced);
    assert_eq!(outcomes(&batch), [coalesced, coalesced, Some(Outcome::Applied)]);
}

#[test]
fn a_record_of_two_operations_waits_for_both() {
    let mut batch = Batch::default();
    batch.push(meta("a"), Mapped::Operations(vec![operation("old", 1, None), operation("new", 1, Some("1"))]));
    let sent = batch.take_operations();
    batch.decide(sent[0].0, Outcome::Absent);
    assert_eq!(outcomes(&batch), [None]);
    batch.decide(sent[1].0, Outcome::DeadLettered);
    assert_eq!(outcomes(&batch), [Some(Outcome::DeadLettered)]);
}

#[test]
fn a_record_that_handed_its_address_to_a_fetch_waits_for_it() {
    let mut batch = Batch::default();
    batch.push(meta("a"), fetch("a", 1));
    batch.push(meta("a"), fetch("a", 2));
    assert_eq!(outcomes(&batch), [None, None]);
    let handles = batch.fetches();
    batch.resolved(handles[0], vec![operation("old", 2, None), operation("new", 2, Some("now"))]);
    let sent = batch.take_operations();
    batch.decide(sent[1].0, Outcome::Applied);
    // Were the first one done with, nobody would delete at its address.
    assert_eq!(outcomes(&batch), [None, None]);
    assert_eq!(batch.tally().1, 2);
    batch.decide(sent[0].0, Outcome::Absent);
    assert_eq!(outcomes(&batch), [Some(Outcome::Coalesced), Some(Outcome::Applied)]);
}

#[test]
fn records_of_one_key_are_read_once_at_the_highest_version() {
    let mut batch = Batch::default();
    batch.push(meta("a"), fetch("a", 1));
    batch.push(meta("a"), fetch("a", 3));
    batch.push(meta("a"), fetch("a", 2));
    batch.push(meta("b"), fetch("b", 1));
    let handles = batch.fetches();
    assert_eq!(handles.len(), 2);
    let (joined, owner) = batch.fetch(handles[0]).unwrap();
    assert_eq!((joined.version, owner), (FetchVersion::OfChange(version(3)), 1));
    batch.resolved(handles[0], vec![operation("a", 3, Some("now"))]);
    batch.resolved(handles[1], vec![]);
    assert!(batch.fetches().is_empty());
    let sent = batch.take_operations();
    assert_eq!(sent.len(), 1);
    batch.decide(sent[0].0, Outcome::Applied);
    let coalesced = Some(Outcome::Coalesced);
    assert_eq!(outcomes(&batch), [coalesced, Some(Outcome::Applied), coalesced, Some(Outcome::Filtered)]);
}

#[test]
fn a_delete_beside_a_read_of_the_same_key_joins_the_read() {
    let mut batch = Batch::default();
    batch.push(meta("a"), fetch("a", 1));
    batch.push(meta("a"), Mapped::Operations(vec![operation("elsewhere", 2, None)]));
    let handles = batch.fetches();
    let (joined, owner) = batch.fetch(handles[0]).unwrap();
    assert_eq!((joined.version, owner), (FetchVersion::OfChange(version(2)), 1));
    assert_eq!(joined.addresses, [address("a"), address("elsewhere")]);
    assert!(batch.take_operations().is_empty());
    batch.resolved(handles[0], vec![operation("a", 2, None)]);
    let sent = batch.take_operations();
    batch.decide(sent[0].0, Outcome::Absent);
    assert_eq!(outcomes(&batch), [Some(Outcome::Coalesced), Some(Outcome::Absent)]);
}

#[test]
fn an_answer_that_is_not_final_is_read_again_with_every_address_known_so_far() {
    let mut batch = Batch::default();
    batch.push(meta("a"), fetch("a", 1));
    let handle = batch.fetches()[0];
    batch.resolved(handle, vec![operation("a", 1, None), operation("moved", 1, Some("x"))]);
    let sent = batch.take_operations();
    batch.read_again(sent[0].0);
    batch.read_again(sent[1].0);
    assert_eq!(outcomes(&batch), [None]);
    assert_eq!(batch.fetches(), [handle]);
    assert_eq!(batch.fetch(handle).unwrap().0.addresses, [address("a"), address("moved")]);
    batch.resolved(handle, vec![operation("a", 1, None), operation("moved", 1, None)]);
    for (handle, _) in batch.take_operations() {
        batch.decide(handle, Outcome::Applied);
    }
    assert_eq!(outcomes(&batch), [Some(Outcome::Applied)]);
}

#[test]
fn records_that_cannot_be_mapped_are_decided_by_their_letters() {
    let mut batch = Batch::default();
    let refused = batch.push_refused(meta("a"), None);
    batch.push(meta("b"), fetch("b", 1));
    let handle = batch.fetches()[0];
    assert_eq!(batch.tally().1, 2);
    batch.dead_lettered(refused);
    let unresolvable = batch.unresolvable(handle, vec![operation("old", 1, None)]).unwrap();
    let sent = batch.take_operations();
    assert_eq!((sent.len(), batch.tally().1), (1, 1));
    batch.decide(sent[0].0, Outcome::Applied);
    assert_eq!(batch.tally().1, 1);
    batch.dead_lettered(unresolvable);
    assert_eq!(batch.tally().0.dead_lettered, 2);
}

#[test]
fn d1_what_is_sent_beside_a_dead_letter_is_decided_and_the_record_is_a_dead_letter_all_the_same() {
    let mut batch = Batch::default();
    let refused = batch.push_refused(meta("a"), Some(Mapped::Operations(vec![operation("a", 1, None)])));
    let sent = batch.take_operations();
    batch.decide(sent[0].0, Outcome::Applied);
    assert_eq!(outcomes(&batch), [None]);
    batch.dead_lettered(refused);
    assert_eq!(outcomes(&batch), [Some(Outcome::DeadLettered)]);
    // And the other way round.
    let refused = batch.push_refused(meta("b"), Some(fetch("b", 1)));
    batch.dead_lettered(refused);
    assert_eq!(batch.tally().1, 1);
    let handle = batch.fetches()[0];
    batch.resolved(handle, vec![]);
    assert_eq!(batch.tally().0.dead_lettered, 2);
}

#[test]
fn d3_a_record_is_undecided_while_one_that_took_its_second_is() {
    let mut batch = Batch::default();
    let first = batch.push(meta("a"), Mapped::Operations(vec![operation("x", 2, None)]));
    let second = batch.push(meta("a"), Mapped::Operations(vec![operation("y", 2, Some("1"))]));
    batch.hold(first, second);
    let sent = batch.take_operations();
    batch.decide(sent[0].0, Outcome::Applied);
    assert_eq!(outcomes(&batch), [None, None]);
    batch.decide(sent[1].0, Outcome::Applied);
    assert_eq!(batch.tally(), (Tally { applied: 2, ..Tally::default() }, 0));
}

/// What an index does with external versions (`external_gte`), and how it forgets deletes.
#[derive(Default, Clone, PartialEq, Debug)]
struct ModelIndex {
    documents: BTreeMap<String, (ExternalVersion, Option<Bytes>)>,
}

impl ModelIndex {
    fn apply(&mut self, operation: &Operation) {
        let content = match &operation.action {
            Action::Index(text) => Some(text.clone()),
            Action::Delete => None,
        };
        let id = operation.address.id.as_str().to_owned();
        if self.documents.get(&id).is_none_or(|(version, _)| *version <= operation.version) {
            self.documents.insert(id, (operation.version, content));
        }
    }

    fn apply_coalesced(&mut self, page: &[Operation]) {
        let mut batch = Batch::default();
        for operation in page {
            batch.push(meta("k"), Mapped::Operations(vec![operation.clone()]));
        }
        for (_, operation) in batch.take_operations() {
            self.apply(&operation);
        }
    }

    fn forget_tombstones(&mut self) {
        self.documents.retain(|_, (_, content)| content.is_some());
    }

    fn visible(&self) -> BTreeMap<&str, &[u8]> {
        self.documents.iter().filter_map(|(id, (_, content))| Some((id.as_str(), content.as_deref()?))).collect()
    }
}

fn arbitrary_operation() -> impl Strategy<Value = Operation> {
    ("[abc]", 0u32..6, proptest::option::of("[xyz]"))
        .prop_map(|(id, seconds, content)| operation(&id, seconds, content.as_deref()))
}

/// Operations as one shard gives them: versions that never decrease.
fn in_order() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec(arbitrary_operation(), 1..14).prop_map(|mut operations| {
        operations.sort_by_key(|operation| operation.version);
        operations
    })
}

proptest! {
    #[test]
    fn coalescing_changes_nothing(operations in proptest::collection::vec(arbitrary_operation(), 0..20)) {
        let (mut one_by_one, mut coalesced) = (ModelIndex::default(), ModelIndex::default());
        for operation in &operations {
            one_by_one.apply(operation);
        }
        coalesced.apply_coalesced(&operations);
        prop_assert_eq!(one_by_one, coalesced);
    }

    /// Workers that each begin somewhere and run to the end, page by page, in any interleaving, while
    /// tombstones vanish at any moment, leave what one careful worker leaves.
    #[test]
    fn redeliveries_that_run_to_the_end_converge(
        operations in in_order(),
        starts in proptest::collection::vec(0usize..14, 1..4),
        schedule in proptest::collection::vec((0usize..4, 1usize..5, any::<bool>()), 0..30),
    ) {
        let mut expected = ModelIndex::default();
        operations.iter().for_each(|operation| expected.apply(operation));

        let mut index = ModelIndex::default();
        // The first worker begins at the beginning, or nothing would be complete.
        let mut workers = vec![0];
        workers.extend(starts.iter().map(|start| start % operations.len()));
        let steps = schedule.into_iter().map(|(worker, size, forget)| (worker % workers.len(), size, forget)).collect::<Vec<_>>();
        let finish = (0..workers.len()).map(|worker| (worker, usize::MAX, true));
        for (worker, size, forget) in steps.into_iter().chain(finish) {
            let from = workers[worker];
            let to = from.saturating_add(size).min(operations.len());
            index.apply_coalesced(&operations[from..to]);
            workers[worker] = to;
            if forget {
                index.forget_tombstones();
            }
        }
        prop_assert_eq!(index.visible(), expected.visible());
    }
}

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::{Batch, RecordMeta};
use crate::change::{Change, EventName};
use crate::event::image_of;
use crate::image::Image;
use crate::mapped::Mapped;
use crate::mapper::{Mapper, Trust};
use crate::operation::{Action, IndexName, Operation};
use crate::outcome::Outcome;
use crate::route::{IndexPattern, OnExpiry, PatternPart, Route, Ttl};
use crate::version::{ExternalVersion, SequenceNumber};

fn time(second: u32) -> CreationTime {
    CreationTime::from_seconds(second)
}

#[test]
fn d3_the_second_is_clamped_per_item() {
    let mut order = ItemOrder::default();
    let taken: Vec<_> = [("a", 10), ("b", 8), ("a", 9), ("a", 11), ("b", 7), ("b", 8), ("a", 10), ("a", 11)]
        .into_iter()
        .enumerate()
        .map(|(place, (key, second))| order.take(place, key, time(second)))
        .collect();
    let raised = |second, by| Some(Raised { second: time(second), by: Some(by) });
    assert_eq!(taken, [None, None, raised(10, 0), None, raised(8, 1), None, raised(11, 3), None]);
    // Before an earlier record of the page: all but the first, the fourth and the last.
    assert_eq!((order.steps_back(), order.raised()), (5, 3));
}

#[test]
fn d3_items_are_remembered_from_page_to_page_until_time_catches_up() {
    let mut order = ItemOrder::default();
    order.take(0, "ahead", time(10_000));
    order.take(1, "a", time(1_000));
    order.end_page();
    assert_eq!(order.take(0, "a", time(999)), Some(Raised { second: time(1_000), by: None }));
    assert_eq!(order.steps_back(), 1, "pages are counted each for itself");
    order.end_page();
    for number in 0..FEW_ITEMS {
        order.take(number, &number.to_string(), time(1_200));
    }
    order.end_page();
    assert_eq!(order.take(0, "a", time(999)), None, "too long ago");
    assert_eq!(order.take(1, "ahead", time(1_300)), Some(Raised { second: time(10_000), by: None }));
    order.end_page();
    assert_eq!(order.take(0, "ahead", time(10_001)), None);
}

#[test]
fn d3_what_is_remembered_is_bounded() {
    let mut order = ItemOrder::default();
    for page in 0..100 {
        // Ten seconds hold no more than may be kept, two minutes do.
        for number in 0..900 {
            order.take(number, &format!("{page} {number}"), time(1_000 + page));
        }
        order.end_page();
        assert!(order.items.len() <= 2 * KEPT_ITEMS + 900, "{}", order.items.len());
        if let Some(before) = page.checked_sub(1) {
            let raised = order.take(0, &format!("{before} 7"), time(900));
            assert_eq!(raised, Some(Raised { second: time(1_000 + before), by: None }), "the newest are kept");
        }
    }
    for number in 0..3 * KEPT_ITEMS {
        order.take(number, &format!("last {number}"), time(9_000));
    }
    order.take(0, "last", time(8_990));
    order.end_page();
    let kept = order.items.len();
    assert!((KEPT_ITEMS - 1..=KEPT_ITEMS).contains(&kept), "those that are ahead are as many: {kept}");
}

#[test]
fn d3_a_shard_with_few_records_keeps_few_items() {
    let mut order = ItemOrder::default();
    for second in 0..100_000 {
        order.take(0, &second.to_string(), time(1_000 + second));
        order.end_page();
        assert!(order.items.len() <= FEW_ITEMS, "{}", order.items.len());
    }
}

/// One change of the log: whose, when, and in which index the item is afterwards; `None`: expired.
#[derive(Debug, Clone)]
struct Step {
    item: u8,
    second: u32,
    index: Option<u8>,
}

/// Steps of an item go back by up to 20 seconds.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..3, 1_000u32..1_020, proptest::option::weighted(0.7, 0u8..3));
    proptest::collection::vec(step.prop_map(|(item, second, index)| Step { item, second, index }), 1..16)
}

/// Index and id.
type Place = (String, String);
/// The document, or nothing where it was deleted, with its version.
type Held = (ExternalVersion, Option<Bytes>);

/// The state of all indices: documents, and the versions of what was deleted.
#[derive(Default)]
struct Model {
    documents: BTreeMap<Place, Held>,
}

impl Model {
    fn apply(&mut self, operation: &Operation) {
        let content = match &operation.action {
            Action::Index(text) => Some(text.clone()),
            Action::Delete => None,
        };
        let place = (operation.address.index.to_string(), operation.address.id.as_str().to_owned());
        if self.documents.get(&place).is_none_or(|(version, _)| *version <= operation.version) {
            self.documents.insert(place, (operation.version, content));
        }
    }

    fn forget_tombstones(&mut self) {
        self.documents.retain(|_, (_, content)| content.is_some());
    }

    fn visible(&self) -> BTreeMap<Place, String> {
        let shown = |content: &Option<Bytes>| content.as_ref().map(|text| String::from_utf8(text.to_vec()).unwrap());
        self.documents.iter().filter_map(|(place, (_, content))| Some((place.clone(), shown(content)?))).collect()
    }
}

/// The log as a stream has it.
struct Log {
    steps: Vec<Step>,
}

impl Log {
    fn keys(&self, at: usize) -> Image<'static> {
        image_of(json!({"pk": {"S": self.steps[at].item.to_string()}}))
    }

    /// The item as the step at `at` leaves it.
    fn image(&self, at: usize) -> Option<Image<'static>> {
        let step = &self.steps[at];
        let (key, index) = (step.item.to_string(), step.index?.to_string());
        Some(image_of(json!({"pk": {"S": key}, "k": {"S": index}, "n": {"N": at.to_string()}})))
    }

    /// `None` where the item is not there before and after.
    fn change(&self, at: usize) -> Option<Change<'_>> {
        let item = self.steps[at].item;
        let before = (0..at).rev().find(|earlier| self.steps[*earlier].item == item);
        let (old_image, new_image) = (before.and_then(|before| self.image(before)), self.image(at));
        let event = match (&old_image, &new_image) {
            (None, None) => return None,
            (None, Some(_)) => EventName::Insert,
            (Some(_), Some(_)) => EventName::Modify,
            (Some(_), None) => EventName::Remove,
        };
        Some(Change {
            event,
            keys: self.keys(at),
            new_image,
            old_image,
            created: Some(time(self.steps[at].second)),
            sequence: Some(SequenceNumber::parse(&format!("{}12345678901234567890", at + 1)).unwrap()),
            expired: event == EventName::Remove,
            ..Change::default()
        })
    }

    /// No reader may begin at `at` when a record before it has a larger second than one of its item from there on: the
    /// two were in one page, and come again together.
    fn may_begin_at(&self, at: usize) -> bool {
        let (before, after) = self.steps.split_at(at);
        before.iter().all(|early| after.iter().all(|late| early.item != late.item || early.second <= late.second))
    }
}

fn mapper() -> Mapper {
    let name = |text: &str| IndexName::parse(text).unwrap();
    let parts = vec![PatternPart::Literal("i-".into()), PatternPart::Attribute("k".into())];
    let index = IndexPattern::Placeholders { text: "i-{k}".into(), parts };
    let on_expiry = OnExpiry::Archive(name("gone"));
    let ttl = Some(Ttl { attribute: "ttl".into(), on_expiry, infer_expiry: false });
    Mapper::new(vec![Route { index, ttl, ..Route::to(name("x")) }])
}

/// One page: its operations in the order in which they are sent, those of `lost` never.
fn deliver(
    log: &Log,
    page: Range<usize>,
    order: &mut ItemOrder,
    model: &mut Model,
    lost: &HashSet<usize>,
) -> Vec<bool> {
    let mapper = mapper();
    let mut batch = Batch::default();
    for at in page.clone() {
        let Some(mut change) = log.change(at) else {
            batch.push(RecordMeta::default(), Mapped::Nothing(Outcome::Filtered));
            continue;
        };
        let keys = change.canonical_keys();
        let raised = order.take(at - page.start, &keys, change.created.unwrap());
        change.not_before = raised.map(|raised| raised.second);
        let mapped = mapper.map(&change, Trust::InOrder).unwrap();
        let record = batch.push(RecordMeta { keys, ..RecordMeta::default() }, mapped);
        if let Some(by) = raised.and_then(|raised| raised.by) {
            batch.hold(by, record);
        }
    }
    for (number, (handle, operation)) in batch.take_operations().into_iter().enumerate() {
        if !lost.contains(&number) {
            model.apply(&operation);
            batch.decide(handle, Outcome::Applied);
        }
    }
    order.end_page();
    batch.outcomes().map(|outcome| outcome.is_some()).collect()
}

/// The last change of each item, and an archive copy for each expiry.
fn expected(log: &Log) -> BTreeMap<Place, String> {
    let mut shown = BTreeMap::new();
    for at in 0..log.steps.len() {
        let step = &log.steps[at];
        let id = step.item.to_string();
        let Some(change) = log.change(at) else { continue };
        shown.retain(|(index, known): &Place, _| index == "gone" || *known != id);
        let line = |image: &Image<'_>, route| crate::document::document(route, image).unwrap();
        let route = crate::shape::Shaped::new(Route::to(IndexName::parse("x").unwrap()));
        match (step.index, &change.new_image, &change.old_image) {
            (Some(index), Some(image), _) => {
                shown.insert((format!("i-{index}"), id), String::from_utf8(line(image, &route).into()).unwrap());
            }
            (_, _, Some(old)) => {
                let text = String::from_utf8(line(old, &route).into()).unwrap();
                let text = format!("{},\"expired_at\":{}}}", text.trim_end_matches('}'), step.second);
                shown.insert(("gone".to_owned(), format!("{id}|{}", step.second)), text);
            }
            _ => {}
        }
    }
    shown
}

/// Pages that end at these places.
fn cuts(length: usize, drawn: &[usize]) -> Vec<Range<usize>> {
    let mut ends: Vec<usize> = drawn.iter().map(|cut| cut % (length + 1)).chain([length]).collect();
    ends.sort_unstable();
    let mut start = 0;
    let mut pages = Vec::new();
    for end in ends {
        if end > start {
            pages.push(start..end);
            start = end;
        }
    }
    pages
}

#[test]
fn d3_a_step_back_inside_a_page_neither_tears_a_move_nor_loses_a_change() {
    let step = |second, index| Step { item: 0, second, index };
    let log = Log { steps: vec![step(1_010, Some(0)), step(1_005, Some(1)), step(1_007, Some(1)), step(1_003, None)] };
    let mut model = Model::default();
    let decided = deliver(&log, 0..4, &mut ItemOrder::default(), &mut model, &HashSet::new());
    assert_eq!(decided, [true; 4]);
    assert_eq!(model.visible(), expected(&log));
    // The archive copy carries the expiry's own time.
    assert_eq!(model.visible().keys().collect::<Vec<_>>(), [&("gone".to_owned(), "0|1003".to_owned())]);
}

proptest! {
    /// A page in order, whole or redelivered from where a checkpoint may stand, cut into other pages, some of it
    /// unanswered, tombstones forgotten in between: at the end the index holds the last change of each item.
    #[test]
    fn d3_the_last_change_of_each_item_stands_however_pages_are_cut(
        steps in steps(),
        readers in proptest::collection::vec((0usize..16, proptest::collection::vec(0usize..17, 0..4), proptest::collection::hash_set(0usize..8, 0..4), any::<bool>()), 0..4),
        last_cuts in proptest::collection::vec(0usize..17, 0..4),
    ) {
        let log = Log { steps };
        let length = log.steps.len();
        let mut model = Model::default();
        deliver(&log, 0..length, &mut ItemOrder::default(), &mut model, &HashSet::new());
        let last = (0, last_cuts, HashSet::new(), true);
        for (start, drawn, lost, forget) in readers.into_iter().chain([last]) {
            if forget {
                model.forget_tombstones();
            }
            let start = (0..=start % length).rev().find(|at| log.may_begin_at(*at)).unwrap_or(0);
            let mut order = ItemOrder::default();
            for page in cuts(length - start, &drawn) {
                let page = page.start + start..page.end + start;
                let decided = deliver(&log, page.clone(), &mut order, &mut model, &lost);
                if let Some(undecided) = decided.iter().position(|decided| !decided) {
                    // The same process delivers the rest again, with what it knows of the order.
                    deliver(&log, page.start + undecided..page.end, &mut order, &mut model, &HashSet::new());
                }
            }
        }
        prop_assert_eq!(model.visible(), expected(&log));
    }

    /// Where records of a page are undecided, they come again from a record that no version of theirs rests on.
    #[test]
    fn d3_a_checkpoint_never_stands_between_a_record_and_one_that_took_its_second(
        steps in steps(), lost in proptest::collection::hash_set(0usize..16, 1..6),
    ) {
        let log = Log { steps };
        let decided = deliver(&log, 0..log.steps.len(), &mut ItemOrder::default(), &mut Model::default(), &lost);
        let checkpoint = decided.iter().position(|decided| !decided).unwrap_or(decided.len());
        let (before, after) = log.steps.split_at(checkpoint);
        let is_change = |at: usize| log.change(at).is_some();
        let largest = |steps: &[Step], from: usize, item: u8| {
            let of_item = steps.iter().enumerate().filter(|(at, step)| step.item == item && is_change(from + at));
            of_item.map(|(_, step)| step.second).max().unwrap_or_default()
        };
        for (place, late) in after.iter().enumerate().filter(|(place, _)| !decided[checkpoint + place]) {
            // What comes again knows a second that is as large as any before it.
            prop_assert!(largest(before, 0, late.item) <= largest(&after[..=place], checkpoint, late.item));
        }
    }
}

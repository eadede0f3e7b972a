//! Progress in the state table, on each emulator, and the map that tests and the simulation use in its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::StartPosition;
use streamdex_dynamodb::state::{
    Action, Answer, Condition, Creation, Extent, Item, Making, Operation, Partition, SortKey, StateError,
    StatePartition, StateTable, Written, apply, of_number,
};
use streamdex_dynamodb::stream::ShardId;
use streamdex_dynamodb::time::now;
use streamdex_mapping::{CreationTime, SequenceNumber};
use streamdex_poller::clock::{ServiceTime, SystemClock};
use streamdex_poller::graph::{KeepDone, ReadFrom, ShardProgress};
use streamdex_poller::lease::{Fenced, WorkerId};
use streamdex_poller::retire::Retirement;
use streamdex_poller::state::closing::interrupt;
use streamdex_poller::state::writes::{Claimant, FIRST_RUN};
use streamdex_poller::state::{Beat, Checkpoint, Generations, Progress, StateStore, StreamStart};
use streamdex_poller::{Gap, GapKind};
use streamdex_sink::index::KnownIndex;
use streamdex_testkit::emulators::{Engine, engines, n, s};
use streamdex_testkit::engines::unique_name;

const TABLE_ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/sessions";
const SECOND_RUN: u64 = FIRST_RUN + 1;

/// The state table of one engine, or a map in its place.
#[derive(Clone)]
struct Place {
    name: &'static str,
    store: Arc<dyn StateStore>,
    /// Runs as long as this.
    _engine: Option<Arc<Engine>>,
}

#[derive(Default)]
struct Map(Mutex<BTreeMap<String, Item>>);

#[async_trait]
impl StateStore for Map {
    async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        let wanted = |key: &str| match extent {
            Extent::All => true,
            Extent::After(bound) => key > bound,
            Extent::Prefix(prefix) => key.starts_with(prefix),
        };
        let items = self.0.lock().unwrap();
        Ok(items.iter().filter(|(key, _)| wanted(key)).map(|(_, item)| item.clone()).collect())
    }

    async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError> {
        Ok(self.0.lock().unwrap().get(sort_key).cloned())
    }

    async fn write(&self, operations: &[Operation]) -> Result<Written, StateError> {
        Ok(Written { answer: apply(&mut self.0.lock().unwrap(), &partition(), operations), date: None })
    }
}

fn partition() -> String {
    Partition::Follow { group: "default", table: TABLE_ARN }.key()
}

async fn state_table(engine: &Engine) -> StateTable {
    let table = StateTable::new(engine.dynamodb.clone(), unique_name("state"), "default");
    assert_eq!(table.create(&Making::default()).await.unwrap(), Creation::Created, "{}", engine.name);
    table
}

async fn places() -> Vec<Place> {
    let mut places = vec![Place { name: "a map", store: Arc::new(Map::default()), _engine: None }];
    for engine in engines().await {
        let store = Arc::new(StatePartition::new(state_table(&engine).await, partition()));
        places.push(Place { name: engine.name, store, _engine: Some(Arc::new(engine)) });
    }
    places
}

impl Place {
    fn worker(&self, name: &str) -> Progress {
        self.worker_on("L1", name)
    }

    fn worker_on(&self, label: &str, name: &str) -> Progress {
        let time = Arc::new(ServiceTime::new(Arc::new(SystemClock::default())));
        let generations = Generations::from([("sessions".to_owned(), 1)]);
        Progress::new(Arc::clone(&self.store), time, label, generations, WorkerId::new(name))
    }

    /// A worker that has taken the lease, whoever had it.
    async fn reader(&self, name: &str) -> Progress {
        let worker = self.worker(name);
        let seen = worker.lease().await.unwrap();
        worker.take(seen, 0, &Claimant::default()).await.unwrap().expect("the lease is as it was seen");
        worker
    }

    async fn shard(&self, name: &str) -> Option<ShardProgress> {
        let loaded = self.worker("nobody").load().await.unwrap();
        loaded.shards.into_iter().find(|shard| shard.id.as_str() == name).map(|shard| shard.progress)
    }

    async fn position(&self, name: &str) -> Option<String> {
        match self.shard(name).await? {
            ShardProgress::Open(position) => position.map(|position| position.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

fn id(name: &str) -> ShardId {
    ShardId::new(name)
}

fn at(position: &str) -> Checkpoint {
    let created = Some(CreationTime::from_seconds(1_700_000_000));
    Checkpoint { position: SequenceNumber::parse(position).unwrap(), created }
}

/// A reader that has found a shard and begun with it.
async fn reading(place: &Place, worker: &str, shard: &str) -> Progress {
    let reader = place.reader(worker).await;
    assert_eq!(reader.found(&[(id(shard), Some(id("shardId-0")))]).await.unwrap(), Fenced::Stored);
    assert_eq!(reader.begin(&id(shard), &ReadFrom::Beginning, FIRST_RUN).await.unwrap(), Fenced::Stored);
    reader
}

#[tokio::test]
async fn checkpoints_never_go_backwards_within_a_run() {
    for place in places().await {
        let reader = reading(&place, "w1", "a").await;
        let rows = [
            ("9", Fenced::Stored),
            ("10", Fenced::Stored),
            ("9", Fenced::Lost),
            ("000000000000000000499", Fenced::Stored),
            ("498", Fenced::Lost),
            ("1234567890123456789012345678901234567890", Fenced::Stored),
            ("999999999999999999999999999999999999999", Fenced::Lost),
        ];
        for (position, expected) in rows {
            let fenced = reader.checkpoint(&id("a"), FIRST_RUN, &at(position)).await.unwrap();
            assert_eq!(fenced, expected, "{}: {position}", place.name);
        }
        // L10: one's own value is success.
        let again = reader.checkpoint(&id("a"), FIRST_RUN, &at("1234567890123456789012345678901234567890")).await;
        assert_eq!(again.unwrap(), Fenced::Stored, "{}", place.name);
        // Finding it again forgets nothing.
        reader.found(&[(id("a"), None), (id("b"), None)]).await.unwrap();
        assert_eq!(place.shard("b").await, Some(ShardProgress::Open(None)), "{}", place.name);
        let loaded = reader.load().await.unwrap();
        let stored = loaded.shards.iter().find(|shard| shard.id == id("a")).unwrap();
        assert_eq!(stored.parent, Some(id("shardId-0")));
        assert_eq!(stored.created, Some(CreationTime::from_seconds(1_700_000_000)));
        assert_eq!((stored.generations["sessions"], stored.term), (1, Some(1)));
    }
}

#[tokio::test]
async fn l1_a_checkpoint_of_an_earlier_term_is_refused_once_the_next_has_begun() {
    for place in places().await {
        let first = reading(&place, "w1", "a").await;
        first.checkpoint(&id("a"), FIRST_RUN, &at("50")).await.unwrap();
        let second = place.reader("w2").await;
        // What the first had on its way lands before the second begins: the second begins where it has read from.
        first.checkpoint(&id("a"), FIRST_RUN, &at("60")).await.unwrap();
        let from = ReadFrom::After(SequenceNumber::parse("50").unwrap());
        assert_eq!(second.begin(&id("a"), &from, FIRST_RUN).await.unwrap(), Fenced::Stored);
        assert_eq!(place.position("a").await.as_deref(), Some("50"), "{}", place.name);
        // And what lands later is refused.
        assert_eq!(first.checkpoint(&id("a"), FIRST_RUN, &at("100")).await.unwrap(), Fenced::Lost);
        assert_eq!(first.drained(&id("a"), FIRST_RUN).await.unwrap(), Fenced::Lost);
        assert_eq!(first.begin(&id("a"), &ReadFrom::Beginning, FIRST_RUN).await.unwrap(), Fenced::Lost);
        assert_eq!(second.checkpoint(&id("a"), FIRST_RUN, &at("51")).await.unwrap(), Fenced::Stored, "{}", place.name);
        assert_eq!(second.begin(&id("a"), &from, FIRST_RUN).await.unwrap(), Fenced::Stored, "its own value");
    }
}

#[tokio::test]
async fn l1_a_checkpoint_of_an_earlier_run_is_refused_too() {
    for place in places().await {
        let reader = reading(&place, "w1", "a").await;
        reader.checkpoint(&id("a"), FIRST_RUN, &at("50")).await.unwrap();
        let from = ReadFrom::After(SequenceNumber::parse("50").unwrap());
        assert_eq!(reader.begin(&id("a"), &from, SECOND_RUN).await.unwrap(), Fenced::Stored, "{}", place.name);
        assert_eq!(reader.checkpoint(&id("a"), FIRST_RUN, &at("100")).await.unwrap(), Fenced::Lost);
        assert_eq!(reader.begin(&id("a"), &from, FIRST_RUN).await.unwrap(), Fenced::Lost);
        assert_eq!(reader.drained(&id("a"), FIRST_RUN).await.unwrap(), Fenced::Lost);
        assert_eq!(reader.checkpoint(&id("a"), SECOND_RUN, &at("51")).await.unwrap(), Fenced::Stored);
        assert_eq!(place.position("a").await.as_deref(), Some("51"), "{}", place.name);
    }
}

#[tokio::test]
async fn l4_what_an_operator_can_take_back_is_fenced_by_the_lease() {
    for place in places().await {
        let first = reading(&place, "w1", "a").await;
        first.drained(&id("a"), FIRST_RUN).await.unwrap();
        let second = place.reader("w2").await;
        let gap = Gap::new(GapKind::Trimmed, "a").after(Some("42".into()));
        let index = KnownIndex { index: "i".into(), concrete: "i-000001".into(), uuid: "u1".into(), generation: 1 };
        let start = StreamStart { position: StartPosition::Latest, at: 7, roots: Vec::new(), resumes: false };
        let sleeper = [
            first.gap(&gap).await.unwrap(),
            first.index(&index).await.unwrap(),
            first.found(&[(id("z"), None)]).await.unwrap(),
            first.done(&id("a"), &[], &KeepDone::AWeek).await.unwrap(),
            first.beat(&Beat { number: 77, ..Beat::default() }).await.unwrap(),
        ];
        assert_eq!(sleeper, [Fenced::Lost; 5], "{}", place.name);
        assert_eq!(first.pin(&start, None).await.unwrap(), None);
        let loaded = second.load().await.unwrap();
        assert_eq!((loaded.gaps.len(), loaded.indices.len(), loaded.shards.len()), (0, 0, 1), "{}", place.name);
        assert_eq!(first.release(&Beat::default(), true).await.unwrap(), Fenced::Lost);
        assert_eq!(second.lease().await.unwrap().unwrap().owner, Some(WorkerId::new("w2")));
    }
}

#[tokio::test]
async fn l10_a_lease_is_taken_as_it_was_seen_and_only_once() {
    for place in places().await {
        let [first, second] = ["w1", "w2"].map(|name| place.worker(name));
        let claimant = Claimant { cluster: Some("c".into()), routes: "r".into() };
        let taken = first.take(None, 0, &claimant).await.unwrap().unwrap();
        assert_eq!((taken.lease.term, taken.before), (1, None));
        assert_eq!(second.take(None, 0, &claimant).await.unwrap(), None, "{}", place.name);
        assert!(first.take(None, 0, &claimant).await.unwrap().is_some(), "its own value is success");
        let seen = second.lease().await.unwrap().unwrap();
        assert!(seen.unclean && seen.fruitless == 1 && seen.cluster.as_deref() == Some("c"));
        let beat = Beat { number: seen.beat + 1, swept: Some(9), cluster: None, fruitful: true, summary: "{}".into() };
        assert_eq!(first.beat(&beat).await.unwrap(), Fenced::Stored);
        assert_eq!(second.take(Some(seen), 0, &claimant).await.unwrap(), None, "{}: its reader lives", place.name);
        let seen = second.lease().await.unwrap().unwrap();
        assert_eq!((seen.fruitless, seen.swept), (0, Some(9)));
        let taken = second.take(Some(seen), 6, &claimant).await.unwrap().unwrap();
        assert_eq!(taken.lease.term, 7, "{}: larger than any that was seen", place.name);
        let seen = first.lease().await.unwrap().unwrap();
        assert_eq!((seen.swept, seen.fruitless), (Some(9), 1), "what it knew is kept");
    }
}

/// `gap close` raises the term and leaves the beat as it is; a lease that is given back loses its owner.
#[tokio::test]
async fn l10_a_lease_is_not_taken_where_any_part_of_it_has_changed() {
    for place in places().await {
        place.reader("w1").await;
        let second = place.worker("w2");
        let seen = second.lease().await.unwrap();
        let item = place.store.get("lease").await.unwrap().unwrap();
        for (name, value) in [("term", of_number(9)), ("beat", of_number(9)), ("owner", s("w3"))] {
            let put =
                |item: Item| Operation { sort_key: "lease".into(), conditions: vec![], action: Action::Put(item) };
            let mut changed = item.clone();
            changed.retain(|key, _| key != "pk" && key != "sk");
            let before = changed.clone();
            changed.insert(name.to_owned(), value);
            place.store.write(&[put(changed)]).await.unwrap();
            let taken = second.take(seen.clone(), 0, &Claimant::default()).await.unwrap();
            assert_eq!(taken, None, "{}: another {name}", place.name);
            place.store.write(&[put(before)]).await.unwrap();
        }
        assert!(second.take(seen, 0, &Claimant::default()).await.unwrap().is_some(), "{}", place.name);
    }
}

#[tokio::test]
async fn l1_a_task_begins_again_in_its_own_term_and_never_before_a_later_run() {
    let third_run = SECOND_RUN + 1;
    for place in places().await {
        let earlier = reading(&place, "w1", "a").await;
        assert_eq!(earlier.begin(&id("a"), &ReadFrom::Beginning, third_run).await.unwrap(), Fenced::Stored);
        let late = earlier.begin(&id("a"), &ReadFrom::Beginning, SECOND_RUN).await.unwrap();
        assert_eq!(late, Fenced::Lost, "{}: a later run has begun", place.name);
        let later = place.reader("w2").await;
        later.begin(&id("a"), &ReadFrom::Beginning, FIRST_RUN).await.unwrap();
        let late = earlier.begin(&id("a"), &ReadFrom::Beginning, third_run + 1).await.unwrap();
        assert_eq!(late, Fenced::Lost, "{}: a later term has begun", place.name);
    }
}

#[tokio::test]
async fn who_begins_at_the_beginning_forgets_the_position() {
    for place in places().await {
        let earlier = reading(&place, "w1", "a").await;
        earlier.checkpoint(&id("a"), FIRST_RUN, &at("500")).await.unwrap();
        assert_eq!(place.position("a").await.as_deref(), Some("500"));
        let later = place.reader("w2").await;
        later.begin(&id("a"), &ReadFrom::Beginning, FIRST_RUN).await.unwrap();
        assert_eq!(place.position("a").await, None, "{}", place.name);
        assert_eq!(later.checkpoint(&id("a"), FIRST_RUN, &at("7")).await.unwrap(), Fenced::Stored);
    }
}

#[tokio::test]
async fn a_shard_without_an_item_is_not_begun() {
    for place in places().await {
        let reader = place.reader("w1").await;
        let begun = reader.begin(&id("x"), &ReadFrom::Beginning, FIRST_RUN).await.unwrap();
        assert_eq!((begun, place.shard("x").await), (Fenced::Lost, None), "{}", place.name);
    }
}

#[tokio::test]
async fn a_beat_after_the_goodbye_does_not_bring_the_lease_back() {
    for place in places().await {
        for is_clean in [true, false] {
            let reader = place.reader("w1").await;
            let late = place.worker("w1");
            let seen = reader.lease().await.unwrap().unwrap();
            // The same worker's beat, on its way while the lease is given back.
            late.take(Some(seen.clone()), 0, &Claimant::default()).await.unwrap();
            assert_eq!(late.release(&Beat { number: 100, ..Beat::default() }, is_clean).await.unwrap(), Fenced::Stored);
            assert_eq!(reader.beat(&Beat { number: 101, ..Beat::default() }).await.unwrap(), Fenced::Lost);
            let lease = reader.lease().await.unwrap().unwrap();
            assert_eq!((lease.owner, lease.unclean), (None, !is_clean), "{}", place.name);
        }
    }
}

#[tokio::test]
async fn l4_a_lease_is_interrupted_as_it_was_seen() {
    let command = WorkerId::new("gap-close");
    for place in places().await {
        let reader = place.reader("w1").await;
        let held = reader.lease().await.unwrap().unwrap();
        reader.release(&Beat::default(), false).await.unwrap();
        let late = place.store.write(&[interrupt(&held, &command, 7)]).await.unwrap();
        assert!(matches!(late.answer, Answer::Refused(_)), "{}: nobody has it now", place.name);
        let free = reader.lease().await.unwrap().unwrap();
        assert_eq!((free.term, free.owner.clone(), free.unclean), (held.term, None, true));
        let interrupting = || async { place.store.write(&[interrupt(&free, &command, 7)]).await.unwrap().answer };
        assert_eq!(interrupting().await, Answer::Stored);
        assert!(matches!(interrupting().await, Answer::Refused(_)), "{}: of an earlier term", place.name);
        let after = reader.lease().await.unwrap().unwrap();
        assert_eq!((after.term, after.owner), (held.term + 1, None));
    }
}

#[tokio::test]
async fn l3_children_are_stored_before_their_parent_is_done() {
    for place in places().await {
        let reader = reading(&place, "w1", "p").await;
        assert_eq!(reader.drained(&id("p"), FIRST_RUN).await.unwrap(), Fenced::Stored);
        assert_eq!(place.shard("p").await, Some(ShardProgress::Drained), "a duty of every later reader");
        reader.found(&[(id("l"), Some(id("p"))), (id("r"), Some(id("p")))]).await.unwrap();
        let for_ever = KeepDone::ForEver { parent: Some(id("before")) };
        assert_eq!(reader.done(&id("p"), &[id("l"), id("r")], &for_ever).await.unwrap(), Fenced::Stored);
        assert_eq!(reader.done(&id("p"), &[id("l"), id("r")], &for_ever).await.unwrap(), Fenced::Stored, "once more");
        assert_eq!(place.shard("p").await, None, "{}: what is done costs no later reader anything", place.name);
        let done = reader.done_shards().await.unwrap();
        assert_eq!((done.len(), done[0].parent.clone()), (1, Some(id("before"))), "{}", place.name);
        let child = reader.load().await.unwrap().shards.into_iter().find(|shard| shard.id == id("r")).unwrap();
        assert_eq!((child.parent, child.term), (Some(id("p")), None));
        let item = place.store.get("done|L1|p").await.unwrap().unwrap();
        assert!(!item.contains_key("expires"), "{}: the group began with it", place.name);
    }
}

#[tokio::test]
async fn many_shards_are_found_at_once() {
    for place in places().await {
        let reader = place.reader("w1").await;
        let all: Vec<_> = (0..250).map(|at| (id(&format!("s{at:03}")), None)).collect();
        reader.found(&all[40..60]).await.unwrap();
        assert_eq!(reader.found(&all).await.unwrap(), Fenced::Stored);
        assert_eq!(reader.load().await.unwrap().shards.len(), 250, "{}", place.name);
    }
}

/// Transactions on one item refuse one another where they are under way at once.
#[tokio::test]
async fn many_shards_are_begun_at_once_beside_beats() {
    for place in places().await {
        let reader = place.reader("w1").await;
        let all: Vec<_> = (0..250).map(|at| (id(&format!("s{at:03}")), None)).collect();
        reader.found(&all).await.unwrap();
        let begins = all.iter().map(|(shard, _)| reader.begin(shard, &ReadFrom::Beginning, FIRST_RUN));
        let beats = (10..15).map(|number| {
            let (reader, beat) = (&reader, Beat { number, ..Beat::default() });
            async move { reader.beat(&beat).await }
        });
        let (begun, beaten) = futures::join!(futures::future::join_all(begins), futures::future::join_all(beats));
        assert!(begun.into_iter().chain(beaten).all(|fenced| fenced.unwrap() == Fenced::Stored), "{}", place.name);
        let loaded = reader.load().await.unwrap();
        assert!(loaded.shards.iter().all(|shard| shard.term == Some(1)), "{}", place.name);
        // One that was begun in a later term is refused, and the others are not.
        let second = place.reader("w2").await;
        second.begin(&all[3].0, &ReadFrom::Beginning, FIRST_RUN).await.unwrap();
        assert_eq!(reader.begin(&all[4].0, &ReadFrom::Beginning, FIRST_RUN).await.unwrap(), Fenced::Lost);
    }
}

#[tokio::test]
async fn a_group_keeps_its_start_its_gaps_and_its_indices() {
    for place in places().await {
        let reader = place.reader("w1").await;
        let first =
            StreamStart { position: StartPosition::Latest, at: 7, roots: vec![id("a"), id("b")], resumes: false };
        let second = StreamStart { at: 8, ..first.clone() };
        assert_eq!(reader.pin(&first, None).await.unwrap(), Some(first.clone()));
        assert_eq!(reader.pin(&second, None).await.unwrap(), Some(first), "the first one stays");
        let gap = Gap::new(GapKind::Trimmed, "shardId-1").after(Some("42".into())).with_detail("why");
        let index = KnownIndex {
            index: "sessions".into(),
            concrete: "sessions-000001".into(),
            uuid: "u1".into(),
            generation: 1,
        };
        for _ in 0..2 {
            assert_eq!(reader.gap(&gap).await.unwrap(), Fenced::Stored);
            assert_eq!(reader.index(&index).await.unwrap(), Fenced::Stored);
        }
        // The first UUID stays.
        reader.index(&KnownIndex { uuid: "u2".into(), ..index.clone() }).await.unwrap();
        let loaded = reader.load().await.unwrap();
        assert_eq!((loaded.gaps, loaded.indices), (vec![gap], vec![index]), "{}", place.name);
        // The lease is the table's, and what is read of it the stream's.
        let other = place.worker_on("L2", "w2").load().await.unwrap();
        assert_eq!((other.start, other.other_streams), (None, vec!["L1".to_owned()]));
        assert_eq!(other.lease.unwrap().owner, Some(WorkerId::new("w1")));
    }
}

#[tokio::test]
async fn newer_formats_are_refused_and_malformed_items_reported() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let store = Arc::new(StatePartition::new(table.clone(), partition()));
        let worker = Place { name: engine.name, store, _engine: None }.worker("w1");
        let put = |sort_key: &str, version: AttributeValue| {
            let put = engine.dynamodb.put_item().table_name(table.name());
            put.item("pk", s(&partition())).item("sk", s(sort_key)).item("v", version).send()
        };
        put("shard|L1|broken", n(1)).await.unwrap();
        put("segment|of a later version|1", n(9)).await.unwrap();
        put("lease", n(1)).await.unwrap();
        let loaded = worker.load().await.unwrap();
        assert_eq!(
            (loaded.shards.len(), loaded.malformed),
            (0, vec!["lease".to_owned(), "shard|L1|broken".to_owned()])
        );
        assert!(loaded.malformed_shards.contains(&id("broken")));
        let error = worker.lease().await.unwrap_err();
        assert!(matches!(&error, StateError::Malformed { key } if key == "lease"), "{}: {error}", engine.name);
        put("shard|L1|newer", n(2)).await.unwrap();
        let error = worker.load().await.unwrap_err();
        let is_named = matches!(&error, StateError::NewerFormat { key, .. } if key == "shard|L1|newer");
        assert!(is_named, "{}: {error}", engine.name);
    }
}

/// The same random writes, with all kinds of conditions, give the same answers and the same items everywhere: what the
/// simulation finds with the map holds for DynamoDB.
#[tokio::test]
async fn the_map_of_the_simulation_answers_as_dynamodb_does() {
    let places = places().await;
    let mut random = fastrand::Rng::with_seed(13);
    for round in 0..400 {
        let operations = random_writes(&mut random);
        let mut answers = Vec::new();
        for place in &places {
            let answer = place.store.write(&operations).await.unwrap().answer;
            let stored: Vec<(String, BTreeMap<String, String>)> =
                place.store.query(Extent::All).await.unwrap().iter().map(shown).collect();
            answers.push((place.name, answer_text(&answer), stored));
        }
        for (name, answer, stored) in &answers[1..] {
            assert_eq!((answer, stored), (&answers[0].1, &answers[0].2), "{name}, round {round}: {operations:?}");
        }
    }
}

fn random_writes(random: &mut fastrand::Rng) -> Vec<Operation> {
    let mut keys = vec!["lease", "shard|L1|a", "shard|L1|b"];
    random.shuffle(&mut keys);
    let count = if random.bool() { 1 } else { random.usize(2..=3) };
    keys.truncate(count);
    keys.into_iter().map(|key| random_write(random, key, count == 1)).collect()
}

fn random_write(random: &mut fastrand::Rng, key: &str, is_alone: bool) -> Operation {
    let value = |random: &mut fastrand::Rng| of_number(random.u64(1..=3));
    let owner = |random: &mut fastrand::Rng| s(["w1", "w2"][random.usize(0..2)]);
    let mut conditions = Vec::new();
    for _ in 0..random.usize(0..=2) {
        conditions.push(match random.u8(0..7) {
            0 => Condition::Exists,
            1 => Condition::Missing,
            2 => Condition::Is("term", value(random)),
            3 => Condition::Is("owner", owner(random)),
            4 => Condition::Lacks("owner"),
            5 => Condition::Below("term", value(random)),
            _ => Condition::Below("owner", owner(random)),
        });
    }
    let attributes = |random: &mut fastrand::Rng| {
        let mut item = Item::from([("term".to_owned(), value(random))]);
        if random.bool() {
            item.insert("owner".to_owned(), owner(random));
        }
        item
    };
    let action = match random.u8(0..5) {
        0 => Action::Put(attributes(random)),
        1 | 2 => {
            let set = attributes(random);
            let remove = if set.contains_key("owner") || random.bool() { Vec::new() } else { vec!["owner"] };
            Action::Update { set, remove }
        }
        3 => Action::Delete,
        _ if is_alone => Action::Delete,
        _ => {
            if conditions.is_empty() {
                conditions.push(Condition::Exists);
            }
            Action::Check
        }
    };
    Operation { sort_key: key.to_owned(), conditions, action }
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Stored => "stored".to_owned(),
        Answer::Refused(refused) => {
            let each = refused.iter().map(|refusal| (refusal.operation, refusal.found.as_ref().map(shown)));
            format!("{:?}", each.collect::<Vec<_>>())
        }
    }
}

fn shown(item: &Item) -> (String, BTreeMap<String, String>) {
    let key = item["sk"].as_s().unwrap().clone();
    assert_ne!(SortKey::parse(&key), SortKey::Other);
    (key, item.iter().map(|(name, value)| (name.clone(), format!("{value:?}"))).collect())
}

#[tokio::test]
async fn l4_a_group_is_ended_while_nobody_reads_and_its_last_reader_writes_no_more() {
    for place in places().await {
        let retirement = Retirement(Arc::clone(&place.store));
        assert_eq!(retirement.take(now()).await.unwrap(), None, "{}: nobody ever read", place.name);
        let reader = place.reader("a").await;
        assert_eq!(retirement.take(now()).await.unwrap().as_deref(), Some("a"));
        for concrete in ["sessions-000002", "archive-000001"] {
            let index = KnownIndex { index: "x".into(), concrete: concrete.into(), uuid: "A".into(), generation: 1 };
            assert_eq!(reader.index(&index).await.unwrap(), Fenced::Stored);
        }
        // It is silent for so long that it is gone.
        let later = now() + 60;
        assert_eq!(retirement.take(later).await.unwrap(), None);
        assert_eq!(retirement.take(later).await.unwrap(), None, "it may be taken again");
        let index = KnownIndex { index: "x".into(), concrete: "late".into(), uuid: "A".into(), generation: 1 };
        assert_eq!(reader.index(&index).await.unwrap(), Fenced::Lost, "{}: it was only slow", place.name);
        let left = ["archive-000001".to_owned()];
        assert_eq!(retirement.forget(&left).await.unwrap(), None);
        let keys: Vec<String> = place
            .store
            .query(Extent::All)
            .await
            .unwrap()
            .iter()
            .map(|item| item["sk"].as_s().unwrap().clone())
            .collect();
        assert_eq!(keys, ["index|archive-000001"], "{}", place.name);

        // Another worker takes the lease while the items are deleted.
        place.reader("b").await;
        assert_eq!(retirement.take(now() + 60).await.unwrap(), None);
        let seen = place.worker("c").lease().await.unwrap();
        place.worker("c").take(seen, 0, &Claimant::default()).await.unwrap().expect("it is as it was seen");
        assert_eq!(retirement.forget(&[]).await.unwrap().as_deref(), Some("c"), "{}", place.name);
        assert!(place.worker("d").lease().await.unwrap().is_some());
    }
}

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::{StartPosition, StreamArn, TableArn};
use streamdex_dynamodb::state::{Creation, StateError, StateTable};
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::SequenceNumber;
use streamdex_poller::graph::{KeepDone, KnownProgress};
use streamdex_poller::lease::{Holder, Lease, WorkerId, Written};
use streamdex_poller::state::{Beat, Generations, ProgressStore, StreamStart, StreamState};
use streamdex_poller::{Gap, GapKind};
use streamdex_sink::index::KnownIndex;
use streamdex_testkit::emulators::{Engine, engines, n, s};
use streamdex_testkit::engines::unique_name;

const TABLE_ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/sessions";

async fn state_table(engine: &Engine) -> StateTable {
    let table = StateTable::new(engine.dynamodb.clone(), unique_name("state"), "default");
    assert_eq!(table.create().await.unwrap(), Creation::Created, "{}", engine.name);
    table
}

fn followed(label: &str) -> StreamArn {
    TableArn::parse(TABLE_ARN).unwrap().stream(label)
}

fn state(table: &StateTable, label: &str) -> StreamState {
    let generations = Generations::from([("sessions".to_owned(), 1)]);
    StreamState::new(table.clone(), &followed(label), generations, WorkerId::new("worker-1"))
}

fn session(table: &StateTable, worker: &str) -> StreamState {
    StreamState::new(table.clone(), &followed("L1"), Generations::new(), WorkerId::new(worker))
}

fn sequence(text: &str) -> SequenceNumber {
    SequenceNumber::parse(text).unwrap()
}

/// A shard that `state`'s worker has claimed.
async fn claimed(state: &StreamState, shard: &ShardId) -> Lease {
    state.offer(shard, Some(&ShardId::new("shardId-0"))).await.unwrap();
    let stored = state.claim(shard, &Holder::default()).await.unwrap().unwrap();
    Lease { shard: shard.clone(), fence: stored.holder.fence }
}

#[tokio::test]
async fn checkpoints_never_go_backwards() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let state = state(&table, "L1");
        let lease = claimed(&state, &ShardId::new("shardId-1")).await;
        let rows = [
            ("9", Written::Stored),
            ("10", Written::Stored),
            ("9", Written::Lost),
            ("0010", Written::Stored),
            ("000000000000000000499", Written::Stored),
            ("498", Written::Lost),
            ("1234567890123456789012345678901234567890", Written::Stored),
            ("999999999999999999999999999999999999999", Written::Lost),
        ];
        for (position, expected) in rows {
            let written = state.checkpoint(&lease, &sequence(position)).await.unwrap();
            assert_eq!(written, expected, "{}: {position}", engine.name);
        }
        // Offering it again forgets nothing.
        state.offer(&lease.shard, None).await.unwrap();
        let loaded = state.load().await.unwrap();
        let [stored] = loaded.shards.as_slice() else { panic!("{loaded:?}") };
        assert_eq!(stored.progress, KnownProgress::Begun(Some(sequence("1234567890123456789012345678901234567890"))));
        assert_eq!(stored.parent, Some(ShardId::new("shardId-0")));
        assert_eq!(stored.generations["sessions"], 1);
        assert_eq!(state.finish(&lease).await.unwrap(), Written::Stored);
        assert_eq!(state.load().await.unwrap().shards[0].progress, KnownProgress::Finished);
    }
}

#[tokio::test]
async fn a_lease_has_one_owner_and_the_fence_grows_with_each() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let (first, second) = (session(&table, "w1"), session(&table, "w2"));
        let shard = ShardId::new("shardId-1");
        let none = Holder::default();
        assert_eq!(first.claim(&shard, &none).await.unwrap(), None, "{}: there is no item", engine.name);
        let lease = claimed(&first, &shard).await;
        assert_eq!(lease.fence, 1);
        assert_eq!(second.claim(&shard, &none).await.unwrap(), None, "as it was seen before");
        first.checkpoint(&lease, &sequence("7")).await.unwrap();
        // The first is taken for dead.
        let holder = Holder { owner: Some(WorkerId::new("w1")), fence: 1 };
        let taken = second.claim(&shard, &holder).await.unwrap().unwrap();
        assert_eq!(taken.holder, Holder { owner: Some(WorkerId::new("w2")), fence: 2 });
        assert_eq!(taken.progress, KnownProgress::Begun(Some(sequence("7"))), "the claim tells the position");
        let written = [
            first.checkpoint(&lease, &sequence("9")).await.unwrap(),
            first.release(&lease, None).await.unwrap(),
            first.release(&lease, Some(&sequence("9"))).await.unwrap(),
            first.finish(&lease).await.unwrap(),
            first.succeed(&lease, &[ShardId::new("shardId-2")], &KeepDone::AWeek).await.unwrap(),
        ];
        assert_eq!(written, [Written::Lost; 5], "{}", engine.name);
        let lease = Lease { shard: shard.clone(), fence: 2 };
        assert_eq!(second.release(&lease, Some(&sequence("8"))).await.unwrap(), Written::Stored);
        let loaded = second.refresh().await.unwrap();
        assert_eq!(loaded.shards[0].holder, Holder { owner: None, fence: 2 });
        assert_eq!(loaded.shards[0].progress, KnownProgress::Begun(Some(sequence("8"))));
        let again = first.claim(&shard, &loaded.shards[0].holder).await.unwrap().unwrap();
        assert_eq!(again.holder.fence, 3);
    }
}

#[tokio::test]
async fn a_shard_and_its_children_change_hands_in_one_write() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let (first, second) = (session(&table, "w1"), session(&table, "w2"));
        let (parent, left, right) = (ShardId::new("p"), ShardId::new("l"), ShardId::new("r"));
        let lease = claimed(&first, &parent).await;
        second.offer(&right, Some(&parent)).await.unwrap();
        let children = [left.clone(), right.clone()];
        let lost = first.succeed(&lease, &children, &KeepDone::AWeek).await.unwrap();
        assert_eq!(lost, Written::Lost, "{}: a child was there", engine.name);
        assert_eq!(first.refresh().await.unwrap().shards.len(), 2, "nothing of it was written");
        assert_eq!(
            first.succeed(&lease, std::slice::from_ref(&left), &KeepDone::AWeek).await.unwrap(),
            Written::Stored
        );
        let refreshed = first.refresh().await.unwrap();
        let mine = refreshed.shards.iter().find(|shard| shard.id == left).unwrap();
        assert_eq!(mine.holder, Holder { owner: Some(WorkerId::new("w1")), fence: 1 });
        assert_eq!(mine.parent, Some(parent.clone()));
        assert!(refreshed.shards.iter().all(|shard| shard.id != parent), "{}: done shards cost nothing", engine.name);
        // A listing from before still shows it.
        second.offer(&parent, None).await.unwrap();
        let all = second.load().await.unwrap();
        let found: Vec<_> = all.shards.iter().filter(|shard| shard.id == parent).collect();
        assert!(matches!(found[..], [done] if done.progress == KnownProgress::Done), "{}: {found:?}", engine.name);
    }
}

/// Who restarts a group after a week must not take the shards that it began with for vanished ones.
#[tokio::test]
async fn the_end_of_a_shard_that_the_group_began_with_is_never_forgotten() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let session = session(&table, "w1");
        let for_ever = KeepDone::ForEver { parent: Some(ShardId::new("before")) };
        for (shard, keep, expires) in [("root", for_ever, false), ("later", KeepDone::AWeek, true)] {
            let lease = claimed(&session, &ShardId::new(shard)).await;
            assert_eq!(session.succeed(&lease, &[], &keep).await.unwrap(), Written::Stored);
            let get = engine.dynamodb.get_item().table_name(table.name());
            let key =
                get.key("pk", s(&format!("follow|default|{TABLE_ARN}"))).key("sk", s(&format!("done|L1|{shard}")));
            let item = key.send().await.unwrap().item.unwrap();
            assert_eq!(item.contains_key("expires"), expires, "{}: {item:?}", engine.name);
        }
        let loaded = session.load().await.unwrap();
        let root = loaded.shards.iter().find(|shard| shard.id.as_str() == "root").unwrap();
        assert_eq!(root.parent, Some(ShardId::new("before")), "{}", engine.name);
    }
}

#[tokio::test]
async fn workers_beat_and_leave() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let (first, second) = (session(&table, "w1"), session(&table, "w|2"));
        first.beat(&Beat { number: 1, started: 5, at: 6, summary: "{}".into() }).await.unwrap();
        second.beat(&Beat { number: 1, ..Beat::default() }).await.unwrap();
        first.beat(&Beat { number: 2, started: 5, at: 8, summary: "{}".into() }).await.unwrap();
        let mut workers = second.refresh().await.unwrap().workers;
        workers.sort_by(|left, right| left.id.cmp(&right.id));
        let shown: Vec<_> = workers.iter().map(|worker| (worker.id.as_str(), worker.beat, worker.started)).collect();
        assert_eq!(shown, [("w1", 2, 5), ("w|2", 1, 0)], "{}", engine.name);
        first.leave().await.unwrap();
        assert_eq!(second.refresh().await.unwrap().workers.len(), 1);
    }
}

#[tokio::test]
async fn a_group_keeps_its_start_its_gaps_and_its_indices() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let first =
            StreamStart { position: StartPosition::Latest, at: 7, roots: vec![ShardId::new("a"), ShardId::new("b")] };
        let second = StreamStart { at: 8, ..first.clone() };
        let ours = state(&table, "L1");
        assert_eq!(ours.pin(&first).await.unwrap(), first);
        assert_eq!(ours.pin(&second).await.unwrap(), first, "the first writer wins");
        let gap = Gap::new(GapKind::Trimmed, "shardId-1").after(Some("42".into())).with_detail("why");
        let index = KnownIndex {
            index: "sessions".into(),
            concrete: "sessions-000001".into(),
            uuid: "u1".into(),
            generation: 1,
        };
        for _ in 0..2 {
            ours.gap(&gap).await.unwrap();
            ours.index(&index).await.unwrap();
        }
        let loaded = ours.load().await.unwrap();
        assert_eq!((loaded.gaps, loaded.indices.clone()), (vec![gap], vec![index]));
        // Another stream of the table, another group, and the dead letters are none of each other's business.
        let other_stream = state(&table, "L2").load().await.unwrap();
        assert_eq!((other_stream.start, other_stream.other_streams), (None, vec!["L1".to_owned()]));
        let other_group = StateTable::new(engine.dynamodb.clone(), table.name(), "other");
        assert_eq!(state(&other_group, "L1").load().await.unwrap(), Default::default());
        ours.clear().await.unwrap();
        assert_eq!(ours.load().await.unwrap(), Default::default(), "{}", engine.name);
    }
}

#[tokio::test]
async fn newer_formats_are_refused_and_malformed_items_reported() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let put = |sort_key: &str, version: AttributeValue| {
            let put = engine.dynamodb.put_item().table_name(table.name());
            put.item("pk", s(&format!("follow|default|{TABLE_ARN}"))).item("sk", s(sort_key)).item("v", version).send()
        };
        put("shard|L1|broken", n(1)).await.unwrap();
        put("segment|of a later version|1", n(9)).await.unwrap();
        let loaded = state(&table, "L1").load().await.unwrap();
        assert_eq!((loaded.shards.len(), loaded.malformed), (0, vec!["shard|L1|broken".to_owned()]));
        put("shard|L1|newer", n(2)).await.unwrap();
        let error = state(&table, "L1").load().await.unwrap_err();
        assert!(
            matches!(&error, StateError::NewerFormat { key, .. } if key == "shard|L1|newer"),
            "{}: {error}",
            engine.name
        );
    }
}

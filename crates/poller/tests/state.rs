use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::StartPosition;
use streamdex_mapping::SequenceNumber;
use streamdex_poller::graph::KnownProgress;
use streamdex_poller::state::{
    Checkpointed, Creation, Generations, ProgressStore, StateError, StateTable, StreamStart, StreamState,
};
use streamdex_poller::stream::ShardId;
use streamdex_poller::{Gap, GapKind};
use streamdex_sink::index::KnownIndex;
use streamdex_testkit::engines::unique_name;

use crate::engine::{Engine, engines, n, s};

const TABLE_ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/sessions";

async fn state_table(engine: &Engine) -> StateTable {
    let table = StateTable::new(engine.clients.dynamodb.clone(), unique_name("state"), "default");
    assert_eq!(table.create().await.unwrap(), Creation::Created, "{}", engine.name);
    table
}

fn state(table: &StateTable, label: &str) -> StreamState {
    let generations = Generations::from([("sessions".to_owned(), 1)]);
    StreamState::new(table.clone(), TABLE_ARN, label, generations, "worker-1")
}

fn sequence(text: &str) -> SequenceNumber {
    SequenceNumber::parse(text).unwrap()
}

#[tokio::test]
async fn the_table_is_made_once_and_by_itself_in_an_emulator_alone() {
    for engine in engines().await {
        let table = StateTable::new(engine.clients.dynamodb.clone(), unique_name("state"), "default");
        let on_aws = table.ensure("arn:aws:dynamodb:eu-west-1:123456789012:table/t").await.unwrap_err();
        assert!(matches!(on_aws, StateError::Missing(_)) && on_aws.hint().contains("state create"), "{}", engine.name);
        let load = state(&table, "L1").load().await.unwrap_err();
        assert!(matches!(load, StateError::Missing(_)), "{}: {load}", engine.name);
        assert_eq!(table.ensure(TABLE_ARN).await.unwrap(), Creation::Created);
        assert_eq!(table.create().await.unwrap(), Creation::Existed);
        let data = engine.table().await;
        let error = StateTable::new(engine.clients.dynamodb.clone(), data, "default").create().await.unwrap_err();
        assert!(matches!(error, StateError::OtherKeys(_)), "{}: {error}", engine.name);
    }
}

#[tokio::test]
async fn checkpoints_never_go_backwards() {
    for engine in engines().await {
        let table = state_table(&engine).await;
        let state = state(&table, "L1");
        let shard = ShardId::new("shardId-1");
        state.begin(&shard, Some(&ShardId::new("shardId-0"))).await.unwrap();
        let rows = [
            ("9", Checkpointed::Stored),
            ("10", Checkpointed::Stored),
            ("9", Checkpointed::Overtaken),
            ("0010", Checkpointed::Stored),
            ("000000000000000000499", Checkpointed::Stored),
            ("498", Checkpointed::Overtaken),
            ("1234567890123456789012345678901234567890", Checkpointed::Stored),
            ("999999999999999999999999999999999999999", Checkpointed::Overtaken),
        ];
        for (position, expected) in rows {
            assert_eq!(
                state.checkpoint(&shard, &sequence(position)).await.unwrap(),
                expected,
                "{}: {position}",
                engine.name
            );
        }
        // Beginning again forgets nothing.
        state.begin(&shard, None).await.unwrap();
        let loaded = state.load().await.unwrap();
        let [stored] = loaded.shards.as_slice() else { panic!("{loaded:?}") };
        assert_eq!(stored.progress, KnownProgress::Begun(Some(sequence("1234567890123456789012345678901234567890"))));
        assert_eq!(stored.parent, Some(ShardId::new("shardId-0")));
        assert_eq!(stored.generations["sessions"], 1);
        state.finish(&shard).await.unwrap();
        assert_eq!(state.load().await.unwrap().shards[0].progress, KnownProgress::Finished);
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
        let other_group = StateTable::new(engine.clients.dynamodb.clone(), table.name(), "other");
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
            let put = engine.clients.dynamodb.put_item().table_name(table.name());
            put.item("pk", s(&format!("follow|default|{TABLE_ARN}"))).item("sk", s(sort_key)).item("v", version).send()
        };
        put("shard|L1|broken", n(1)).await.unwrap();
        put("worker|of a later version", n(9)).await.unwrap();
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

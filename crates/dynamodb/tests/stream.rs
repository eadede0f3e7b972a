use std::path::Path;

use streamdex_config::{Config, Source};
use streamdex_dynamodb::Fault;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::stream::{Position, SdkStream, ShardId, ShardPage, StreamSource, StreamStatus};
use streamdex_dynamodb::table::{StreamView, TableError, TableInfo};
use streamdex_mapping::EventName;
use streamdex_testkit::emulators::{Engine, engines, stream};
use streamdex_testkit::engines::DynamoDbLocal;

fn clients(engine: &Engine) -> SourceClients {
    SourceClients { dynamodb: engine.dynamodb.clone(), streams: engine.streams.clone() }
}

/// A source of these keys, into one index.
fn source(keys: &str) -> Source {
    let text =
        format!("source = {{ {keys} }}\nopensearch = {{ url = 'http://127.0.0.1' }}\nroute = [{{ index = 'i' }}]");
    Config::parse(&text, Path::new(""), &|_| None).unwrap().config.sources.remove(0)
}

async fn describe(engine: &Engine, table: &str) -> TableInfo {
    TableInfo::describe(&clients(engine), &source(&format!("table = '{table}'"))).await.unwrap()
}

#[tokio::test]
async fn tables_and_streams_are_described() {
    for engine in engines().await {
        let table = engine.table().await;
        let info = describe(&engine, &table).await;
        assert_eq!((info.table.as_str(), info.stream.view), (table.as_str(), StreamView::NewAndOldImages));
        assert_eq!(info.keys, ["pk", "at"]);
        assert!(info.arn.as_str().ends_with(&format!(":000000000000:table/{table}")), "{}: {}", engine.name, info.arn);
        let by_stream = source(&format!("stream_arn = '{}'", info.stream.arn));
        let same = TableInfo::describe(&clients(&engine), &by_stream).await.unwrap();
        assert_eq!((&same.stream, &same.keys, &same.arn), (&info.stream, &info.keys, &info.arn), "{}", engine.name);
        let missing = TableInfo::describe(&clients(&engine), &source("table = 'no-such-table'")).await.unwrap_err();
        assert!(matches!(missing, TableError::NoTable { .. }), "{}: {missing}", engine.name);
        engine.switch_stream(&table, stream(false)).await;
        // It can be read for a day, where the engine still names it.
        let off = TableInfo::describe(&clients(&engine), &source(&format!("table = '{table}'"))).await;
        match off {
            Ok(off) => assert_eq!((off.stream.arn, off.stream.enabled), (info.stream.arn, false), "{}", engine.name),
            Err(off) => {
                assert!(matches!(off, TableError::StreamDisabled(_)), "{}: {off}", engine.name);
                assert_ne!(engine.name, DynamoDbLocal::LABEL, "it names the last stream");
            }
        }
    }
}

#[tokio::test]
async fn records_are_read_from_the_oldest_and_after_one() {
    for engine in engines().await {
        let table = engine.table().await;
        for at in 0..30 {
            engine.put(&table, "p", at).await;
        }
        let info = describe(&engine, &table).await;
        let source = SdkStream::new(clients(&engine), info.stream.arn.clone(), Some(table.clone()));
        let ShardPage { shards, status, next, .. } = source.shards(None).await.unwrap();
        assert_eq!(next, None, "{}", engine.name);
        assert_eq!((shards.len(), status), (1, StreamStatus::Enabled), "{}", engine.name);
        let shard = &shards[0].id;
        // Emulators return every shard; none of them is a child of this one.
        assert!(source.children(shard).await.unwrap().is_empty());
        let read = async |position: Position| {
            let iterator = source.iterator(shard, &position).await.unwrap();
            let page = source.records(&iterator, None).await.unwrap();
            assert!(page.next.is_some() && !page.is_full());
            page.records
        };
        let records = read(Position::TrimHorizon).await;
        assert_eq!(records.len(), 30, "{}", engine.name);
        let change = records.as_slice()[4].as_ref().unwrap();
        assert_eq!(change.event, EventName::Insert);
        assert_eq!(change.canonical_keys(), r#"{"at":{"N":"4"},"pk":{"S":"p"}}"#);
        assert!(change.created.is_some() && change.new_image.is_some() && !change.expired);
        let rest = read(Position::After(change.sequence.clone().unwrap())).await;
        assert_eq!(rest.len(), 25, "{}", engine.name);
        assert_eq!(source.current_stream().await.unwrap(), Some(info.stream.arn.to_string()), "{}", engine.name);
        if engine.name != DynamoDbLocal::LABEL {
            // dynoxide gives an iterator for any name.
            continue;
        }
        let nowhere =
            source.iterator(&ShardId::new("shardId-00000000000000000000-00000000"), &Position::TrimHorizon).await;
        assert!(matches!(nowhere.unwrap_err().fault(), Fault::NotFound | Fault::Invalid), "{}", engine.name);
    }
}

#[tokio::test]
async fn the_last_page_of_a_closed_shard_carries_records() {
    for engine in engines().await.into_iter().filter(|engine| engine.name == DynamoDbLocal::LABEL) {
        let table = engine.table().await;
        let info = describe(&engine, &table).await;
        for at in 0..3 {
            engine.put(&table, "p", at).await;
        }
        engine.switch_stream(&table, stream(false)).await;
        let source = SdkStream::new(clients(&engine), info.stream.arn.clone(), Some(table.clone()));
        let ShardPage { shards, status, next, .. } = source.shards(None).await.unwrap();
        assert_eq!(next, None, "{}", engine.name);
        assert_eq!((shards.len(), status), (1, StreamStatus::Disabled));
        let iterator = source.iterator(&shards[0].id, &Position::TrimHorizon).await.unwrap();
        let page = source.records(&iterator, None).await.unwrap();
        assert_eq!((page.records.len(), page.next), (3, None));
        assert_eq!(source.current_stream().await.unwrap(), None);
        engine.switch_stream(&table, stream(true)).await;
        let current = source.current_stream().await.unwrap();
        assert!(current.is_some() && current != Some(info.stream.arn.to_string()));
    }
}

//! A 200 that lacks what was asked for is no answer, and no proof that anything is not there.

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use streamdex_config::Config;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::item::{BatchGetReader, Found, ItemReader};
use streamdex_dynamodb::state::{Creation, Extent, Item, Making, StateTable};
use streamdex_dynamodb::stream::{Position, SdkStream, ShardId, ShardIterator, StreamSource};
use streamdex_dynamodb::table::{TableError, TableInfo};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Image, Key};
use streamdex_testkit::emulators::{engines, n, s};
use streamdex_testkit::engines::{dynamodb_client, streams_client, unique_name};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};

const ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/2026-11-22T15:01:21.123";

/// A server that answers each call with the same body, status 200.
struct Scripted {
    _server: FaultServer,
    clients: SourceClients,
}

impl Scripted {
    fn answering(body: &str) -> Scripted {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(Reply::json(200, body)));
        let url = server.url();
        let clients = SourceClients { dynamodb: dynamodb_client(&url), streams: streams_client(&url) };
        Scripted { _server: server, clients }
    }

    fn stream(&self) -> SdkStream {
        let arn = streamdex_config::StreamArn::parse(ARN).unwrap();
        SdkStream::new(self.clients.clone(), arn, Some("t".to_owned()))
    }

    fn state(&self) -> StateTable {
        StateTable::new(self.clients.dynamodb.clone(), "state", "default")
    }
}

fn key(pk: &str) -> Key {
    let text = format!(r#"{{"at":{{"N":"1"}},"pk":{{"S":"{pk}"}}}}"#);
    Key::from_image(&Image::of_item(&text)).unwrap()
}

fn lacks(error: &AwsError, part: &str) {
    assert!(error.is_incomplete() && error.fault().passes_by_itself(), "{error}");
    assert!(error.to_string().contains(&format!("lacks `{part}`")), "{error}");
    assert!(error.to_string().contains(" at http://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn l12_a_page_without_records_is_no_page() {
    let iterator = ShardIterator::new("i");
    // An empty body reads the same as `{}`.
    for body in ["{}", "", r#"{"Records":null}"#, r#"{"NextShardIterator":"i"}"#] {
        let error = Scripted::answering(body).stream().records(&iterator, None).await.unwrap_err();
        lacks(&error, "Records");
    }
    for body in [
        "[]",
        r#"{"Records":{}}"#,
        r#"{"Records":"#,
        "true",
        r#"{"Records":[],"NextShardIterator":5}"#,
        r#"{"Records":[],"NextShardIterator":"\ud800"}"#,
    ] {
        let error = Scripted::answering(body).stream().records(&iterator, None).await.unwrap_err();
        assert!(error.fault().passes_by_itself(), "{body}: {error}");
    }
    // Well formed, and no proof of an end alone: that is the reader's business.
    let page = Scripted::answering(r#"{"Records":[]}"#).stream().records(&iterator, None).await.unwrap();
    assert!(page.records.is_empty() && page.next.is_none());
}

const PAGE: &str = r#"{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{"pk":{"S":"a"}},"SequenceNumber":"7",
    "NewImage":{"pk":{"S":"a"},"two":{"S":"x","N":"1"}}}},{"eventName":5}],"NextShardIterator":"next"}"#;
const FOUND: &str = r#"{"Responses":{"t":[{"pk":{"S":"a"},"at":{"N":"1"},"two":{"S":"x","N":"1"}}]}}"#;

/// A server that answers with these, one after the other, and then with the last one again.
fn in_turn(replies: impl IntoIterator<Item = Reply>) -> Scripted {
    let server = FaultServer::scripted();
    let mut replies: Vec<Reply> = replies.into_iter().collect();
    let last = replies.pop().unwrap();
    for reply in replies {
        server.add(Rule::any().times(1).answer(reply));
    }
    server.add(Rule::any().answer(last));
    let url = server.url();
    let clients = SourceClients { dynamodb: dynamodb_client(&url), streams: streams_client(&url) };
    Scripted { _server: server, clients }
}

/// An answer with the time that its server has.
fn at(second: u32, reply: Reply) -> Reply {
    reply.header("date", &format!("Sat, 22 Nov 2025 15:01:{second:02} GMT"))
}

fn failed() -> Reply {
    Reply::json(500, r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"x"}"#)
}

#[tokio::test]
async fn j1_a_refusal_keeps_its_type_and_is_tried_again_and_one_bad_record_is_one() {
    let served = in_turn([failed(), Reply::json(200, PAGE)]);
    let page = served.stream().records(&ShardIterator::new("i"), None).await.unwrap();
    assert_eq!(page.next, Some(ShardIterator::new("next")));
    let [first, second] = page.records.as_slice() else { panic!("{:?}", page.records) };
    let change = first.as_ref().unwrap();
    assert_eq!(change.stream_arn.as_deref(), Some(ARN));
    assert_eq!(
        change.new_image.as_ref().unwrap().problem().unwrap().to_string(),
        "attribute \"two\": a value has several type tags"
    );
    assert!(second.is_err());
    for (code, fault) in [
        ("ExpiredIteratorException", Fault::ExpiredIterator),
        ("TrimmedDataAccessException", Fault::Trimmed),
        ("ResourceNotFoundException", Fault::NotFound),
    ] {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"x"}}"#);
        let refused = in_turn([Reply::json(400, body)]);
        let error = refused.stream().records(&ShardIterator::new("i"), None).await.unwrap_err();
        assert_eq!((error.fault(), error.code()), (fault, Some(code)));
    }
}

#[tokio::test]
async fn j1_body_and_date_are_of_the_last_attempt() {
    let served = in_turn([at(1, failed()), at(2, Reply::json(200, FOUND))]);
    let reads = BatchGetReader::new(served.clients.dynamodb.clone(), "t").read(&[key("a")]).await.unwrap();
    assert!(matches!(reads[0].found, Found::Item(_)), "{reads:?}");
    assert_eq!(reads[0].at % 60, 2);
    // One value with two tags spoils its item, and no other.
    let Found::Item(item) = &reads[0].found else { panic!() };
    assert_eq!(Image::of_item(item).problem().unwrap().attribute, "two");
}

#[tokio::test]
async fn j1_a_page_that_breaks_off_or_is_none_is_no_page_and_can_be_asked_for_again() {
    let page = || Reply::json(200, PAGE);
    let html = Reply::html(200, "<html><body>Sign in</body></html>");
    for (reply, part) in [
        (page().cut(40), "the answer breaks off"),
        (page().stalled(40), "the answer breaks off"),
        (Reply::json(200, &PAGE[..40]), "the answer cannot be read"),
        (Reply::json(200, format!("{PAGE}]")), "the answer cannot be read"),
        (html, "the server is not DynamoDB: status 200 and text/html"),
    ] {
        let served = in_turn([reply.clone(), page()]);
        let (stream, iterator) = (served.stream(), ShardIterator::new("i"));
        let error = stream.records(&iterator, None).await.unwrap_err();
        assert!(error.fault().passes_by_itself() && error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("INSERT"), "no values: {error}");
        assert_eq!(stream.records(&iterator, None).await.unwrap().records.len(), 2);
        // Items are read like pages.
        let served = in_turn([reply, Reply::json(200, FOUND)]);
        let reader = BatchGetReader::new(served.clients.dynamodb.clone(), "t");
        let error = reader.read(&[key("a")]).await.unwrap_err();
        assert!(error.fault().passes_by_itself(), "{error}");
        assert!(matches!(reader.read(&[key("a")]).await.unwrap()[0].found, Found::Item(_)));
    }
}

#[tokio::test]
async fn listings_iterators_and_tables_are_not_read_out_of_nothing() {
    let nothing = Scripted::answering("{}");
    let stream = nothing.stream();
    let shard = ShardId::new("shardId-1");
    lacks(&stream.shards(None).await.unwrap_err(), "StreamDescription");
    lacks(&stream.children(&shard).await.unwrap_err(), "StreamDescription");
    lacks(&stream.iterator(&shard, &Position::TrimHorizon).await.unwrap_err(), "ShardIterator");
    lacks(&stream.current_stream().await.unwrap_err(), "Table");
    let described = Scripted::answering(r#"{"StreamDescription":{"StreamStatus":"ENABLED"}}"#);
    lacks(&described.stream().shards(None).await.unwrap_err(), "Shards");
    lacks(&described.stream().children(&shard).await.unwrap_err(), "Shards");
    let table = Scripted::answering(r#"{"Table":{"TableName":"t"}}"#);
    lacks(&table.stream().current_stream().await.unwrap_err(), "Table.TableStatus");
    let text = "source = { table = 'tab' }\nopensearch = { url = 'http://127.0.0.1' }\nroute = [{ index = 'i' }]";
    let source = Config::parse(text, Path::new(""), &|_| None).unwrap().config.sources.remove(0);
    for (served, part) in [(&nothing, "Table"), (&table, "Table.TableStatus")] {
        match TableInfo::describe(&served.clients, &source).await.unwrap_err() {
            TableError::Aws(error) => lacks(&error, part),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn the_state_table_is_not_read_out_of_nothing() {
    let nothing = Scripted::answering("{}");
    let state = nothing.state();
    let key = || Item::from([("pk".to_owned(), s("a")), ("sk".to_owned(), s("b"))]);
    lacks(state.query("follow|default|x", Extent::All).await.unwrap_err().aws().unwrap(), "Items");
    lacks(state.get(key()).await.unwrap_err().aws().unwrap(), "ConsumedCapacity");
    lacks(state.put(key()).await.unwrap_err().aws().unwrap(), "ConsumedCapacity");
    lacks(state.put_new(key()).await.unwrap_err().aws().unwrap(), "ConsumedCapacity");
    // No items, from something that did not look for any.
    let empty = Scripted::answering(r#"{"Items":[]}"#);
    lacks(empty.state().query("follow|default|x", Extent::All).await.unwrap_err().aws().unwrap(), "ConsumedCapacity");
    // A description without a table is no table without keys.
    lacks(state.create(&Making::default()).await.unwrap_err().aws().unwrap(), "Table");
    let table = Scripted::answering(r#"{"Table":{"TableName":"state"}}"#);
    lacks(table.state().create(&Making::default()).await.unwrap_err().aws().unwrap(), "Table.TableStatus");
}

#[tokio::test]
async fn a_page_that_points_to_itself_ends_the_listing() {
    let page = |shards: &str| {
        format!(r#"{{"StreamDescription":{{"StreamStatus":"ENABLED","LastEvaluatedShardId":"s1","Shards":{shards}}}}}"#)
    };
    let served = Scripted::answering(&page(r#"[{"ShardId":"s1"}]"#));
    let source = served.stream();
    let first = source.shards(None).await.unwrap().next;
    let second = source.shards(first.as_ref()).await;
    assert!(second.unwrap_err().to_string().contains("repeats `LastEvaluatedShardId`"));
    let children = tokio::time::timeout(Duration::from_secs(10), source.children(&ShardId::new("s0"))).await;
    assert!(children.expect("it ends").is_err());
    let served = Scripted::answering(
        r#"{"Items":[],"LastEvaluatedKey":{"pk":{"S":"a"}},"ConsumedCapacity":{"CapacityUnits":0.5}}"#,
    );
    let state = served.state();
    let read = tokio::time::timeout(Duration::from_secs(10), state.query("a", Extent::All)).await.expect("it ends");
    assert!(read.unwrap_err().to_string().contains("repeats `LastEvaluatedKey`"));
}

/// What the engines answer to who finds nothing: this is what `BatchGetReader` and `StateTable::get` rest on.
#[tokio::test]
async fn engines_name_the_table_and_the_capacity_where_nothing_is_found() {
    for engine in engines().await {
        let table = engine.table().await;
        let key = || Item::from([("pk".to_owned(), s("nobody")), ("at".to_owned(), n(1))]);
        let keys = KeysAndAttributes::builder().keys(key()).consistent_read(true).build().unwrap();
        let answer = engine.dynamodb.batch_get_item().request_items(&table, keys).send().await.unwrap();
        let responses = answer.responses.unwrap();
        assert_eq!(responses.get(&table).map(Vec::len), Some(0), "{}", engine.name);
        let total = ReturnConsumedCapacity::Total;
        let get = engine.dynamodb.get_item().table_name(&table).set_key(Some(key()));
        let answer = get.return_consumed_capacity(total.clone()).send().await.unwrap();
        assert!(answer.item.is_none() && answer.consumed_capacity.is_some(), "{}", engine.name);
        let put = engine.dynamodb.put_item().table_name(&table).set_item(Some(key()));
        let answer = put.return_consumed_capacity(total.clone()).send().await.unwrap();
        assert!(answer.consumed_capacity.is_some(), "{}", engine.name);
        let update = engine.dynamodb.update_item().table_name(&table).set_key(Some(key()));
        let update = update.update_expression("SET x = :x").expression_attribute_values(":x", n(1));
        let answer = update.return_consumed_capacity(total.clone()).send().await.unwrap();
        assert!(answer.consumed_capacity.is_some(), "{}", engine.name);
        let put = aws_sdk_dynamodb::types::Put::builder().table_name(&table).set_item(Some(key())).build().unwrap();
        let write = aws_sdk_dynamodb::types::TransactWriteItem::builder().put(put).build();
        let transaction = engine.dynamodb.transact_write_items().transact_items(write);
        let answer = transaction.return_consumed_capacity(total.clone()).send().await.unwrap();
        assert!(!answer.consumed_capacity().is_empty(), "{}", engine.name);
        let delete = engine.dynamodb.delete_item().table_name(&table).set_key(Some(key()));
        let answer = delete.return_consumed_capacity(total).send().await.unwrap();
        assert!(answer.consumed_capacity.is_some(), "{}", engine.name);
    }
}

#[tokio::test]
async fn an_item_is_absent_when_the_table_says_so_and_not_before() {
    for engine in engines().await {
        let table = engine.table().await;
        engine.put(&table, "there", 1).await;
        for body in ["{}", "", r#"{"Responses":{}}"#, r#"{"Responses":{"other":[]}}"#] {
            let server = FaultServer::in_front_of(&engine.endpoint);
            let blank = server.add(Rule::any().times(2).answer(Reply::json(200, body)));
            let reader = BatchGetReader::new(dynamodb_client(&server.url()), &table);
            let reads = reader.read(&[key("there"), key("gone")]).await.unwrap();
            assert!(matches!(reads[0].found, Found::Item(_)), "{}: {body}: {reads:?}", engine.name);
            assert!(matches!(reads[1].found, Found::Absent), "{}: {body}: {reads:?}", engine.name);
            assert_eq!(server.hits(blank), 2);
        }
    }
}

#[tokio::test]
async fn answers_without_the_table_are_asked_for_again_and_not_for_ever() {
    let reader = |body: &str| {
        let server = FaultServer::scripted();
        server.add(Rule::any().answer(Reply::json(200, body)));
        (BatchGetReader::new(dynamodb_client(&server.url()), "t"), server)
    };
    let (nothing, server) = reader("{}");
    lacks(&nothing.read(&[key("a")]).await.unwrap_err(), "Responses of the table");
    assert_eq!(server.requests().len(), 6);
    // Some keys are unprocessed, and nothing is said of the others.
    let unprocessed = r#"{"UnprocessedKeys":{"t":{"Keys":[{"pk":{"S":"a"},"at":{"N":"1"}}]}}}"#;
    let (half, _server) = reader(unprocessed);
    lacks(&half.read(&[key("a"), key("b")]).await.unwrap_err(), "Responses of the table");
    // A key that nobody asked for hides which one is unprocessed.
    let (odd, _server) = reader(&format!(r#"{{"Responses":{{"t":[]}},{}"#, &unprocessed[1..]));
    let error = odd.read(&[key("b")]).await.unwrap_err();
    assert!(error.fault().passes_by_itself() && error.to_string().contains("another unprocessed key"), "{error}");
    // As many as were asked for, and one of them twice: nothing is said of the other.
    let key_a = r#"{"pk":{"S":"a"},"at":{"N":"1"}}"#;
    let (twice, _server) = reader(&format!(r#"{{"UnprocessedKeys":{{"t":{{"Keys":[{key_a},{key_a}]}}}}}}"#));
    let error = twice.read(&[key("a"), key("b")]).await.unwrap_err();
    assert!(error.fault().passes_by_itself() && error.to_string().contains("unprocessed keys"), "{error}");
}

#[tokio::test]
async fn keys_that_are_all_unprocessed_are_asked_for_again() {
    let server = FaultServer::scripted();
    let all = r#"{"UnprocessedKeys":{"t":{"Keys":[{"pk":{"S":"a"},"at":{"N":"1"}}]}}}"#;
    server.add(Rule::any().times(3).answer(Reply::json(200, all)));
    let item = r#"{"Responses":{"t":[{"pk":{"S":"a"},"at":{"N":"1.0"}}]}}"#;
    server.add(Rule::any().answer(Reply::json(200, item)));
    // A table can be asked by its ARN, and answer by its name.
    for table in ["t", "arn:aws:dynamodb:eu-west-1:000000000000:table/t"] {
        let reader = BatchGetReader::new(dynamodb_client(&server.url()), table);
        let reads = reader.read(&[key("a")]).await.unwrap();
        assert!(matches!(reads[0].found, Found::Item(_)), "{reads:?}");
    }
}

/// A service in which the state table is made with the first call, and has no backups at first.
fn service(table_arn: &str, first: Option<Rule>) -> FaultServer {
    let server = FaultServer::scripted();
    first.map(|rule| server.add(rule));
    let to = |operation: &'static str| Rule::when(move |request| request.operation() == Some(operation));
    let refused = |kind: &str| Reply::json(400, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}"}}"#));
    let key = |name: &str, kind: &str| format!(r#"{{"AttributeName":"{name}","KeyType":"{kind}"}}"#);
    let keys = format!("{},{}", key("pk", "HASH"), key("sk", "RANGE"));
    let table = format!(
        r#"{{"Table":{{"TableName":"state","TableStatus":"ACTIVE","TableArn":"{table_arn}","KeySchema":[{keys}]}}}}"#
    );
    server.add(to("DescribeTable").times(1).answer(refused("ResourceNotFoundException")));
    server.add(to("DescribeTable").answer(Reply::json(200, table)));
    server.add(to("UpdateContinuousBackups").times(1).answer(refused("ContinuousBackupsUnavailableException")));
    let written = r#"{"ConsumedCapacity":{"TableName":"state","CapacityUnits":1.0}}"#;
    server.add(Rule::any().answer(Reply::json(200, written)));
    server
}

#[tokio::test]
async fn a_state_table_is_protected_outside_emulators() {
    let on_aws = "arn:aws:dynamodb:eu-west-1:123456789012:table/state";
    let whole = Making { key: Some("alias/streamdex".to_owned()), ..Making::default() };
    let plain = Making { without_recovery: true, without_deletion_protection: true, ..Making::default() };
    let protecting = ["UpdateTable", "UpdateContinuousBackups", "UpdateContinuousBackups"];
    for (arn, making, expected) in [
        (on_aws, &whole, &protecting[..]),
        (on_aws, &plain, &[]),
        ("arn:aws:dynamodb:ddblocal:000000000000:table/state", &whole, &[]),
    ] {
        let server = service(arn, None);
        let state = StateTable::new(dynamodb_client(&server.url()), "state", "default");
        assert_eq!(state.create(making).await.unwrap(), Creation::Created);
        let requests = server.requests();
        let asked: Vec<&str> = requests.iter().filter_map(|request| request.operation()).collect();
        let protected: Vec<&str> = asked.iter().copied().filter(|asked| protecting.contains(asked)).collect();
        assert_eq!(protected, expected, "{asked:?}");
        let created = requests.iter().find(|request| request.operation() == Some("CreateTable")).unwrap();
        let created: serde_json::Value = serde_json::from_slice(&created.body).unwrap();
        assert_eq!(created["SSESpecification"]["KMSMasterKeyId"].as_str(), making.key.as_deref());
    }
    // One that was left half made is named, and not changed.
    let server = service(on_aws, None);
    let state = StateTable::new(dynamodb_client(&server.url()), "state", "default");
    assert_eq!(state.create(&plain).await.unwrap(), Creation::Created);
    assert_eq!(state.create(&whole).await.unwrap(), Creation::Unprotected);
    assert_eq!(state.create(&plain).await.unwrap(), Creation::Existed);
    // Who may not protect it learns how, and that the table is there.
    let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized"}"#;
    let denies = Rule::when(|request| request.operation() == Some("UpdateTable")).answer(Reply::json(400, denied));
    let server = service(on_aws, Some(denies));
    let state = StateTable::new(dynamodb_client(&server.url()), "state", "default");
    let error = state.create(&whole).await.unwrap_err();
    assert!(error.to_string().contains("was created, but is not protected"), "{error}");
    assert!(error.hint().contains("aws dynamodb update-table --table-name state"), "{}", error.hint());
}

#[tokio::test]
async fn the_mark_of_a_state_table_is_written_once() {
    for engine in engines().await {
        let name = unique_name("state");
        let state = StateTable::new(engine.dynamodb.clone(), &name, "default");
        state.create(&Making::default()).await.unwrap();
        let all = || async { state.query("mark", Extent::All).await.unwrap() };
        let written = all().await;
        assert_eq!(written.len(), 1, "{}", engine.name);
        state.create(&Making::default()).await.unwrap();
        assert_eq!(all().await, written, "{}", engine.name);
    }
}

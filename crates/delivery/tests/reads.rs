//! Items that are read: how old they may be when they are sent, and how much of them is held.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Config, OpenSearch, TableArn};
use streamdex_delivery::indices::{IndexSetup, IndexWatch};
use streamdex_delivery::letter::FileLetters;
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryProgress, PageOutcome, ReadMemory};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::item::{BatchGetReader, Found, ItemRead, ItemReader, ItemText};
use streamdex_mapping::event::read_captured;
use streamdex_mapping::{IndexName, Key, KeyValue, Mapper, Outcome, Trust};
use streamdex_sink::index::{GroupState, KnownIndex, SetupError, Target, VanishedIndex};
use streamdex_sink::writer::{BulkTransport, Patience, Targets};
use streamdex_sink::{Answer, BodyEncoding, BulkWriter, ClientError, WriterSettings};
use streamdex_testkit::engines::dynamodb_client;
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const CONFIG: &str = "source = { table = 'tab' }\nopensearch = { url = 'http://127.0.0.1', compression = 'none' }\n\
                      route = [{ index = 'i', id = ['pk'] }]";

/// An index that takes everything, and whose documents are noted.
#[derive(Default)]
struct Index {
    /// Content by document, in the order in which it came.
    written: Mutex<Vec<(String, String)>>,
    /// Bytes of items that were read and are not written yet.
    held: Arc<Held>,
    takes: Duration,
}

#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Held {
    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most.fetch_max(now, Ordering::SeqCst);
    }
}

#[async_trait]
impl BulkTransport for Index {
    async fn bulk(&self, body: bytes::Bytes, _encoding: BodyEncoding) -> Result<Answer, ClientError> {
        sleep(self.takes).await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        let mut lines = text.lines();
        let mut items = Vec::new();
        while let Some(action) = lines.next() {
            let action: serde_json::Value = serde_json::from_str(action).unwrap();
            let (kind, meta) = action.as_object().unwrap().iter().next().unwrap();
            let document = if kind == "index" { lines.next().unwrap() } else { "" };
            self.held.now.fetch_sub(document.len().min(self.held.now.load(Ordering::SeqCst)), Ordering::SeqCst);
            let short: String = document.chars().take(60).collect();
            self.written.lock().unwrap().push((meta["_id"].as_str().unwrap().to_owned(), short));
            items.push(format!(r#"{{"{kind}":{{"status":200}}}}"#));
        }
        let body = format!(r#"{{"errors":false,"items":[{}]}}"#, items.join(","));
        Ok(Answer { status: 200, retry_after: None, body: body.into() })
    }

    fn refresh_credentials(&self) {}
}

/// One index, set up already.
struct SetUp;

impl Targets for SetUp {
    fn concrete(&self, _index: &IndexName) -> Option<Arc<str>> {
        Some("i-000001".into())
    }
}

#[async_trait]
impl IndexWatch for SetUp {
    fn restore(&self, _table: &TableArn, _known: Vec<KnownIndex>, _group: GroupState) {}

    fn known(&self) -> Vec<KnownIndex> {
        Vec::new()
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl IndexSetup for SetUp {
    async fn ensure(&self, _index: &IndexName) -> Result<Arc<Target>, SetupError> {
        Ok(Arc::new(Target { concrete: "i-000001".into(), uuid: None, generation: 1 }))
    }

    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        self.ensure(index).await.map(Some)
    }

    fn target(&self, _index: &IndexName) -> Option<Arc<Target>> {
        None
    }
}

/// Delivers `records` of a KEYS_ONLY stream.
struct Bench {
    index: Arc<Index>,
    reader: Arc<dyn ItemReader>,
    oldest_read: Duration,
}

impl Bench {
    async fn deliver(&self, keys: &[&str]) -> PageOutcome {
        let config = Config::parse(CONFIG, std::path::Path::new(""), &|_| None).unwrap().config;
        let mapper = Arc::new(Mapper::new(config.sources[0].routes.clone()));
        let mut page = Page::default();
        for (at, key) in keys.iter().enumerate() {
            let record = format!(
                r#"{{"eventName":"MODIFY","dynamodb":{{"ApproximateCreationDateTime":1700000000,"SequenceNumber":"{}",
                "Keys":{{"pk":{{"S":"{key}"}}}}}}}}"#,
                100 + at
            );
            read_captured(&record, |_, record| page.add(&mapper, record, Trust::InOrder)).unwrap();
        }
        let settings = WriterSettings {
            oldest_read: self.oldest_read,
            linger: Duration::ZERO,
            seed: Some(1),
            ..WriterSettings::new(&search(&config), Patience::Endless)
        };
        let stop = CancellationToken::new();
        let delivery = Delivery {
            table: "tab".to_owned(),
            mapper,
            reader: Some(Arc::clone(&self.reader)),
            indices: Arc::new(SetUp),
            writer: BulkWriter::start_on(self.index.clone(), Arc::new(SetUp), settings, stop.clone()),
            letters: Arc::new(FileLetters::new("/nowhere/letters.ndjson")),
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
            memory: ReadMemory::default(),
        };
        let outcome = Box::pin(delivery.deliver_page(page, &Bounds::default())).await;
        stop.cancel();
        outcome
    }

    fn written(&self) -> Vec<(String, String)> {
        self.index.written.lock().unwrap().clone()
    }
}

fn search(config: &Config) -> OpenSearch {
    config.opensearch.clone()
}

fn text_of(key: &Key) -> String {
    match key.attributes().next() {
        Some((_, KeyValue::String(text))) => text.clone(),
        _ => String::new(),
    }
}

fn item(pk: &str, value: &str) -> ItemText {
    serde_json::json!({"pk": {"S": pk}, "value": {"S": value}}).to_string().into()
}

/// An answer with `a` alone; `b` stays unprocessed.
fn without_b(value: &str) -> Reply {
    Reply::json(
        200,
        format!(
            r#"{{"Responses":{{"tab":[{{"pk":{{"S":"a"}},"value":{{"S":"{value}"}}}}]}},
            "UnprocessedKeys":{{"tab":{{"Keys":[{{"pk":{{"S":"b"}}}}]}}}}}}"#
        ),
    )
}

fn nothing_yet() -> Reply {
    Reply::json(200, r#"{"UnprocessedKeys":{"tab":{"Keys":[{"pk":{"S":"b"}}]}}}"#)
}

/// The read of `b` is throttled for longer than a read may be old: `a`, which was answered at once, is read again.
#[tokio::test]
async fn an_item_whose_answer_is_old_is_read_again_and_not_sent_as_fresh() {
    let server = FaultServer::scripted();
    server.add(Rule::any().times(1).answer(without_b("old")));
    server.add(Rule::any().times(5).answer(nothing_yet()));
    server.add(
        Rule::any().times(1).answer(Reply::json(200, r#"{"Responses":{"tab":[{"pk":{"S":"b"},"value":{"S":"b"}}]}}"#)),
    );
    server.add(Rule::any().answer(Reply::json(200, r#"{"Responses":{"tab":[{"pk":{"S":"a"},"value":{"S":"new"}}]}}"#)));
    let reader = Arc::new(BatchGetReader::new(dynamodb_client(&server.url()), "tab"));
    let bench = Bench { index: Arc::default(), reader, oldest_read: Duration::from_millis(500) };
    let outcome = bench.deliver(&["a", "b"]).await;
    assert_eq!(outcome.outcomes, [Some(Outcome::Applied); 2], "{:?}", outcome.fault);
    let documents = bench.written().into_iter().filter(|(id, _)| id == "a");
    // Items have no order of their attributes.
    let of_a: Vec<serde_json::Value> = documents.map(|(_, text)| serde_json::from_str(&text).unwrap()).collect();
    assert_eq!(of_a, [serde_json::json!({ "pk": "a", "value": "new" })]);
}

/// Answers some keys at once and others after a while, and returns when all are answered.
struct Throttled {
    rounds: AtomicUsize,
}

#[async_trait]
impl ItemReader for Throttled {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        let round = self.rounds.fetch_add(1, Ordering::SeqCst);
        let mut reads = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            if place == 1 {
                sleep(Duration::from_secs(50)).await;
            }
            let found = Found::Item(item(&text_of(key), &format!("round {round}")));
            reads.push(ItemRead { found, at: 1_700_000_100, answered: Instant::now() });
        }
        Ok(reads)
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_as_old_as_the_answer_that_carried_it() {
    let reader = Arc::new(Throttled { rounds: AtomicUsize::new(0) });
    let bench = Bench { index: Arc::default(), reader: reader.clone(), oldest_read: Duration::from_secs(30) };
    let outcome = bench.deliver(&["a", "b", "c"]).await;
    assert_eq!(outcome.outcomes, [Some(Outcome::Applied); 3], "{:?}", outcome.fault);
    // The fresh ones are not read again, or throttling would never end.
    let mut written = bench.written();
    written.sort();
    let text = |pk: &str, round: usize| (pk.to_owned(), format!(r#"{{"pk":"{pk}","value":"round {round}"}}"#));
    let sorted = |(id, content): (String, String)| {
        let parsed: serde_json::Value = serde_json::from_str(&content).unwrap();
        (id, parsed["value"].as_str().unwrap().to_owned())
    };
    let expected = [text("a", 1), text("b", 0), text("c", 0)].map(sorted);
    assert_eq!(written.into_iter().map(sorted).collect::<Vec<_>>(), expected);
    assert_eq!(reader.rounds.load(Ordering::SeqCst), 2);
}

/// Never answers.
struct Silent;

#[async_trait]
impl ItemReader for Silent {
    async fn read(&self, _keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        sleep(Duration::from_secs(3)).await;
        Err(streamdex_dynamodb::Call::of("BatchGetItem").lacks("Responses of the table"))
    }
}

/// The caller pauses with the reason; it is not kept in here for ever.
#[tokio::test(start_paused = true)]
async fn reads_that_fail_for_a_minute_come_back_with_their_reason() {
    let bench = Bench { index: Arc::default(), reader: Arc::new(Silent), oldest_read: Duration::from_secs(30) };
    let outcome = tokio::time::timeout(Duration::from_secs(90), bench.deliver(&["a", "b"])).await.expect("it returns");
    assert_eq!(outcome.outcomes, [None, None]);
    let fault = outcome.fault.unwrap();
    assert!(fault.to_string().contains("lacks `Responses of the table`"), "{fault}");
    assert!(fault.hint().contains("endpoint_url"), "{}", fault.hint());
    assert!(bench.written().is_empty(), "nothing is deleted for want of an answer");
}

/// Gives items of a size.
struct Large {
    bytes: usize,
    held: Arc<Held>,
    calls: AtomicUsize,
    asked: Mutex<HashSet<String>>,
}

#[async_trait]
impl ItemReader for Large {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(20)).await;
        let mut reads = Vec::new();
        for key in keys {
            self.held.add(self.bytes);
            assert!(self.asked.lock().unwrap().insert(text_of(key)), "each key is read once");
            let found = Found::Item(item(&text_of(key), &"x".repeat(self.bytes)));
            reads.push(ItemRead { found, at: 1_700_000_100, answered: Instant::now() });
        }
        Ok(reads)
    }
}

async fn held(items: usize, bytes: usize) -> (usize, usize) {
    let index = Arc::new(Index { takes: Duration::from_millis(300), ..Index::default() });
    let (calls, asked) = (AtomicUsize::new(0), Mutex::default());
    let reader = Arc::new(Large { bytes, held: Arc::clone(&index.held), calls, asked });
    let bench = Bench { index: Arc::clone(&index), reader: reader.clone(), oldest_read: Duration::from_secs(30) };
    // Each key three times: the first two are coalesced into the last, over slices too.
    let keys: Vec<String> = (0..items * 3).map(|at| format!("k{:04}", at % items)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let outcome = bench.deliver(&keys).await;
    assert!(outcome.outcomes[..items * 2].iter().all(|outcome| *outcome == Some(Outcome::Coalesced)));
    assert!(outcome.outcomes[items * 2..].iter().all(|outcome| *outcome == Some(Outcome::Applied)));
    assert_eq!(bench.written().len(), items);
    (index.held.most.load(Ordering::SeqCst), reader.calls.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn d4_items_are_read_and_written_in_slices_of_bytes() {
    let (most, _) = held(300, 300_000).await;
    // 90 MB in all.
    assert!(most <= 32 << 20, "{most} bytes were held");
    assert!(most >= 8_000_000, "{most} bytes alone were held, which makes many small requests");
    let (most, calls) = held(1_000, 1_000).await;
    assert!(most <= 32 << 20 && calls <= 25, "{most} bytes, {calls} calls");
}

//! `rebuild`: the next generation is filled under load, searches move to it when it is equal, and back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::engines::SearchEngine;
use streamdex_testkit::report::{dynamodb_local, search_node};
use streamdex_testkit::workload::Sessions;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::backfill::BatchedLoad;
use super::program::{Ended, Running};
use crate::lab::{CONFIG, Lab, Node, id, now};

const VIEW: StreamViewType = StreamViewType::NewAndOldImages;
/// Items of the table; a full run takes 200,000.
const ITEMS: &str = "STREAMDEX_REBUILD_ITEMS";
pub(super) const NEXT: &str = "next.toml";
const THIRD: &str = "third.toml";
/// Filling, the margin of reads, and comparing.
pub(super) const MOVED_WITHIN: Duration = Duration::from_secs(900);
/// Items that nothing changes, for searches that must always find them.
const STABLE: u32 = 40;

fn items() -> u32 {
    std::env::var(ITEMS).ok().and_then(|items| items.parse().ok()).unwrap_or(2_000)
}

/// The user of an item that the load does not touch.
fn stable(number: u32) -> u32 {
    4_000_000 + number
}

/// Searches, again and again, that must find every stable item, in one generation.
struct Searches {
    stop: oneshot::Sender<()>,
    task: JoinHandle<u32>,
    /// The generations that were seen, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Searches {
    async fn start(lab: &Lab) -> Searches {
        let (stop, mut stopped) = oneshot::channel();
        let (node, alias) = (Node::new(lab.node()).await, format!("{}-live", lab.index));
        let ids: Vec<String> = (0..STABLE).map(|number| id(&Sessions::key_of(stable(number), 0))).collect();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut searches = 0;
            loop {
                tokio::select! {
                    _ = &mut stopped => return searches,
                    () = sleep(Duration::from_millis(50)) => {}
                }
                let query = json!({"size": 100, "_source": false, "query": {"ids": {"values": ids}}});
                let (status, found) = node.ask(Method::Post, &format!("{alias}/_search"), query).await;
                // A node of 512 MB asks to come again while it merges: that is no answer, and no partial one.
                if status == 429 {
                    continue;
                }
                assert_eq!(status, 200, "{found}");
                let hits = found["hits"]["hits"].as_array().unwrap();
                let found: BTreeSet<&str> = hits.iter().map(|hit| hit["_id"].as_str().unwrap()).collect();
                assert_eq!((found.len(), hits.len()), (ids.len(), ids.len()), "after {searches} searches");
                let indices: BTreeSet<&str> = hits.iter().map(|hit| hit["_index"].as_str().unwrap()).collect();
                let [index] = indices.into_iter().collect::<Vec<_>>()[..] else { panic!("{hits:?}") };
                let mut noted = noted.lock().unwrap();
                if noted.last().is_none_or(|last| last != index) {
                    noted.push(index.to_owned());
                }
                searches += 1;
            }
        });
        Searches { stop, task, seen }
    }

    /// The generations that were seen, by their last digit.
    async fn stop(self) -> Vec<char> {
        let _ = self.stop.send(());
        let searches = self.task.await.unwrap();
        assert!(searches > 50, "{searches} searches");
        self.seen.lock().unwrap().iter().map(|index| index.chars().last().unwrap()).collect()
    }
}

impl Lab {
    /// The configuration of the next generation, with a changed mapping.
    pub(super) fn configure_next(&self) {
        let mapping = json!({"properties": {"city": {"type": "keyword"}}});
        self.write_file("next.json", &mapping.to_string());
        let text = self.read_file(CONFIG).replace("[state]\n", "[state]\ngroup = \"next\"\n");
        self.write_file(NEXT, &format!("{text}generation = 2\nmapping_file = \"next.json\"\n"));
    }

    /// That of the generation after it.
    fn configure_third(&self) {
        let text = self.read_file(NEXT);
        let text = text.replace("group = \"next\"", "group = \"third\"").replace("generation = 2", "generation = 3");
        self.write_file(THIRD, &text);
    }

    pub(super) async fn start_next(&self, arguments: &[&str]) -> Running {
        self.start_of(NEXT, arguments, &[]).await
    }

    pub(super) async fn end_next(&self, arguments: &[&str]) -> Ended {
        self.end_of(NEXT, arguments).await
    }

    pub(super) async fn rebuild_status(&self) -> Value {
        let status = self.end_next(&["rebuild", "--status", "--json"]).await;
        let report: Value = serde_json::from_str(&status.stdout).unwrap_or_else(|_| panic!("{}", status.stderr));
        report["rebuilds"][0].clone()
    }

    pub(super) fn generation(&self, generation: u32) -> String {
        format!("{}-{generation:06}", self.index)
    }

    async fn aliases(&self) -> Value {
        let (_, aliases) = self.ask(Method::Get, &format!("{}-0*/_alias", self.index)).await;
        aliases
    }

    /// What the state table holds of the group of the next generation.
    async fn next_rows(&self) -> usize {
        self.state_rows("pk", "follow|next|").await.len() + self.state_rows("pk", "letters|next").await.len()
    }

    /// Settings and mapping of a generation are what the configuration says, whatever was done meanwhile.
    async fn has_the_settings_of_its_configuration(&self) {
        let plan = self.end_next(&["index", "plan", "--json"]).await;
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|_| panic!("{}", plan.stderr));
        let text = plan.to_string();
        for finding in ["setting_differs", "field_differs"] {
            assert!(!text.contains(finding), "{plan}");
        }
        let index = self.generation(2);
        let (_, settings) = self.ask(Method::Get, &format!("{index}/_settings?flat_settings=true")).await;
        let settings = &settings[&index]["settings"];
        for name in ["index.refresh_interval", "index.translog.durability"] {
            assert_eq!(settings.get(name), None, "{settings}");
        }
        assert_eq!(settings["index.number_of_replicas"], "0");
    }
}

async fn with_stable_items(items: u32) -> Option<Lab> {
    let lab = Lab::on_opensearch(VIEW).await?;
    lab.provision(super::backfill::READ_UNITS).await;
    lab.hold_before_the_stream(items).await;
    let mut sessions = Sessions::new(62, now());
    for number in 0..STABLE {
        let mut item = sessions.item(Sessions::key_of(stable(number), 0));
        item.remove("expires_at");
        lab.put(item).await;
    }
    lab.configure_next();
    Some(lab)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_move_to_the_next_generation_under_load_and_back() {
    let items = items();
    let Some(lab) = with_stable_items(items).await else { return };
    let mut earlier = lab.start(&["run"]).await;
    let is_filled = |log: &str| log.contains("the index now holds the items from before the stream");
    earlier.until_logged("the first one is filled", MOVED_WITHIN, is_filled).await;
    lab.until_equal("before", || earlier.stderr()).await;
    let searches = Searches::start(&lab).await;
    let load = BatchedLoad::start(lab.client.clone(), lab.table.name.clone(), items + items / 10);

    let mut first = lab.start_next(&["rebuild", "--yes"]).await;
    let begins = |log: &str| log.contains("reading the table") && log.contains("filling the index");
    first.until_logged("it fills", MOVED_WITHIN, begins).await;
    let status = lab.rebuild_status().await;
    assert_eq!(status["phase"], "filling", "{status}");
    assert_eq!(status["aliases"][&lab.index], json!([lab.generation(1)]), "{status}");
    first.kill();
    let mut rebuild = lab.start_next(&["rebuild", "--yes"]).await;
    rebuild.until_logged("searches move", MOVED_WITHIN, |log| log.contains("searches see the next generation")).await;
    assert!(rebuild.stderr().contains("continuing the rebuild"), "{}", rebuild.stderr());
    let status = lab.rebuild_status().await;
    for alias in [lab.index.clone(), format!("{}-live", lab.index)] {
        assert_eq!(status["aliases"][&alias], json!([lab.generation(2)]), "{status}");
    }
    assert!(status["from"]["reader"].is_string() && status["to"]["reader"].is_string(), "both read: {status}");
    lab.has_the_settings_of_its_configuration().await;

    let shown = lab.end_next(&["rebuild", "--abort", "--yes"]).await;
    assert!(shown.status == 2 && shown.stderr.contains("--rollback"), "{}", shown.stderr);

    // `run` with the new configuration takes over.
    let mut next = lab.start_next(&["run"]).await;
    next.until_logged("it stands by", Duration::from_secs(60), |log| log.contains("standing by")).await;
    assert_eq!(rebuild.stop().await.status, 0);
    next.until_logged("it reads", Duration::from_secs(60), |log| log.contains("reading the table")).await;
    load.stop().await;
    lab.until_equal("in the next generation", || next.stderr()).await;

    let back = lab.end_next(&["rebuild", "--rollback"]).await;
    assert_eq!(back.status, 0, "{}", back.stderr);
    lab.until_equal("in the earlier generation", || earlier.stderr()).await;
    assert_eq!(lab.rebuild_status().await["phase"], "returned");
    assert_eq!(searches.stop().await, ['1', '2', '1']);

    let refused = lab.end_next(&["rebuild", "--abort", "--yes"]).await;
    assert!(refused.status == 3 && refused.stderr.contains("reads the stream"), "{}", refused.stderr);
    assert_eq!(next.stop().await.status, 0);
    let aborted = lab.end_next(&["rebuild", "--abort", "--yes"]).await;
    assert_eq!(aborted.status, 0, "{}", aborted.stderr);
    assert_eq!(lab.aliases().await.as_object().unwrap().keys().collect::<Vec<_>>(), [&lab.generation(1)]);
    assert_eq!((lab.next_rows().await, lab.rebuild_status().await["phase"].clone()), (0, Value::Null));
    lab.until_equal("in the end", || earlier.stderr()).await;
    assert_eq!(earlier.stop().await.status, 0);
    lab.no_letters().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rebuilt_is_refused_and_an_abort_ends_the_one_that_runs() {
    let Some(lab) = with_stable_items(100).await else { return };
    let nothing = lab.end_next(&["rebuild", "--yes"]).await;
    assert!(nothing.status == 2 && nothing.stderr.contains("searches see nothing"), "{}", nothing.stderr);
    let mut earlier = lab.start(&["run"]).await;
    lab.until_equal("before", || earlier.stderr()).await;
    let same = lab.end(&["rebuild", "--yes"]).await;
    assert!(same.status == 2 && same.stderr.contains("raise `generation`"), "{}", same.stderr);

    let mut rebuild = lab.start_next(&["rebuild", "--yes"]).await;
    let waits = |log: &str| log.contains("all items are being compared with their documents");
    rebuild.until_logged("it compares", MOVED_WITHIN, waits).await;
    lab.configure_third();
    let third = lab.end_of(THIRD, &["rebuild", "--yes"]).await;
    assert!(third.status == 2, "{}", third.stderr);
    let early = lab.end_next(&["rebuild", "--rollback"]).await;
    assert!(early.status == 2 && early.stderr.contains("is filling"), "{}", early.stderr);
    // A marked index of somebody else's generation, and one without a mark.
    let stranger = lab.generation(9);
    assert_eq!(lab.ask(Method::Put, &stranger).await.0, 200);
    let aborted = lab.end_next(&["rebuild", "--abort", "--yes"]).await;
    assert_eq!(aborted.status, 0, "{}", aborted.stderr);
    let ended = rebuild.ended(Duration::from_secs(30)).await;
    assert!(ended.status == 0 && ended.stderr.contains("the rebuild is gone"), "{}", ended.stderr);
    let left: Vec<String> = lab.aliases().await.as_object().unwrap().keys().cloned().collect();
    assert_eq!(left, [lab.generation(1), stranger.clone()]);
    assert_eq!(lab.ask(Method::Get, &format!("_index_template/streamdex-{}", lab.generation(2))).await.0, 404);
    assert_eq!(lab.next_rows().await, 0);
    lab.until_equal("in the end", || earlier.stderr()).await;
    assert_eq!(earlier.stop().await.status, 0);
    assert_eq!(lab.ask(Method::Delete, &stranger).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_name_of_a_placeholder_is_made_by_one_of_the_two_groups() {
    let Some(lab) = Lab::on_opensearch(VIEW).await else { return };
    let text = lab.read_file(CONFIG).replace(&format!("\"{}\"", lab.index), &format!("\"{}-{{city}}\"", lab.index));
    lab.write_file(
        CONFIG,
        &text.replace(&format!("table = \"{}-{{city}}\"", lab.index), &format!("table = \"{}\"", lab.index)),
    );
    lab.configure_next();
    let mut sessions = Sessions::new(63, now());
    let mut put = async |number: u32, city: &str| {
        let mut item = sessions.item(Sessions::key_of(number, 0));
        item.insert("city".to_owned(), AttributeValue::S(city.to_owned()));
        lab.put(item).await;
    };
    for number in 0..20 {
        put(number, ["eu", "us"][usize::from(number % 2 == 0)]).await;
    }
    let mut earlier = lab.start(&["run"]).await;
    lab.until_behind("us", 1).await;
    let mut rebuild = lab.start_next(&["rebuild", "--yes", "--from", "default"]).await;
    let waits = |log: &str| log.contains("all items are being compared with their documents");
    rebuild.until_logged("it compares", MOVED_WITHIN, waits).await;
    put(100, "cn").await;
    lab.until_behind("cn", 1).await;
    rebuild.until_logged("searches move", MOVED_WITHIN, |log| log.contains("searches see the next generation")).await;
    for city in ["eu", "us", "cn"] {
        lab.until_behind(city, 2).await;
    }
    put(101, "jp").await;
    lab.until_behind("jp", 2).await;
    let (_, found) = lab.ask(Method::Get, &format!("{}-jp-000001", lab.index)).await;
    assert!(
        found.get("error").is_some() || found[format!("{}-jp-000001", lab.index)]["aliases"] == json!({}),
        "{found}"
    );
    assert_eq!(earlier.stop().await.status, 0);

    // A third generation begins and is aborted: readers keep who writes what they see.
    lab.configure_third();
    let mut third = lab.start_of(THIRD, &["rebuild", "--yes", "--from", "next"], &[]).await;
    let keeps = |log: &str| log.contains("another rebuild has begun");
    rebuild.until_logged("it keeps on", Duration::from_secs(60), keeps).await;
    let aborted = lab.end_of(THIRD, &["rebuild", "--abort", "--yes"]).await;
    assert_eq!(aborted.status, 0, "{}", aborted.stderr);
    assert_eq!(third.ended(Duration::from_secs(60)).await.status, 0);
    sleep(Duration::from_secs(6)).await;
    put(102, "fr").await;
    lab.until_behind("fr", 2).await;
    assert_eq!(rebuild.stop().await.status, 0);
}

/// What a plan says of each document, and what becomes of it then.
async fn plan_and_move(lab: &Lab, engine: SearchEngine) {
    let mut sessions = Sessions::new(64, now());
    let mut odd = async |number: u32, name: &str, value: AttributeValue| {
        let mut item = sessions.item(Sessions::key_of(number, 7));
        item.insert(name.to_owned(), value);
        lab.put(item).await;
    };
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for number in 0..3 {
        odd(number, "strict", text("no number")).await;
        odd(10 + number, "object", text("plain")).await;
        odd(20 + number, "lenient", text("no number")).await;
    }
    let mapping = json!({"properties": {
        "strict": {"type": "long", "ignore_malformed": false}, "object": {"type": "object"}, "lenient": {"type": "long"}
    }});
    lab.write_file("next.json", &mapping.to_string());
    let mut earlier = lab.start(&["run"]).await;
    lab.until_equal("before", || earlier.stderr()).await;
    lab.until_its_group_is_named().await;

    let plan = lab.end_next(&["rebuild", "--plan", "--list", "list.ndjson", "--json"]).await;
    assert_eq!(plan.status, 1, "{}", plan.stderr);
    assert_eq!(lab.aliases().await.as_object().unwrap().keys().collect::<Vec<_>>(), [&lab.generation(1)]);
    let (_, scratch) = lab.ask(Method::Get, "_cat/indices/streamdex-plan-*?format=json").await;
    let of_table = scratch.to_string().contains(&lab.index);
    assert!(!of_table, "{scratch}");
    let listed = lab.read_file("list.ndjson");
    let named = |verdict: &str| -> BTreeSet<String> {
        let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["verdict"] == verdict).map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    let (refused, ignored) = (named("refused"), named("ignored"));
    // An older engine ignores what does not fit where the index says so, whatever the field says.
    assert!([3, 6].contains(&refused.len()), "{listed}");
    assert!(ignored.len() >= 3, "{listed}");

    let mut waits = lab.start_next(&["rebuild", "--yes"]).await;
    waits.until_logged("it waits", MOVED_WITHIN, |log| log.contains("the new mapping refuses items")).await;
    assert_eq!(waits.stop().await.status, 0);
    let early = lab.end_next(&["rebuild", "--rollback"]).await;
    assert!(early.status == 2 && early.stderr.contains("is equal"), "{}", early.stderr);
    if engine == SearchEngine::OpenSearch3 {
        let aborted = lab.end_next(&["rebuild", "--abort", "--yes"]).await;
        assert_eq!(aborted.status, 0, "{}", aborted.stderr);
        assert_eq!(lab.aliases().await.as_object().unwrap().keys().collect::<Vec<_>>(), [&lab.generation(1)]);
        assert_eq!(lab.next_rows().await, 0);
    }
    let mut rebuild = lab.start_next(&["rebuild", "--yes", "--accept-dead-letters"]).await;
    rebuild.until_logged("searches move", MOVED_WITHIN, |log| log.contains("searches see the next generation")).await;
    let letters = lab.state_rows("pk", "letters|next").await;
    let letters: BTreeSet<String> = letters.iter().map(|letter| letter["id"].as_s().unwrap().clone()).collect();
    assert_eq!(letters, refused);
    let query = json!({"size": 1000, "_source": false, "query": {"exists": {"field": "_ignored"}}});
    let (_, found) = lab.send(Method::Post, &format!("{}/_search", lab.index), query).await;
    let hits = found["hits"]["hits"].as_array().unwrap();
    let found: BTreeSet<String> = hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, ignored);
    assert_eq!(rebuild.stop().await.status, 0);
    assert_eq!(earlier.stop().await.status, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_refusals_that_a_plan_names_are_those_that_come_on_every_engine() {
    let Some(dynamodb) = dynamodb_local().await else { return };
    let mut tried = JoinSet::new();
    for engine in SearchEngine::REAL {
        let Some(node) = search_node(engine).await else { continue };
        let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), VIEW).await;
        lab.fill(65, 100).await;
        lab.configure_next();
        tried.spawn(async move { plan_and_move(&lab, engine).await });
    }
    while let Some(tried) = tried.join_next().await {
        tried.unwrap();
    }
}

impl Lab {
    /// Until the index says which group writes it.
    async fn until_its_group_is_named(&self) {
        let waited = timeout(Duration::from_secs(60), async {
            loop {
                let (_, mapping) = self.ask(Method::Get, &format!("{}/_mapping", self.generation(1))).await;
                if mapping.to_string().contains("default|") {
                    return;
                }
                sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(waited.await.is_ok());
    }

    /// Until searches of this city's alias see this generation, and nothing else.
    async fn until_behind(&self, city: &str, generation: u32) {
        let wanted = format!("{}-{city}-{generation:06}", self.index);
        let waited = timeout(Duration::from_secs(60), async {
            loop {
                let (_, behind) = self.ask(Method::Get, &format!("_alias/{}-{city}", self.index)).await;
                if behind.as_object().is_some_and(|behind| behind.keys().eq([&wanted])) {
                    return;
                }
                sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(
            waited.await.is_ok(),
            "{wanted}: {}",
            self.ask(Method::Get, &format!("{}-*/_alias", self.index)).await.1
        );
    }
}

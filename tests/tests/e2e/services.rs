//! Three replicas under load, while the services go away: OpenSearch and the state table for all of them, DynamoDB Streams
//! for the one that reads.

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode};
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::report::{dynamodb_local, needs};
use streamdex_testkit::workload::{Item, RandomWriter};
use tokio::time::sleep;

use super::program::Running;
use super::ways::Ways;
use crate::lab::{Lab, Load};

/// Set for outages of a minute each, of a node that is killed, in three rounds.
const FULL: &str = "STREAMDEX_FULL";
const SOON: Duration = Duration::from_secs(60);

struct Fleet {
    lab: Lab,
    ways: Vec<Ways>,
    replicas: Vec<Running>,
    /// A node that may be killed.
    node: Option<Arc<SearchNode>>,
    outage: Duration,
}

impl Fleet {
    async fn new() -> Option<Fleet> {
        let (lab, node, outage) = if env::var_os(FULL).is_some() {
            let own = SearchNode::start(SearchEngine::OpenSearch3, NodeOptions::default()).await;
            let (node, dynamodb) = (needs(SearchEngine::OpenSearch3.label(), own)?, dynamodb_local().await?);
            let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), StreamViewType::NewAndOldImages).await;
            (lab, Some(Arc::new(node)), Duration::from_secs(60))
        } else {
            (Lab::on_opensearch(StreamViewType::NewAndOldImages).await?, None, Duration::from_secs(14))
        };
        let ways = Ways::of_replicas(&lab, 3);
        let mut replicas = Vec::new();
        for (place, way) in ways.iter().enumerate() {
            replicas.push(way.start(&lab, &format!("replica{place}"), &[]).await);
        }
        Some(Fleet { lab, ways, replicas, node, outage })
    }

    fn log(&self) -> String {
        self.replicas.iter().map(Running::stderr).collect::<Vec<_>>().join("\n---\n")
    }

    /// Which replica reads.
    async fn reader(&self) -> usize {
        let begun = Instant::now();
        loop {
            let lease = self.lab.state_rows("sk", "lease").await.pop();
            if let Some(owner) = lease.as_ref().and_then(|lease| lease.get("owner")) {
                let name = owner.as_s().unwrap().split('-').next().unwrap();
                return name.strip_prefix("replica").unwrap().parse().unwrap();
            }
            assert!(begun.elapsed() < SOON, "nobody reads:\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn search_is_away(&self) {
        match &self.node {
            Some(node) => {
                node.kill();
                sleep(self.outage).await;
                node.restart().await.unwrap();
            }
            None => self.all_are_away(|way| &way.search).await,
        }
    }

    async fn all_are_away(&self, which: impl Fn(&Ways) -> &FaultServer) {
        self.ways.iter().for_each(|way| which(way).refuse());
        sleep(self.outage).await;
        self.ways.iter().for_each(|way| which(way).accept());
    }

    /// The reader alone does not reach the stream: another one goes on, and it does not disturb that one.
    async fn stream_is_away_for_the_reader(&self) {
        let reader = self.reader().await;
        self.ways[reader].streams.refuse();
        let begun = Instant::now();
        while self.reader().await == reader {
            assert!(begun.elapsed() < SOON, "it keeps the lease:\n{}", self.log());
            sleep(Duration::from_millis(100)).await;
        }
        println!("without the stream the lease is given to another one after {:.1?}", begun.elapsed());
        sleep(self.outage).await;
        assert_ne!(self.reader().await, reader, "{}", self.log());
        self.ways[reader].streams.accept();
    }

    async fn equal(&mut self, what: &str, load: Load) -> RandomWriter {
        let (writer, begun) = (load.stop().await.0, Instant::now());
        self.lab.until_equal(what, || self.log()).await;
        println!("{what}: equal after {:.1?}", begun.elapsed());
        self.replicas.iter_mut().for_each(Running::must_run);
        writer
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_outlive_the_services_that_they_need() {
    let Some(mut fleet) = Fleet::new().await else { return };
    let mut writer = fleet.lab.writer(31).keys(100, 4).writes_per_second(100);
    writer.write(100).await;
    let rounds = if fleet.node.is_some() { 3 } else { 1 };
    for round in 1..=rounds {
        let load = Load::start(writer);
        fleet.search_is_away().await;
        writer = fleet.equal(&format!("{round}: OpenSearch was away"), load).await;
        let load = Load::start(writer);
        fleet.all_are_away(|way| &way.state).await;
        writer = fleet.equal(&format!("{round}: the state table was away"), load).await;
        let load = Load::start(writer);
        fleet.stream_is_away_for_the_reader().await;
        writer = fleet.equal(&format!("{round}: the stream was away for the reader"), load).await;
    }
    for replica in &mut fleet.replicas {
        assert_eq!(replica.stop().await.status, 0);
    }
    assert_eq!(fleet.lab.state_rows("sk", "gap|").await, Vec::<Item>::new());
    fleet.lab.no_letters().await;
}

//! One of three replicas is sick, in one way after the other: new items go on to come to the index.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use futures::future::join_all;
use opensearch::http::Method;
use streamdex_testkit::engines::EngineError;
use streamdex_testkit::report::needs;
use streamdex_testkit::workload::Sessions;
use tokio::time::sleep;

use super::program::Running;
use super::ways::Ways;
use crate::lab::{Lab, now, session};

/// What ails the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sickness {
    /// It does not reach DynamoDB Streams.
    NoStream,
    /// It does not reach OpenSearch.
    NoSearch,
    /// It does not reach the state table.
    NoState,
    /// It crashes every four seconds.
    CrashLoop,
    /// It stands still, and wakes again.
    Frozen,
    /// What it logs cannot be written.
    FullDisk,
    /// Its time of day is a day ahead.
    WrongClock,
}

/// A new item is visible within this time, at every moment.
const VISIBLE_WITHIN: Duration = Duration::from_secs(25);
/// So long one replica is sick.
const SICK_FOR: Duration = Duration::from_secs(45);
const BETWEEN_ITEMS: Duration = Duration::from_secs(4);
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
/// The replica that is sick. It is started first, so that it reads.
const SICK: &str = "sick";

struct Ward {
    lab: Lab,
    sickness: Sickness,
    ways: Vec<Ways>,
    replicas: Vec<Running>,
    items: Sessions,
    put: u32,
}

impl Ward {
    async fn new(sickness: Sickness) -> Option<Ward> {
        let lab = Lab::on_opensearch(StreamViewType::NewAndOldImages).await?;
        let ways = Ways::of_replicas(&lab, 3);
        let items = Sessions::new(77, now());
        Some(Ward { lab, sickness, ways, replicas: Vec::new(), items, put: 0 })
    }

    async fn start(&mut self, place: usize) -> Running {
        let name = if place == 0 { SICK.to_owned() } else { format!("healthy{place}") };
        let mut env = Vec::new();
        if place == 0 && self.sickness == Sickness::WrongClock {
            env.extend([("LD_PRELOAD", FAKETIME), ("FAKETIME", "+1d"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        }
        if place == 0 && self.sickness == Sickness::FullDisk {
            let log = format!("{}.err", self.lab.started.load(Ordering::Relaxed));
            symlink("/dev/full", self.lab.folder.path().join(log)).unwrap();
        }
        self.ways[place].start(&self.lab, &name, &env).await
    }

    /// The sick one reads, and two stand by.
    async fn begin(&mut self) {
        let sick = self.start(0).await;
        self.replicas.push(sick);
        let took = self.until_visible().await;
        assert!(took < VISIBLE_WITHIN, "{:?}: before anything is wrong, after {took:.1?}", self.sickness);
        for place in 1..3 {
            let mut healthy = self.start(place).await;
            healthy.until_logged("that it stands by", VISIBLE_WITHIN, |log| log.contains("standing by")).await;
            self.replicas.push(healthy);
        }
    }

    fn fall_sick(&mut self) {
        match self.sickness {
            Sickness::NoStream => self.ways[0].streams.refuse(),
            Sickness::NoSearch => self.ways[0].search.refuse(),
            Sickness::NoState => self.ways[0].state.refuse(),
            Sickness::Frozen => self.replicas[0].signal("STOP"),
            Sickness::CrashLoop | Sickness::FullDisk | Sickness::WrongClock => {}
        }
    }

    /// Puts an item now and then, each of which must come to the index in time: how long each took.
    async fn watch(&mut self) -> Vec<Duration> {
        let (begun, mut crashed, mut took) = (Instant::now(), Instant::now(), Vec::new());
        while begun.elapsed() < SICK_FOR {
            if self.sickness == Sickness::CrashLoop && crashed.elapsed() >= Duration::from_secs(4) {
                self.replicas[0].kill();
                self.replicas[0] = self.start(0).await;
                crashed = Instant::now();
            }
            if self.sickness == Sickness::Frozen && begun.elapsed() > SICK_FOR / 2 {
                self.replicas[0].signal("CONT");
            }
            let seen = self.until_visible().await;
            assert!(seen < VISIBLE_WITHIN, "{:?}: an item was visible after {seen:.1?}\n{}", self.sickness, self.log());
            took.push(seen);
            sleep(BETWEEN_ITEMS.saturating_sub(seen)).await;
        }
        took
    }

    async fn until_visible(&mut self) -> Duration {
        self.put += 1;
        let item = self.items.item(Sessions::key_of(self.put, 0));
        let id = session(&item).unwrap().id.replace('\\', "%5C").replace('|', "%7C");
        self.lab.put(item).await;
        let (path, begun) = (format!("{}/_doc/{id}", self.lab.index), Instant::now());
        while self.lab.ask(Method::Get, &path).await.0 != 200 {
            assert!(begun.elapsed() < 3 * VISIBLE_WITHIN, "{:?}: an item never comes\n{}", self.sickness, self.log());
            sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    async fn recover(&mut self) {
        self.ways[0].accept();
        self.lab.until_equal(&format!("{:?}", self.sickness), || self.log()).await;
        self.lab.no_letters().await;
        assert!(self.lab.state_rows("sk", "gap|").await.is_empty(), "{:?}", self.sickness);
    }

    /// `/dev/full` never ends.
    fn log(&self) -> String {
        let readable = self.replicas.iter().skip(usize::from(self.sickness == Sickness::FullDisk));
        readable.map(Running::stderr).collect::<Vec<_>>().join("\n---\n")
    }
}

async fn outlive(sickness: Sickness) {
    let Some(mut ward) = Ward::new(sickness).await else { return };
    ward.begin().await;
    ward.fall_sick();
    let took = ward.watch().await;
    let longest = took.iter().max().unwrap();
    println!("{sickness:?}: {} items, the slowest visible after {longest:.1?}", took.len());
    ward.recover().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_item_is_visible_within_25_seconds_whatever_ails_one_replica() {
    use Sickness::{CrashLoop, Frozen, FullDisk, NoSearch, NoState, NoStream, WrongClock};
    let mut all = vec![NoStream, NoSearch, NoState, CrashLoop, Frozen, FullDisk];
    let faketime = match Path::new(FAKETIME).exists() {
        true => Ok(()),
        false => Err(EngineError::Missing { engine: "a wrong clock".to_owned(), tool: "libfaketime".to_owned() }),
    };
    if needs("a wrong clock", faketime).is_some() {
        all.push(WrongClock);
    }
    // Each takes a minute, of which most is waiting.
    join_all(all.into_iter().map(outlive)).await;
}

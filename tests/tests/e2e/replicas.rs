//! Several replicas of one group under load, while they are killed, halted and rolled.
//!
//! DynamoDB Local gives a stream one open shard (dynoxide too, and there changes of one second tie). What is tested is
//! that the lease of the table goes from each to each. What becomes of many shards is the simulation's to prove.

use std::collections::BTreeSet;
use std::env;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use streamdex_testkit::workload::{Item, RandomWriter, Sessions};
use tokio::time::{sleep, sleep_until};

use super::program::Running;
use crate::lab::{Lab, Load, now, session};

/// Set for ten rounds with a halt of a minute each, in place of the two short ones of every day.
const FULL: &str = "STREAMDEX_FULL";
/// Nothing takes so long, on a machine that does other things as well.
const SOON: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(30);
/// The keys of items that a test waits for begin here, far from those of the load.
const MARKS: u32 = 9_000;

/// The replicas that run, each with its own name, which its worker id begins with.
struct Fleet {
    lab: Lab,
    replicas: Vec<Replica>,
    /// All that were ever started, and those that had the lease.
    started: BTreeSet<String>,
    held: BTreeSet<String>,
    marks: Sessions,
    marked: u32,
}

struct Replica {
    name: String,
    run: Running,
}

impl Fleet {
    fn new(lab: Lab) -> Fleet {
        let (replicas, marks) = (Vec::new(), Sessions::new(30, now()));
        let (started, held) = Default::default();
        Fleet { lab, replicas, started, held, marks, marked: 0 }
    }

    /// Starts one more.
    async fn start(&mut self) -> String {
        let name = format!("replica{}", self.started.len() + 1);
        let run = self.lab.start_with(&["run"], &[("HOSTNAME", &name)]).await;
        self.started.insert(name.clone());
        self.replicas.push(Replica { name: name.clone(), run });
        name
    }

    /// Takes it out of those that run.
    fn take(&mut self, name: &str) -> Replica {
        let place = self.replicas.iter().position(|replica| replica.name == name);
        self.replicas.remove(place.unwrap_or_else(|| panic!("{name} has the lease, and does not run:\n{}", self.log())))
    }

    fn all_run(&mut self) {
        for replica in &mut self.replicas {
            replica.run.must_run();
        }
    }

    fn log(&self) -> String {
        let logs = self.replicas.iter().map(|replica| format!("{}:\n{}", replica.name, replica.run.stderr()));
        logs.collect::<Vec<_>>().join("\n")
    }

    /// Who has the lease.
    async fn holder(&self) -> Option<String> {
        Some(name_of(self.lease().await?.get("owner")?.as_s().unwrap()))
    }

    async fn lease(&self) -> Option<Item> {
        self.lab.state_rows("sk", "lease").await.pop()
    }

    /// Waits until another one than `former` has it.
    async fn until_held(&self, former: Option<&str>) -> String {
        let begun = Instant::now();
        loop {
            match self.holder().await {
                Some(holder) if Some(holder.as_str()) != former => return holder,
                _ => {}
            }
            assert!(begun.elapsed() < SOON, "nobody takes over from {former:?}:\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    /// Who has the lease after `former`, and tells how long the others took: until the lease is theirs, and until an
    /// item that is put now can be read from the index.
    async fn taken_over(&mut self, former: &str, how: &str) -> String {
        let begun = Instant::now();
        self.marked += 1;
        let mark = self.marks.item(Sessions::key_of(MARKS + self.marked, 0));
        let taken = async {
            let by = self.until_held(Some(former)).await;
            (by, begun.elapsed())
        };
        let seen = async {
            self.until_visible(mark).await;
            begun.elapsed()
        };
        let ((by, lease), visible) = tokio::join!(taken, seen);
        println!("take-over after {how}: the lease after {lease:.1?}, a new item visible after {visible:.1?} ({by})");
        self.held.insert(by.clone());
        by
    }

    async fn until_visible(&self, item: Item) {
        let id = session(&item).unwrap().id.replace('\\', "%5C").replace('|', "%7C");
        self.lab.put(item).await;
        let (path, begun) = (format!("{}/_doc/{id}", self.lab.index), Instant::now());
        while self.lab.ask(Method::Get, &path).await.0 != 200 {
            assert!(begun.elapsed() < SOON, "an item does not come to the index:\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    /// Waits until it stands by.
    async fn until_joined(&mut self, name: &str) {
        let replica = self.replicas.iter_mut().find(|replica| replica.name == name);
        let replica = replica.unwrap_or_else(|| panic!("{name} does not run"));
        replica.run.until_logged("that it stands by", SOON, |log| log.contains("standing by")).await;
    }

    /// SIGKILL, and a new one in its place, as every orchestrator does it.
    async fn kill(&mut self, name: &str) -> String {
        self.take(name).run.kill();
        self.start().await;
        self.taken_over(name, "kill -9").await
    }

    /// SIGTERM.
    async fn stop(&mut self, name: &str) -> String {
        let mut replica = self.take(name);
        let begun = Instant::now();
        let stop = async {
            replica.run.stop().await;
            begun.elapsed()
        };
        let (took, by) = tokio::join!(stop, self.taken_over(name, "SIGTERM"));
        println!("{name} ended {took:.1?} after SIGTERM");
        by
    }

    /// A new one first, then SIGTERM to the old one.
    async fn roll(&mut self, name: &str) -> String {
        let new = self.start().await;
        self.until_joined(&new).await;
        self.stop(name).await
    }

    /// One is halted for `halt`; while it is, the one that took over is killed, and the next one rolled.
    async fn round(&mut self, halt: Duration) {
        let holder = self.until_held(None).await;
        self.held.insert(holder.clone());
        let mut halted = self.take(&holder);
        let begun = tokio::time::Instant::now();
        halted.run.signal("STOP");
        let wake = async {
            sleep_until(begun + halt).await;
            halted.run.signal("CONT");
        };
        let others = async {
            let second = self.taken_over(&holder, "SIGSTOP").await;
            let third = self.kill(&second).await;
            self.roll(&third).await
        };
        let (_, last) = tokio::join!(wake, others);
        let knows = |log: &str| log.contains("another worker took the lease");
        halted.run.until_logged("that it slept", SOON, knows).await;
        self.replicas.push(halted);
        self.all_run();
        // The one that woke has taken nothing back.
        assert_eq!(self.until_held(None).await, last, "{}", self.log());
    }

    /// One after the other leaves in good order, and each one that is left takes over. The last one goes on.
    async fn dwindle(&mut self) {
        while self.replicas.len() > 1 {
            let holder = self.until_held(None).await;
            self.stop(&holder).await;
        }
    }

    async fn equal(&self, what: &str) {
        let begun = Instant::now();
        self.lab.until_equal(what, || self.log()).await;
        println!("{what}: equal after {:.1?}", begun.elapsed());
    }
}

/// `replica3-4711-0123abcd`: host, process, random number.
fn name_of(worker: &str) -> String {
    worker.split('-').next().unwrap().to_owned()
}

fn load(lab: &Lab) -> RandomWriter {
    lab.writer(30).keys(100, 4).writes_per_second(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_killed_halted_and_rolled_keep_the_index_equal_to_the_table() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let full = env::var_os(FULL).is_some();
    let (rounds, halt) = if full { (10, Duration::from_secs(60)) } else { (2, Duration::from_secs(12)) };
    let mut writer = load(&lab);
    writer.write(100).await;
    let mut fleet = Fleet::new(lab);
    for _ in 0..3 {
        fleet.start().await;
    }
    fleet.equal("before").await;
    let (begun, mut writes) = (Instant::now(), 0);
    for round in 1..=rounds {
        let load = Load::start(writer);
        fleet.round(halt).await;
        let (back, written) = load.stop().await;
        (writer, writes) = (back, writes + written.total());
        fleet.equal(&format!("after round {round}")).await;
    }
    let load = Load::start(writer);
    fleet.dwindle().await;
    writes += load.stop().await.1.total();
    fleet.equal("with the last one").await;
    println!("{rounds} rounds and {writes} writes in {:.0?}", begun.elapsed());
    fleet.replicas[0].run.stop().await;

    assert_eq!(fleet.held, fleet.started, "every replica held the lease at some time");
    let lease = fleet.lease().await.unwrap();
    // The requests of a reader that was killed are doubted for 11 minutes.
    assert!(!lease.contains_key("owner"), "given back in good order: {lease:?}");
    assert_eq!(fleet.lab.state_rows("sk", "gap|").await, Vec::<Item>::new());
    fleet.lab.no_letters().await;
}

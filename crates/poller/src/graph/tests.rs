use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

fn id(name: &str) -> ShardId {
    ShardId::new(name)
}

fn shard(name: &str, parent: Option<&str>) -> ListedShard {
    ListedShard { id: id(name), parent: parent.map(id), closed: false }
}

fn closed(name: &str, parent: Option<&str>) -> ListedShard {
    ListedShard { closed: true, ..shard(name, parent) }
}

fn known(name: &str, parent: Option<&str>, progress: KnownProgress) -> KnownShard {
    KnownShard { id: id(name), parent: parent.map(id), progress, stale: false }
}

fn group(roots: &[&str], shards: Vec<KnownShard>) -> Prior {
    Prior { roots: roots.iter().copied().map(id).collect(), shards }
}

/// The starts among the commands, as `shard@from`.
fn starts(commands: &[Command]) -> Vec<String> {
    let text = |command: &Command| match command {
        Command::Start { shard, from: ReadFrom::Oldest, .. } => Some(format!("{shard}@oldest")),
        Command::Start { shard, from: ReadFrom::Beginning, .. } => Some(format!("{shard}@beginning")),
        Command::Start { shard, from: ReadFrom::After(sequence), .. } => Some(format!("{shard}@{sequence}")),
        _ => None,
    };
    commands.iter().filter_map(text).collect()
}

fn gaps(commands: &[Command]) -> Vec<(String, GapKind)> {
    let gap = |command: &Command| match command {
        Command::Gap { shard, kind } => Some((shard.to_string(), *kind)),
        _ => None,
    };
    commands.iter().filter_map(gap).collect()
}

fn seeks(commands: &[Command]) -> Vec<(String, u32)> {
    let seek = |command: &Command| match command {
        Command::SeekChildren { parent, attempt } => Some((parent.to_string(), *attempt)),
        _ => None,
    };
    commands.iter().filter_map(seek).collect()
}

#[test]
fn roots_of_a_new_group() {
    // a is trimmed; b is closed with children c (open) and d (closed without a child yet).
    let listed = [closed("b", Some("a")), shard("c", Some("b")), closed("d", Some("b"))];
    assert_eq!(roots(&listed, StartPosition::TrimHorizon), [id("b")]);
    assert_eq!(roots(&listed, StartPosition::Latest), [id("c"), id("d")]);
    // The child is listed while its parent still looks open: both can hold what is written now.
    let listed = [shard("b", None), shard("c", Some("b"))];
    assert_eq!(roots(&listed, StartPosition::Latest), [id("b"), id("c")]);
}

#[test]
fn a_child_waits_until_its_parent_is_acknowledged() {
    let mut graph = ShardGraph::new(group(&["a"], vec![]), Until::Stopped);
    let commands = graph.listed(&[closed("a", None), shard("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(starts(&commands), ["a@oldest"]);
    let commands = graph.finished(&id("a"));
    assert_eq!(starts(&commands), ["b@beginning"]);
    assert_eq!(seeks(&commands), [("a".to_owned(), 0)]);
    assert_eq!(graph.progress(), Progress::Going);
}

#[test]
fn children_are_sought_until_they_are_listed_and_strangers_are_passed_over() {
    let mut graph = ShardGraph::new(group(&["a", "z"], vec![]), Until::Stopped);
    graph.listed(&[closed("a", None), shard("z", None)]);
    graph.finished(&id("a"));
    let commands = graph.children(&id("a"), &[closed("a", None), shard("z", None), shard("y", Some("z"))]);
    assert_eq!((starts(&commands), seeks(&commands)), (vec![], vec![("a".to_owned(), 1)]));
    let commands = graph.children(&id("a"), &[shard("b", Some("a"))]);
    assert_eq!(starts(&commands), ["b@beginning"]);
    // The other half of a split shows up a moment later.
    let commands = graph.children(&id("a"), &[shard("b", Some("a")), shard("c", Some("a"))]);
    assert_eq!(starts(&commands), ["c@beginning"]);
    let commands = graph.children(&id("a"), &[shard("b", Some("a")), shard("c", Some("a"))]);
    assert_eq!(seeks(&commands), []);
}

#[test]
fn a_trimmed_parent_that_nobody_saw_is_no_gap() {
    let listed = [shard("b", Some("a"))];
    let roots = roots(&listed, StartPosition::TrimHorizon);
    let mut graph = ShardGraph::new(Prior { roots, shards: vec![] }, Until::Stopped);
    assert_eq!(starts(&graph.listed(&listed)), ["b@oldest"]);
    for _ in 0..5 {
        assert_eq!(gaps(&graph.listed(&listed)), []);
    }
}

#[test]
fn an_unfinished_shard_that_vanished_is_a_gap_once_the_listings_agree() {
    let sequence = SequenceNumber::parse("100").ok();
    let prior = group(&["a"], vec![known("a", None, KnownProgress::Begun(sequence))]);
    let mut graph = ShardGraph::new(prior, Until::Stopped);
    let other = [shard("z", None)];
    for _ in 1..AGREEING_LISTINGS {
        let commands = graph.listed(&other);
        assert!(commands.contains(&Command::ListAgain));
        assert_eq!(gaps(&commands), []);
    }
    assert_eq!(gaps(&graph.listed(&other)), [("a".to_owned(), GapKind::ShardVanished)]);
    assert_eq!(graph.progress(), Progress::Going, "z goes on");
    graph.gapped(&id("z"));
    assert_eq!(graph.progress(), Progress::OnlyGaps);
}

#[test]
fn a_shard_whose_parent_came_and_went_is_a_gap() {
    let prior = group(&["a"], vec![known("a", None, KnownProgress::Finished)]);
    let mut graph = ShardGraph::new(prior, Until::Stopped);
    // b, the child of a, was never seen here.
    let listed = [shard("c", Some("b"))];
    for _ in 1..AGREEING_LISTINGS {
        assert_eq!(gaps(&graph.listed(&listed)), []);
    }
    assert_eq!(gaps(&graph.listed(&listed)), [("c".to_owned(), GapKind::ParentMissed)]);
    assert_eq!(graph.progress(), Progress::OnlyGaps);
}

#[test]
fn a_parent_shown_late_ends_the_doubt() {
    let mut graph = ShardGraph::new(group(&["a"], vec![]), Until::Stopped);
    graph.listed(&[closed("a", None), shard("c", Some("b"))]);
    let commands = graph.listed(&[closed("a", None), closed("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(gaps(&commands), []);
    assert_eq!(starts(&graph.finished(&id("a"))), ["b@beginning"]);
    assert_eq!(starts(&graph.finished(&id("b"))), ["c@beginning"]);
}

#[test]
fn restarts_go_on_where_the_state_table_says() {
    let sequence = SequenceNumber::parse("0042").ok();
    let prior = group(
        &["a", "x"],
        vec![
            known("a", None, KnownProgress::Finished),
            known("b", Some("a"), KnownProgress::Begun(sequence)),
            known("x", Some("w"), KnownProgress::Begun(None)),
            known("g", None, KnownProgress::Gapped),
        ],
    );
    let mut graph = ShardGraph::new(prior, Until::Stopped);
    // a and w are trimmed by now; h is a child of the lineage that has a gap.
    let commands =
        graph.listed(&[shard("b", Some("a")), shard("x", Some("w")), shard("g", None), shard("h", Some("g"))]);
    assert_eq!(starts(&commands), ["b@0042", "x@beginning"]);
    assert_eq!(gaps(&commands), []);
}

#[test]
fn a_finished_leaf_out_of_the_state_table_is_searched_again() {
    let prior = group(&["a"], vec![known("a", None, KnownProgress::Finished)]);
    let mut graph = ShardGraph::new(prior, Until::Stopped);
    assert_eq!(seeks(&graph.listed(&[closed("a", None)])), [("a".to_owned(), 0)]);
    assert_eq!(graph.progress(), Progress::Going);
    assert!(graph.is_drained());
}

#[test]
fn what_nobody_read_for_a_day_is_a_gap() {
    let stale = |shard: KnownShard| KnownShard { stale: true, ..shard };
    let prior = group(
        &[],
        vec![
            stale(known("a", None, KnownProgress::Begun(None))),
            stale(known("b", None, KnownProgress::Finished)),
            stale(known("d", None, KnownProgress::Begun(SequenceNumber::parse("7").ok()))),
        ],
    );
    let mut graph = ShardGraph::new(prior, Until::Stopped);
    let commands = graph.listed(&[shard("a", None), closed("b", None), shard("c", Some("b")), shard("d", None)]);
    assert_eq!(gaps(&commands), [("a".to_owned(), GapKind::Unread), ("c".to_owned(), GapKind::Unread)]);
    assert_eq!(starts(&commands), ["d@7"], "a position is judged by the service");
}

#[test]
fn a_group_that_started_at_latest_skips_what_lies_before() {
    let listed = [closed("a", None), closed("b", Some("a")), shard("c", Some("b"))];
    let roots = roots(&listed, StartPosition::Latest);
    let mut graph = ShardGraph::new(Prior { roots, shards: vec![] }, Until::Stopped);
    let commands = graph.listed(&listed);
    assert_eq!((starts(&commands), seeks(&commands)), (vec!["c@oldest".to_owned()], vec![]));
}

#[test]
fn until_the_present_end() {
    let mut graph = ShardGraph::new(group(&["a", "b"], vec![]), Until::PresentEnd);
    graph.listed(&[closed("a", None), shard("b", None)]);
    graph.at_end(&id("b"));
    graph.finished(&id("a"));
    // A stranger that came later is not read; a's child is.
    graph.listed(&[closed("a", None), shard("b", None), shard("z", None)]);
    let commands = graph.children(&id("a"), &[shard("c", Some("a"))]);
    assert_eq!(starts(&commands), ["c@beginning"]);
    graph.at_end(&id("c"));
    assert_eq!(graph.progress(), Progress::Going, "the other half of a split may be missing");
    graph.children(&id("a"), &[shard("c", Some("a"))]);
    graph.children(&id("a"), &[shard("c", Some("a"))]);
    assert_eq!(graph.progress(), Progress::Complete);
}

#[test]
fn until_the_present_end_a_closed_shard_without_children_is_the_last() {
    let mut graph = ShardGraph::new(group(&["a"], vec![]), Until::PresentEnd);
    graph.listed(&[closed("a", None)]);
    graph.finished(&id("a"));
    for _ in 0..LAST_SEARCH {
        assert_eq!(graph.progress(), Progress::Going);
        graph.children(&id("a"), &[]);
    }
    assert_eq!(graph.progress(), Progress::Complete);
    let waited: Duration = (0..LAST_SEARCH).map(seek_delay).sum();
    assert!(waited >= Duration::from_secs(2));
}

#[test]
fn children_of_a_gap_never_start() {
    let mut graph = ShardGraph::new(group(&["a", "b"], vec![]), Until::Stopped);
    let listed = [closed("a", None), shard("b", None), shard("c", Some("a"))];
    graph.listed(&listed);
    graph.gapped(&id("a"));
    assert_eq!(starts(&graph.listed(&listed)), Vec::<String>::new());
    assert_eq!(graph.progress(), Progress::Going);
    graph.gapped(&id("b"));
    assert_eq!(graph.progress(), Progress::OnlyGaps);
}

/// A forest of shards by index: each one's parent has a lower index.
fn forests() -> impl Strategy<Value = Vec<Option<usize>>> {
    proptest::collection::vec(proptest::option::weighted(0.8, any::<prop::sample::Index>()), 1..30).prop_map(
        |parents| {
            let parent = |(at, parent): (usize, Option<prop::sample::Index>)| {
                parent.filter(|_| at > 0).map(|parent| parent.index(at))
            };
            parents.into_iter().enumerate().map(parent).collect()
        },
    )
}

proptest! {
    /// Whatever order listings, answers and ends come in, and whatever a listing leaves out now and
    /// then: every shard is read once, and only after its parent.
    #[test]
    fn every_shard_once_and_parents_first(forest in forests(), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let name = |at: usize| format!("s{at:02}");
        let all: Vec<ListedShard> = forest
            .iter()
            .enumerate()
            .map(|(at, parent)| ListedShard { id: id(&name(at)), parent: parent.map(|parent| id(&name(parent))), closed: random.bool() })
            .collect();
        let parents: HashMap<ShardId, Option<ShardId>> = all.iter().map(|shard| (shard.id.clone(), shard.parent.clone())).collect();
        let prior = Prior { roots: roots(&all, StartPosition::TrimHorizon), shards: vec![] };
        let mut graph = ShardGraph::new(prior, Until::Stopped);
        let (mut started, mut finished, mut reading) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut sought: Vec<ShardId> = Vec::new();
        let mut honest = true;
        for _ in 0..2_000 {
            let commands = match random.u8(0..3) {
                0 => {
                    // A lie is not repeated often enough to be believed.
                    honest = !honest;
                    let shown: Vec<_> = all.iter().filter(|_| honest || random.u8(0..4) > 0).cloned().collect();
                    graph.listed(&shown)
                }
                1 if !reading.is_empty() => {
                    let shard: ShardId = reading.swap_remove(random.usize(0..reading.len()));
                    finished.insert(shard.clone());
                    graph.finished(&shard)
                }
                _ if !sought.is_empty() => {
                    let parent = sought.swap_remove(random.usize(0..sought.len()));
                    let shown: Vec<_> = all.iter().filter(|_| random.bool()).cloned().collect();
                    graph.children(&parent, &shown)
                }
                _ => graph.listed(&all),
            };
            for command in commands {
                match command {
                    Command::Start { shard, .. } => {
                        prop_assert!(parents[&shard].as_ref().is_none_or(|parent| finished.contains(parent)), "{shard} before its parent");
                        prop_assert!(started.insert(shard.clone()), "{shard} twice");
                        reading.push(shard);
                    }
                    Command::SeekChildren { parent, .. } => sought.push(parent),
                    Command::Gap { shard, kind } => prop_assert!(false, "{shard}: {kind:?}"),
                    Command::ListAgain => {}
                }
            }
            if finished.len() == all.len() {
                break;
            }
        }
        prop_assert_eq!(finished.len(), all.len());
        prop_assert_eq!(graph.progress(), Progress::Going);
    }
}

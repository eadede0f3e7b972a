use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use streamdex_mapping::SequenceNumber;

use super::*;
use crate::gap::GapKind;

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

fn graph(roots: &[&str], known: &[KnownShard]) -> ShardGraph {
    ShardGraph::new(roots.iter().copied().map(id).collect(), known, Until::Stopped)
}

/// The shards that may be read now: offered, or the children of a shard that is done by that.
fn starts(commands: &[Command]) -> Vec<String> {
    let text = |command: &Command| match command {
        Command::Offer { shard, .. } => vec![shard.to_string()],
        Command::Succeed { children, .. } => children.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    commands.iter().flat_map(text).collect()
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
    // The child is listed while its parent still looks open: both can hold what is written now, one after the other.
    let listed = [shard("b", None), shard("c", Some("b"))];
    assert_eq!(roots(&listed, StartPosition::Latest), [id("b")]);
    // So is what is between them, and looks read.
    let listed = [shard("b", None), closed("c", Some("b")), shard("d", Some("c"))];
    assert_eq!(roots(&listed, StartPosition::Latest), [id("b")]);
}

#[test]
fn a_child_waits_until_its_parent_is_acknowledged() {
    let mut graph = graph(&["a"], &[]);
    let commands = graph.listed(&[closed("a", None), shard("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(starts(&commands), ["a"]);
    let commands = graph.drained(&id("a"));
    assert_eq!((starts(&commands), seeks(&commands)), (vec![], vec![("a".to_owned(), 0)]));
    assert!(!graph.may_be_claimed(&id("b")));
    let commands = graph.children(&id("a"), &[shard("b", Some("a"))]);
    assert_eq!(starts(&commands), ["b"]);
    graph.succeeded(&id("a"), &[id("b")]);
    assert!(graph.may_be_claimed(&id("b")) && !graph.may_be_claimed(&id("c")));
    assert_eq!(graph.progress(), Progress::Going);
}

#[test]
fn children_are_sought_until_they_are_listed_and_strangers_are_passed_over() {
    let mut graph = graph(&["a", "z"], &[]);
    graph.listed(&[closed("a", None), shard("z", None)]);
    graph.drained(&id("a"));
    let commands = graph.children(&id("a"), &[closed("a", None), shard("z", None), shard("y", Some("z"))]);
    assert_eq!((starts(&commands), seeks(&commands)), (vec![], vec![("a".to_owned(), 1)]));
    assert!(commands.contains(&Command::Finish { shard: id("a") }));
    let commands = graph.children(&id("a"), &[shard("b", Some("a"))]);
    assert_eq!(starts(&commands), ["b"]);
    graph.succeeded(&id("a"), &[id("b")]);
    // The other half of a split shows up a moment later.
    let commands = graph.children(&id("a"), &[shard("b", Some("a")), shard("c", Some("a"))]);
    assert_eq!(commands[0], Command::Offer { shard: id("c"), parent: Some(id("a")) });
    let commands = graph.children(&id("a"), &[shard("b", Some("a")), shard("c", Some("a"))]);
    assert_eq!(seeks(&commands), []);
}

/// The answer to the end of a shard can take longer than the search for its children.
#[test]
fn the_other_half_of_a_split_waits_for_the_end_that_is_being_written() {
    let mut graph = graph(&["a"], &[]);
    graph.listed(&[closed("a", None)]);
    graph.drained(&id("a"));
    assert_eq!(starts(&graph.children(&id("a"), &[shard("b", Some("a"))])), ["b"]);
    let both = [shard("b", Some("a")), shard("c", Some("a"))];
    for _ in 0..5 {
        assert_eq!(starts(&graph.children(&id("a"), &both)), Vec::<String>::new());
    }
    let late = graph.succeeded(&id("a"), &[id("b")]);
    assert_eq!(late, [Command::Offer { shard: id("c"), parent: Some(id("a")) }]);
}

#[test]
fn a_child_that_nobody_offered_for_a_day_is_a_gap() {
    let done = KnownShard { stale: true, ..known("b", None, KnownProgress::Done) };
    let mut graph = graph(&[], &[done]);
    let commands = graph.listed(&[closed("b", None), shard("c", Some("b"))]);
    assert_eq!(gaps(&commands), [("c".to_owned(), GapKind::Unread)]);
}

#[test]
fn a_shard_that_stays_without_children_asks_for_a_listing_once() {
    let mut graph = graph(&["a"], &[]);
    graph.listed(&[closed("a", None)]);
    graph.drained(&id("a"));
    let listings = |commands: Vec<Command>| commands.contains(&Command::ListAgain);
    let asked: Vec<u32> = (1..100).filter(|_| listings(graph.children(&id("a"), &[]))).collect();
    assert_eq!(asked.len(), 1);
    let waited: Duration = (0..asked[0]).map(seek_delay).sum();
    assert!((Duration::from_secs(5)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
}

#[test]
fn a_listing_shows_children_too() {
    let mut graph = graph(&["a"], &[]);
    graph.listed(&[closed("a", None)]);
    graph.drained(&id("a"));
    let commands = graph.listed(&[closed("a", None), shard("b", Some("a"))]);
    assert_eq!(commands, [Command::Succeed { parent: id("a"), children: vec![id("b")] }]);
}

#[test]
fn a_trimmed_parent_that_nobody_saw_is_no_gap() {
    let listed = [shard("b", Some("a"))];
    let mut graph = ShardGraph::new(roots(&listed, StartPosition::TrimHorizon), &[], Until::Stopped);
    assert_eq!(starts(&graph.listed(&listed)), ["b"]);
    for _ in 0..5 {
        assert_eq!(gaps(&graph.listed(&listed)), []);
    }
}

#[test]
fn a_root_that_vanished_before_it_was_offered_is_a_gap_once_the_listings_agree() {
    let mut graph = graph(&["a"], &[]);
    let other = [shard("z", None)];
    for _ in 1..listing::AGREEING_LISTINGS {
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
    let mut graph = graph(&["a"], &[known("a", None, KnownProgress::Done)]);
    // b, the child of a, was never seen here.
    let listed = [shard("c", Some("b"))];
    for _ in 1..listing::AGREEING_LISTINGS {
        assert_eq!(gaps(&graph.listed(&listed)), []);
    }
    assert_eq!(gaps(&graph.listed(&listed)), [("c".to_owned(), GapKind::ParentMissed)]);
    assert_eq!(graph.progress(), Progress::OnlyGaps);
}

#[test]
fn a_parent_shown_late_ends_the_doubt() {
    let mut graph = graph(&["a"], &[]);
    graph.listed(&[closed("a", None), shard("c", Some("b"))]);
    let commands = graph.listed(&[closed("a", None), closed("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(gaps(&commands), []);
    graph.drained(&id("a"));
    assert_eq!(starts(&graph.children(&id("a"), &[closed("b", Some("a"))])), ["b"]);
}

#[test]
fn restarts_go_on_where_the_state_table_says() {
    let sequence = SequenceNumber::parse("0042").ok();
    let known = [
        known("a", None, KnownProgress::Done),
        known("b", Some("a"), KnownProgress::Begun(sequence)),
        known("x", Some("w"), KnownProgress::Begun(None)),
        known("f", None, KnownProgress::Finished),
        known("g", None, KnownProgress::Gapped),
    ];
    let mut graph = graph(&["a", "x"], &known);
    let listed = [shard("b", Some("a")), shard("x", Some("w")), closed("f", None), shard("g", None)];
    let children = [shard("h", Some("g")), shard("e", Some("f"))];
    // a and w are trimmed by now; h is a child of the lineage that has a gap; e is whose who claims f.
    let commands = graph.listed(&[&listed[..], &children].concat());
    assert_eq!((starts(&commands), gaps(&commands)), (vec![], vec![]));
    let claimable = |name: &str| graph.may_be_claimed(&id(name));
    assert!(claimable("b") && claimable("x") && claimable("f"));
    assert!(!claimable("a") && !claimable("g") && !claimable("h") && !claimable("e"));
}

#[test]
fn what_others_do_is_taken_over_and_what_was_done_here_stays() {
    let mut graph = graph(&["a", "b"], &[]);
    graph.listed(&[closed("a", None), closed("b", None)]);
    graph.drained(&id("a"));
    // A view from before: a is still being read in it.
    let view = [known("a", None, KnownProgress::Begun(None)), known("b", None, KnownProgress::Begun(None))];
    graph.absorb(&view);
    assert_eq!(starts(&graph.children(&id("a"), &[shard("c", Some("a"))])), ["c"]);
    graph.succeeded(&id("a"), &[id("c")]);
    graph.absorb(&view);
    assert!(!graph.may_be_claimed(&id("a")));
    // Another worker has read b to its end, and d is its child's name.
    graph.absorb(&[known("d", Some("b"), KnownProgress::Begun(None))]);
    graph.done_by_others(&BTreeSet::from([id("c"), id("d")]));
    assert!(!graph.may_be_claimed(&id("b")) && graph.may_be_claimed(&id("d")));
    // The lease of a finished shard can be lost before its children are found.
    graph.drained(&id("d"));
    graph.let_go(&id("d"));
    assert_eq!(graph.children(&id("d"), &[shard("e", Some("d"))]), []);
}

#[test]
fn children_of_a_shard_that_nobody_looked_after_for_a_day_are_a_gap() {
    let finished = KnownShard { stale: true, ..known("b", None, KnownProgress::Finished) };
    let mut graph = graph(&[], &[finished]);
    let commands = graph.listed(&[closed("b", None), shard("c", Some("b"))]);
    assert_eq!(gaps(&commands), [("c".to_owned(), GapKind::Unread)]);
}

/// Whoever claims the finished shard may look for its children before any listing shows them.
#[test]
fn children_of_a_shard_that_nobody_looked_after_for_a_day_are_a_gap_to_its_new_owner_too() {
    let finished = KnownShard { stale: true, ..known("b", None, KnownProgress::Finished) };
    let mut graph = graph(&[], &[finished]);
    graph.drained(&id("b"));
    let commands = graph.children(&id("b"), &[shard("c", Some("b"))]);
    assert_eq!((starts(&commands), gaps(&commands)), (vec![], vec![("c".to_owned(), GapKind::Unread)]));
    // The search can become as old while this worker makes it.
    let mut graph = ShardGraph::new(vec![id("b")], &[], Until::Stopped);
    graph.drained(&id("b"));
    graph.absorb(&[KnownShard { stale: true, ..known("b", None, KnownProgress::Finished) }]);
    let commands = graph.children(&id("b"), &[shard("c", Some("b"))]);
    assert_eq!(gaps(&commands), [("c".to_owned(), GapKind::Unread)]);
}

#[test]
fn a_group_that_started_at_latest_skips_what_lies_before() {
    let listed = [closed("a", None), closed("b", Some("a")), shard("c", Some("b"))];
    let mut graph = ShardGraph::new(roots(&listed, StartPosition::Latest), &[], Until::Stopped);
    let commands = graph.listed(&listed);
    assert_eq!((starts(&commands), seeks(&commands)), (vec!["c".to_owned()], vec![]));
    // For ever, and not only at first.
    graph.absorb(&[known("c", Some("b"), KnownProgress::Begun(None))]);
    graph.done_by_others(&BTreeSet::from([id("c")]));
    assert_eq!(starts(&graph.listed(&listed)), Vec::<String>::new());
    // Where a listing leaves out what would tell that a lies before, too.
    assert_eq!(starts(&graph.listed(&[closed("a", None), shard("c", Some("b"))])), Vec::<String>::new());
}

#[test]
fn nothing_but_gaps_is_known_before_a_listing_was_seen() {
    let mut graph = graph(&["a"], &[known("a", None, KnownProgress::Gapped)]);
    assert_eq!(graph.progress(), Progress::Unlisted);
    graph.listed(&[shard("a", None), shard("z", None)]);
    assert_eq!(graph.progress(), Progress::Going, "z was never offered");
    graph.gapped(&id("z"));
    assert_eq!(graph.progress(), Progress::OnlyGaps);
}

#[test]
fn shards_that_are_done_are_forgotten_and_known_again_to_who_lists() {
    let mut graph = graph(&["a"], &[known("a", None, KnownProgress::Begun(None))]);
    for number in 0..100 {
        graph.absorb(&[known(&format!("s{number}"), None, KnownProgress::Begun(None))]);
        graph.done_by_others(&BTreeSet::from([id("a")]));
    }
    assert_eq!(graph.nodes.len(), 1);
    graph.absorb(&[known("s7", None, KnownProgress::Done)]);
    assert_eq!(starts(&graph.listed(&[closed("s7", None), shard("b", Some("s7"))])), ["b"]);
}

fn until_the_end(roots: &[&str], known: &[KnownShard]) -> ShardGraph {
    ShardGraph::new(roots.iter().copied().map(id).collect(), known, Until::PresentEnd)
}

#[test]
fn until_the_present_end() {
    let mut graph = until_the_end(&["a", "b"], &[]);
    graph.listed(&[closed("a", None), shard("b", None)]);
    graph.at_end(&id("b"));
    graph.drained(&id("a"));
    // A stranger that came later is not read; a's child is.
    graph.listed(&[closed("a", None), shard("b", None), shard("z", None)]);
    assert!(!graph.may_be_claimed(&id("z")));
    let commands = graph.children(&id("a"), &[shard("c", Some("a"))]);
    assert_eq!(starts(&commands), ["c"]);
    graph.succeeded(&id("a"), &[id("c")]);
    assert!(graph.may_be_claimed(&id("c")));
    graph.at_end(&id("c"));
    assert_eq!(graph.progress(), Progress::Going, "the other half of a split may be missing");
    graph.children(&id("a"), &[shard("c", Some("a"))]);
    graph.children(&id("a"), &[shard("c", Some("a"))]);
    assert_eq!(graph.progress(), Progress::Complete);
}

#[test]
fn until_the_present_end_a_closed_shard_without_children_is_the_last() {
    let mut graph = until_the_end(&["a"], &[known("a", None, KnownProgress::Finished)]);
    graph.listed(&[closed("a", None)]);
    assert_eq!(graph.progress(), Progress::Going, "nobody has looked for its children");
    graph.drained(&id("a"));
    let mut waited = Duration::ZERO;
    let mut asked = 0;
    while graph.progress() == Progress::Going {
        waited += seek_delay(asked);
        asked += 1;
        graph.children(&id("a"), &[]);
    }
    assert_eq!(graph.progress(), Progress::Complete);
    assert!(asked == 5 && waited >= Duration::from_secs(2), "{asked} times in {waited:?}");
}

#[test]
fn a_roll_over_is_noticed_within_a_second() {
    assert!((1..150).all(|attempt| seek_delay(attempt) < Duration::from_secs(1)));
    let asked_through: Duration = (0..150).map(seek_delay).sum();
    assert!(asked_through > Duration::from_secs(100));
}

#[test]
fn children_of_a_gap_never_start() {
    let mut graph = graph(&["a", "b"], &[]);
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
        let mut graph = ShardGraph::new(roots(&all, StartPosition::TrimHorizon), &[], Until::Stopped);
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
                    graph.drained(&shard)
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
                    Command::Offer { shard, .. } => {
                        prop_assert!(parents[&shard].as_ref().is_none_or(|parent| finished.contains(parent)), "{shard} before its parent");
                        prop_assert!(started.insert(shard.clone()), "{shard} twice");
                        reading.push(shard);
                    }
                    Command::SeekChildren { parent, .. } => sought.push(parent),
                    Command::Finish { .. } => {}
                    Command::Succeed { parent, children } => {
                        prop_assert!(finished.contains(&parent), "{parent} is not drained");
                        let late = graph.succeeded(&parent, &children);
                        let late = late.into_iter().filter_map(|command| match command {
                            Command::Offer { shard, .. } => Some(shard),
                            _ => None,
                        });
                        for child in children.into_iter().chain(late) {
                            prop_assert!(started.insert(child.clone()), "{child} twice");
                            reading.push(child);
                        }
                    }
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

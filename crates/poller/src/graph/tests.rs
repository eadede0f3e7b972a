use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use proptest::prelude::*;

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

fn known(name: &str, parent: Option<&str>, progress: ShardProgress) -> KnownShard {
    KnownShard { id: id(name), parent: parent.map(id), progress, stale: false }
}

fn graph(roots: &[&str], known: &[KnownShard]) -> ShardGraph {
    ShardGraph::new(roots.iter().copied().map(id).collect(), known, Until::Stopped)
}

/// What commands come to where every item is stored at once.
#[derive(Debug, Default, PartialEq)]
struct Ran {
    reads: Vec<String>,
    seeks: Vec<(String, u32)>,
    gaps: Vec<(String, GapKind)>,
    done: Vec<(String, Vec<String>)>,
    lists_again: bool,
}

fn run(graph: &mut ShardGraph, commands: Vec<Command>) -> Ran {
    let mut ran = Ran::default();
    let mut next = std::collections::VecDeque::from(commands);
    while let Some(command) = next.pop_front() {
        match command {
            Command::Store { shard, .. } => next.extend(graph.stored(&shard)),
            Command::Read { shard, .. } => ran.reads.push(shard.to_string()),
            Command::SeekChildren { parent, attempt } => ran.seeks.push((parent.to_string(), attempt)),
            Command::Gap { shard, kind } => ran.gaps.push((shard.to_string(), kind)),
            Command::Done { shard, children } => {
                graph.done(&shard);
                ran.done.push((shard.to_string(), children.iter().map(ToString::to_string).collect()));
            }
            Command::ListAgain => ran.lists_again = true,
        }
    }
    ran
}

impl ShardGraph {
    fn run_listed(&mut self, shards: &[ListedShard]) -> Ran {
        let commands = self.listed(shards);
        run(self, commands)
    }

    fn run_drained(&mut self, shard: &str) -> Ran {
        let commands = self.drained(&id(shard));
        run(self, commands)
    }

    fn run_children(&mut self, parent: &str, shards: &[ListedShard]) -> Ran {
        let commands = self.children(&id(parent), shards);
        run(self, commands)
    }

    /// A term begins, and nothing is known to be done.
    fn run_start(&mut self) -> Ran {
        let mut commands = self.start();
        commands.extend(self.know_done(&[]));
        run(self, commands)
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
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
fn l2_a_child_waits_until_its_parent_is_drained() {
    let mut graph = graph(&["a"], &[]);
    let ran = graph.run_listed(&[closed("a", None), shard("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(ran.reads, ["a"]);
    let ran = graph.run_drained("a");
    assert_eq!((ran.reads, ran.seeks), (none(), vec![("a".to_owned(), 0)]));
    assert_eq!(graph.run_children("a", &[shard("b", Some("a"))]).reads, ["b"]);
    assert_eq!(graph.run_listed(&[shard("b", Some("a")), shard("c", Some("b"))]).reads, none(), "b is being read");
    assert_eq!(graph.remaining(), Remaining::Some);
}

#[test]
fn children_are_sought_until_they_are_listed_and_strangers_are_passed_over() {
    let mut graph = graph(&["a", "z"], &[]);
    graph.run_listed(&[closed("a", None), shard("z", None)]);
    graph.run_drained("a");
    let ran = graph.run_children("a", &[closed("a", None), shard("z", None), shard("y", Some("z"))]);
    assert_eq!((ran.reads, ran.seeks), (none(), vec![("a".to_owned(), 1)]));
    assert_eq!(graph.run_children("a", &[shard("b", Some("a"))]).reads, ["b"]);
    // The other half of a split shows up a moment later.
    let both = [shard("b", Some("a")), shard("c", Some("a"))];
    assert_eq!(graph.run_children("a", &both).reads, ["c"]);
    let ran = graph.run_children("a", &both);
    assert_eq!((ran.seeks, ran.done), (Vec::new(), vec![("a".to_owned(), names(&["b", "c"]))]));
}

#[test]
fn l3_a_shard_is_done_when_all_its_children_have_items() {
    let mut graph = graph(&["a"], &[]);
    graph.run_listed(&[closed("a", None)]);
    graph.run_drained("a");
    let both = [shard("b", Some("a")), shard("c", Some("a"))];
    let mut commands = Vec::new();
    for _ in 0..5 {
        commands.extend(graph.children(&id("a"), &both));
    }
    let stores: Vec<_> = commands.iter().filter(|command| matches!(command, Command::Store { .. })).collect();
    assert_eq!(stores.len(), 2, "each once: {commands:?}");
    assert!(!commands.iter().any(|command| matches!(command, Command::Done { .. })));
    assert_eq!(graph.stored(&id("b")).len(), 1, "it is read, and the other one is awaited");
    let commands = graph.stored(&id("c"));
    assert!(commands.contains(&Command::Done { shard: id("a"), children: vec![id("b"), id("c")] }), "{commands:?}");
    assert!(!graph.children(&id("a"), &both).iter().any(|command| matches!(command, Command::Done { .. })), "once");
}

#[test]
fn a_late_half_of_a_split_is_read_from_a_listing() {
    let mut graph = graph(&["a"], &[known("a", None, ShardProgress::Done)]);
    graph.run_start();
    assert_eq!(graph.run_listed(&[closed("a", None), shard("c", Some("a"))]).reads, ["c"]);
}

#[test]
fn a_child_that_nobody_read_for_a_day_is_a_gap() {
    let done = KnownShard { stale: true, ..known("b", None, ShardProgress::Done) };
    let mut graph = graph(&[], &[done]);
    let ran = graph.run_listed(&[closed("b", None), shard("c", Some("b"))]);
    assert_eq!(ran.gaps, [("c".to_owned(), GapKind::Unread)]);
}

#[test]
fn a_shard_that_stays_without_children_asks_for_a_listing_once() {
    let mut graph = graph(&["a"], &[]);
    graph.run_listed(&[closed("a", None)]);
    graph.run_drained("a");
    let asked: Vec<u32> = (1..100).filter(|_| graph.run_children("a", &[]).lists_again).collect();
    assert_eq!(asked.len(), 1);
    let millis = |attempt| seek_delay(attempt).as_millis();
    assert_eq!([0, 1, 2, 3, 149, 150, 199, 200].map(millis), [0, 250, 500, 800, 800, 5_000, 5_000, 30_000]);
    let waited: Duration = (0..asked[0]).map(seek_delay).sum();
    assert!((Duration::from_secs(5)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
}

#[test]
fn a_listing_shows_children_too() {
    let mut graph = graph(&["a"], &[]);
    graph.run_listed(&[closed("a", None)]);
    graph.run_drained("a");
    assert_eq!(graph.run_listed(&[closed("a", None), shard("b", Some("a"))]).reads, ["b"]);
}

#[test]
fn what_has_nothing_to_be_doubted_is_not_listed_again_and_is_read_once_it_is_done() {
    let mut graph = graph(&["a"], &[]);
    let listed = [closed("a", None), shard("b", Some("a"))];
    assert!(!graph.run_listed(&listed).lists_again && graph.has_unread_shards(), "b waits for a");
    graph.run_drained("a");
    while graph.run_children("a", &listed[1..]).done.is_empty() {}
    assert!(!graph.has_unread_shards() && !graph.is_drained(), "b is being read");
    graph.run_drained("b");
    assert!(graph.has_unread_shards(), "the children of b");
}

/// With `--until-end` a listing can show a grandchild before the child.
#[test]
fn descendants_of_what_was_listed_first_are_read_to_the_present_end_too() {
    let mut graph = ShardGraph::new(vec![id("a")], &[], Until::PresentEnd);
    let (a, b, c) = (closed("a", None), closed("b", Some("a")), shard("c", Some("b")));
    let stranger = shard("z", None);
    graph.run_listed(std::slice::from_ref(&a));
    graph.run_listed(&[a.clone(), c.clone(), stranger.clone()]);
    let all = [a, b, c, stranger];
    assert_eq!(graph.run_listed(&all).reads, none());
    graph.run_drained("a");
    assert_eq!(graph.run_listed(&all).reads, ["b"]);
    graph.run_drained("b");
    assert_eq!(graph.run_listed(&all).reads, ["c"]);
}

#[test]
fn what_is_left_at_its_present_end_is_not_read() {
    let mut graph = ShardGraph::new(vec![id("a"), id("b")], &[], Until::PresentEnd);
    graph.run_start();
    graph.run_listed(&[shard("a", None), shard("b", None)]);
    assert!(!graph.has_unread_shards(), "both are being read");
    graph.at_end(&id("a"));
    assert!(graph.has_unread_shards());
}

/// A later reader asks for it in every term, and would take it for a gap.
#[test]
fn l9_a_shard_that_the_group_began_with_is_remembered_for_ever() {
    let mut graph = graph(&["r"], &[]);
    graph.run_listed(&[shard("r", Some("before")), shard("c", Some("r"))]);
    assert!(graph.is_root(&id("r")) && !graph.is_root(&id("c")));
    assert_eq!(graph.keep_done(&id("r")), KeepDone::ForEver { parent: Some(id("before")) });
    assert_eq!(graph.keep_done(&id("c")), KeepDone::AWeek);
    assert_eq!((KeepDone::AWeek.period(), KeepDone::AWeek.parent()), (Some(Duration::from_secs(604_800)), None));
    let kept = graph.keep_done(&id("r"));
    assert_eq!((kept.period(), kept.parent()), (None, Some(&id("before"))));
}

#[test]
fn a_parent_has_children_for_good() {
    let mut graph = graph(&["g"], &[]);
    let (g, p, d) = (shard("g", None), shard("p", Some("g")), shard("d", Some("p")));
    graph.run_listed(&[g.clone(), p.clone(), d]);
    graph.run_listed(&[g, p]);
    assert!(graph.has_children(&id("g")) && graph.has_children(&id("p")) && !graph.has_children(&id("d")));
}

#[test]
fn a_trimmed_parent_that_nobody_saw_is_no_gap() {
    let listed = [shard("b", Some("a"))];
    let mut graph = ShardGraph::new(roots(&listed, StartPosition::TrimHorizon), &[], Until::Stopped);
    assert_eq!(graph.run_listed(&listed).reads, ["b"]);
    for _ in 0..5 {
        assert_eq!(graph.run_listed(&listed).gaps, []);
    }
}

/// A root can be trimmed as the group begins: its reader finds what is left of it.
#[test]
fn l9_roots_get_items_listed_or_not_and_once() {
    let mut graph = graph(&["a", "b"], &[]);
    assert_eq!(graph.start(), []);
    let ran = graph.run_start();
    assert_eq!(ran.reads, ["a", "b"]);
    for _ in 0..2 * listing::AGREEING_LISTINGS {
        let ran = graph.run_listed(&[shard("b", None)]);
        assert_eq!((ran.gaps, ran.reads), (Vec::new(), none()));
    }
    // The reader that pinned them died at once; what it had read to its end is done.
    let mut graph = ShardGraph::new(vec![id("a"), id("b")], &[], Until::Stopped);
    let commands = graph.know_done(&[known("a", None, ShardProgress::Done)]);
    assert_eq!(run(&mut graph, commands).reads, ["b"]);
}

#[test]
fn a_shard_that_was_listed_and_vanished_before_its_parent_was_read_is_a_gap_once_the_listings_agree() {
    let mut graph = graph(&["a", "z"], &[]);
    graph.run_start();
    graph.run_listed(&[shard("a", None), shard("z", None), shard("b", Some("a"))]);
    let other = [shard("a", None), shard("z", None)];
    for _ in 1..listing::AGREEING_LISTINGS {
        let ran = graph.run_listed(&other);
        assert!(ran.lists_again);
        assert_eq!(ran.gaps, []);
    }
    assert_eq!(graph.run_listed(&other).gaps, [("b".to_owned(), GapKind::ShardVanished)]);
    assert_eq!(graph.remaining(), Remaining::Some, "a and z go on");
    graph.gapped(&id("z"));
    graph.gapped(&id("a"));
    assert_eq!(graph.remaining(), Remaining::OnlyGaps);
}

#[test]
fn l9_a_shard_whose_parent_came_and_went_is_a_gap() {
    let mut graph = graph(&["a"], &[known("a", None, ShardProgress::Done)]);
    // b, the child of a, was never seen here.
    let listed = [shard("c", Some("b"))];
    for _ in 1..listing::AGREEING_LISTINGS {
        assert_eq!(graph.run_listed(&listed).gaps, []);
    }
    assert_eq!(graph.run_listed(&listed).gaps, [("c".to_owned(), GapKind::ParentMissed)]);
    assert_eq!(graph.remaining(), Remaining::OnlyGaps);
}

#[test]
fn what_comes_after_a_gap_belongs_to_it() {
    let mut graph = graph(&["a", "z"], &[]);
    let listed = [closed("a", None), closed("b", Some("a")), shard("c", Some("b")), shard("z", None)];
    graph.run_listed(&listed);
    graph.gapped(&id("a"));
    // A day later all of it is trimmed, the last one first, or shown without its parent.
    for shown in [&listed[1..], &listed[2..], &[listed[1].clone(), listed[3].clone()], &listed[3..]] {
        for _ in 0..2 * listing::AGREEING_LISTINGS {
            let ran = graph.run_listed(shown);
            assert_eq!((ran.gaps, ran.reads), (Vec::new(), none()), "{shown:?}");
        }
    }
}

#[test]
fn a_parent_shown_late_ends_the_doubt() {
    let mut graph = graph(&["a"], &[]);
    graph.run_listed(&[closed("a", None), shard("c", Some("b"))]);
    let ran = graph.run_listed(&[closed("a", None), closed("b", Some("a")), shard("c", Some("b"))]);
    assert_eq!(ran.gaps, []);
    graph.run_drained("a");
    assert_eq!(graph.run_children("a", &[closed("b", Some("a"))]).reads, ["b"]);
}

#[test]
fn l8_a_term_begins_with_what_the_state_table_says_and_lists_afterwards() {
    let known = [
        known("b", Some("a"), ShardProgress::Open(None)),
        known("x", Some("w"), ShardProgress::Open(None)),
        known("f", None, ShardProgress::Drained),
        known("g", None, ShardProgress::Gapped),
    ];
    let mut graph = graph(&["a", "x"], &known);
    let mut commands = graph.start();
    commands.extend(graph.know_done(&[self::known("a", None, ShardProgress::Done)]));
    let ran = run(&mut graph, commands);
    assert_eq!((ran.reads, ran.seeks), (names(&["b", "x"]), vec![("f".to_owned(), 0)]));
    let listed = [shard("b", Some("a")), shard("x", Some("w")), closed("f", None), shard("g", None)];
    let children = [shard("h", Some("g")), shard("e", Some("f"))];
    // a and w are trimmed by now; h is a child of the lineage that has a gap; e is a child of what is drained.
    let ran = graph.run_listed(&[&listed[..], &children].concat());
    assert_eq!((ran.reads, ran.gaps), (names(&["e"]), Vec::new()));
}

#[test]
fn l2_the_position_of_a_child_counts_only_where_its_parent_is_drained() {
    let open = || ShardProgress::Open(None);
    let known = [known("a", None, open()), known("b", Some("a"), open()), known("d", Some("c"), open())];
    let mut graph = graph(&["a"], &known);
    let commands = graph.start();
    let read = |shard: &str, parent: Option<&str>, position| Command::Read {
        shard: id(shard),
        parent: parent.map(id),
        position,
    };
    assert_eq!(commands, [read("a", None, Position::Counts), read("d", Some("c"), Position::Counts)]);
    let commands = graph.drained(&id("a"));
    assert!(commands.contains(&read("b", Some("a"), Position::Ignored)), "{commands:?}");
}

#[test]
fn l3_a_drained_shard_is_a_duty_of_every_later_reader() {
    let drained = || [known("a", None, ShardProgress::Drained), known("b", Some("a"), ShardProgress::Open(None))];
    let mut graph = graph(&["a"], &drained());
    let ran = graph.run_start();
    assert_eq!((ran.reads, ran.seeks), (names(&["b"]), vec![("a".to_owned(), 0)]));
    let both = [shard("b", Some("a")), shard("c", Some("a"))];
    assert_eq!(graph.run_children("a", &both).reads, ["c"], "the reader before found one of two");
    graph.run_children("a", &both);
    assert_eq!(graph.run_children("a", &both).done, [("a".to_owned(), names(&["b", "c"]))]);
    // Where no listing shows it any more, it is not done for all that.
    let mut graph = ShardGraph::new(vec![id("a")], &[known("a", None, ShardProgress::Drained)], Until::Stopped);
    graph.run_start();
    for _ in 0..3 {
        assert_eq!(graph.run_listed(&[]).done, []);
    }
    assert!(graph.has_unread_shards());
}

/// A child can be done before its parent is: the search for its siblings takes longer than reading it.
#[test]
fn l3_a_child_that_is_done_is_not_read_again() {
    let mut graph = graph(&["a"], &[known("a", None, ShardProgress::Drained)]);
    assert_eq!(graph.start(), []);
    let commands = graph.know_done(&[known("b", None, ShardProgress::Done)]);
    assert_eq!(commands, [Command::SeekChildren { parent: id("a"), attempt: 0 }]);
    let both = [shard("b", Some("a")), shard("c", Some("a"))];
    assert_eq!(graph.run_children("a", &both).reads, ["c"]);
    graph.run_children("a", &both);
    assert_eq!(graph.run_children("a", &both).done, [("a".to_owned(), names(&["b", "c"]))]);
}

#[test]
fn children_of_a_shard_that_nobody_looked_after_for_a_day_are_a_gap() {
    let drained = || KnownShard { stale: true, ..known("b", None, ShardProgress::Drained) };
    let mut graph = graph(&[], &[drained()]);
    let ran = graph.run_listed(&[closed("b", None), shard("c", Some("b"))]);
    assert_eq!(ran.gaps, [("c".to_owned(), GapKind::Unread)]);
    // They can be found by name before any listing shows them.
    let mut graph = ShardGraph::new(Vec::new(), &[drained()], Until::Stopped);
    let ran = graph.run_children("b", &[shard("c", Some("b"))]);
    assert_eq!((ran.reads, ran.gaps), (none(), vec![("c".to_owned(), GapKind::Unread)]));
}

#[test]
fn a_group_that_started_at_latest_skips_what_lies_before() {
    let listed = [closed("a", None), closed("b", Some("a")), shard("c", Some("b"))];
    let mut graph = ShardGraph::new(roots(&listed, StartPosition::Latest), &[], Until::Stopped);
    let ran = graph.run_listed(&listed);
    assert_eq!((ran.reads, ran.seeks), (names(&["c"]), Vec::new()));
    // For ever, and not only at first.
    assert_eq!(graph.run_listed(&listed).reads, none());
    // Where a listing leaves out what would tell that a lies before, too.
    assert_eq!(graph.run_listed(&[closed("a", None), shard("c", Some("b"))]).reads, none());
}

#[test]
fn nothing_but_gaps_is_known_before_a_listing_was_seen() {
    let mut graph = graph(&["a"], &[known("a", None, ShardProgress::Gapped)]);
    assert_eq!(graph.remaining(), Remaining::Unlisted);
    graph.run_listed(&[shard("a", None), shard("z", None)]);
    assert_eq!(graph.remaining(), Remaining::Some, "z is read");
    graph.gapped(&id("z"));
    assert_eq!(graph.remaining(), Remaining::OnlyGaps);
}

#[test]
fn shards_that_are_read_and_trimmed_are_forgotten() {
    let mut graph = graph(&["a"], &[]);
    graph.run_listed(&[shard("a", None)]);
    for number in 0..100 {
        graph.know_done(&[known(&format!("s{number}"), None, ShardProgress::Done)]);
        for _ in 0..listing::AGREEING_LISTINGS {
            graph.run_listed(&[shard("a", None)]);
        }
    }
    assert_eq!(graph.nodes.len(), 1);
}

fn until_the_end(roots: &[&str], known: &[KnownShard]) -> ShardGraph {
    ShardGraph::new(roots.iter().copied().map(id).collect(), known, Until::PresentEnd)
}

#[test]
fn until_the_present_end() {
    let mut graph = until_the_end(&["a", "b"], &[]);
    assert_eq!(graph.run_start().reads, ["a", "b"]);
    assert_eq!(graph.run_listed(&[closed("a", None), shard("b", None)]).reads, none());
    graph.at_end(&id("b"));
    graph.run_drained("a");
    // A stranger that came later is not read; a's child is.
    assert_eq!(graph.run_listed(&[closed("a", None), shard("b", None), shard("z", None)]).reads, none());
    assert_eq!(graph.run_children("a", &[shard("c", Some("a"))]).reads, ["c"]);
    graph.at_end(&id("c"));
    assert_eq!(graph.remaining(), Remaining::Some, "the other half of a split may be missing");
    graph.run_children("a", &[shard("c", Some("a"))]);
    graph.run_children("a", &[shard("c", Some("a"))]);
    assert_eq!(graph.remaining(), Remaining::Nothing);
}

#[test]
fn until_the_present_end_a_closed_shard_without_children_is_the_last() {
    let mut graph = until_the_end(&["a"], &[known("a", None, ShardProgress::Drained)]);
    graph.run_listed(&[closed("a", None)]);
    assert_eq!(graph.remaining(), Remaining::Some, "nobody has looked for its children");
    let mut waited = Duration::ZERO;
    let mut asked = 0;
    while graph.remaining() == Remaining::Some {
        waited += seek_delay(asked);
        asked += 1;
        graph.run_children("a", &[]);
    }
    assert_eq!(graph.remaining(), Remaining::Nothing);
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
    let listed =
        [closed("a", None), shard("b", None), shard("c", Some("a")), shard("d", Some("c")), shard("e", Some("c"))];
    graph.run_listed(&listed);
    graph.gapped(&id("a"));
    assert_eq!(graph.run_listed(&listed).reads, none());
    assert_eq!(graph.blocked(), BTreeSet::from([id("c"), id("d"), id("e")]));
    assert_eq!(graph.remaining(), Remaining::Some);
    graph.gapped(&id("b"));
    assert_eq!(graph.remaining(), Remaining::OnlyGaps);
}

/// Bookkeeping must not grow with the square of the shards.
#[test]
fn ten_thousand_shards_are_listed_in_a_moment() {
    let all: Vec<ListedShard> = (0..10_000)
        .map(|at| shard(&format!("s{at:05}"), (at >= 5_000).then(|| format!("s{:05}", at - 5_000)).as_deref()))
        .collect();
    let mut graph = ShardGraph::new(roots(&all, StartPosition::TrimHorizon), &[], Until::Stopped);
    assert_eq!(graph.run_listed(&all).reads.len(), 5_000);
    for at in 0..5_000 {
        graph.gapped(&id(&format!("s{at:05}")));
    }
    assert_eq!(graph.run_listed(&all).reads.len(), 0);
    assert_eq!(graph.remaining(), Remaining::OnlyGaps);
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
    /// Whatever order listings, answers, writes and ends come in, and whatever a listing leaves out now and
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
        let (mut sought, mut storing): (Vec<ShardId>, Vec<ShardId>) = (Vec::new(), Vec::new());
        let mut honest = true;
        for _ in 0..2_000 {
            let commands = match random.u8(0..4) {
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
                2 if !storing.is_empty() => {
                    let shard = storing.swap_remove(random.usize(0..storing.len()));
                    graph.stored(&shard)
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
                    Command::Store { shard, .. } => storing.push(shard),
                    Command::Read { shard, .. } => {
                        prop_assert!(parents[&shard].as_ref().is_none_or(|parent| finished.contains(parent)), "{shard} before its parent");
                        prop_assert!(started.insert(shard.clone()), "{shard} twice");
                        reading.push(shard);
                    }
                    Command::SeekChildren { parent, .. } => sought.push(parent),
                    Command::Done { shard, children } => {
                        prop_assert!(finished.contains(&shard), "{shard} is not drained");
                        prop_assert!(children.iter().all(|child| !storing.contains(child)), "{shard} is done too early");
                        graph.done(&shard);
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
        prop_assert_eq!(graph.remaining(), Remaining::Some);
    }
}

#[test]
fn l9_a_listing_without_a_young_parent_is_not_believed() {
    let hour = 60 * 60;
    let id = |hours: u64| ShardId::new(format!("shardId-{:020}-0a", (1_800_000_000 + hours * hour) * 1_000));
    let now = 1_800_000_000 + 30 * hour;
    let listed = |hours: u64, parent: u64| ListedShard { id: id(hours), parent: Some(id(parent)), closed: false };
    assert_eq!(missing_parents(&[listed(29, 28)], now), BTreeSet::from([id(28)]));
    assert!(missing_parents(&[listed(29, 28), listed(28, 3)], now).is_empty(), "what is trimmed is not listed");
    let unknown = ListedShard { id: ShardId::new("b"), parent: Some(ShardId::new("a")), closed: false };
    assert!(missing_parents(&[unknown], now).is_empty());
}

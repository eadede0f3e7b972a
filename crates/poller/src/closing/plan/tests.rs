use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::StartPosition;
use streamdex_dynamodb::state::{Action, Condition};

use super::*;
use crate::graph::ShardProgress;
use crate::state::{Generations, StoredShard};

const LABEL: &str = "L2";

fn id(name: &str) -> ShardId {
    ShardId::new(name)
}

fn listed(name: &str, parent: &str) -> ListedShard {
    ListedShard { id: id(name), parent: Some(id(parent)), closed: false }
}

fn stored(name: &str, parent: &str) -> StoredShard {
    StoredShard {
        id: id(name),
        parent: Some(id(parent)),
        progress: ShardProgress::Open(None),
        generations: Generations::new(),
        updated: 1,
        born: 1,
        created: None,
        term: None,
        resumes: false,
    }
}

fn start(roots: &[&str]) -> StreamStart {
    let roots = roots.iter().copied().map(id).collect();
    StreamStart { position: StartPosition::TrimHorizon, at: 7, roots, resumes: false }
}

fn gap(kind: GapKind, subject: &str, label: &str) -> StoredGap {
    StoredGap { label: label.to_owned(), gap: crate::Gap::new(kind, subject) }
}

/// What is written, unit by unit: the key, with `-` where the item goes and the parent where one is named.
fn written(loaded: &Loaded, done: &[&str], stream: &InStream, gaps: &[StoredGap]) -> Vec<Vec<String>> {
    let (done, generations) = (done.iter().copied().map(id).collect(), Generations::new());
    let closing = Closing { label: LABEL, now: 9, generations: &generations };
    let of = |operation: &Operation| match &operation.action {
        Action::Put(item) => match item.get("parent").or_else(|| item.get("children")) {
            Some(AttributeValue::S(parent)) => format!("{} of {parent}", operation.sort_key),
            Some(AttributeValue::L(children)) => {
                let children: Vec<_> = children.iter().filter_map(|child| Some(child.as_s().ok()?.as_str())).collect();
                format!("{} {}", operation.sort_key, children.join(" "))
            }
            _ => operation.sort_key.clone(),
        },
        _ => format!("-{}", operation.sort_key),
    };
    let units = Plan { loaded, done: &done, stream, closing }.units(gaps);
    units.iter().map(|unit| unit.iter().map(of).collect()).collect()
}

#[test]
fn no_unit_is_torn_and_no_transaction_is_too_large() {
    let closing = Closing { label: LABEL, now: 9, generations: &Generations::new() };
    let mut number = 0;
    let mut unit = |operations: usize| -> Vec<Operation> {
        let mut one = || {
            number += 1;
            closing.forget_index(&number.to_string())
        };
        (0..operations).map(|_| one()).collect()
    };
    let mut sizes = |units: &[usize], most| {
        let batches = batches(units.iter().map(|size| unit(*size)).collect(), most);
        batches.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[3, 3, 3], 6), [6, 3]);
    assert_eq!(sizes(&[3, 4, 2], 6), [3, 6]);
    assert_eq!(sizes(&[7, 1], 6), [7, 1], "there is none so large, and it would be refused whole");
    assert_eq!(sizes(&[], 6), [0; 0]);
}

/// A stream that is switched off and on leaves a gap under both of its labels.
#[test]
fn two_gaps_that_ask_for_the_same_beginning_are_one_transaction() {
    let stream = InStream { start: Some(start(&["r"])), ..InStream::default() };
    let gaps = ["L1", LABEL].map(|label| gap(GapKind::StreamReplaced, "arn", label));
    let (done, generations) = (BTreeSet::new(), Generations::new());
    let closing = Closing { label: LABEL, now: 9, generations: &generations };
    let plan = Plan { loaded: &Loaded::default(), done: &done, stream: &stream, closing: closing.clone() };
    let keys = |batch: &Vec<Operation>| batch.iter().map(|one| one.sort_key.clone()).collect::<Vec<_>>();
    let batches: Vec<_> = batches(plan.units(&gaps), 9).iter().map(keys).collect();
    let gap = |label: &str| format!("gap|{label}|stream_replaced|arn");
    assert_eq!(batches, [[format!("stream|{LABEL}"), gap("L1"), gap(LABEL)]]);
    // Two different ones are two transactions.
    let item = closing.forget_index("x");
    let other = Operation { conditions: vec![Condition::Exists], ..item.clone() };
    assert_eq!(super::batches(vec![vec![item.clone()], vec![item], vec![other]], 9).len(), 2);
}

#[test]
fn a_group_begins_again_with_a_stream_that_it_never_began_with_or_whose_state_was_lost() {
    let begun = Loaded { start: Some(start(&["r"])), ..Loaded::default() };
    let rows = [
        (GapKind::StreamReplaced, LABEL, &begun, false),
        (GapKind::StreamReplaced, "L1", &Loaded::default(), true),
        (GapKind::IndexVanished, LABEL, &Loaded::default(), false),
        (GapKind::ShardVanished, LABEL, &Loaded::default(), false),
        (GapKind::StateLost, LABEL, &begun, true),
        (GapKind::StateLost, "L1", &begun, false),
    ];
    for (kind, label, loaded, expected) in rows {
        assert_eq!(wants_a_start(&[gap(kind, "x", label)], loaded, LABEL), expected, "{kind:?} {label}");
    }
}

#[test]
fn a_shard_goes_on_and_one_that_is_gone_is_done_and_its_unknown_descendants_go_on() {
    let loaded = Loaded {
        start: Some(start(&["root"])),
        shards: vec![stored("there", "its-parent"), stored("known", "gone")],
        gaps: vec![crate::Gap::new(GapKind::Unread, "own-gap")],
        ..Loaded::default()
    };
    let stream = InStream {
        listed: vec![
            listed("before-all", "gone"),
            listed("before", "before-all"),
            listed("root", "before"),
            listed("only-listed", "of-listing"),
            listed("known", "gone"),
            listed("done", "gone"),
            listed("own-gap", "gone"),
            listed("heir", "gone"),
            listed("grandchild", "heir"),
        ],
        gone: [id("gone")].into(),
        start: None,
    };
    let gaps = ["there", "only-listed", "gone", "done"].map(|shard| gap(GapKind::ShardVanished, shard, LABEL));
    let key = |shard: &str| format!("-gap|{LABEL}|shard_vanished|{shard}");
    let expected = [
        vec![format!("shard|{LABEL}|heir of gone")],
        vec![format!("shard|{LABEL}|there of its-parent"), key("there")],
        vec![format!("shard|{LABEL}|only-listed of of-listing"), key("only-listed")],
        vec![
            format!("done|{LABEL}|gone before-all known done own-gap heir"),
            format!("-shard|{LABEL}|gone"),
            key("gone"),
        ],
        vec![key("done")],
    ];
    assert_eq!(written(&loaded, &["done"], &stream, &gaps), expected);
    // Of an earlier stream nothing can be read.
    let earlier = [gap(GapKind::ShardVanished, "there", "L1")];
    assert_eq!(written(&loaded, &[], &stream, &earlier), [["-gap|L1|shard_vanished|there"]]);
}

#[test]
fn a_lost_state_is_forgotten_shard_by_shard_before_the_group_begins_again() {
    let loaded = Loaded { shards: vec![stored("a", "x")], ..Loaded::default() };
    let stream = InStream { start: Some(start(&["r"])), ..InStream::default() };
    let gaps = [gap(GapKind::StateLost, "arn", LABEL)];
    let forgotten = |shard: &str| vec![format!("-shard|{LABEL}|{shard}"), format!("-done|{LABEL}|{shard}")];
    let expected =
        [forgotten("a"), forgotten("d"), vec![format!("stream|{LABEL}"), format!("-gap|{LABEL}|state_lost|arn")]];
    assert_eq!(written(&loaded, &["d"], &stream, &gaps), expected);
    // The state of another stream was lost: this one's stays.
    let earlier = [gap(GapKind::StateLost, "arn", "L1")];
    assert_eq!(written(&loaded, &["d"], &InStream::default(), &earlier), [["-gap|L1|state_lost|arn"]]);
}

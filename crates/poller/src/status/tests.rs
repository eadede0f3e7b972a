use super::*;

const SECOND: Duration = Duration::from_secs(1);

async fn advance(seconds: u32) {
    tokio::time::advance(SECOND * seconds).await;
}

#[tokio::test(start_paused = true)]
async fn lag_grows_while_polling_fails_and_while_writing_does() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    board.begin(&shard, None, None);
    board.current(&shard, Instant::now());
    assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
    assert!(board.snapshot().is_caught_up());
    // Nothing is polled.
    advance(60).await;
    assert_eq!(board.snapshot().lag(), Some(60 * SECOND));
    // It is polled, and nothing is acknowledged.
    board.polled(&shard);
    assert_eq!(board.snapshot().lag(), Some(60 * SECOND));
    board.acknowledged(&shard, 5 * SECOND);
    board.behind(&shard);
    assert_eq!(board.snapshot().lag(), Some(5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_child_is_as_far_behind_as_its_parent_was() {
    let board = StatusBoard::default();
    let (parent, child) = (ShardId::new("a"), ShardId::new("b"));
    board.begin(&parent, None, None);
    advance(30).await;
    board.end(&parent);
    assert_eq!(board.snapshot().lag(), None);
    board.begin(&child, Some(&parent), None);
    assert_eq!(board.snapshot().lag(), Some(30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn while_children_are_looked_for_the_lag_grows_until_they_begin() {
    let board = StatusBoard::default();
    let (parent, child, sibling) = (ShardId::new("a"), ShardId::new("b"), ShardId::new("c"));
    board.begin(&parent, None, None);
    board.current(&parent, Instant::now());
    board.end(&parent);
    board.phase(&parent, Phase::SearchingChildren);
    advance(3).await;
    let status = board.snapshot();
    assert_eq!((status.lag(), status.in_phase(Phase::SearchingChildren)), (Some(3 * SECOND), 1));
    board.begin(&child, Some(&parent), None);
    board.begin(&sibling, Some(&parent), None);
    let status = board.snapshot();
    assert_eq!((status.lag(), status.shards.len()), (Some(3 * SECOND), 2));
    for shard in [&child, &sibling] {
        board.current(shard, Instant::now());
    }
    assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_a_lapsed_tenure_left_undecided_is_counted_once() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    board.begin(&shard, None, None);
    board.take_of(&shard, 10, 2);
    board.count_of(&shard, [Outcome::Applied, Outcome::Filtered].into_iter());
    let status = board.snapshot();
    assert_eq!((status.undecided, status.before_start, status.shards[0].in_flight), (8, 2, 8));
    assert_eq!((status.shards[0].tally.records(), status.tally.records()), (2, 2));
    assert!(status.rate > 0.0 && status.shards[0].rate > 0.0);
    // Its task has ended, and it is not known who goes on: the lag grows on.
    board.end(&shard);
    board.phase(&shard, Phase::Waiting);
    advance(20).await;
    let status = board.snapshot();
    assert_eq!((status.undecided, status.lag()), (8, Some(20 * SECOND)));
    board.begin(&shard, None, None);
    assert_eq!((board.snapshot().undecided, board.snapshot().lag()), (0, Some(20 * SECOND)));
    board.take_of(&shard, 8, 0);
    // Another worker has the lease: it counts them.
    board.stands_by();
    let status = board.snapshot();
    assert_eq!((status.undecided, status.lag(), status.shards.len()), (0, None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gapped_shard_has_no_lag_and_a_paused_one_does() {
    let board = StatusBoard::default();
    let (gapped, paused) = (ShardId::new("a"), ShardId::new("b"));
    for shard in [&gapped, &paused] {
        board.begin(shard, None, None);
        board.current(shard, Instant::now());
    }
    board.phase(&gapped, Phase::Gapped);
    board.pause(&paused, Some("the disk is full".to_owned()));
    board.error(&paused, "429", "wait");
    advance(7).await;
    let status = board.snapshot();
    let phases: Vec<_> = status.shards.iter().map(|shard| (shard.phase, shard.lag)).collect();
    assert_eq!(phases, [(Phase::Gapped, None), (Phase::Paused, Some(7 * SECOND))]);
    assert_eq!(status.pauses(), ["the disk is full"]);
    let error = status.shards[1].last_error.clone().unwrap();
    assert_eq!((error.message.as_str(), error.ago, status.shards[1].retries), ("429", 7 * SECOND, 1));
    assert_eq!((status.counters.retries, status.is_caught_up()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn lag_is_kept_over_restarts_and_not_0_while_a_page_waits() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    advance(3_600).await;
    board.begin(&shard, None, Instant::now().checked_sub(600 * SECOND));
    assert_eq!(board.snapshot().lag(), Some(600 * SECOND));
    board.current(&shard, Instant::now());
    assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
    board.page_came(&shard);
    advance(1).await;
    assert_eq!((board.snapshot().lag(), board.snapshot().is_caught_up()), (Some(SECOND), false));
    board.page_written(&shard);
    assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn caught_up_is_revoked_when_an_older_record_comes() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    advance(7_200).await;
    board.begin(&shard, None, None);
    board.current(&shard, Instant::now());
    board.revoke_current(&shard, 3_600 * SECOND);
    assert_eq!((board.snapshot().lag(), board.snapshot().is_caught_up()), (Some(3_600 * SECOND), false));
    // Newer ones come one after the other, and an older one among them makes nothing worse.
    board.acknowledged(&shard, 60 * SECOND);
    board.acknowledged(&shard, 90 * SECOND);
    assert_eq!(board.snapshot().lag(), Some(60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn what_was_current_before_that_is_not_taken_for_current() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    advance(7_200).await;
    board.begin(&shard, None, None);
    let asked = Instant::now();
    board.revoke_current(&shard, 3_600 * SECOND);
    board.current(&shard, asked);
    assert_eq!((board.snapshot().lag(), board.snapshot().is_caught_up()), (Some(3_600 * SECOND), false));
    advance(1).await;
    board.current(&shard, Instant::now());
    assert!(board.snapshot().is_caught_up());
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_never_read_waits_without_a_lag() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    board.phase(&shard, Phase::Waiting);
    advance(5).await;
    let status = board.snapshot();
    assert_eq!((status.lag(), status.in_phase(Phase::Waiting)), (None, 1));
    board.begin(&shard, None, None);
    assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_summary_tells_the_worst() {
    let board = StatusBoard::default();
    let shard = ShardId::new("a");
    board.begin(&shard, None, None);
    board.projected_calls([0.0; 0].into_iter().sum());
    assert!(board.snapshot().projected_calls.is_sign_positive());
    board.projected_calls(3_600.4);
    board.pause_all(Some("the state table does not answer".to_owned()));
    advance(90).await;
    let summary = Summary::parse(&board.summary(Some("an index is held back".to_owned()))).unwrap();
    let expected = Summary {
        lag_seconds: Some(90.0),
        missed_freshness_seconds: Some(90.0),
        shards: 1,
        calls_per_hour: 3_600.0,
        pause: Some("the state table does not answer".to_owned()),
        ..Summary::default()
    };
    assert_eq!(summary, expected);
    board.pause_all(None);
    board.polled(&shard);
    let summary = Summary::parse(&board.summary(Some("an index is held back".to_owned()))).unwrap();
    assert_eq!(summary.pause.as_deref(), Some("an index is held back"));
    assert_eq!(summary.missed_freshness_seconds, None, "the freshness that is asked for is reached");
}

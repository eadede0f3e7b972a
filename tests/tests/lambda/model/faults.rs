//! What OpenSearch does to the requests of a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use streamdex_testkit::fault::{BulkOperation, FaultServer, ItemError, Recorded, Reply, Rule};

/// Puts the faults of this seed before the node. Which request meets which depends on its number alone.
pub(super) fn arm(front: &FaultServer, seed: u64) {
    let count = Arc::new(AtomicU64::new(0));
    let draw = move |request: &Recorded| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003) ^ number);
        // Once more, because neighbouring seeds begin alike.
        random.u64(..);
        (number, random.u8(0..100), request.is_bulk())
    };
    // For a while everything is refused, and for another while one document in three.
    let mut random = Rng::with_seed(seed);
    let outage = random.u64(5..25);
    let outage = outage..outage + random.u64(0..14);
    let busy_from = random.u64(0..25);
    let busy_time = busy_from..busy_from + random.u64(0..20);
    let busy_place = random.usize(0..3);
    // The first rule sees every request and draws for it; the others look at what was drawn for it.
    let drawn = Arc::new(std::sync::Mutex::new(std::collections::HashMap::new()));
    let seen = Arc::clone(&drawn);
    front.add(Rule::when(move |request| {
        seen.lock().unwrap().insert(request.number, draw(request));
        false
    }));
    let when = |range: std::ops::Range<u8>, is_bulk: Option<bool>| {
        let drawn = Arc::clone(&drawn);
        Rule::when(move |request| {
            let drawn = drawn.lock().unwrap().get(&request.number).copied();
            drawn.is_some_and(|(_, drawn, bulk)| range.contains(&drawn) && is_bulk.is_none_or(|wanted| wanted == bulk))
        })
    };
    let during = |time: std::ops::Range<u64>| {
        let drawn = Arc::clone(&drawn);
        Rule::when(move |request| {
            let drawn = drawn.lock().unwrap().get(&request.number).copied();
            drawn.is_some_and(|(number, _, _)| time.contains(&number) && request.is_bulk())
        })
    };
    let busy = || ItemError::new(429, "rejected_execution_exception");
    let bulk = Some(true);
    front.add(during(outage).answer(Reply::html(503, "<html>busy</html>")));
    let is_busy =
        move |operation: &BulkOperation| operation.id().bytes().map(usize::from).sum::<usize>() % 3 == busy_place;
    front.add(during(busy_time).withhold_items(busy(), move |_, operation| is_busy(operation)));
    front.add(when(0..6, bulk).withhold_items(busy(), |place, _| place % 2 == 0));
    front.add(
        when(6..9, bulk).rewrite_items(ItemError::new(503, "unavailable_shards_exception"), |place, _| place % 3 == 0),
    );
    front.add(when(9..12, None).answer(Reply::html(503, "<html>busy</html>")));
    front.add(when(12..15, None).drop_before());
    front.add(when(15..18, None).drop_after());
    front.add(when(18..20, bulk).cut_answer(30));
    // Too late for its invocation, and still applied: an old write that comes behind newer ones.
    front.add(when(20..22, bulk).delay(Duration::from_millis(2_000)));
    front.add(when(22..24, bulk).delay(Duration::from_millis(300)));
    front.add(
        when(24..26, bulk)
            .answer(Reply::json(429, r#"{"error":{"type":"circuit_breaking_exception","reason":"x"},"status":429}"#)),
    );
}

use super::*;

#[test]
fn a_round_of_good_answers_adds_one_request() {
    let mut concurrency = Concurrency::new(8);
    assert_eq!(concurrency.limit(), 2);
    for limit in 2..8 {
        assert_eq!(concurrency.limit(), limit);
        // One more than the limit, since thousandths are rounded down.
        (0..=limit).for_each(|_| concurrency.succeeded());
    }
    (0..100).for_each(|_| concurrency.succeeded());
    assert_eq!(concurrency.limit(), 8);
}

#[test]
fn overload_halves_once_for_all_requests_of_a_round() {
    let mut concurrency = Concurrency::new(8);
    (0..100).for_each(|_| concurrency.succeeded());
    let round = concurrency.round();
    (0..8).for_each(|_| concurrency.overloaded(round));
    assert_eq!(concurrency.limit(), 4);
    concurrency.overloaded(concurrency.round());
    assert_eq!(concurrency.limit(), 2);
    for _ in 0..5 {
        concurrency.overloaded(concurrency.round());
    }
    assert_eq!(concurrency.limit(), 1);
}

#[test]
fn one_request_is_the_least_and_the_most() {
    assert_eq!(Concurrency::new(0).limit(), 1);
    assert_eq!(Concurrency::new(1).limit(), 1);
}

#[test]
fn a_413_lowers_the_cap_for_long_and_a_breaker_for_a_while() {
    const MIB: usize = 1024 * 1024;
    let mut cap = ByteCap::new(8 * MIB);
    cap.broke();
    assert_eq!(cap.get(), 4 * MIB);
    (0..16).for_each(|_| cap.succeeded());
    assert_eq!(cap.get(), 8 * MIB);
    cap.too_large(6 * MIB);
    assert_eq!(cap.get(), 3 * MIB);
    (0..100).for_each(|_| cap.succeeded());
    assert_eq!(cap.get(), 3 * MIB);
    cap.too_large(100_000);
    assert_eq!(cap.get(), LOWEST_CAP);
    let mut cap = ByteCap::new(8 * MIB);
    cap.too_large(118);
    assert_eq!(cap.get(), 8 * MIB, "a 413 to everything says nothing of the size");
}

#[test]
fn a_cap_that_a_413_lowered_grows_again_and_ever_more_slowly_where_it_comes_back() {
    const MIB: usize = 1024 * 1024;
    let accepted_until_grown = |cap: &mut ByteCap| {
        let low = cap.get();
        (1..).find(|_| {
            cap.succeeded();
            cap.get() > low
        })
    };
    let mut cap = ByteCap::new(8 * MIB);
    cap.too_large(8 * MIB);
    let first = accepted_until_grown(&mut cap).unwrap();
    (0..16).for_each(|_| cap.succeeded());
    assert_eq!(cap.get(), 8 * MIB);
    cap.too_large(8 * MIB);
    let second = accepted_until_grown(&mut cap).unwrap();
    assert!(second > first && second < 2 * first + 10, "{first} {second}");
    // One spurious 413 to a small request.
    cap.too_large(100_000);
    (0..10_000).for_each(|_| cap.succeeded());
    assert_eq!(cap.get(), 8 * MIB);
}

#[test]
fn silence_halves_the_bytes_of_what_was_sent_and_they_grow_again() {
    const MIB: usize = 1024 * 1024;
    let mut cap = ByteCap::new(8 * MIB);
    cap.unanswered(2 * MIB);
    assert_eq!(cap.get(), MIB);
    cap.unanswered(8 * MIB);
    assert_eq!(cap.get(), MIB, "it was sent before the cap was lowered");
    cap.unanswered(MIB);
    assert_eq!(cap.get(), MIB / 2);
    cap.unanswered(100);
    assert_eq!(cap.get(), MIB / 2);
    cap.unanswered(LOWEST_CAP + 1);
    assert_eq!(cap.get(), LOWEST_CAP);
    (0..16).for_each(|_| cap.succeeded());
    assert_eq!(cap.get(), 8 * MIB);
    let mut low = ByteCap::new(1000);
    low.unanswered(1000);
    assert_eq!(low.get(), 1000, "a configured cap below the lowest stays");
}

#[test]
fn slow_is_a_quarter_of_the_deadline() {
    let deadline = Duration::from_secs(60);
    assert!(!Concurrency::is_slow(Duration::from_secs(15), deadline));
    assert!(Concurrency::is_slow(Duration::from_secs(16), deadline));
}

#[tokio::test(start_paused = true)]
async fn compression_is_left_out_for_a_while_and_longer_each_time() {
    let (mut encoding, now) = (Encoding::new(Compression::Gzip), Instant::now());
    assert_eq!(encoding.get(now), BodyEncoding::Gzip);
    assert_eq!(encoding.leave_out(now), Some(PLAIN));
    assert_eq!((encoding.leave_out(now), encoding.get(now)), (None, BodyEncoding::Identity));
    let later = now + PLAIN;
    assert_eq!(encoding.get(later), BodyEncoding::Gzip);
    assert_eq!(encoding.leave_out(later), Some(PLAIN * 2));
    (0..40).for_each(|day| {
        encoding.leave_out(later + LONGEST_PLAIN * (day + 1));
    });
    assert_eq!(encoding.next, LONGEST_PLAIN);
    assert_eq!(Encoding::new(Compression::None).get(now), BodyEncoding::Identity);
}

#[test]
fn only_an_overload_lowers_the_limits() {
    let rows = [
        (Trouble::Overloaded, 1, 1 << 20),
        (Trouble::Breaker, 1, 1 << 19),
        (Trouble::Unavailable, 2, 1 << 20),
        (Trouble::ServerError, 2, 1 << 20),
        (Trouble::Unexpected, 2, 1 << 20),
    ];
    for (trouble, requests, bytes) in rows {
        let mut limits = Limits {
            concurrency: Concurrency::new(8),
            bytes: ByteCap::new(1 << 20),
            encoding: Encoding::new(Compression::None),
        };
        assert_eq!(limits.note_trouble(trouble, limits.round()), requests == 1);
        assert_eq!((limits.requests(), limits.bytes()), (requests, bytes), "{trouble:?}");
    }
}

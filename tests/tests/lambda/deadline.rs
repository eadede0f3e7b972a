//! Time runs out: what is done is reported, what is not comes again, and nothing goes on behind the answer.

use std::time::Duration;

use streamdex_testkit::event_source::Record;
use streamdex_testkit::fault::{Recorded, Rule};
use streamdex_testkit::lambda::{Answer, Sandbox};

use super::function::{AMPLE, Bench, EMPTY, counted, wanted_again};
use super::stream::event;

/// Four seconds of work before the margin of two.
const SHORT: Duration = Duration::from_secs(6);

/// Forty records in requests of ten, after the index was made.
async fn forty(bench: &mut Bench) -> (Sandbox, Vec<Record>) {
    bench.configure("max_batch_operations = 10\nmax_concurrent_requests = 2", "");
    let mut sandbox = bench.sandbox().await;
    let warm = bench.stream.put_small(1, "warm");
    assert_eq!(wanted_again(&sandbox.invoke(event(&warm), AMPLE).await), None, "{}", sandbox.log());
    bench.front.forget_requests();
    let records = bench.stream.put_small(40, "cold");
    (sandbox, records)
}

/// Whether a bulk request holds the document of that place.
fn holds(request: &Recorded, place: u32) -> bool {
    request.is_bulk() && request.text().contains(&format!("user-{place:06}|"))
}

/// What came to the server from the answer on: the sandbox is frozen and thawed, and an event that asks for nothing
/// shows that it has gone on.
async fn sent_behind_the_answer(bench: &Bench, sandbox: &mut Sandbox) -> Vec<String> {
    let before = bench.front.requests().len();
    sandbox.freeze().await;
    bench.front.clear_rules();
    sandbox.thaw().await;
    assert_eq!(wanted_again(&sandbox.invoke(EMPTY, AMPLE).await), None, "{}", sandbox.log());
    bench
        .front
        .requests()
        .split_off(before)
        .into_iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_is_reported_in_time_by_its_first_record() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut sandbox, records) = forty(&mut bench).await;
    bench.front.add(Rule::when(|request| holds(request, 23)).hang());
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    let wanted = wanted_again(&invocation).expect("something is undecided");
    let place = records.iter().position(|record| record.sequence == wanted).unwrap();
    // Its request holds the records of 20 to 29 where they were cut in order, and is divided when no answer comes.
    assert!((14..=23).contains(&place), "{place}");
    let counted = counted(&invocation);
    assert!((1..=20).contains(&counted.undecided), "{}", counted.line);
    assert!(invocation.took < SHORT && invocation.took > Duration::from_secs(3), "{:?}", invocation.took);

    let sent = sent_behind_the_answer(&bench, &mut sandbox).await;
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(sandbox.late_answers(), Vec::<String>::new());
    let again = sandbox.invoke(event(&records[place..]), AMPLE).await;
    assert_eq!(wanted_again(&again), None, "{}", sandbox.log());
    bench.index_is_current("after the second delivery").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_stop_the_sending_before_the_deadline_and_all_gets_written_in_the_end() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut sandbox, mut records) = forty(&mut bench).await;
    bench.front.add(Rule::bulk().delay(Duration::from_millis(2_500)));
    // Longer than one attempt's share of the time, until the sandbox has learned that the answers are slow.
    for number in 1.. {
        assert!(number <= 8, "{} records are left", records.len());
        let invocation = sandbox.invoke(event(&records), SHORT).await;
        assert!(invocation.took < SHORT, "{:?}", invocation.took);
        let Some(wanted) = wanted_again(&invocation) else { break };
        let place = records.iter().position(|record| record.sequence == wanted).unwrap();
        assert!(number == 1 || place > 0, "nothing was done: {}", counted(&invocation).line);
        records.drain(..place);
    }
    let sent = sent_behind_the_answer(&bench, &mut sandbox).await;
    assert!(sent.is_empty(), "{sent:?}");
    bench.index_is_current("in the end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_end_with_the_time_and_an_old_invocation_is_not_finished_by_a_thawed_sandbox() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut sandbox, records) = forty(&mut bench).await;
    bench.front.add(Rule::bulk().answer(streamdex_testkit::fault::Reply::json(503, "{}")));
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
    let sent = sent_behind_the_answer(&bench, &mut sandbox).await;
    assert!(sent.is_empty(), "{sent:?}");
    // In the meantime another sandbox has done it, and the table went on.
    let mut another = bench.sandbox().await;
    let newer = bench.stream.put_small(40, "newer");
    let both = [records.as_slice(), &newer].concat();
    assert_eq!(wanted_again(&another.invoke(event(&both), AMPLE).await), None, "{}", another.log());
    let again = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&again), None, "{}", sandbox.log());
    assert_eq!(counted(&again).told(), "Superseded 40");
    bench.index_is_current("after the old batch once more").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_event_whose_index_cannot_be_made_in_time_is_answered() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    bench.front.add(Rule::when(|request| !request.is_bulk()).hang());
    let records = bench.stream.put_small(3, "held up");
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
    let sent = sent_behind_the_answer(&bench, &mut sandbox).await;
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    bench.index_is_current("after the second delivery").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_with_little_time_is_answered_too() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut sandbox, records) = forty(&mut bench).await;
    bench.front.add(Rule::bulk().hang());
    // Less than the margin.
    let invocation = sandbox.invoke(event(&records), Duration::from_millis(1_500)).await;
    assert!(matches!(invocation.answer, Answer::Response(_)), "{invocation:?}");
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()));
    assert_eq!(counted(&invocation).undecided, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_hand_an_undecided_record_fails_the_invocation() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = bench.stream.put_small(3, "by hand");
    for item in bench.stream.items.values() {
        bench.lab.put(item.clone()).await;
    }
    bench.front.add(Rule::bulk().hang());
    // A single record is no event of a source mapping.
    let invocation = sandbox.invoke(records[0].json.clone(), SHORT).await;
    let error = invocation.answer.error();
    assert!(error.message.contains("1 of 1 records") && error.message.contains("hint"), "{error:?}");
    bench.front.clear_rules();
    for record in &records {
        let invocation = sandbox.invoke(record.json.clone(), AMPLE).await;
        assert!(matches!(invocation.answer, Answer::Response(_)), "{invocation:?}\n{}", sandbox.log());
    }
    bench.index_is_current("after the second call").await;
}

//! The answer to the event source mapping: the record from which it must deliver again. Pure.
//!
//! The mapping takes the lowest sequence number of the answer for its checkpoint; everything from it on comes
//! again, and everything before it is gone for good. A missing, null or empty number fails the whole batch.

use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use streamdex_mapping::SequenceNumber;

/// What the answer has to know of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the shard; `None` where it cannot be read.
    pub sequence: Option<SequenceNumber>,
    /// Whether it has an outcome.
    pub decided: bool,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report<'r> {
    /// Every record has an outcome.
    Done,
    /// The record with this number, and all after it, are to come again.
    From(&'r SequenceNumber),
    /// No number can be named without losing a record, so the invocation has to fail.
    Unnamed,
}

/// Decides from which record on the mapping must deliver again.
///
/// In a batch as it should be, in ascending order, that is the first record without an outcome, or the nearest
/// one before it with a readable number. Where the order is broken it is a record that neither stands behind an
/// undecided one nor has a higher number than one, because it is not documented which of the two the mapping
/// goes by.
pub fn report(records: &[Record]) -> Report<'_> {
    let Some(first) = records.iter().position(|record| !record.decided) else { return Report::Done };
    let mut nearest = None;
    let mut lowest: Option<&SequenceNumber> = None;
    for record in records {
        nearest = record.sequence.as_ref().or(nearest);
        if record.decided {
            continue;
        }
        let Some(number) = nearest else { return Report::Unnamed };
        lowest = Some(lowest.map_or(number, |lowest| lowest.min(number)));
    }
    let candidates = records.iter().take(first + 1).filter_map(|record| record.sequence.as_ref());
    match candidates.filter(|number| lowest.is_some_and(|lowest| *number <= lowest)).max() {
        Some(number) => Report::From(number),
        None => Report::Unnamed,
    }
}

/// The answer to an event of a source mapping.
pub fn response(from: Option<&SequenceNumber>) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    if let Some(from) = from {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(from.as_str().to_owned());
        response.batch_item_failures.push(failure);
    }
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::parse(text).unwrap()
    }

    /// `7` decided, `7!` undecided, `?` and `?!` without a readable number.
    fn records(text: &str) -> Vec<Record> {
        let record = |word: &str| {
            let digits = word.trim_end_matches('!');
            Record { sequence: SequenceNumber::parse(digits).ok(), decided: !word.ends_with('!') }
        };
        text.split_whitespace().map(record).collect()
    }

    #[test]
    fn each_kind_of_batch_has_its_answer() {
        let rows = [
            ("", "done"),
            ("1 2 3", "done"),
            ("1! 2 3", "1"),
            ("1 2! 3", "2"),
            ("1 2 3!", "3"),
            ("1! 2! 3!", "1"),
            ("1 2! 3 4!", "2"),
            // as integers, and in the words of the event
            ("9 10! 11", "10"),
            ("0009 0010! 0011", "0010"),
            ("99999999999999999999! 100000000000000000000", "99999999999999999999"),
            // the nearest earlier one that can be read
            ("1 ?! 3", "1"),
            ("1 2 ? ?! 5", "2"),
            ("1 ?! ?! 4!", "1"),
            ("1 ? 3!", "3"),
            // none
            ("?! 2 3", "unnamed"),
            ("? ?! 3!", "unnamed"),
            ("?!", "unnamed"),
            // out of order: neither by place nor by number is a record lost
            ("5 9! 3! 7", "unnamed"),
            ("2 9! 3! 7", "2"),
            ("3 1! 2", "1"),
            ("3! 1 2", "3"),
            ("4 4! 4", "4"),
        ];
        for (text, expected) in rows {
            let records = records(text);
            let found = match report(&records) {
                Report::Done => "done",
                Report::From(number) => number.as_str(),
                Report::Unnamed => "unnamed",
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_answer_is_what_lambda_reads() {
        assert_eq!(serde_json::to_string(&response(None)).unwrap(), r#"{"batchItemFailures":[]}"#);
        let expected = r#"{"batchItemFailures":[{"itemIdentifier":"000012"}]}"#;
        assert_eq!(serde_json::to_string(&response(Some(&number("000012")))).unwrap(), expected);
    }

    fn any_records(in_order: bool) -> impl Strategy<Value = Vec<Record>> {
        let record = (proptest::option::weighted(0.8, 1_u32..40), any::<bool>());
        proptest::collection::vec(record, 0..12).prop_map(move |mut drawn| {
            if in_order {
                let mut numbers: Vec<u32> = drawn.iter().filter_map(|(number, _)| *number).collect();
                numbers.sort_unstable();
                let mut numbers = numbers.into_iter();
                drawn.iter_mut().filter_map(|(number, _)| number.as_mut()).for_each(|number| {
                    *number = numbers.next().unwrap();
                });
            }
            let record = |(sequence, decided): (Option<u32>, bool)| {
                let sequence = sequence.map(|sequence| number(&sequence.to_string()));
                Record { sequence, decided }
            };
            drawn.into_iter().map(record).collect()
        })
    }

    proptest! {
        /// Whichever way the mapping goes by the answer, every undecided record comes again.
        #[test]
        fn nothing_undecided_is_lost(records in any_records(false)) {
            let undecided: Vec<usize> = (0..records.len()).filter(|at| !records[*at].decided).collect();
            match report(&records) {
                Report::Done => prop_assert!(undecided.is_empty()),
                Report::Unnamed => prop_assert!(!undecided.is_empty()),
                Report::From(from) => {
                    prop_assert!(!from.as_str().is_empty());
                    let place = records.iter().position(|record| record.sequence.as_ref() == Some(from)).unwrap();
                    prop_assert!(place <= undecided[0]);
                    for at in undecided {
                        prop_assert!(records[at].sequence.as_ref().is_none_or(|number| number >= from));
                    }
                }
            }
        }

        /// In a batch in order, no more comes again than must.
        #[test]
        fn nothing_comes_again_that_need_not(records in any_records(true)) {
            let first = records.iter().position(|record| !record.decided);
            let expected = first.and_then(|first| records[..=first].iter().rev().find_map(|r| r.sequence.as_ref()));
            match (report(&records), first) {
                (Report::Done, None) => {}
                (Report::From(from), Some(_)) => prop_assert_eq!(Some(from), expected),
                (Report::Unnamed, Some(_)) => prop_assert_eq!(expected, None),
                (found, first) => prop_assert!(false, "{found:?} {first:?}"),
            }
        }
    }
}

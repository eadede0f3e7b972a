//! The parts that can be measured separately.

use clap::ValueEnum;

/// One benchmark, or several of them by one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// One Lambda event to its bulk body
    Mapping,
    /// Captured records through `replay --images`
    Sink,
    /// A table into an empty index, and the comparison of both
    Backfill,
    /// The comparison of a table of 1 and 5 million items with its index: memory
    Verify,
    /// Everything between this and lambda
    Poller,
    /// A lone worker: process start to first record
    Start,
    /// Full streams through `run --until-end`
    Backlog,
    /// From a put until its document is visible, and until a search finds it
    Freshness,
    /// What a wait for one's own write adds to that
    Await,
    /// Records read and not written
    Reading,
    /// Records delivered into a sink that costs nothing, on one core and on two
    Capacity,
    /// The reader is killed
    TakeOver,
    /// The reader is stopped
    Stop,
    /// A shard is closed and has a child
    RollOver,
    /// What 500 and 2,000 shards cost while nothing is written
    Idle,
    /// 2,000 and 10,000 shards, from process start until all are read, and how fresh that stays
    ManyShards,
    /// What 10,000 shards cost beyond the calls for them: 10 minutes
    Bookkeeping,
    /// An event through the Lambda function
    Lambda,
}

const ALL: [Part; 6] = [Part::Mapping, Part::Sink, Part::Backfill, Part::Verify, Part::Poller, Part::Lambda];
const POLLER: [Part; 12] = [
    Part::Start,
    Part::Backlog,
    Part::Freshness,
    Part::Await,
    Part::Reading,
    Part::Capacity,
    Part::TakeOver,
    Part::Stop,
    Part::RollOver,
    Part::Idle,
    Part::ManyShards,
    Part::Bookkeeping,
];

impl Part {
    /// The benchmarks that the arguments name, each by its own name.
    pub(crate) fn chosen(arguments: &[Part]) -> Vec<Part> {
        let named = if arguments.is_empty() { &ALL } else { arguments };
        named.iter().flat_map(|part| part.alone()).collect()
    }

    fn alone(self) -> Vec<Part> {
        match self {
            Part::Poller => POLLER.to_vec(),
            part => vec![part],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_is_measured_where_none_is_named() {
        let chosen = Part::chosen(&[]);
        let all = Part::value_variants().iter().filter(|part| **part != Part::Poller);
        assert_eq!(chosen, all.copied().collect::<Vec<_>>());
        assert_eq!(Part::chosen(&[Part::Stop]), [Part::Stop]);
    }
}

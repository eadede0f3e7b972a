//! The habits of stream answers.

/// How streams answer in this seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamHabits {
    pub(crate) shards_a_page: usize,
    pub(crate) records_a_page: usize,
    /// In percent: pages without records where there are some.
    pub(crate) empty_pages: u32,
    /// In milliseconds; 15 minutes in truth.
    pub(crate) iterator_life: u64,
    /// Emulators answer with all shards where children are asked for.
    pub(crate) ignores_filter: bool,
    /// Reads of one shard within a second.
    pub(crate) reads_a_second: usize,
    /// In thousandths: a shard that an answer leaves out, though it was listed before.
    pub(crate) forgets: u32,
    /// How listings are wrong.
    pub(crate) lies: Lies,
    /// In thousandths: a run of empty pages before records that are there.
    pub(crate) empty_runs: u32,
    /// The size that each record says it has.
    pub(crate) record_bytes: u64,
    /// In percent: items whose documents are refused for ever.
    pub(crate) poison: u32,
    /// The parts of a split count their changes from the beginning at once, in the second of the last change before.
    pub(crate) resets: bool,
}

/// How listings are wrong in this seed. A listing is never wrong in the same place for longer than a few seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lies {
    /// In thousandths: a page of the first listings leaves a shard out. No two of them leave out the same one: nobody could
    /// know of that.
    pub(crate) at_start: u32,
    /// Children show before their parents, by so many milliseconds at most.
    pub(crate) children_first: u64,
    /// In thousandths, each second: a shard in the middle of a lineage is left out by all answers for a while.
    pub(crate) middle: u32,
    /// In thousandths: a page says that the next one begins where an earlier one did.
    pub(crate) cursors: u32,
    /// In thousandths: a page behind the first one is an error.
    pub(crate) page_errors: u32,
}

// === impl Lies ===

impl Lies {
    /// Whether listings are as the service documents them.
    pub(crate) fn are_none(&self) -> bool {
        let Lies { at_start, children_first, middle, cursors, page_errors } = *self;
        at_start + middle + cursors + page_errors == 0 && children_first == 0
    }
}

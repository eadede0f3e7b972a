//! The rules: which requests, and what happens to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use super::bulk::BulkOperation;
use super::record::Recorded;
use super::reply::{ItemError, Reply};

/// Names a rule that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(pub(super) u64);

type Matches = Arc<dyn Fn(&Recorded) -> bool + Send + Sync>;
type Answers = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;
pub(super) type SelectsItem = Arc<dyn Fn(usize, &BulkOperation) -> bool + Send + Sync>;

/// What happens to a request, after the delay of its rule.
#[derive(Clone, Default)]
pub(super) enum Action {
    #[default]
    Forward,
    Answer(Answers),
    WithholdItems(SelectsItem, ItemError),
    RewriteItems(SelectsItem, ItemError),
    CutAnswer {
        after: usize,
    },
    DropBefore,
    DropAfter,
    Hang,
}

/// Which requests, and what happens to them. A rule holds for every matching request, until [`Rule::times`],
/// [`Rule::skip`] or [`Rule::nth`] say otherwise.
#[derive(Clone)]
pub struct Rule {
    matches: Matches,
    action: Action,
    delay: Duration,
    skip: u64,
    times: u64,
    hits: u64,
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rule")
            .field("skip", &self.skip)
            .field("times", &self.times)
            .field("hits", &self.hits)
            .finish_non_exhaustive()
    }
}

impl Rule {
    /// For the requests that fulfil `condition`.
    #[must_use]
    pub fn when(condition: impl Fn(&Recorded) -> bool + Send + Sync + 'static) -> Self {
        Self {
            matches: Arc::new(condition),
            action: Action::Forward,
            delay: Duration::ZERO,
            skip: 0,
            times: u64::MAX,
            hits: 0,
        }
    }

    /// For every request.
    #[must_use]
    pub fn any() -> Self {
        Self::when(|_| true)
    }

    /// For bulk requests.
    #[must_use]
    pub fn bulk() -> Self {
        Self::when(Recorded::is_bulk)
    }

    /// For one method and the paths that begin with `path`.
    #[must_use]
    pub fn to(method: Method, path: &str) -> Self {
        let path = path.to_owned();
        Self::when(move |request| request.method == method && request.path.starts_with(&path))
    }

    /// Holds for the first `times` matching requests only.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Lets the first `count` matching requests pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Holds for the `n`-th matching request only, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.skip(n.saturating_sub(1)).times(1)
    }

    /// Waits before anything else happens. The request goes on even when its client has given up.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers without asking the node.
    #[must_use]
    pub fn answer(self, reply: Reply) -> Self {
        self.answer_with(move |_| reply.clone())
    }

    /// Answers without asking the node, by the request.
    #[must_use]
    pub fn answer_with(mut self, answers: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        self.action = Action::Answer(Arc::new(answers));
        self
    }

    /// Refuses the selected operations of a bulk request (position, operation): the node never sees them, as with a
    /// full write queue.
    #[must_use]
    pub fn withhold_items(
        mut self,
        error: ItemError,
        selects: impl Fn(usize, &BulkOperation) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.action = Action::WithholdItems(Arc::new(selects), error);
        self
    }

    /// Applies all operations of a bulk request, and says of the selected ones that they failed.
    #[must_use]
    pub fn rewrite_items(
        mut self,
        error: ItemError,
        selects: impl Fn(usize, &BulkOperation) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.action = Action::RewriteItems(Arc::new(selects), error);
        self
    }

    /// Cuts the connection after that many bytes of the answer's body.
    #[must_use]
    pub fn cut_answer(mut self, after: usize) -> Self {
        self.action = Action::CutAnswer { after };
        self
    }

    /// Closes the connection; the node never sees the request.
    #[must_use]
    pub fn drop_before(mut self) -> Self {
        self.action = Action::DropBefore;
        self
    }

    /// Lets the node apply the request, and closes the connection without an answer.
    #[must_use]
    pub fn drop_after(mut self) -> Self {
        self.action = Action::DropAfter;
        self
    }

    /// Never answers, and keeps the connection; the node never sees the request.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.action = Action::Hang;
        self
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits
    }

    /// Counts the request; the delay and action when the rule takes it.
    pub(super) fn take(&mut self, request: &Recorded) -> Option<(Duration, Action)> {
        if self.hits >= self.times || !(self.matches)(request) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.hits += 1;
        Some((self.delay, self.action.clone()))
    }
}

//! The start of a term, before the first record is read: checks the state, and pins the start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use streamdex_config::{Config, Manage, Source};
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::{Listing, ShardId};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{IndexPattern, OnExpiry};
use streamdex_sink::index::{GroupState, KnownIndex};
use tokio::time::{Instant, sleep, timeout};

use super::error::FollowError;
use super::settings::{Parts, Settings};
use crate::gap::{Gap, GapKind};
use crate::graph::{KnownShard, ShardGraph, ShardProgress};
use crate::lease::Fenced;
use crate::retention::Retained;
use crate::shard::Shared;
use crate::state::{Generations, Listed, Loaded, StoredShard, StreamStart};
use crate::status::StatusBoard;

/// What the preparation came to.
pub(super) enum Prepared {
    /// Shards can be read.
    Ready(Box<Ready>),
    /// A gap that concerns every lineage is recorded already, or was found.
    OnlyGaps,
    /// The lease is another worker's.
    Lost,
    /// Shards were read in this term or later ones.
    OutgrownBy(u64),
}

/// What a supervisor begins with.
pub(super) struct Ready {
    pub(super) start: StreamStart,
    pub(super) graph: ShardGraph,
    /// The shards in the state table, but for those that are done.
    pub(super) stored: BTreeMap<ShardId, StoredShard>,
    /// Shards whose items cannot be read.
    pub(super) unreadable: BTreeSet<ShardId>,
    /// The present, in seconds since 1970 by the service's time.
    pub(super) now: u64,
}

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(30);
/// One-shot commands give up sooner when nothing worked yet.
const PATIENCE_AT_START: Duration = Duration::from_secs(10);

pub(super) async fn prepare(
    parts: &Parts,
    settings: &Settings,
    shared: &Shared,
    loaded: Loaded,
) -> Result<Prepared, FollowError> {
    let (board, progress) = (&shared.board, &shared.progress);
    let insist = Insist::new(board, settings);
    for item in &loaded.malformed {
        tracing::error!(
            item,
            "an item of the state table cannot be read; if it belongs to a shard, that shard is not read"
        );
    }
    check_generations(&loaded, &settings.generations)?;
    for gap in loaded.all_gaps() {
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "recorded earlier: {gap}");
    }
    board.recorded(loaded.all_gaps());
    if loaded.start.is_none() && !loaded.other_streams.is_empty() {
        let gap = Gap::new(GapKind::StreamReplaced, settings.stream_arn.as_str())
            .with_detail(format!("the group followed {}", loaded.other_streams.join(", ")));
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "{gap}");
        board.gap(&gap);
        return Ok(match insist.on(|| async { Ok(progress.gap(&gap).await?) }).await? {
            Fenced::Stored => Prepared::OnlyGaps,
            Fenced::Lost => Prepared::Lost,
        });
    }
    if loaded.gaps.iter().any(|gap| concerns_all(gap, &loaded.indices, settings)) {
        return Ok(Prepared::OnlyGaps);
    }
    parts.indices.restore(&settings.stream_arn.table(), loaded.indices.clone(), group_state(&loaded));
    let start = match &loaded.start {
        Some(start) => start.clone(),
        None => {
            let start = StreamStart::of_listings(settings.start, || list(shared, &insist)).await?;
            // Before the first record: what is sent makes an index that is not empty any more (rule B1).
            let decided = match &parts.beside {
                Some(beside) => Some(insist.on(|| async { Ok(beside.decide(&start).await?) }).await?),
                None => None,
            };
            let pin = || async { Ok(progress.pin(&start, decided.as_ref()).await?) };
            let Some(start) = insist.on(pin).await? else { return Ok(Prepared::Lost) };
            start
        }
    };
    if parts.beside.is_some() && loaded.start.is_some() {
        board.fill(loaded.backfill.clone());
    }
    let graph = ShardGraph::new(start.roots.clone(), &known(&loaded, settings, shared), settings.until);
    let unreadable = loaded.malformed_shards;
    let stored = loaded.shards.into_iter().map(|shard| (shard.id.clone(), shard)).collect();
    Ok(Prepared::Ready(Box::new(Ready { start, graph, stored, unreadable, now: progress.time().now() })))
}

/// A complete listing, and the time of its first page. A page that fails is asked for again, and those before it are
/// kept.
async fn list(shared: &Shared, insist: &Insist<'_>) -> Result<Listed, FollowError> {
    let mut listing = Listing::default();
    let mut began = None;
    while !listing.is_over() {
        let after = listing.next_after().cloned();
        let page = insist.on(|| async {
            shared.describe_turn.wait().await;
            shared.contact.stream_asked();
            let asked = shared.progress.time().asked();
            let page = shared.source.shards(after.as_ref()).await;
            if let Err(error) = &page {
                shared.contact.stream_refused(error.fault());
            }
            Ok((page?, asked))
        });
        let (page, asked) = page.await?;
        shared.contact.stream_answered();
        shared.progress.time().hear(asked, page.date);
        began.get_or_insert_with(|| shared.progress.time().now());
        if !listing.add(page) {
            tracing::warn!("DescribeStream repeats a page: starting the listing over");
            // What follows the repeated page is not known: from the beginning.
            (listing, began) = (Listing::default(), None);
            sleep(LONGEST_WAIT).await;
        }
    }
    let began = began.unwrap_or_else(|| shared.progress.time().now());
    Ok(Listed { shards: listing.into_shards(), began })
}

fn check_generations(loaded: &Loaded, configured: &Generations) -> Result<(), FollowError> {
    for (index, stored) in loaded.shards.iter().flat_map(|shard| &shard.generations) {
        match configured.get(index) {
            Some(configured) if configured != stored => {
                return Err(FollowError::OtherGeneration {
                    index: index.clone(),
                    stored: *stored,
                    configured: *configured,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the group has ever written to an index, as far as its state says. An index names the group only after the state
/// names the index, so an index that does so beside a state without indices means that the state is lost. How far shards
/// were read says nothing: a term begins with them before it looks at the first index.
fn group_state(loaded: &Loaded) -> GroupState {
    let accepted = loaded.start.as_ref().is_some_and(|start| start.resumes);
    if accepted || !loaded.indices.is_empty() { GroupState::Known } else { GroupState::Empty }
}

/// Whether no lineage can go on with this gap.
fn concerns_all(gap: &Gap, indices: &[KnownIndex], settings: &Settings) -> bool {
    match gap.kind {
        kind if kind.concerns_the_stream() => true,
        GapKind::IndexVanished => {
            let lost = indices.iter().find(|known| known.concrete == gap.subject);
            lost.is_some_and(|known| settings.sole_index.as_deref() == Some(known.index.as_str()))
        }
        _ => false,
    }
}

/// What the state table knows of the shards. One whose item cannot be read, or that has a gap, stands still.
pub(super) fn known(loaded: &Loaded, settings: &Settings, shared: &Shared) -> Vec<KnownShard> {
    let is_stale = |shard: &StoredShard| {
        if shard.updated == 0 {
            // Its item cannot be read.
            return false;
        }
        let retained = Retained::since(shard.updated, &settings.stream_arn);
        retained.is_some_and(|retained| retained.is_over(shared.progress.time()))
    };
    let readable = loaded.shards.iter().map(|shard| KnownShard {
        id: shard.id.clone(),
        parent: shard.parent.clone(),
        progress: shard.progress.clone(),
        stale: is_stale(shard),
    });
    // One that a gap is about may have no item.
    let of_shards = |gap: &&Gap| {
        matches!(gap.kind, GapKind::Trimmed | GapKind::ShardVanished | GapKind::ParentMissed | GapKind::Unread)
    };
    let gapped = loaded.gaps.iter().filter(of_shards).map(|gap| ShardId::new(gap.subject.as_str()));
    let stand_still = loaded.malformed_shards.iter().cloned().chain(gapped).map(|id| KnownShard {
        id,
        parent: None,
        progress: ShardProgress::Gapped,
        stale: false,
    });
    readable.chain(stand_still).collect()
}

/// The generation of each index that the source's routes can write to and that streamdex makes, by the
/// text of the configuration.
pub fn generations(config: &Config, source: &Source) -> Generations {
    let mut names: Vec<&str> = Vec::new();
    for route in &source.routes {
        names.push(route.index.text());
        if let Some(OnExpiry::Archive(archive)) = route.ttl.as_ref().map(|ttl| &ttl.on_expiry) {
            names.push(archive.as_str());
        }
    }
    let generation = |name: &str| match config.indices.get(name) {
        None => Some(1),
        Some(settings) => (settings.manage == Manage::Create).then_some(settings.generation),
    };
    names.into_iter().filter_map(|name| Some((name.to_owned(), generation(name)?))).collect()
}

/// The one index that every route of the source mirrors items to, if there is just one.
pub fn sole_index(source: &Source) -> Option<String> {
    let name = |pattern: &IndexPattern| match pattern {
        IndexPattern::Fixed(name) => Some(name.as_str().to_owned()),
        IndexPattern::Placeholders { .. } => None,
    };
    let first = name(&source.routes.first()?.index)?;
    source.routes.iter().all(|route| name(&route.index).as_ref() == Some(&first)).then_some(first)
}

/// Repeats calls that can succeed later.
pub(super) struct Insist<'a> {
    board: &'a StatusBoard,
    patience: Option<Duration>,
}

impl<'a> Insist<'a> {
    pub(super) fn new(board: &'a StatusBoard, settings: &Settings) -> Insist<'a> {
        Insist { board, patience: settings.patience.map(|patience| patience.min(PATIENCE_AT_START)) }
    }

    pub(super) async fn on<T, F>(&self, call: impl Fn() -> F) -> Result<T, FollowError>
    where
        F: Future<Output = Result<T, FollowError>>,
    {
        let started = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let overdue =
                |_| Err(AwsError::new(Fault::Transient, "the first call").with_detail("no answer within 30 s").into());
            let error = match timeout(DEADLINE, call()).await.unwrap_or_else(overdue) {
                Ok(answer) => {
                    self.board.pause_all(None);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let out_of_patience = self.patience.is_some_and(|patience| started.elapsed() + wait > patience);
            if out_of_patience || !can_pass(&error) {
                return Err(error);
            }
            self.board.pause_all(Some(error.to_string()));
            sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn can_pass(error: &FollowError) -> bool {
    let aws = match error {
        FollowError::Undecided(undecided) => return undecided.passes,
        FollowError::Aws(aws) => Some(aws),
        FollowError::State(state) => StateError::aws(state),
        _ => None,
    };
    aws.is_some_and(|aws| aws.fault().passes_by_itself())
}

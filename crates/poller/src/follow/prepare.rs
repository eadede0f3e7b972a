//! What happens before the first record is read: state loaded and judged, the start pinned.

use std::time::Duration;

use streamdex_config::{Config, Manage, Source};
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::{ListedShard, list_shards};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{IndexPattern, OnExpiry};
use streamdex_sink::index::KnownIndex;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::{Clock, seconds};
use crate::follow::{FollowError, Parts, Settings, StatusBoard};
use crate::gap::{Gap, GapKind};
use crate::graph::{KnownShard, ShardGraph, roots};
use crate::horizon::Horizon;
use crate::state::{Generations, Loaded, StoredShard, StreamStart};

/// What the preparation came to.
pub(super) enum Prepared {
    /// Shards can be read.
    Ready(Box<Ready>),
    /// A gap that concerns every lineage is recorded already, or was found.
    OnlyGaps,
}

/// What a supervisor begins with.
pub(super) struct Ready {
    pub(super) loaded: Loaded,
    pub(super) start: StreamStart,
    pub(super) graph: ShardGraph,
    /// The present, by the service's clock, in seconds since 1970.
    pub(super) now: u64,
}

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(30);
/// One-shot commands give up sooner when nothing worked yet.
const PATIENCE_AT_START: Duration = Duration::from_secs(10);

pub(super) async fn prepare(parts: &Parts, settings: &Settings, board: &StatusBoard) -> Result<Prepared, FollowError> {
    let insist = Insist { board, patience: settings.patience.map(|patience| patience.min(PATIENCE_AT_START)) };
    let loaded = insist.on(|| async { Ok(parts.store.load().await?) }).await?;
    for item in &loaded.malformed {
        tracing::warn!(item, "an item of the state table cannot be read and is passed over");
    }
    check_generations(&loaded, &settings.generations)?;
    for gap in &loaded.gaps {
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "recorded earlier: {gap}");
        board.gap(gap);
    }
    if loaded.start.is_none() && !loaded.other_streams.is_empty() {
        let gap = Gap::new(GapKind::StreamReplaced, settings.stream_arn.as_str())
            .with_detail(format!("the group followed {}", loaded.other_streams.join(", ")));
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "{gap}");
        board.gap(&gap);
        insist.on(|| async { Ok(parts.store.gap(&gap).await?) }).await?;
        return Ok(Prepared::OnlyGaps);
    }
    if loaded.gaps.iter().any(|gap| concerns_all(gap, &loaded.indices, settings)) {
        return Ok(Prepared::OnlyGaps);
    }
    parts.indices.remember(loaded.indices.clone());
    // The service's time, where it tells one: by a clock that is fast, `latest` would pass over changes.
    let now = insist.on(|| async { Ok(parts.source.shards(None).await?.date) }).await?;
    let now = now.unwrap_or_else(|| seconds(parts.clock.as_ref()));
    let start = match &loaded.start {
        Some(start) => start.clone(),
        None => {
            let start = new_start(parts, settings, now, &insist).await?;
            insist.on(|| async { Ok(parts.store.pin(&start).await?) }).await?
        }
    };
    let graph = ShardGraph::new(start.roots.clone(), &known(&loaded, settings, parts.clock.as_ref()), settings.until);
    Ok(Prepared::Ready(Box::new(Ready { loaded, start, graph, now })))
}

/// Where a new group begins. The time is asked for before the shards are listed, and those are listed twice, because
/// one listing can miss a parent that was made while it was read.
async fn new_start(
    parts: &Parts,
    settings: &Settings,
    at: u64,
    insist: &Insist<'_>,
) -> Result<StreamStart, FollowError> {
    let source = parts.source.as_ref();
    let mut listed: Vec<ListedShard> = Vec::new();
    for _ in 0..2 {
        let (shards, _) = insist.on(|| async { Ok(list_shards(source).await?) }).await?;
        // The later listing knows better which shards are closed.
        listed.retain(|earlier| !shards.iter().any(|shard| shard.id == earlier.id));
        listed.extend(shards);
    }
    Ok(StreamStart { position: settings.start, at, roots: roots(&listed, settings.start) })
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

/// Whether no lineage can go on with this gap.
pub(super) fn concerns_all(gap: &Gap, indices: &[KnownIndex], settings: &Settings) -> bool {
    match gap.kind {
        GapKind::StreamReplaced | GapKind::StreamVanished => true,
        GapKind::IndexVanished => {
            let lost = indices.iter().find(|known| known.concrete == gap.subject);
            lost.is_some_and(|known| settings.sole_index.as_deref() == Some(known.index.as_str()))
        }
        _ => false,
    }
}

/// What the state table knows of the shards.
pub(super) fn known(loaded: &Loaded, settings: &Settings, clock: &dyn Clock) -> Vec<KnownShard> {
    let known = |shard: &StoredShard| KnownShard {
        id: shard.id.clone(),
        parent: shard.parent.clone(),
        progress: shard.progress.clone(),
        stale: is_stale(shard, settings, clock),
    };
    loaded.shards.iter().map(known).collect()
}

/// Whether what comes after the item's last change may be trimmed.
fn is_stale(shard: &StoredShard, settings: &Settings, clock: &dyn Clock) -> bool {
    let since = Horizon::since(shard.updated, &settings.stream_arn);
    since.is_some_and(|horizon| horizon.is_passed(clock))
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
struct Insist<'a> {
    board: &'a StatusBoard,
    patience: Option<Duration>,
}

impl Insist<'_> {
    async fn on<T, F>(&self, call: impl Fn() -> F) -> Result<T, FollowError>
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
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn can_pass(error: &FollowError) -> bool {
    let aws = match error {
        FollowError::Aws(aws) => Some(aws),
        FollowError::State(state) => StateError::aws(state),
        _ => None,
    };
    aws.is_some_and(|aws| aws.fault().passes_by_itself())
}

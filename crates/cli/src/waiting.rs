//! `streamdex await`: waits until searches find the current version of an item.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use streamdex_config::{Config, Source};
use streamdex_delivery::Term;
use streamdex_mapping::{Key, KeyType, key_of_texts};
use streamdex_reconcile::explain::Explained;
use streamdex_reconcile::settle::{Settled, Waits, settle};
use streamdex_reconcile::verdict::Verdict;
use streamdex_reconcile::verify::Lag;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::args::{AwaitArgs, Global};
use crate::exit::{CliError, Exit};
use crate::explain::sentence;
use crate::mirrored::{Mirrored, ReaderLag, behind, margin};
use crate::preflight::{Uses, preflight};
use crate::{connect, output, settings};

/// For a last attempt, after the time that is asked for.
const GRACE: Duration = Duration::from_secs(5);

/// The time is over, and the lag is only for what is said.
const LAG_WITHIN: Duration = Duration::from_secs(1);

/// Waits for items of one table.
pub(crate) struct Waiter {
    mirrored: Mirrored,
    config: Config,
    source: Source,
    /// Connected when a wait first asks for the lag, and again until that succeeds.
    reader: OnceCell<ReaderLag>,
}

/// What a wait came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Waited {
    /// How it ended.
    #[serde(skip)]
    pub(crate) end: End,
    /// What is true of the item's document.
    verdict: &'static str,
    /// Whether searches find what the table holds.
    searchable: bool,
    /// The same for people.
    says: String,
    waited_seconds: f64,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Searchable,
    /// It never will be, as things are.
    Never,
    Late,
}

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &AwaitArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let source = settings::source(&config, arguments.source.as_deref())?;
    preflight(&config, &[Uses::Sources, Uses::Letters, Uses::OpenSearch]).await?;
    let waiter = Waiter::connect(&config, source).await?;
    let key = waiter.key(&arguments.key)?;
    let waited = waiter.wait(&key, Duration::from_secs(arguments.timeout)).await?;
    if global.json {
        output::print_json(&waited)?;
    } else {
        output::print(&waited.text())?;
    }
    Ok(if waited.end == End::Searchable { Exit::Done } else { Exit::DeadLetters })
}

// === impl Waiter ===

impl Waiter {
    /// Makes the first contact with the table and its indices.
    ///
    /// # Errors
    /// One of them cannot be reached, or does not fit the configuration.
    pub(crate) async fn connect(config: &Config, source: &Source) -> Result<Waiter, CliError> {
        let letters = connect::letters(config).await;
        let mirrored = Box::pin(Mirrored::connect(config, source, letters)).await?;
        if mirrored.is_serverless() {
            let error =
                CliError::new(Exit::Usage, "OpenSearch Serverless has no refresh, so `await` does not work there");
            return Err(error.with_hint("search again after some seconds, or use a domain"));
        }
        Ok(Waiter { mirrored, config: config.clone(), source: source.clone(), reader: OnceCell::new() })
    }

    /// Whether the table has this as a key attribute, which is no number.
    pub(crate) fn is_no_number(&self, name: &str) -> bool {
        let mut keys = self.mirrored.mirror.keys.iter();
        keys.any(|key| key.name == name && key.kind != KeyType::Number)
    }

    /// The key that these texts give.
    ///
    /// # Errors
    /// They are not the table's key.
    pub(crate) fn key(&self, texts: &[(String, String)]) -> Result<Key, CliError> {
        key_of_texts(&self.mirrored.mirror.keys, texts).map_err(|problem| {
            CliError::new(Exit::Usage, problem).with_hint("give a value for each key attribute of the table")
        })
    }

    /// Waits for so long at most.
    ///
    /// # Errors
    /// A service cannot be reached.
    pub(crate) async fn wait(&self, key: &Key, limit: Duration) -> Result<Waited, CliError> {
        let begun = Instant::now();
        let cancel = CancellationToken::new();
        let term = Term { cancel: &cancel, until: Some(begun + limit + GRACE) };
        let waits = Waits { until: begun + limit, margin: margin(&self.source) };
        let settled = Box::pin(settle(&self.mirrored.mirror, key, self, waits, term));
        let settled = timeout(limit + GRACE, settled).await.map_err(|_| no_answer())??;
        let is_late = matches!(settled, Settled::Late);
        let lag = if is_late { timeout(LAG_WITHIN, self.lag()).await.ok().flatten() } else { None };
        Ok(Waited::new(settled, lag, begun.elapsed()))
    }
}

/// Nobody answered within the time that there was.
pub(crate) fn no_answer() -> CliError {
    let message = "DynamoDB or OpenSearch did not answer within the time";
    CliError::new(Exit::Unreachable, message).with_hint("`streamdex check --online` shows which one, and why")
}

#[async_trait]
impl Lag for Waiter {
    async fn lag(&self) -> Option<Duration> {
        let connect = || Box::pin(ReaderLag::connect(&self.config, &self.source, None));
        let reader = self.reader.get_or_try_init(|| async { Ok::<_, CliError>(connect().await?.with_fill()) }).await;
        reader.ok()?.lag().await
    }
}

// === impl Waited ===

impl Waited {
    /// `lag`: how far behind the reader of the table is, where somebody says so.
    fn new(settled: Settled, lag: Option<Duration>, after: Duration) -> Waited {
        let (end, verdict, says) = match &settled {
            Settled::Searchable(verdict) => {
                let says = match verdict {
                    Verdict::NotInTable => {
                        "there is no item with this key, and searches find no document of it; check the key"
                    }
                    _ => "searches find what the table holds",
                };
                (End::Searchable, *verdict, says.to_owned())
            }
            Settled::Never(explained) => (End::Never, explained.verdict, never(explained)),
            Settled::Late => {
                let says = format!(
                    "searches do not find what the table holds yet; the reader: {}, see `streamdex status`",
                    behind(lag)
                );
                (End::Late, Verdict::Pending, says)
            }
        };
        let waited_seconds = (after.as_secs_f64() * 1000.0).round() / 1000.0;
        Waited { end, verdict: verdict.name(), searchable: end == End::Searchable, says, waited_seconds }
    }

    fn text(&self) -> String {
        format!("{}: {} (after {} s)\n", self.verdict, self.says, self.waited_seconds)
    }
}

/// Why searches never will find it, as things are.
fn never(explained: &Explained) -> String {
    match explained.refused {
        Some(reason) => format!(
            "the item has no document ({reason}), so its change is a dead letter: correct the item or the mapping, then run `streamdex dlq replay`"
        ),
        // The reader has come past it.
        None => sentence(explained, explained.verdict, true),
    }
}

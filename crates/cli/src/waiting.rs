//! `streamdex await`: until searches find of one item what the table holds.

use std::time::Duration;

use serde::Serialize;
use streamdex_config::{Config, Source};
use streamdex_delivery::Term;
use streamdex_mapping::{Key, key_of_texts};
use streamdex_reconcile::explain::Explained;
use streamdex_reconcile::settle::{Settled, Waits, settle};
use streamdex_reconcile::verdict::Verdict;
use streamdex_reconcile::verify::Lag;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::args::{AwaitArgs, Global};
use crate::exit::{CliError, Exit};
use crate::explain::sentence;
use crate::mirrored::{Mirrored, ReaderLag};
use crate::preflight::{Uses, preflight};
use crate::{connect, output, settings};

/// The lag is in whole seconds, and as old as the reader's last beat.
const MARGIN: Duration = Duration::from_secs(3);
/// For a last attempt, after the time that is asked for.
const GRACE: Duration = Duration::from_secs(5);

/// Waits for items of one table.
pub(crate) struct Waiter {
    mirrored: Mirrored,
    reader: Option<ReaderLag>,
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
        let reader = Box::pin(ReaderLag::connect(config, source, None)).await.ok();
        Ok(Waiter { mirrored, reader })
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
        let waits = Waits { until: begun + limit, margin: MARGIN };
        let reader = self.reader.as_ref().map(|reader| -> &dyn Lag { reader });
        let settled = Box::pin(settle(&self.mirrored.mirror, key, reader, waits, term)).await?;
        Ok(Waited::new(settled, begun.elapsed()))
    }
}

// === impl Waited ===

impl Waited {
    fn new(settled: Settled, after: Duration) -> Waited {
        let (end, verdict, says) = match &settled {
            Settled::Searchable(verdict) => {
                let says = match verdict {
                    Verdict::NotInTable => "there is no item with this key, and searches find no document of it",
                    _ => "searches find what the table holds",
                };
                (End::Searchable, *verdict, says.to_owned())
            }
            Settled::Never(explained) => (End::Never, explained.verdict, never(explained)),
            Settled::Late(_) => {
                let says =
                    "searches do not find what the table holds yet: the reader may be behind, see `streamdex status`";
                (End::Late, Verdict::Pending, says.to_owned())
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
            "the item gives no document ({reason}), so its change is a dead letter: correct the item or the mapping, then `streamdex dlq replay`"
        ),
        // The reader has come past it.
        None => sentence(explained, explained.verdict, true),
    }
}

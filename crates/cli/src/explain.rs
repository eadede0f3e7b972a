//! `streamdex explain`: the state of one item, and the reason for it.

mod answer;
mod render;
mod sentence;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamdex_delivery::Term;
use streamdex_mapping::{Address, DocumentId, Key, key_of_texts};
use streamdex_reconcile::Mirror;
use streamdex_reconcile::explain::{Place, explain};
use streamdex_reconcile::verdict::Verdict;
use streamdex_reconcile::verify::Lag;
use tokio_util::sync::CancellationToken;

use self::answer::Answer;
pub(crate) use self::sentence::sentence;
use crate::args::{ExplainArgs, Global};
use crate::exit::{CliError, Exit};
use crate::mirrored::{Mirrored, ReaderLag, margin};
use crate::preflight::{Uses, preflight};
use crate::{connect, output, settings};

/// A difference is looked at again so often.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &ExplainArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let source = settings::source(&config, arguments.source.as_deref())?;
    preflight(&config, &[Uses::Sources, Uses::Letters, Uses::OpenSearch]).await?;
    let letters = connect::letters(&config).await;
    let mirrored = Box::pin(Mirrored::connect(&config, source, letters)).await?;
    let cancel = CancellationToken::new();
    let term = Term { cancel: &cancel, until: None };
    let key = match &arguments.id {
        Some(id) => key_of_id(&mirrored.mirror, id).await?,
        None => key_of_texts(&mirrored.mirror.keys, &arguments.key).map_err(|problem| {
            CliError::new(Exit::Usage, problem).with_hint("give --key NAME=VALUE for each key attribute of the table")
        })?,
    };
    let lag = Box::pin(ReaderLag::connect(&config, source, None)).await.ok();
    let patience = Duration::from_secs(arguments.patience);
    let answer = settled(&mirrored.mirror, &key, (lag, margin(source)), patience, term).await?;
    if global.json {
        output::print_json(&document(&answer, arguments.show_values))?;
    } else {
        output::print(&render::text(&answer, arguments.show_values))?;
    }
    Ok(answer.exit())
}

/// Looks; and where there is a difference, again until it has stood unchanged for longer than the reader is behind, or
/// patience is over.
async fn settled(
    mirror: &Mirror,
    key: &Key,
    (reader, margin): (Option<ReaderLag>, Duration),
    patience: Duration,
    term: Term<'_>,
) -> Result<Answer, CliError> {
    let begun = Instant::now();
    let mut explained = explain(mirror, key, term).await?;
    // The end of the look at which it was first seen as it is now.
    let mut unchanged_since = Instant::now();
    let mut is_said = false;
    loop {
        let lag = match &reader {
            Some(reader) => reader.lag().await,
            None => None,
        };
        let is_passed = lag.is_some_and(|lag| unchanged_since.elapsed() > lag + margin);
        let is_over = begun.elapsed() >= patience;
        if !explained.differs() || is_passed || is_over {
            // The lag of the index is unknown: the difference is reported as seen.
            let is_pending = explained.differs() && !is_passed && lag.is_some();
            let verdict = if is_pending { Verdict::Pending } else { explained.verdict };
            return Ok(Answer { explained, verdict, lag });
        }
        if !is_said {
            let seconds = patience.as_secs();
            output::note(&format!(
                "it differs: checking again for up to {seconds} s, since a change may be on its way\n"
            ));
            is_said = true;
        }
        tokio::time::sleep(AGAIN).await;
        let again = explain(mirror, key, term).await?;
        if !again.is_unchanged_since(&explained) {
            unchanged_since = Instant::now();
        }
        explained = again;
    }
}

/// The key of the item that has its document under `id`, in some index of the table.
async fn key_of_id(mirror: &Mirror, id: &str) -> Result<Key, CliError> {
    let wrong = |message: String| {
        CliError::new(Exit::Usage, message).with_hint("give the item's key instead: --key NAME=VALUE")
    };
    let id = DocumentId::parse(id).map_err(|error| wrong(error.to_string()))?;
    let held = mirror.index.held(&mirror.table).await?;
    let (mut found, mut possible) = (Vec::new(), Vec::new());
    for index in held.iter().filter(|index| !index.is_archive) {
        let address = Address { index: index.index.clone(), id: id.clone(), routing: None };
        let is_hashed = mirror.mapper.is_hashed(&index.index, id.as_str());
        let stored = if is_hashed { mirror.index.get(&[address]).await?.pop().flatten() } else { None };
        let source = stored.as_ref().map(|stored| &*stored.source);
        let Some(key) = mirror.mapper.key_of(&index.index, id.as_str(), &mirror.keys, source) else { continue };
        let there = mirror.mapper.address_in(&index.index, &key);
        let is_there = match there {
            Some(address) => mirror.index.get(&[address]).await?.pop().flatten().is_some(),
            None => false,
        };
        let keys = if is_there { &mut found } else { &mut possible };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // One id can be that of two items in two indices; the one whose document is there is meant.
    let mut keys = if found.is_empty() { possible } else { found };
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(_), false) => Err(wrong("several items can have a document with this id".to_owned())),
        (None, _) => Err(wrong(
            "no item of the table has a document with this id, or the item's key cannot be derived from the id"
                .to_owned(),
        )),
    }
}

/// For programs. Values are included only on request.
fn document(answer: &Answer, values: bool) -> Value {
    let explained = &answer.explained;
    let raw = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or_default();
    let place = |place: &Place| {
        json!({
            "index": place.address.index.as_str(),
            "id": place.address.id.as_str(),
            "routing": place.address.routing.as_deref().filter(|_| values),
            "verdict": place.verdict,
            "kind": place.kind,
            "version": place.stored.as_ref().map(|stored| stored.version),
            "written": place.stored.as_ref().and_then(|stored| render::second_of(stored.version)),
            "document": place.stored.as_ref().filter(|_| values).map(|stored| raw(&stored.source)),
        })
    };
    json!({
        "verdict": answer.verdict,
        "says": answer.sentence(),
        "item": explained.item.is_some(),
        "read_at": explained.read_at,
        "expires": explained.expires,
        "routes": explained.routes,
        "refused": explained.refused,
        "belongs": explained.belongs.as_ref().map(|(address, _)| json!({
            "index": address.index.as_str(), "id": address.id.as_str(), "routing": address.routing.as_deref().filter(|_| values),
        })),
        "places": explained.places.iter().map(place).collect::<Vec<_>>(),
        "dead_letters": explained.letters.iter().map(|letter| json!({
            "key": letter.key.to_string(), "at": letter.at, "reason": letter.reason, "error": letter.error,
        })).collect::<Vec<_>>(),
        "lag_seconds": answer.lag.map(|lag| lag.as_secs()),
        "item_text": explained.item.as_deref().filter(|_| values).map(|item| raw(item.as_bytes())),
        "document": explained.belongs.as_ref().filter(|_| values).map(|(_, text)| raw(text)),
    })
}

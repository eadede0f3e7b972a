//! `streamdex dlq list` and `show`.

use serde_json::{Value, json};
use streamdex_delivery::letter::{DeadLetter, LetterKey};
use streamdex_dynamodb::time::now;
use streamdex_reconcile::letters::{Fate, Selection};

use super::store::{KEY_HINT, Store};
use crate::args::Global;
use crate::exit::{CliError, Exit};
use crate::output::{self, date};

/// Keys of a letter that tell whose record it is; `show` alone prints them.
const PRIVATE: [&str; 4] = ["keys", "id", "routing", "document"];

/// Lists the letters of a store.
pub(super) async fn list(global: &Global, store: &Store, selection: &Selection) -> Result<Exit, CliError> {
    let place = &store.place;
    let (mut letters, mut malformed) = (Vec::new(), Vec::new());
    let mut is_empty = true;
    let mut after = None;
    loop {
        let mut page = store.letters.list(after.as_ref()).await?;
        page.letters.retain(|letter| selection.takes(letter, now()));
        malformed.extend(page.malformed);
        is_empty &= page.letters.is_empty();
        if global.json {
            letters.extend(page.letters.iter().map(without_private_keys));
        } else {
            let lines: String = page.letters.iter().map(line).collect();
            output::print(&lines)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for place in &malformed {
        tracing::warn!(place, "the dead letter cannot be read");
    }
    if global.json {
        output::print_json(&json!({ "dead_letters": letters, "malformed": malformed, "place": place }))?;
    } else if is_empty {
        // For people: stdout holds letters and nothing else.
        let such = if selection.is_all() { "" } else { "such " };
        output::note(&format!("no {such}dead letters in {place}\n"));
    }
    Ok(Exit::Done)
}

/// Key, time, index, reason: nothing that tells whose record it is.
pub(super) fn line(letter: &DeadLetter) -> String {
    let index = letter.address.as_ref().map_or("-", |address| address.index.as_str());
    let mark = Fate::unreplayable(letter).map(|why| format!(" (cannot be replayed: {why})")).unwrap_or_default();
    let (key, at, table, reason) = (&letter.key, date(letter.at), &letter.table, &letter.reason);
    format!("{key}  {at}  {table}  {index}  {reason}: {}{mark}\n", letter.error)
}

fn without_private_keys(letter: &DeadLetter) -> Value {
    let mut value = as_json(letter);
    if let Value::Object(letter) = &mut value {
        letter.retain(|key, _| !PRIVATE.contains(&key.as_str()));
    }
    value
}

/// The letter with the key under which `show` finds it.
fn as_json(letter: &DeadLetter) -> Value {
    let mut value = json!(letter);
    if let Value::Object(entries) = &mut value {
        entries.insert("key".to_owned(), json!(letter.key.to_string()));
        if let Some(why) = Fate::unreplayable(letter) {
            entries.insert("unreplayable".to_owned(), json!(why));
        }
    }
    value
}

/// Shows one letter.
pub(super) async fn show(global: &Global, store: &Store, key: &LetterKey) -> Result<Exit, CliError> {
    let letter = store.letters.get(key).await?;
    let message = format!("dead letter {key} is not in {}", store.place);
    let letter = &letter.ok_or_else(|| CliError::new(Exit::Usage, message).with_hint(KEY_HINT))?;
    if global.json {
        output::print_json(&as_json(letter))?;
        return Ok(Exit::Done);
    }
    let address = letter.address.as_ref();
    let rows = [
        ("key", Some(letter.key.to_string())),
        ("table", Some(letter.table.clone())),
        ("written", Some(date(letter.at))),
        ("changed", letter.created.map(date)),
        ("item key", letter.keys.clone()),
        ("index", address.map(|address| address.index.clone())),
        ("generation", address.and_then(|address| address.generation).map(|generation| generation.to_string())),
        ("id", address.map(|address| address.id.clone())),
        ("routing", address.and_then(|address| address.routing.clone())),
        ("version", letter.version.map(|version| version.to_string())),
        ("reason", Some(letter.reason.clone())),
        ("error", Some(letter.error.clone())),
        ("document", document(letter)),
        ("replay", Fate::unreplayable(letter).map(|why| format!("not possible: {why}"))),
    ];
    let lines = rows.into_iter().filter_map(|(name, value)| Some(format!("{name:<12}{}\n", value?)));
    output::print(&lines.collect::<String>())?;
    Ok(Exit::Done)
}

/// The kept form of an archived item; only archive copies have one.
fn document(letter: &DeadLetter) -> Option<String> {
    if letter.document_omitted {
        return Some("not kept: too large".to_owned());
    }
    letter.document().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

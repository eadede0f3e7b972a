//! Reads items as they are now: strongly consistent, with the server's own time.

mod answer;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use streamdex_mapping::{Image, Key, KeyValue};
use tokio::time::{Instant, sleep};

use self::answer::BatchAnswer;
use crate::call::Call;
use crate::fault::{AwsError, Fault};
use crate::time;

const OPERATION: &str = "BatchGetItem";
/// BatchGetItem takes so many keys.
const KEYS_A_CALL: usize = 100;
const CALLS_AT_ONCE: usize = 4;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// For all the keys of one call to be answered, throttling included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers in a row that lack what was asked for; then the caller decides how to go on.
const INCOMPLETE_ANSWERS: u32 = 6;

/// What is there now.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRead {
    /// What was found.
    pub found: Found,
    /// The server's time of the answer, in seconds since 1970.
    pub at: u64,
    /// When the answer came, on this process's steady clock: what was read is as old as that.
    pub answered: Instant,
}

/// What a read found under one key.
#[derive(Clone, PartialEq)]
pub enum Found {
    /// The item.
    Item(ItemText),
    /// No item.
    Absent,
    /// The key is none of this table's; asking again does not help.
    Refused(AwsError),
}

/// An item as DynamoDB JSON.
pub type ItemText = Arc<str>;

/// A key as the SDK sends it.
type KeyItem = HashMap<String, AttributeValue>;

/// Reads items by key.
#[async_trait]
pub trait ItemReader: Send + Sync {
    /// What is there now, one answer for each key, in the order of `keys`. A key may come twice.
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError>;
}

/// Reads from one table with `BatchGetItem`.
#[derive(Debug, Clone)]
pub struct BatchGetReader {
    client: Client,
    table: String,
}

/// Items are private: `Debug` shows whether there is one.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::Item(_) => f.write_str("Item"),
            Found::Absent => f.write_str("Absent"),
            Found::Refused(error) => write!(f, "Refused({error})"),
        }
    }
}

// === impl BatchGetReader ===

impl BatchGetReader {
    /// Reads `table`, which can be a name or an ARN.
    pub fn new(client: Client, table: impl Into<String>) -> BatchGetReader {
        BatchGetReader { client, table: table.into() }
    }

    /// Reads up to 100 different keys, and halves what is refused until the bad key stands alone: one
    /// bad record must not fail its neighbours.
    fn read_isolating<'a>(
        &'a self,
        mut keys: Vec<(String, KeyItem)>,
    ) -> BoxFuture<'a, Result<HashMap<String, ItemRead>, AwsError>> {
        Box::pin(async move {
            let error = match self.read_chunk(keys.clone()).await {
                Err(error) if error.code() == Some("ValidationException") => error,
                answered => return answered,
            };
            if keys.len() <= 1 {
                let found = Found::Refused(error);
                let read = ItemRead { found, at: time::now(), answered: Instant::now() };
                return Ok(keys.into_iter().map(|(identity, _)| (identity, read.clone())).collect());
            }
            let second = keys.split_off(keys.len() / 2);
            let mut answers = self.read_isolating(keys).await?;
            answers.extend(self.read_isolating(second).await?);
            Ok(answers)
        })
    }

    /// Reads up to 100 different keys; answers by [`identity`].
    async fn read_chunk(&self, keys: Vec<(String, KeyItem)>) -> Result<HashMap<String, ItemRead>, AwsError> {
        let started = Instant::now();
        let names: Vec<String> = keys.first().map(|(_, key)| key.keys().cloned().collect()).unwrap_or_default();
        let mut pending: HashMap<String, KeyItem> = keys.into_iter().collect();
        let mut answers = HashMap::with_capacity(pending.len());
        let (mut wait, mut incomplete) = (FIRST_WAIT, 0);
        loop {
            let asked: Vec<KeyItem> = pending.values().cloned().collect();
            match Box::pin(self.call(asked)).await.and_then(|answer| answer.sort_out(&mut pending, &names)) {
                Ok(read) => {
                    incomplete = 0;
                    answers.extend(read);
                }
                Err(error) if error.is_incomplete() && incomplete + 1 < INCOMPLETE_ANSWERS => incomplete += 1,
                Err(error) => return Err(error),
            }
            if pending.is_empty() {
                return Ok(answers);
            }
            if started.elapsed() > PATIENCE {
                return Err(AwsError::new(Fault::Throttled, OPERATION).with_detail("keys stayed unprocessed for 60 s"));
            }
            sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One call.
    async fn call(&self, keys: Vec<KeyItem>) -> Result<Answer, AwsError> {
        let of_call = Call::of(OPERATION).raw();
        let asked = keys.len();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let request = request.map_err(|_| AwsError::new(Fault::Invalid, OPERATION))?;
        let call = self.client.batch_get_item().request_items(&self.table, request);
        let answer = call.customize().interceptor(of_call.clone()).send().await;
        let answered = Instant::now();
        answer.map_err(|error| of_call.failed(&error))?;
        let (body, at) = (of_call.body().await?, of_call.date());
        let read = BatchAnswer::read(&body, &self.table).map_err(|error| of_call.unreadable(&error))?;
        let found = match read.found {
            Some(found) => found,
            None if read.unprocessed.len() == asked => Vec::new(),
            None => return Err(of_call.lacks("Responses of the table")),
        };
        // Emulators that send no date get this machine's clock.
        let at = at.unwrap_or_else(time::now);
        Ok(Answer { found, unprocessed: read.unprocessed, at, answered, of_call })
    }
}

/// What one call came to.
struct Answer {
    found: Vec<ItemText>,
    unprocessed: Vec<ItemText>,
    at: u64,
    answered: Instant,
    of_call: Call,
}

impl Answer {
    /// Takes what was answered out of `pending`: an item, or nothing, which this answer then says itself.
    fn sort_out(
        self,
        pending: &mut HashMap<String, KeyItem>,
        names: &[String],
    ) -> Result<Vec<(String, ItemRead)>, AwsError> {
        let (at, answered) = (self.at, self.answered);
        let read = |found| ItemRead { found, at, answered };
        let other = |what| self.of_call.fault(Fault::Transient).with_detail(format!("the answer holds another {what}"));
        let mut open = HashSet::with_capacity(self.unprocessed.len());
        for key in &self.unprocessed {
            // Not recognised, the key that was meant would pass for one without an item.
            let identity = identity_of_item(key, names).filter(|identity| pending.contains_key(identity));
            // A duplicate would hide a key without an answer.
            if !open.insert(identity.ok_or_else(|| other("unprocessed key"))?) {
                return Err(other("number of unprocessed keys"));
            }
        }
        let mut answers = Vec::with_capacity(pending.len());
        for item in self.found {
            // An item that nobody asked for would turn the one asked for into a delete.
            let identity = identity_of_item(&item, names).filter(|identity| pending.remove(identity).is_some());
            answers.push((identity.ok_or_else(|| other("item"))?, read(Found::Item(item))));
        }
        let absent: Vec<String> = pending.keys().filter(|key| !open.contains(*key)).cloned().collect();
        for identity in absent {
            pending.remove(&identity);
            answers.push((identity, read(Found::Absent)));
        }
        Ok(answers)
    }
}

#[async_trait]
impl ItemReader for BatchGetReader {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        let identities: Vec<String> = keys.iter().map(identity).collect();
        let mut distinct: HashMap<&str, KeyItem> = HashMap::with_capacity(keys.len());
        for (key, identity) in keys.iter().zip(&identities) {
            distinct.entry(identity).or_insert_with(|| key_item(key));
        }
        let distinct: Vec<(String, KeyItem)> =
            distinct.into_iter().map(|(identity, key)| (identity.to_owned(), key)).collect();
        let chunks: Vec<_> = distinct.chunks(KEYS_A_CALL).map(|chunk| self.read_isolating(chunk.to_vec())).collect();
        let chunks: Vec<HashMap<String, ItemRead>> =
            stream::iter(chunks).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let answers: HashMap<String, ItemRead> = chunks.into_iter().flatten().collect();
        let missing = || AwsError::new(Fault::Transient, OPERATION).with_detail("a key got no answer");
        identities.iter().map(|identity| answers.get(identity).cloned().ok_or_else(missing)).collect()
    }
}

fn key_item(key: &Key) -> KeyItem {
    key.attributes().map(|(name, value)| (name.to_owned(), key_value(value))).collect()
}

fn key_value(value: &KeyValue) -> AttributeValue {
    match value {
        KeyValue::String(text) => AttributeValue::S(text.clone()),
        KeyValue::Number(digits) => AttributeValue::N(digits.clone()),
        KeyValue::Binary(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
    }
}

/// One text for one key, however its numbers are written: DynamoDB answers `1` to `1.0`.
fn identity(key: &Key) -> String {
    key.attributes().map(|(name, value)| format!("{name:?} {:?} ", comparable(value))).collect()
}

fn identity_of_item(item: &str, names: &[String]) -> Option<String> {
    let key = Key::of_item(&Image::of_item(item), names)?;
    Some(identity(&key))
}

fn comparable(value: &KeyValue) -> (&'static str, String) {
    match value {
        KeyValue::String(text) => ("S", text.clone()),
        KeyValue::Number(digits) => ("N", plain_number(digits)),
        KeyValue::Binary(_) => ("B", value.text()),
    }
}

/// A number as `[-]digits e exponent`, without zeros at either end: equal texts for equal numbers.
fn plain_number(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    let leading = digits.trim_start_matches('0');
    let significant = leading.trim_end_matches('0');
    if significant.is_empty() {
        return "0e0".to_owned();
    }
    let zeros = i64::try_from(leading.len() - significant.len()).unwrap_or_default();
    let decimals = i64::try_from(fraction.len()).unwrap_or_default();
    format!("{sign}{significant}e{}", exponent.saturating_add(zeros).saturating_sub(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_text() {
        for group in
            [&["1", "1.0", "10E-1", "0.1e1", "01"][..], &["0", "-0", "0.00", "0e9"], &["-120", "-1.2E2", "-120.0"]]
        {
            for other in group {
                assert_eq!(plain_number(group[0]), plain_number(other), "{other}");
            }
        }
        assert_ne!(plain_number("1"), plain_number("10"));
        assert_ne!(plain_number("1"), plain_number("-1"));
    }

    #[test]
    fn identities_do_not_depend_on_the_order() {
        let item = r#"{"b":{"N":"1.0"},"a":{"S":"x"},"other":{"BOOL":true}}"#;
        let key = Key::from_image(&Image::of_item(r#"{"a":{"S":"\u0078"},"b":{"N":"1"}}"#)).unwrap();
        let names = ["b".to_owned(), "a".to_owned()];
        assert_eq!(identity_of_item(item, &names), Some(identity(&key)));
        for (item, names) in
            [(item, &["z"][..]), (item, &["other"]), ("5", &["a"]), (r#"{"a":{"S":"x","N":"1"}}"#, &["a"])]
        {
            assert_eq!(identity_of_item(item, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()), None);
        }
    }
}

//! `POST /await` of `run`: the same wait as `streamdex await`. A standby answers too: it needs no reader to compare the index with
//! the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use streamdex_config::Config;
use streamdex_poller::observe::{AwaitAnswer, Awaits, LONGEST_AWAIT, anonymous};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use crate::exit::{CliError, Exit};
use crate::settings;
use crate::waiting::{End, Waiter, no_answer};

/// What is asked. Neither key nor body is ever logged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A string or a number for each key attribute; binary in base64.
    key: BTreeMap<String, Value>,
    source: Option<String>,
    timeout_seconds: Option<u64>,
}

/// Waits for items of all tables.
pub(crate) struct ItemAwaits {
    config: Config,
    /// First contact is made by the first request for a source.
    waiters: BTreeMap<String, OnceCell<Waiter>>,
    turns: Mutex<Turns>,
}

/// How many requests begin in one second.
struct Turns {
    most: u32,
    begun: Instant,
    taken: u32,
}

const PATIENCE: Duration = Duration::from_secs(10);
/// The connection is closed some seconds after that.
const GRACE: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

// === impl ItemAwaits ===

impl ItemAwaits {
    /// For the tables of `config`; `None` where it wants no `/await`.
    pub(crate) fn wanted(config: &Config) -> Option<Arc<dyn Awaits>> {
        let most = config.http.await_per_second?;
        let waiters = config.sources.iter().map(|source| (source.name.clone(), OnceCell::new())).collect();
        let turns = Mutex::new(Turns { most, begun: Instant::now(), taken: 0 });
        Some(Arc::new(ItemAwaits { config: config.clone(), waiters, turns }))
    }

    async fn waits(&self, asked: Asked) -> Result<AwaitAnswer, CliError> {
        let source = settings::source(&self.config, asked.source.as_deref())?;
        let unknown = || CliError::new(Exit::Usage, "there is no such source");
        let waiter = self.waiters.get(&source.name).ok_or_else(unknown)?;
        let waiter = waiter.get_or_try_init(|| Box::pin(Waiter::connect(&self.config, source))).await?;
        let is_wrong = |(name, value): &(&String, &Value)| value.is_number() && waiter.is_no_number(name);
        if let Some((name, _)) = asked.key.iter().find(is_wrong) {
            let error =
                CliError::new(Exit::Usage, format!("{name} is not a number in the table: write its value as a string"));
            return Err(error.with_hint(r#"{"key": {"NAME": "VALUE"}}"#));
        }
        let texts: Option<Vec<(String, String)>> =
            asked.key.into_iter().map(|(name, value)| Some((name, text(value)?))).collect();
        let no_text = || {
            CliError::new(
                Exit::Usage,
                "a key attribute must be a string or a whole number; write other numbers as strings",
            )
        };
        let key = waiter.key(&texts.ok_or_else(no_text)?)?;
        let limit = asked.timeout_seconds.map_or(PATIENCE, Duration::from_secs).min(LONGEST_AWAIT);
        let waited = waiter.wait(&key, limit).await?;
        let status = match waited.end {
            End::Searchable => 200,
            End::Never => 409,
            End::Late => 504,
        };
        let body = serde_json::to_string(&waited).map_err(|error| CliError::stdout(error.into()))?;
        Ok(AwaitAnswer { status, body })
    }
}

#[async_trait]
impl Awaits for ItemAwaits {
    async fn answer(&self, body: Bytes) -> AwaitAnswer {
        let has_turn = self.turns.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !has_turn {
            let error = CliError::new(Exit::Usage, "more requests per second than http.await_per_second");
            return failed(429, &error.with_hint("ask again a second later"));
        }
        // The error would quote the body.
        let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
            let error = CliError::new(Exit::Usage, "the body is not valid");
            let hint = r#"send {"key": {"NAME": "VALUE"}}; add "source" if there are several, and "timeout_seconds" to wait longer or shorter than 10 s"#;
            return failed(400, &error.with_hint(hint));
        };
        match timeout(LONGEST_AWAIT + GRACE, Box::pin(self.waits(asked))).await.unwrap_or_else(|_| Err(no_answer())) {
            Ok(answer) => answer,
            Err(error) if error.exit() == Exit::Usage => failed(400, &error),
            Err(error) => {
                tracing::warn!(hint = error.hint(), "a wait failed: {error}");
                failed(503, &error)
            }
        }
    }
}

/// Without accounts and principals: everyone who reaches the port may ask.
fn failed(status: u16, error: &CliError) -> AwaitAnswer {
    let body = json!({ "error": anonymous(&error.to_string()), "hint": error.hint().map(anonymous) });
    AwaitAnswer { status, body: body.to_string() }
}

/// The text of a key attribute's value. A number that a computer may have rounded is refused: it can be another key.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

// === impl Turns ===

impl Turns {
    /// Whether one more may begin at `now`.
    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.begun) >= SECOND {
            (self.begun, self.taken) = (now, 0);
        }
        self.taken += 1;
        self.taken <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_begin_in_a_second() {
        let start = Instant::now();
        let mut turns = Turns { most: 2, begun: start, taken: 0 };
        let mut at = |milliseconds| turns.take(start + Duration::from_millis(milliseconds));
        assert_eq!(
            [at(0), at(10), at(20), at(999), at(1_000), at(1_001), at(1_002)],
            [true, true, false, false, true, true, false]
        );
    }

    #[test]
    fn a_number_that_may_have_been_rounded_is_no_key() {
        let key = r#"{"key": {"a": 12, "b": "x", "c": true, "d": 12345678901234567890123, "e": 1.5}}"#;
        let asked: Asked = serde_json::from_str(key).unwrap();
        let texts: Vec<_> = asked.key.into_values().map(text).collect();
        assert_eq!(texts, [Some("12".to_owned()), Some("x".to_owned()), None, None, None]);
    }
}

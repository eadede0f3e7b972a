//! Seconds since 1970: by the service's clock, which decides about versions and starts, and by this machine's.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::date_time::{DateTime, Format};

/// The `Date` header of the last answer of the calls that it intercepts.
#[derive(Debug, Clone, Default)]
pub struct ServerDate(Arc<Mutex<Option<u64>>>);

/// Seconds since 1970 at `time`; 0 for any time before.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 by this machine's clock.
pub fn now() -> u64 {
    unix_seconds(SystemTime::now())
}

// === impl ServerDate ===

impl ServerDate {
    /// In seconds since 1970; `None` where the service sends none.
    pub fn seen(&self) -> Option<u64> {
        self.0.lock().ok().and_then(|date| *date)
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(parse_date);
        if let Ok(mut seen) = self.0.lock() {
            *seen = date;
        }
        Ok(())
    }
}

fn parse_date(text: &str) -> Option<u64> {
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    u64::try_from(date.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_read() {
        assert_eq!(parse_date("Sun, 22 Nov 2026 15:01:21 GMT"), Some(1_795_359_681));
        assert_eq!(parse_date("yesterday"), None);
    }
}

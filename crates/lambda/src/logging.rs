//! Logs: one JSON object a line on stderr, with the request and trace id of the invocation.

use std::str::FromStr as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The runtime's span carries the ids. Its report of a failed invocation would repeat ours, without the hint.
const RUNTIME: &str = "lambda_runtime=info,lambda_runtime::layers::panic=off";

/// It logs each certificate that it refuses as an error. Ours says the same, with what to do.
const CERTIFICATES: &str = "rustls_platform_verifier";

/// Starts logging: as `RUST_LOG` says, else our own events from the level that the function is configured with
/// (`AWS_LAMBDA_LOG_LEVEL`, default `INFO`) and warnings of the rest.
pub fn start(env: &dyn Fn(&str) -> Option<String>) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(filter(env)).with(lines).try_init();
}

fn filter(env: &dyn Fn(&str) -> Option<String>) -> Targets {
    if let Some(text) = env("RUST_LOG")
        && let Ok(targets) = Targets::from_str(&text)
    {
        let is_named = text.contains(CERTIFICATES);
        return if is_named { targets } else { targets.with_target(CERTIFICATES, LevelFilter::OFF) };
    }
    let level = match env("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default().to_ascii_uppercase().as_str() {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "WARN" => "warn",
        "ERROR" | "FATAL" => "error",
        _ => "info",
    };
    Targets::from_str(&format!("warn,streamdex={level},{RUNTIME},{CERTIFICATES}=off")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_level_of_the_function_is_ours_alone() {
        let level =
            |value: &'static str| filter(&move |name| (name == "AWS_LAMBDA_LOG_LEVEL").then(|| value.to_owned()));
        assert!(level("DEBUG").would_enable("streamdex_sink::writer", &Level::DEBUG));
        assert!(!level("DEBUG").would_enable("hyper", &Level::DEBUG));
        assert!(!level("WARN").would_enable("streamdex_lambda", &Level::INFO));
        assert!(level("").would_enable("streamdex_delivery", &Level::INFO));
        assert!(level("").would_enable("lambda_runtime::layers::trace", &Level::INFO));
        // It would hold the event's text.
        assert!(!level("TRACE").would_enable("lambda_runtime::layers::api_response", &Level::TRACE));
        let own = filter(&|name| (name == "RUST_LOG").then(|| "error".to_owned()));
        assert!(!own.would_enable("streamdex_lambda", &Level::WARN));
        for filter in [&own, &level("")] {
            assert!(!filter.would_enable("rustls_platform_verifier::verification::others", &Level::ERROR));
        }
    }
}

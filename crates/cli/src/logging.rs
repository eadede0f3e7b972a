//! Logs on stderr, and how they share the terminal with a progress bar.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// On a machine that is none of EC2's, where no region is set, it warns at length that nothing answers.
const INSTANCE_METADATA: &str = "aws_config::imds";
/// The default of `RUST_LOG`: our own events, and warnings of the rest.
const DEFAULT_FILTER: &str = "warn,streamdex=info";
/// It logs each certificate that it refuses as an error. Ours says the same, with what to do.
const CERTIFICATES: &str = "rustls_platform_verifier";

/// Starts logging. Colours only on a terminal, and not under `NO_COLOR`.
pub fn start(format: LogFormat) {
    let filter = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok().as_deref());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(BesideBars).with_ansi(colours());
    // Where a line cannot be written, as on a full disk, that cannot be said either.
    let builder = builder.log_internal_errors(false);
    // A second start, as in tests, keeps the first.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The filter that `RUST_LOG` gives, if it can be read.
fn filter(asked: Option<&str>) -> EnvFilter {
    let asked = asked.filter(|text| !text.is_empty() && EnvFilter::try_new(text).is_ok()).unwrap_or(DEFAULT_FILTER);
    if asked.contains(CERTIFICATES) {
        return EnvFilter::new(asked);
    }
    EnvFilter::new(format!("{asked},{CERTIFICATES}=off,{INSTANCE_METADATA}=error"))
}

/// The place of all progress bars: what is logged appears above them.
pub fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Whether people look at stderr.
pub fn is_interactive() -> bool {
    io::stderr().is_terminal()
}

fn colours() -> bool {
    is_interactive() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to stderr while the bars are out of the way.
struct BesideBars;

impl<'a> MakeWriter<'a> for BesideBars {
    type Writer = BesideBars;

    fn make_writer(&'a self) -> BesideBars {
        BesideBars
    }
}

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        bars().suspend(|| io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_of_certificates_does_not_log_beside_ours() {
        for asked in [None, Some(""), Some("info"), Some("debug,hyper=warn"), Some("=,=")] {
            let shown = filter(asked).to_string();
            assert!(shown.contains("rustls_platform_verifier=off"), "{asked:?}: {shown}");
        }
        let named = filter(Some("rustls_platform_verifier=debug")).to_string();
        assert_eq!(named, "rustls_platform_verifier=debug");
    }
}

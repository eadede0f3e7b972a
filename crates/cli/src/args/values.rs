//! Parsers for argument values. Their errors show the right form.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};

use url::Url;

/// An address of a service.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url: Option<Url> = text.parse().ok().filter(Url::has_host);
    url.ok_or_else(|| "write it as https://search.example".to_owned())
}

/// The address of a worker.
pub(super) fn worker_url(text: &str) -> Result<Url, String> {
    let example = "write it as http://127.0.0.1:9464";
    let url = Url::parse(text).map_err(|error| format!("{error}: {example}"))?;
    if url.scheme() != "http" || url.host().is_none() {
        return Err(format!("a worker serves plain http: {example}"));
    }
    Ok(url)
}

/// Where to listen.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let hint = "write an IP address and a port, such as 127.0.0.1:9464";
    text.parse().map_err(|_| hint.to_owned())
}

/// A number of seconds, 0 included.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write a whole number of seconds, such as 60".to_owned())
}

/// A number of seconds of 1 or more.
pub(super) fn some_seconds(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a whole number of seconds, 1 or more".to_owned())
}

/// A number of 1 or more.
pub(super) fn some(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a whole number, 1 or more".to_owned())
}

/// An attribute and its value.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_asked_over_http() {
        assert_eq!(
            worker_url("http://127.0.0.1:9464").unwrap().join("status").unwrap().as_str(),
            "http://127.0.0.1:9464/status"
        );
        for wrong in ["127.0.0.1:9464", "https://here:9464", "here", "http://"] {
            assert!(worker_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        let says = |error: Option<String>, part: &str| assert!(error.as_ref().is_some_and(|text| text.contains(part)));
        says(url("search.example").err(), "https://search.example");
        says(url("localhost:9200").err(), "https://search.example");
        says(listen("9464").err(), "127.0.0.1:9464");
        says(listen("localhost:9464").err(), "an IP address and a port");
        says(seconds("1h").err(), "a whole number of seconds");
        says(some("0").err(), "1 or more");
        says(some_seconds("0").err(), "1 or more");
        says(pair("=x").err(), "NAME=VALUE");
        assert!(seconds("0").is_ok() && url("http://127.0.0.1:9200").is_ok());
    }
}

//! Addresses of servers.

use url::{Host, Url};

use crate::problem::Problems;
use crate::read::Located;

/// An `http://` or `https://` address without credentials. Messages never quote it, since it may hold some.
pub(super) fn endpoint(text: &Located<String>, problems: &mut Problems) -> Option<Url> {
    let example = "write an address as https://search.example:9200";
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            problems.error_with_hint(&text.place, format!("this is not an address: {error}"), example);
            return None;
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        problems.error_with_hint(&text.place, "an address begins with http:// or https://", example);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "remove user name and password from the address; for OpenSearch use auth = { kind = \"basic\", username = \"…\", password_env = \"…\" }";
        problems.error_with_hint(&text.place, "an address cannot hold credentials", hint);
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        problems.error_with_hint(
            &text.place,
            "an address cannot have a query or a fragment",
            "remove '?' or '#' and everything after it",
        );
        return None;
    }
    Some(url)
}

/// Whether the address is of this machine: `localhost`, a name below it, or a loopback address. No name is resolved.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Signing name and region in the host name of a domain or collection (`….eu-west-1.es.amazonaws.com`).
pub(super) fn signing_in_host(url: &Url) -> Option<(&str, &str)> {
    let host = url.host_str()?;
    let amazon = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let (rest, service) = amazon.rsplit_once('.')?;
    let (_, region) = rest.rsplit_once('.')?;
    matches!(service, "es" | "aoss").then_some((service, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_is_read_from_the_host() {
        let rows = [
            ("https://search-x-abc.eu-west-1.es.amazonaws.com", Some(("es", "eu-west-1"))),
            ("https://abc.us-east-1.aoss.amazonaws.com/", Some(("aoss", "us-east-1"))),
            ("https://vpc-x.cn-north-1.es.amazonaws.com.cn", Some(("es", "cn-north-1"))),
            ("https://search.example", None),
            ("https://es.amazonaws.com", None),
        ];
        for (text, expected) in rows {
            assert_eq!(signing_in_host(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn loopback_hosts() {
        for (text, expected) in [
            ("https://localhost:9200", true),
            ("https://node.localhost", true),
            ("https://127.0.0.5", true),
            ("https://[::1]:9200", true),
            ("https://localhost.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }
}

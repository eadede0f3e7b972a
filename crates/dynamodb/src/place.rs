//! The endpoint of a call.

use std::fmt;
use std::sync::Arc;

use url::Url;

/// Where a call went, for messages: ` at http://127.0.0.1:8000`, ` in region eu-west-1` where the endpoint is AWS's
/// own, or nothing where that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(Option<Arc<str>>);

/// The endings of AWS's own endpoints behind the region. An interface endpoint has `vpce.` there, and is named.
const AWS_DOMAINS: [&str; 4] = ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn"];

// === impl Place ===

impl Place {
    pub(crate) fn of_uri(uri: &str, region: Option<&str>) -> Place {
        let Ok(url) = Url::parse(uri) else { return Place::default() };
        let host = url.host_str().unwrap_or_default();
        let is_default = |region: &&str| {
            AWS_DOMAINS.iter().any(|domain| host.ends_with(&format!(".{region}.{domain}"))) && url.port().is_none()
        };
        match region.filter(is_default) {
            Some(region) => Place::of_region(region),
            None => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                Place(Some(format!(" at {}://{host}{port}", url.scheme()).into()))
            }
        }
    }

    pub(crate) fn of_region(region: &str) -> Place {
        Place(Some(format!(" in region {region}").into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_and_a_default_one_by_its_region() {
        let rows = [
            ("http://127.0.0.1:8000/", " at http://127.0.0.1:8000"),
            ("https://dynamodb.example/x?y", " at https://dynamodb.example"),
            ("https://dynamodb.eu-west-1.amazonaws.com/", " in region eu-west-1"),
            ("https://streams.dynamodb.eu-west-1.amazonaws.com/", " in region eu-west-1"),
            ("https://123456789012.ddb.eu-west-1.amazonaws.com/", " in region eu-west-1"),
            ("https://dynamodb.eu-west-1.api.aws/", " in region eu-west-1"),
            (
                "https://vpce-1-2.dynamodb.eu-west-1.vpce.amazonaws.com/",
                " at https://vpce-1-2.dynamodb.eu-west-1.vpce.amazonaws.com",
            ),
            ("https://dynamodb.us-east-1.amazonaws.com/", " at https://dynamodb.us-east-1.amazonaws.com"),
        ];
        for (uri, text) in rows {
            assert_eq!(Place::of_uri(uri, Some("eu-west-1")).to_string(), text, "{uri}");
        }
        assert_eq!(Place::of_uri("http://user:secret@host:1/", None).to_string(), " at http://host:1");
        assert_eq!(Place::default().to_string(), "");
    }
}

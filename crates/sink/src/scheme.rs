//! Recognises `http` in `opensearch.url` where the port speaks TLS, and the other way round.
//!
//! The errors of such a connection look like many others: the connection breaks, or the answer is not HTTP. So a second
//! connection, without credentials, reads the first byte that the port sends.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::client::Client;
use crate::client_error::{ClientError, TlsProblem};
use crate::tls::provider;

const DEADLINE: Duration = Duration::from_secs(3);
/// The first byte of a TLS record: a handshake message, or an alert (RFC 8446, 5.1).
const TLS_RECORDS: [u8; 2] = [22, 21];
const HTTP: &[u8] = b"HTTP/";

/// The error, or [`ClientError::WrongScheme`] where that is its cause.
pub(crate) async fn recognise(client: &Client, error: ClientError) -> ClientError {
    let can_be_the_cause = matches!(
        error,
        ClientError::Interrupted { .. } | ClientError::Tls { problem: TlsProblem::NoTls | TlsProblem::Other(_), .. }
    );
    if can_be_the_cause { mismatch(client).await.unwrap_or(error) } else { error }
}

/// Asks the port what it speaks; `None` where that is what `opensearch.url` says, or is not known.
pub(crate) async fn mismatch(client: &Client) -> Option<ClientError> {
    let url = client.url();
    let spoken = match url.scheme() {
        "http" if speaks_tls(url).await => "https",
        // A port for TLS may answer plain HTTP too, to say that it is one.
        "https" if speaks_http(url).await && !speaks_tls(url).await => "http",
        _ => return None,
    };
    Some(ClientError::WrongScheme {
        endpoint: client.endpoint().to_owned(),
        configured: url.scheme().to_owned(),
        spoken,
    })
}

async fn speaks_tls(url: &Url) -> bool {
    let Some(hello) = client_hello(url) else { return false };
    first_bytes(url, &hello).await.is_some_and(|answer| answer.first().is_some_and(|byte| TLS_RECORDS.contains(byte)))
}

async fn speaks_http(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    first_bytes(url, request.as_bytes()).await.is_some_and(|answer| answer == HTTP)
}

fn client_hello(url: &Url) -> Option<Vec<u8>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().ok()?;
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let mut connection = ClientConnection::new(Arc::new(config), ServerName::try_from(host).ok()?).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

/// Sends some bytes, and takes the first ones of the answer.
async fn first_bytes(url: &Url, sent: &[u8]) -> Option<Vec<u8>> {
    let asked = async {
        let address = (url.host_str()?.trim_matches(['[', ']']), url.port_or_known_default()?);
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(sent).await.ok()?;
        let mut answer = Vec::new();
        let most = HTTP.len().try_into().ok()?;
        stream.take(most).read_to_end(&mut answer).await.ok();
        Some(answer)
    };
    timeout(DEADLINE, asked).await.ok().flatten()
}

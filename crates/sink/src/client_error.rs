//! Connection errors, in words that an operator can act on.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use streamdex_aws::causes;

use crate::auth::AuthError;

/// No answer was had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client cannot be made from its configuration.
    #[error("the OpenSearch client cannot be created: {reason}")]
    Build {
        /// What is wrong.
        reason: String,
    },
    /// The file of `opensearch.ca_file` cannot be used.
    #[error("the certificate authority in {path} cannot be used: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to authenticate with.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No connection.
    #[error("OpenSearch at {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        endpoint: String,
        /// The root cause.
        reason: String,
    },
    /// The deadline passed; whether the request was carried out is unknown.
    #[error("OpenSearch at {endpoint} did not answer within {} s", after.as_secs_f32())]
    TimedOut {
        /// Host and port.
        endpoint: String,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke before the answer was complete; whether the request was carried out is unknown.
    #[error("the connection to OpenSearch at {endpoint} broke: {reason}")]
    Interrupted {
        /// Host and port.
        endpoint: String,
        /// The root cause.
        reason: String,
    },
    /// The server's certificate was not accepted, or TLS failed otherwise.
    #[error("TLS with OpenSearch at {endpoint} failed: {problem}")]
    Tls {
        /// Host and port.
        endpoint: String,
        /// What is wrong.
        problem: TlsProblem,
    },
    /// The port speaks HTTP where `opensearch.url` says HTTPS, or the other way round.
    #[error("OpenSearch at {endpoint} speaks {spoken}, but opensearch.url says {configured}")]
    WrongScheme {
        /// Host and port.
        endpoint: String,
        /// The scheme of the configuration.
        configured: String,
        /// The scheme that the port answers.
        spoken: &'static str,
    },
    /// A request or answer that is not JSON where it must be.
    #[error("the answer of OpenSearch at {endpoint} cannot be read: {reason}")]
    Json {
        /// Host and port.
        endpoint: String,
        /// Where it broke; never the text itself.
        reason: String,
    },
}

/// What is wrong with a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// Past its end.
    #[error("the server's certificate has expired")]
    Expired,
    /// Before its beginning.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// Signed by nobody who is trusted.
    #[error("the server's certificate is signed by an unknown authority")]
    UnknownAuthority,
    /// Made out to another name.
    #[error("the server's certificate is for another host name")]
    WrongName,
    /// The server's own certificate says that it is an authority, which is trusted where a file names it.
    #[error("the server's certificate is self-signed")]
    SelfSigned,
    /// The answer is no TLS.
    #[error("the port does not speak TLS")]
    NoTls,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

pub(crate) fn find_io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    causes(error).filter_map(|error| error.downcast_ref::<std::io::Error>()).last()
}

/// The TLS problem among the causes of an error.
pub(crate) fn find_tls_problem(error: &(dyn Error + 'static)) -> Option<TlsProblem> {
    use rustls::CertificateError as Certificate;
    let tls = causes(error).find_map(|error| error.downcast_ref::<rustls::Error>())?;
    let problem = match tls {
        rustls::Error::InvalidCertificate(problem) => problem,
        rustls::Error::InvalidMessage(_) => return Some(TlsProblem::NoTls),
        other => return Some(TlsProblem::Other(other.to_string())),
    };
    Some(match problem {
        Certificate::Expired | Certificate::ExpiredContext { .. } => TlsProblem::Expired,
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => TlsProblem::NotYetValid,
        Certificate::UnknownIssuer => TlsProblem::UnknownAuthority,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => TlsProblem::WrongName,
        Certificate::Other(other) if is_self_signed(&*other.0) => TlsProblem::SelfSigned,
        _ => TlsProblem::Other(tls.to_string()),
    })
}

fn is_self_signed(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

// === impl ClientError ===

impl ClientError {
    /// Whether the request may have been carried out anyway.
    pub(crate) fn may_be_carried_out(&self) -> bool {
        matches!(self, ClientError::TimedOut { .. } | ClientError::Interrupted { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ClientError::Build { .. } => "check the [opensearch] table of the configuration",
            ClientError::CaFile { .. } => {
                "opensearch.ca_file must be a readable PEM file with the certificate of the server's authority, or of the server itself"
            }
            ClientError::Auth(error) => error.hint(),
            ClientError::Unreachable { .. } => {
                "check that OpenSearch runs, and that opensearch.url, the network and security groups let this machine reach it"
            }
            ClientError::TimedOut { .. } => "check the cluster's load, or raise opensearch.request_timeout",
            ClientError::Interrupted { .. } => {
                "look for a proxy or load balancer that closes connections, or for a restarting node; if the port speaks TLS, use https://"
            }
            ClientError::Tls { problem, .. } => problem.hint(),
            ClientError::WrongScheme { spoken: "https", .. } => "write https:// in opensearch.url",
            ClientError::WrongScheme { .. } => "write http:// in opensearch.url, or turn on TLS at the server",
            ClientError::Json { .. } => "check that opensearch.url points to OpenSearch",
        }
    }
}

impl TlsProblem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            TlsProblem::Expired => "renew the certificate of the OpenSearch nodes or of the proxy in front of them",
            TlsProblem::NotYetValid => "compare the clocks of this machine and of the server",
            TlsProblem::UnknownAuthority => {
                "set opensearch.ca_file to a PEM file with the certificate of the server's authority, or of the server itself"
            }
            TlsProblem::WrongName => "use a host name of the certificate in opensearch.url",
            TlsProblem::SelfSigned => {
                "set opensearch.ca_file to a PEM file with this certificate; after a renewal, replace the file"
            }
            TlsProblem::NoTls => "check the port in opensearch.url, and whether the server speaks TLS there",
            TlsProblem::Other(_) => "check that the port speaks TLS and that both sides share a TLS version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_found_inside_io_errors() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, tls);
        let twice = std::io::Error::other(wrapped);
        assert_eq!(find_tls_problem(&twice), Some(TlsProblem::Expired));
    }
}

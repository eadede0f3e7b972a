//! Signs requests with AWS Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_types::region::Region;
use opensearch::http::headers::HeaderValue;
use streamdex_config::SigV4Service;

/// What a signature names besides the request and the credentials.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) service: SigV4Service,
    pub(crate) region: Region,
}

/// A request cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed")]
pub(crate) struct SigningError(#[source] Box<dyn std::error::Error + Send + Sync>);

// === impl Signer ===

impl Signer {
    /// Adds the headers of a signature made at `now`, over everything that the request has by then.
    pub(crate) fn sign(
        &self,
        request: &mut reqwest::Request,
        credentials: Credentials,
        now: SystemTime,
    ) -> Result<(), SigningError> {
        self.add_headers(request, credentials, now).map_err(SigningError)
    }

    fn add_headers(
        &self,
        request: &mut reqwest::Request,
        credentials: Credentials,
        now: SystemTime,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut settings = SigningSettings::default();
        // Serverless asks for it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let name = match self.service {
            SigV4Service::Es => "es",
            SigV4Service::Aoss => "aoss",
        };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .name(name)
            .region(self.region.as_ref())
            .time(now)
            .settings(settings)
            .build()?;
        let headers = request.headers().iter().map(|(name, value)| Ok((name.as_str(), value.to_str()?)));
        let headers: Vec<(&str, &str)> = headers.collect::<Result<_, opensearch::http::headers::ToStrError>>()?;
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let (method, url) = (request.method().as_str(), request.url().as_str());
        let signable = SignableRequest::new(method, url, headers.into_iter(), SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &SigningParams::V4(params))?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let mut value = HeaderValue::from_str(header.value())?;
            value.set_sensitive(header.sensitive());
            request.headers_mut().insert(header.name(), value);
        }
        Ok(())
    }
}

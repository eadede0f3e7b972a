//! The cause of an AWS error.

use std::error::Error;
use std::io;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// An error and its causes, outermost first. The outer ones of an SDK or an HTTP client say only "dispatch failure".
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // An I/O error hides the error that it wraps: its `source` is that one's source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(without_bounds).or_else(|| error.source())
    })
}

/// The innermost cause; the error itself where it has none.
pub fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// Describes the answer of a service to a call, or the reason for no answer, in one line.
pub fn call_reason<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(missing) = missing_credentials(error) {
        return missing;
    }
    match error.as_service_error().map(|refusal| (refusal.code(), refusal.message())) {
        Some((Some(code), Some(message))) => format!("{code}: {message}"),
        Some((Some(code), None)) => code.to_owned(),
        _ => match error.raw_response().map(|answer| answer.status().as_u16()) {
            Some(status) => format!("an answer with status {status} that does not come from the service"),
            None => root_cause(error).to_string(),
        },
    }
}

/// The message if a call failed because there are no credentials; `None` for any other failure.
pub fn missing_credentials(error: &(dyn Error + 'static)) -> Option<String> {
    let credentials = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    Some(format!("no AWS credentials: {}", credentials_reason(credentials)))
}

/// Why there are no credentials, in one line. The SDK's own text lists every provider of its chain.
pub fn credentials_reason(error: &CredentialsError) -> String {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return "none were found in the environment, a profile, a web identity or the role of this machine".to_owned();
    }
    root_cause(error).to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

fn without_bounds<'a>(error: &'a (dyn Error + Send + Sync + 'static)) -> &'a (dyn Error + 'static) {
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_providers_is_not_listed() {
        let chain = "no credentials found in chain. Attempted:\n  Environment: not set\n  Profile: not enabled";
        let not_loaded = credentials_reason(&CredentialsError::not_loaded(chain));
        assert!(!not_loaded.contains(['\n', ':']) && not_loaded.contains("environment"), "{not_loaded}");
        let refused = credentials_reason(&CredentialsError::provider_error(io::Error::other("AccessDenied:\n  dump")));
        assert_eq!(refused, "AccessDenied");
    }

    #[test]
    fn what_an_io_error_wraps_is_found() {
        let inner = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let twice = io::Error::other(io::Error::other(inner));
        assert_eq!(root_cause(&twice).to_string(), "refused");
        assert_eq!(causes(&twice).count(), 4, "the text is an error too");
        let alone = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(root_cause(&alone).to_string(), alone.to_string());
    }
}

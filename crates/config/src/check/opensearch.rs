//! `[opensearch]`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::credentials::credentials;
use super::{endpoint, region};
use crate::Arn;
use crate::model::{
    Auth, AwsSettings, Compression, LARGEST_BODY, OpenSearch, PasswordSource, Secret, SigV4Service, Source,
};
use crate::problem::Problems;
use crate::raw::{AuthTable, AuthWord, CompressionWord, OpenSearchTable, ServiceWord};
use crate::read::{Key, Located};

const SMALLEST_BATCH: usize = 64 << 10;

/// What the rest of the file says that matters here.
pub(super) struct Surroundings<'a> {
    pub(super) base_dir: &'a Path,
    pub(super) aws: &'a AwsSettings,
    pub(super) sole_source: Option<&'a Source>,
}

/// Checks `[opensearch]`; `None` where there is no usable address.
pub(super) fn opensearch(
    table: &Located<OpenSearchTable>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<OpenSearch> {
    let url = table.url.required(&table.place, "url", problems).and_then(|text| endpoint::endpoint(text, problems));
    let auth = auth(table, url.as_ref(), around, problems);
    let max_batch_operations = within(&table.max_batch_operations, 1..=10_000, 2000, problems);
    let max_concurrent_requests = within(&table.max_concurrent_requests, 1..=256, 8, problems);
    let settings = OpenSearch {
        auth,
        ca_file: table.ca_file.present().map(|path| around.base_dir.join(&path.value)),
        tls_verify: table.tls_verify.get().copied().unwrap_or(true),
        compression: match table.compression.get() {
            Some(CompressionWord::None) => Compression::None,
            Some(CompressionWord::Gzip) | None => Compression::Gzip,
        },
        max_batch_bytes: batch_bytes(table, problems),
        max_batch_operations,
        max_concurrent_requests,
        brake_after: brake(&table.brake_after, OpenSearch::DEFAULT_BRAKE_AFTER, problems),
        brake_after_field: brake(&table.brake_after_field, OpenSearch::DEFAULT_BRAKE_AFTER_FIELD, problems),
        request_timeout: timeout(table, problems),
        url: url?,
    };
    certificates(table, &settings.url, problems);
    Some(settings)
}

/// What is said of certificates, and would not be done.
fn certificates(table: &OpenSearchTable, url: &Url, problems: &mut Problems) {
    let unverified = table.tls_verify.given().filter(|verify| !verify.value);
    if url.scheme() == "http" {
        let keys = [
            ("ca_file", table.ca_file.present().map(|file| &file.place)),
            ("tls_verify = false", unverified.map(|verify| &verify.place)),
        ];
        for (key, place) in keys {
            if let Some(place) = place {
                let message =
                    format!("{key} has no effect: opensearch.url is http, so there is no certificate to check");
                problems.error_with_hint(place, message, "write the url with https://, or remove the key");
            }
        }
        return;
    }
    let Some(verify) = unverified else { return };
    if !endpoint::is_loopback(url) {
        let hint = "name the server's certificate authority with ca_file";
        problems.error_with_hint(&verify.place, "tls_verify = false is allowed only for loopback hosts", hint);
    } else if table.ca_file.present().is_some() {
        let hint = "remove tls_verify, so that ca_file is used";
        problems.error_with_hint(&verify.place, "tls_verify = false checks nothing, so ca_file has no effect", hint);
    }
}

/// A number of refusals; 0 switches the brake off.
fn brake(key: &Key<u64>, default: u32, problems: &mut Problems) -> Option<u32> {
    let most = within(key, 0..=1_000_000, usize::try_from(default).unwrap_or_default(), problems);
    u32::try_from(most).ok().filter(|most| *most > 0)
}

fn batch_bytes(table: &OpenSearchTable, problems: &mut Problems) -> usize {
    const DEFAULT: usize = 5 << 20;
    let Some(size) = table.max_batch_bytes.given() else {
        return DEFAULT;
    };
    let bytes = usize::try_from(size.0).unwrap_or(usize::MAX);
    if !(SMALLEST_BATCH..=LARGEST_BODY).contains(&bytes) {
        problems.error_with_hint(&size.place, format!("{} bytes is out of range", size.0), "give 64KiB to 9.5MiB");
    }
    bytes
}

fn timeout(table: &OpenSearchTable, problems: &mut Problems) -> Duration {
    let Some(timeout) = table.request_timeout.given() else {
        return Duration::from_secs(60);
    };
    if !(Duration::from_secs(1)..=Duration::from_secs(900)).contains(&timeout.0) {
        problems.error_with_hint(&timeout.place, "this deadline is out of range", "give 1s to 15m");
    }
    timeout.0
}

fn within(key: &Key<u64>, range: RangeInclusive<u64>, default: usize, problems: &mut Problems) -> usize {
    let Some(number) = key.given() else {
        return default;
    };
    if !range.contains(&number.value) {
        let hint = format!("give {} to {}", range.start(), range.end());
        problems.error_with_hint(&number.place, format!("{} is out of range", number.value), hint);
    }
    usize::try_from(number.value).unwrap_or(default)
}

fn auth(table: &OpenSearchTable, url: Option<&Url>, around: &Surroundings<'_>, problems: &mut Problems) -> Auth {
    let Some(auth) = table.auth.given() else {
        return Auth::None;
    };
    let Some(kind) = auth.kind.required(&auth.place, "kind", problems) else {
        return Auth::None;
    };
    refuse_foreign_keys(auth, kind.value, problems);
    let result = match kind.value {
        AuthWord::None => Auth::None,
        AuthWord::Basic => basic(auth, around, problems).unwrap_or(Auth::None),
        AuthWord::SigV4 => sigv4(auth, url, around, problems),
    };
    if let (Some(url), false) = (url, kind.value == AuthWord::None)
        && url.scheme() == "http"
        && !endpoint::is_loopback(url)
    {
        problems.warning(&auth.place, "credentials would be sent over an unencrypted connection", "use https");
    }
    result
}

/// A key that belongs to another kind of authentication is a mistake, not a comment.
fn refuse_foreign_keys(auth: &AuthTable, kind: AuthWord, problems: &mut Problems) {
    let of_basic = [&auth.username, &auth.password_env, &auth.password_file, &auth.password_secret]
        .map(|key| (AuthWord::Basic, key.given().map(|text| &text.place)));
    let of_sigv4 = [&auth.region, &auth.profile, &auth.role_arn, &auth.external_id]
        .map(|key| (AuthWord::SigV4, key.given().map(|text| &text.place)));
    let service = [(AuthWord::SigV4, auth.service.given().map(|word| &word.place))];
    for (owner, place) in of_basic.into_iter().chain(of_sigv4).chain(service) {
        if let (Some(place), true) = (place, owner != kind) {
            let owner = if owner == AuthWord::Basic { "basic" } else { "sigv4" };
            problems.error_with_hint(
                place,
                format!("this key belongs to kind = {owner:?}"),
                format!("remove it, or set kind = {owner:?}"),
            );
        }
    }
}

fn basic(auth: &Located<AuthTable>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Auth> {
    let username = auth.username.required(&auth.place, "username", problems).map(|name| name.value.clone());
    Some(Auth::Basic { password: password(auth, around, problems)?, username: username? })
}

/// Where the password is: exactly one of three keys says so.
fn password(auth: &Located<AuthTable>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<PasswordSource> {
    let keys = [
        ("password_env", &auth.password_env),
        ("password_file", &auth.password_file),
        ("password_secret", &auth.password_secret),
    ];
    let given: Vec<_> = keys.iter().filter_map(|(name, key)| Some((*name, key.given()?))).collect();
    match given.as_slice() {
        [("password_env", variable)] => Some(PasswordSource::Environment(variable.value.clone())),
        [("password_file", file)] => Some(PasswordSource::File(around.base_dir.join(&file.value))),
        [(_, arn)] => secret(arn, around, problems).map(PasswordSource::Secret),
        [] => {
            if keys.iter().all(|(_, key)| key.is_absent()) {
                let hint = "name an environment variable in password_env, a file in password_file, or the ARN of a secret in password_secret";
                problems.error_with_hint(&auth.place, "the password is missing", hint);
            }
            None
        }
        [(one, _), (other, second), ..] => {
            let message = format!("{one} and {other} exclude each other");
            problems.error_with_hint(&second.place, message, "keep one of them");
            None
        }
    }
}

fn secret(arn: &Located<String>, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Secret> {
    let is_secret = |parsed: &Arn<'_>| {
        let name = parsed.resource.strip_prefix("secret:");
        parsed.service == "secretsmanager"
            && region::is_region(parsed.region)
            && name.is_some_and(|name| !name.is_empty() && !name.contains(':'))
    };
    let Some(parsed) = Arn::parse(&arn.value).filter(is_secret) else {
        let hint = "a secret's ARN has the form arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX; `aws secretsmanager describe-secret --secret-id NAME --query ARN` prints it";
        problems.error_with_hint(&arn.place, "this is not the ARN of a secret", hint);
        return None;
    };
    Some(Secret { arn: arn.value.clone(), region: parsed.region.to_owned(), aws: around.aws.clone() })
}

fn sigv4(auth: &AuthTable, url: Option<&Url>, around: &Surroundings<'_>, problems: &mut Problems) -> Auth {
    let in_host = url.and_then(endpoint::signing_in_host);
    let service = match auth.service.get() {
        Some(ServiceWord::Aoss) => "aoss",
        Some(ServiceWord::Es) => "es",
        None => in_host.map_or("es", |(service, _)| service),
    };
    if let (Some((expected, _)), Some(given)) = (in_host, auth.service.given())
        && expected != service
    {
        problems.error_with_hint(
            &given.place,
            format!("requests to this host are signed for {expected:?}"),
            format!("set service = {expected:?}"),
        );
    }
    if let (Some((_, expected)), Some(given)) = (in_host, auth.region.present())
        && expected != given.value
    {
        problems.error_with_hint(&given.place, format!("this host is in {expected}"), "leave region out");
    }
    if let (Some(given), None, false) = (auth.region.present(), in_host, url.is_some_and(endpoint::is_loopback)) {
        region::check(given, problems);
    }
    let region = auth
        .region
        .present()
        .map(|Located { value, .. }| value.clone())
        .or_else(|| in_host.map(|(_, region)| region.to_owned()))
        .or_else(|| around.sole_source.and_then(|source| source.region.clone()));
    Auth::SigV4 {
        service: if service == "aoss" { SigV4Service::Aoss } else { SigV4Service::Es },
        region,
        aws: credentials([&auth.profile, &auth.role_arn, &auth.external_id], around.aws, problems),
    }
}

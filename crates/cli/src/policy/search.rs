//! The OpenSearch half: what IAM must allow for signed requests, and what OpenSearch itself must allow, as
//! [`streamdex_sink::access`] says.

use serde::Serialize;
use streamdex_config::{Arn, Auth, AwsSettings, Config, PasswordSource, Secret, SigV4Service};
use streamdex_sink::access::{DataAccess, FineGrained, RoleMapping, data_access, fine_grained, methods};
use url::Url;

use super::document::Statement;
use super::facts::{Facts, Purpose};
use super::grants::Grants;
use super::place::Place;

/// In place of names that are not known.
pub(crate) const DOMAIN: &str = "${DomainName}";
pub(crate) const COLLECTION: &str = "${CollectionName}";
pub(crate) const SIGNER: &str = "${RoleName}";
/// What OpenSearch itself must allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Access {
    /// A domain or cluster with the security plugin.
    FineGrained(Box<FineGrained>),
    /// The data access policy of a Serverless collection.
    DataAccess([DataAccess; 1]),
}

/// The IAM statement of requests that are signed, or of the password that they carry.
pub(super) fn grant(grants: &mut Grants, config: &Config, purpose: Purpose, facts: &Facts) {
    let Some(work) = purpose.work() else { return };
    let (service, region, aws) = match &config.opensearch.auth {
        Auth::SigV4 { service, region, aws } => (service, region, aws),
        Auth::Basic { password: PasswordSource::Secret(secret), .. } => return grant_secret(grants, secret, facts),
        Auth::Basic { .. } | Auth::None => return,
    };
    let place = Place::new(&facts.around, region.as_deref(), aws);
    let statement = match service {
        SigV4Service::Es => {
            let domain = domain(config, facts);
            Statement::new("OpenSearch", &methods(config, work), place.arn("es", &format!("domain/{domain}/*")))
        }
        SigV4Service::Aoss => {
            let id = first_label(&config.opensearch.url).unwrap_or("*");
            Statement::new("OpenSearch", &["aoss:APIAccessAll"], place.arn("aoss", &format!("collection/{id}")))
        }
    };
    grants.allow(aws, statement);
}

fn grant_secret(grants: &mut Grants, secret: &Secret, facts: &Facts) {
    // Without the six characters that Secrets Manager adds, an ARN names the same secret to it, and another one to IAM.
    let whole = Arn::parse(&secret.arn).is_some_and(|arn| has_suffix(arn.resource));
    let resource = if whole { secret.arn.clone() } else { format!("{}-??????", secret.arn) };
    grants.allow(&secret.aws, Statement::new("Password", &["secretsmanager:GetSecretValue"], resource));
    if let Some(key) = &facts.secret_key {
        let place = Place::new(&facts.around, Some(&secret.region), &secret.aws);
        let statement = Statement::new("PasswordKey", &["kms:Decrypt"], key.clone());
        grants.allow(&secret.aws, statement.via(place.via("secretsmanager")));
    }
}

/// Whether the resource ends as Secrets Manager ends it: a hyphen and six letters or digits.
fn has_suffix(resource: &str) -> bool {
    let suffix = resource.rsplit_once('-').map(|(_, suffix)| suffix);
    suffix.is_some_and(|suffix| suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The permissions inside OpenSearch; `None` if requests carry no credentials, or none are sent.
pub(crate) fn access(config: &Config, purpose: Purpose, facts: &Facts) -> Option<Access> {
    let work = purpose.work()?;
    let fine_grained = |who| Access::FineGrained(Box::new(fine_grained(config, work, who)));
    match &config.opensearch.auth {
        Auth::None => None,
        Auth::Basic { username, .. } => Some(fine_grained(RoleMapping::of_user(username))),
        Auth::SigV4 { service, aws, region } => {
            let signer = signer(aws, region.as_deref(), facts);
            Some(match service {
                SigV4Service::Es => fine_grained(RoleMapping::of_roles([signer])),
                SigV4Service::Aoss => {
                    let collection = facts.collection.as_deref().unwrap_or(COLLECTION);
                    Access::DataAccess([data_access(config, work, signer, collection)])
                }
            })
        }
    }
}

fn domain<'a>(config: &'a Config, facts: &'a Facts) -> &'a str {
    facts.domain.as_deref().or_else(|| domain_of(&config.opensearch.url)).unwrap_or(DOMAIN)
}

/// The domain in `search-NAME-HASH.REGION.es.amazonaws.com`.
pub(crate) fn domain_of(url: &Url) -> Option<&str> {
    let label = first_label(url)?;
    let name = label.strip_prefix("search-").or_else(|| label.strip_prefix("vpc-"))?;
    name.rsplit_once('-').map(|(name, _)| name)
}

/// The first label of an AWS host.
fn first_label(url: &Url) -> Option<&str> {
    let host = url.host_str()?;
    let of_aws = host.contains(".amazonaws.com") || host.ends_with(".on.aws");
    host.split_once('.').map(|(first, _)| first).filter(|_| of_aws)
}

/// Who signs: the role that the configuration names, else who was given.
fn signer(credentials: &AwsSettings, region: Option<&str>, facts: &Facts) -> String {
    let place = Place::new(&facts.around, region, credentials);
    let unknown = || format!("arn:{}:iam::{}:role/{SIGNER}", place.partition, place.account);
    credentials.role_arn.clone().or_else(|| facts.signer.clone()).unwrap_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_read_off_its_address() {
        for (url, expected) in [
            ("https://search-my-domain-abc123.eu-west-1.es.amazonaws.com", Some("search-my-domain-abc123")),
            ("https://vpc-d-x.eu-west-1.aos.on.aws/", Some("vpc-d-x")),
            ("https://search-d-x.cn-north-1.es.amazonaws.com.cn", Some("search-d-x")),
            ("https://search.example", None),
            ("http://127.0.0.1:9200", None),
        ] {
            assert_eq!(first_label(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}

//! The OpenSearch half: what IAM, fine-grained access control and Serverless must allow for the requests of
//! `streamdex-sink`.
//!
//! | request | permission |
//! |---|---|
//! | `GET /` | cluster `cluster:monitor/main` |
//! | `POST /_bulk` | cluster `indices:data/write/bulk`; index `indices:data/write/bulk*`, `…/index`, `…/delete`, and `indices:admin/mapping/put` for new fields |
//! | `GET /NAMES` | index `indices:admin/get` |
//! | `GET /NAMES/_settings/index.uuid` | index `indices:monitor/settings/get` |
//! | `PUT /NAME` with aliases | index `indices:admin/create`, `indices:admin/aliases` |
//! | `PUT /NAME/_mapping`, which names the group in `_meta` | index `indices:admin/mapping/put` |
//! | `POST /_aliases` | index `indices:admin/aliases` |
//! | `PUT /_index_template/NAME` | cluster `indices:admin/index_template/put` |
//! | `rebuild --abort`: `DELETE /NAME`, `DELETE /_index_template/NAME` | index `indices:admin/delete`; cluster `indices:admin/index_template/delete` |
//! | `index plan`: `GET /_index_template…`, `POST /_index_template/_simulate_index/NAME` | cluster `…/get`, `…/simulate_index` |
//! | `index plan`: `POST /NAME/_search` | index `indices:data/read/search` |
//! | `index apply`: `PUT`, `DELETE /NAME/_doc/ID` | as `_bulk` |
//! | `verify`, `dlq replay`: `POST /_mget` | cluster `indices:data/read/mget`; index `indices:data/read/mget[shard]` |
//! | `verify`: `POST /NAME/_refresh` | index `indices:admin/refresh`, `indices:admin/refresh[s]` |
//! | `verify`: `POST /NAME/_search/point_in_time`, `POST /_search`, `DELETE /_search/point_in_time` | index `indices:data/read/point_in_time/create`, `…/delete`, `indices:data/read/search` |
//! | `verify`, where there is no point in time: `POST /NAME/_search?scroll`, `POST`, `DELETE /_search/scroll` | index `indices:data/read/search`; cluster `indices:data/read/scroll`, `…/scroll/clear` |
//! | `verify`: `GET /NAME/_count` of an archive; `run`: of an index that may be empty | index `indices:data/read/search` |
//!
//! From the security plugin's `PrivilegesEvaluator`: a create request with aliases needs both permissions, dynamic
//! mappings count as `mapping/put`, each item of a bulk request as `index` or `delete`.

use serde::Serialize;
use streamdex_config::{Auth, AwsSettings, Config, Manage, OnGap, SigV4Service, Source};
use streamdex_sink::index::{IndexNames, SCRATCH, index_names};
use url::Url;

use super::document::Statement;
use super::facts::{Facts, Purpose};
use super::grants::Grants;
use super::place::Place;

/// In place of names that are not known.
pub(crate) const DOMAIN: &str = "${DomainName}";
pub(crate) const COLLECTION: &str = "${CollectionName}";
pub(crate) const SIGNER: &str = "${RoleName}";
const MAIN: &str = "cluster:monitor/main";
const BULK: &str = "indices:data/write/bulk";
const TEMPLATE_PUT: &str = "indices:admin/index_template/put";
const TEMPLATE_DELETE: &str = "indices:admin/index_template/delete";
const TEMPLATE_ASK: [&str; 2] = ["indices:admin/index_template/get", "indices:admin/index_template/simulate_index"];

const WRITE: [&str; 4] =
    ["indices:admin/mapping/put", "indices:data/write/bulk*", "indices:data/write/delete", "indices:data/write/index"];
/// The scratch document of `index apply` has no fields.
const PROBE: [&str; 3] = ["indices:data/write/bulk*", "indices:data/write/delete", "indices:data/write/index"];
const DELETE: &str = "indices:admin/delete";
const OBSERVE: &str = "indices:admin/get";
const WATCH: &str = "indices:monitor/settings/get";
const GET: &str = "indices:data/read/mget";
const GET_OF_SHARD: &str = "indices:data/read/mget[shard]";
/// A walk over all documents, in either way: which one the engine has is not known here.
const SCROLL: [&str; 2] = ["indices:data/read/scroll", "indices:data/read/scroll/clear"];
const WALK: [&str; 5] = [
    "indices:admin/refresh",
    "indices:admin/refresh[s]",
    "indices:data/read/point_in_time/create",
    "indices:data/read/point_in_time/delete",
    SEARCH,
];
/// `index plan` counts documents.
const SEARCH: &str = "indices:data/read/search";
const MAKE: [&str; 2] = ["indices:admin/aliases", "indices:admin/create"];

/// What OpenSearch itself must allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Access {
    /// A domain or cluster with the security plugin.
    FineGrained(Box<FineGrained>),
    /// The data access policy of a Serverless collection.
    DataAccess([DataAccess; 1]),
}

/// A role and its mapping, with the paths to put them at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FineGrained {
    role: Put<Role>,
    role_mapping: Put<RoleMapping>,
}

/// A body for a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Put<T> {
    path: String,
    body: T,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Role {
    cluster_permissions: Vec<&'static str>,
    index_permissions: Vec<IndexPermission>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IndexPermission {
    index_patterns: Vec<String>,
    allowed_actions: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoleMapping {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backend_roles: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
}

/// One element of a data access policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DataAccess {
    description: String,
    rules: Vec<Rule>,
    principal: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Rule {
    resource_type: &'static str,
    resource: Vec<String>,
    permission: Vec<&'static str>,
}

/// What OpenSearch is used for.
#[derive(Debug, Clone, Copy)]
struct Use {
    purpose: Purpose,
    /// Whether documents are counted, to see whether an index is empty and is to be filled.
    fills: bool,
    /// Whether documents are compared with what items give.
    compares: bool,
}

impl Use {
    fn of(config: &Config, purpose: Purpose) -> Use {
        let closes_gaps = |source: &Source| source.on_gap == OnGap::Resnapshot;
        let is_filled = |source: &Source| source.backfill_at_most.is_some() || closes_gaps(source);
        let (runs, rebuilds) = (purpose == Purpose::Run, purpose == Purpose::Rebuild);
        let compares = matches!(purpose, Purpose::Verify | Purpose::Repair | Purpose::Rebuild)
            || runs && config.sources.iter().any(closes_gaps);
        Use { purpose, fills: rebuilds || runs && config.sources.iter().any(is_filled), compares }
    }

    /// The names that are used: a rebuild looks at all generations, and plans with scratch indices.
    fn names(self, names: &[IndexNames]) -> Vec<IndexNames> {
        let all = |names: &IndexNames| {
            let concrete = names.concrete.rsplit_once('-').map(|(name, _)| format!("{name}-*"));
            let of_all = names.manage == Manage::Create && self.purpose == Purpose::Rebuild;
            let concrete = concrete.filter(|_| of_all).unwrap_or_else(|| names.concrete.clone());
            IndexNames { concrete, ..names.clone() }
        };
        let scratch = (self.purpose == Purpose::Rebuild && makes(names)).then(|| IndexNames {
            manage: Manage::Create,
            concrete: format!("{SCRATCH}*"),
            aliases: Vec::new(),
        });
        names.iter().map(all).chain(scratch).collect()
    }
}

/// The IAM statement of requests that are signed.
pub(super) fn grant(grants: &mut Grants, config: &Config, purpose: Purpose, facts: &Facts) {
    let Auth::SigV4 { service, region, aws } = &config.opensearch.auth else { return };
    let (names, of) = (index_names(config), Use::of(config, purpose));
    if cluster_actions(of, &names).is_empty() {
        return;
    }
    let place = Place::new(&facts.around, region.as_deref(), aws);
    let statement = match service {
        SigV4Service::Es => {
            let domain = domain(config, facts);
            Statement::new("OpenSearch", &methods(of, &names), place.arn("es", &format!("domain/{domain}/*")))
        }
        SigV4Service::Aoss => {
            let id = first_label(&config.opensearch.url).unwrap_or("*");
            Statement::new("OpenSearch", &["aoss:APIAccessAll"], place.arn("aoss", &format!("collection/{id}")))
        }
    };
    grants.allow(aws, statement);
}

/// What OpenSearch itself must allow; `None` where it asks nobody who he is, or is not asked for anything.
pub(crate) fn access(config: &Config, purpose: Purpose, facts: &Facts) -> Option<Access> {
    let (names, of) = (index_names(config), Use::of(config, purpose));
    let cluster = cluster_actions(of, &names);
    if cluster.is_empty() {
        return None;
    }
    match &config.opensearch.auth {
        Auth::None => None,
        Auth::Basic { username, .. } => {
            let mapping = RoleMapping { backend_roles: Vec::new(), users: vec![username.clone()] };
            Some(fine_grained(&role_name(config, purpose), of, cluster, &names, mapping))
        }
        Auth::SigV4 { service: SigV4Service::Es, aws, region } => {
            let signer = signer(aws, region.as_deref(), facts);
            let mapping = RoleMapping { backend_roles: vec![signer], users: Vec::new() };
            Some(fine_grained(&role_name(config, purpose), of, cluster, &names, mapping))
        }
        Auth::SigV4 { service: SigV4Service::Aoss, aws, region } => {
            let signer = signer(aws, region.as_deref(), facts);
            let name = role_name(config, purpose);
            Some(Access::DataAccess([data_access(name, of, &names, signer, facts)]))
        }
    }
}

/// The name of role and mapping, by group and purpose: to put one replaces what has its name.
fn role_name(config: &Config, purpose: Purpose) -> String {
    format!("streamdex-{}-{}", config.state.group, purpose.name())
}

fn fine_grained(name: &str, of: Use, cluster: Vec<&'static str>, names: &[IndexNames], mapping: RoleMapping) -> Access {
    let names = of.names(names);
    let permissions = by_manage(&names, |manage| index_actions(of, manage)).into_iter();
    let permissions = permissions
        .map(|(index_patterns, allowed_actions)| IndexPermission { index_patterns, allowed_actions })
        .collect();
    let role = Role { cluster_permissions: cluster, index_permissions: permissions };
    let path = |what: &str| format!("_plugins/_security/api/{what}/{name}");
    let role = Put { path: path("roles"), body: role };
    Access::FineGrained(Box::new(FineGrained { role, role_mapping: Put { path: path("rolesmapping"), body: mapping } }))
}

fn data_access(description: String, of: Use, names: &[IndexNames], signer: String, facts: &Facts) -> DataAccess {
    let collection = facts.collection.as_deref().unwrap_or(COLLECTION);
    let names = &of.names(names);
    let mut rules: Vec<Rule> = by_manage(names, |manage| serverless_actions(of, manage))
        .into_iter()
        .map(|(patterns, permission)| Rule {
            resource_type: "index",
            resource: patterns.iter().map(|pattern| format!("index/{collection}/{pattern}")).collect(),
            permission,
        })
        .collect();
    if makes(names) && of.purpose != Purpose::Verify {
        // Aliases and index templates belong to the collection.
        let permission =
            vec!["aoss:CreateCollectionItems", "aoss:DescribeCollectionItems", "aoss:UpdateCollectionItems"];
        let resource = vec![format!("collection/{collection}")];
        rules.push(Rule { resource_type: "collection", resource, permission });
    }
    DataAccess { description, rules, principal: vec![signer] }
}

/// Patterns and what is allowed on them, for each way in which an index can be managed.
fn by_manage(
    names: &[IndexNames],
    actions: impl Fn(Manage) -> Vec<&'static str>,
) -> Vec<(Vec<String>, Vec<&'static str>)> {
    let permission = |manage| {
        let of_manage = names.iter().filter(|names| names.manage == manage);
        let mut patterns: Vec<String> =
            of_manage.flat_map(|names| names.aliases.iter().chain([&names.concrete])).cloned().collect();
        patterns.sort();
        patterns.dedup();
        let actions = actions(manage);
        (!patterns.is_empty() && !actions.is_empty()).then_some((patterns, actions))
    };
    [Manage::Create, Manage::Check, Manage::Never].into_iter().filter_map(permission).collect()
}

fn makes(names: &[IndexNames]) -> bool {
    names.iter().any(|names| names.manage == Manage::Create)
}

/// Permissions that no index limits; empty where OpenSearch is not asked.
fn cluster_actions(Use { purpose, compares, .. }: Use, names: &[IndexNames]) -> Vec<&'static str> {
    let template = makes(names).then_some(TEMPLATE_PUT);
    let gets = (compares || purpose == Purpose::Dlq).then_some(GET);
    let walks = if compares { SCROLL.as_slice() } else { &[] };
    match purpose {
        Purpose::Run
        | Purpose::Lambda
        | Purpose::Replay
        | Purpose::Backfill
        | Purpose::Repair
        | Purpose::Rebuild
        | Purpose::Dlq => {
            let rebuilds = purpose == Purpose::Rebuild && makes(names);
            let asks = if rebuilds { TEMPLATE_ASK.as_slice() } else { &[] };
            let templates = rebuilds.then_some(TEMPLATE_DELETE).into_iter().chain(asks.iter().copied()).chain(template);
            [MAIN].into_iter().chain(templates).chain([BULK]).chain(gets).chain(walks.iter().copied()).collect()
        }
        Purpose::Index => {
            let asks = if makes(names) { TEMPLATE_ASK.as_slice() } else { &[] };
            let probes = names.iter().any(|names| names.manage != Manage::Never).then_some(BULK);
            [MAIN].into_iter().chain(asks.iter().copied()).chain(template).chain(probes).collect()
        }
        Purpose::Verify => [MAIN].into_iter().chain(gets).chain(walks.iter().copied()).collect(),
        Purpose::Status | Purpose::StateCreate => Vec::new(),
    }
}

fn index_actions(Use { purpose, fills, compares }: Use, manage: Manage) -> Vec<&'static str> {
    let writes = match (purpose, manage) {
        (Purpose::Index, Manage::Never) | (Purpose::Verify, _) => [].as_slice(),
        (Purpose::Index, _) => &PROBE,
        _ => &WRITE,
    };
    let makes = if manage == Manage::Create && purpose != Purpose::Verify { MAKE.as_slice() } else { &[] };
    let reads = if compares { WALK.as_slice() } else { &[] };
    let gets = (compares || purpose == Purpose::Dlq).then_some(GET_OF_SHARD);
    // Whoever compares an index asks whether it is there, whoever makes it.
    let observes = (manage != Manage::Never || gets.is_some() || fills).then_some(OBSERVE);
    // UUIDs are compared by what goes on writing.
    let goes_on = matches!(
        purpose,
        Purpose::Run | Purpose::Lambda | Purpose::Backfill | Purpose::Repair | Purpose::Rebuild | Purpose::Dlq
    );
    let watches = (manage != Manage::Never && goes_on).then_some(WATCH);
    // A walk searches too.
    let counts = (!compares && fills || manage != Manage::Never && purpose == Purpose::Index).then_some(SEARCH);
    let deletes = (purpose == Purpose::Rebuild).then_some(DELETE);
    let asks = [observes, watches, counts, gets, deletes].into_iter().flatten();
    let mut actions: Vec<&str> = writes.iter().chain(makes).chain(reads).copied().chain(asks).collect();
    actions.sort_unstable();
    actions
}

fn serverless_actions(Use { purpose, fills, compares }: Use, manage: Manage) -> Vec<&'static str> {
    let reads = fills || compares || purpose == Purpose::Dlq;
    let creates = (manage == Manage::Create && purpose != Purpose::Verify).then_some("aoss:CreateIndex");
    let describes = (manage != Manage::Never || reads).then_some("aoss:DescribeIndex");
    // New fields change the mapping.
    let writes = ["aoss:UpdateIndex", "aoss:WriteDocument"];
    let writes = match (purpose, manage) {
        (Purpose::Index, Manage::Never) | (Purpose::Verify, _) => [].as_slice(),
        _ => &writes,
    };
    let counts = manage != Manage::Never && purpose == Purpose::Index;
    let counts = (counts || reads).then_some("aoss:ReadDocument");
    let deletes = (purpose == Purpose::Rebuild).then_some("aoss:DeleteIndex");
    creates.into_iter().chain(deletes).chain(describes).chain(counts).chain(writes.iter().copied()).collect()
}

/// The HTTP methods that are used, as IAM names them for a domain.
fn methods(Use { purpose, compares, .. }: Use, names: &[IndexNames]) -> Vec<&'static str> {
    let makes = makes(names);
    let probes = purpose == Purpose::Index && names.iter().any(|names| names.manage != Manage::Never);
    let posts = purpose != Purpose::Index || probes;
    let makes = makes && purpose != Purpose::Verify;
    let methods = [
        (probes || compares, "es:ESHttpDelete"),
        // Each of them asks for the engine's version: commands and sandboxes when they start.
        (true, "es:ESHttpGet"),
        (posts, "es:ESHttpPost"),
        (makes || probes, "es:ESHttpPut"),
    ];
    methods.into_iter().filter_map(|(used, method)| used.then_some(method)).collect()
}

/// The domain in `search-NAME-HASH.REGION.es.amazonaws.com`.
fn domain<'a>(config: &'a Config, facts: &'a Facts) -> &'a str {
    let of_host = || {
        let label = first_label(&config.opensearch.url)?;
        let name = label.strip_prefix("search-").or_else(|| label.strip_prefix("vpc-"))?;
        name.rsplit_once('-').map(|(name, _)| name)
    };
    facts.domain.as_deref().or_else(of_host).unwrap_or(DOMAIN)
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

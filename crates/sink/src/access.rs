//! The permissions inside OpenSearch for the requests of this crate: a role of the security plugin and its mapping, or
//! a data access policy of Serverless. Pure.
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
//! | `verify`, `await`, `dlq replay`: `POST /_mget` | cluster `indices:data/read/mget`; index `indices:data/read/mget[shard]` |
//! | `verify`, `await`: `POST /NAME/_refresh` | index `indices:admin/refresh`, `indices:admin/refresh[s]` |
//! | `verify`: `POST /NAME/_search/point_in_time`, `POST /_search`, `DELETE /_search/point_in_time` | index `indices:data/read/point_in_time/create`, `…/delete`, `indices:data/read/search` |
//! | `verify`, where there is no point in time: `POST /NAME/_search?scroll`, `POST`, `DELETE /_search/scroll` | index `indices:data/read/search`; cluster `indices:data/read/scroll`, `…/scroll/clear` |
//! | `verify`: `GET /NAME/_count` of an archive; `run`: of an index that may be empty | index `indices:data/read/search` |
//!
//! From the security plugin's `PrivilegesEvaluator`: a create request with aliases needs both permissions, dynamic
//! mappings count as `mapping/put`, each item of a bulk request as `index` or `delete`.

use serde::Serialize;
use streamdex_config::{Config, Manage, OnGap, Source};

use crate::index::{IndexNames, SCRATCH, index_names};

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
const REFRESH: [&str; 2] = ["indices:admin/refresh", "indices:admin/refresh[s]"];
const WALK: [&str; 3] = ["indices:data/read/point_in_time/create", "indices:data/read/point_in_time/delete", SEARCH];
/// `index plan` counts documents.
const SEARCH: &str = "indices:data/read/search";
/// What else is searched with that is no one index's.
const SEARCH_ALL: [&str; 2] = ["indices:data/read/msearch", "indices:data/read/search/template"];
/// A generation has six digits.
const ANY_GENERATION: &str = "??????";
const MAKE: [&str; 2] = ["indices:admin/aliases", "indices:admin/create"];

/// Who asks, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// `run`.
    Run,
    /// The function.
    Lambda,
    /// `replay`.
    Replay,
    /// `backfill`.
    Backfill,
    /// `verify`.
    Verify,
    /// `verify --repair`.
    Repair,
    /// `rebuild`.
    Rebuild,
    /// `dlq`.
    Dlq,
    /// `index plan` and `index apply`.
    Index,
}

/// A role and its mapping, with the paths to put them at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FineGrained {
    /// The role.
    pub role: Put<Role>,
    /// Who has it.
    pub role_mapping: Put<RoleMapping>,
}

/// A body for a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Put<T> {
    /// Below the address of OpenSearch.
    pub path: String,
    /// What is put there; it replaces what was there.
    pub body: T,
}

/// A role of the security plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    cluster_permissions: Vec<&'static str>,
    index_permissions: Vec<IndexPermission>,
}

/// What a role may do with some indices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexPermission {
    index_patterns: Vec<String>,
    allowed_actions: Vec<&'static str>,
}

/// Who has a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleMapping {
    /// IAM roles, by their ARNs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backend_roles: Vec<String>,
    /// Users of OpenSearch's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

/// One element of a data access policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataAccess {
    description: String,
    rules: Vec<Rule>,
    principal: Vec<String>,
}

/// What a data access policy allows on some resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    resource_type: &'static str,
    resource: Vec<String>,
    permission: Vec<&'static str>,
}

/// What OpenSearch is used for.
#[derive(Debug, Clone, Copy)]
struct Use {
    work: Work,
    /// Whether documents are counted, to see whether an index is empty and is to be filled.
    fills: bool,
    /// Whether documents are compared with what items give.
    compares: bool,
    /// Whether one document at a time is compared, and made visible to searches.
    awaits: bool,
}

// === impl RoleMapping ===

impl RoleMapping {
    /// A user of OpenSearch's own.
    pub fn of_user(name: &str) -> RoleMapping {
        RoleMapping { backend_roles: Vec::new(), users: vec![name.to_owned()] }
    }

    /// IAM roles, by their ARNs.
    pub fn of_roles(arns: impl IntoIterator<Item = String>) -> RoleMapping {
        RoleMapping { backend_roles: arns.into_iter().collect(), users: Vec::new() }
    }
}

// === impl Work ===

impl Work {
    /// The word for it, in names.
    pub fn name(self) -> &'static str {
        match self {
            Work::Run => "run",
            Work::Lambda => "lambda",
            Work::Replay => "replay",
            Work::Backfill => "backfill",
            Work::Verify => "verify",
            Work::Repair => "repair",
            Work::Rebuild => "rebuild",
            Work::Dlq => "dlq",
            Work::Index => "index",
        }
    }
}

// === impl Use ===

impl Use {
    fn of(config: &Config, work: Work) -> Use {
        let closes_gaps = |source: &Source| source.on_gap == OnGap::Resnapshot;
        let (runs, rebuilds) = (work == Work::Run, work == Work::Rebuild);
        let compares = matches!(work, Work::Verify | Work::Repair | Work::Rebuild)
            || runs && config.sources.iter().any(closes_gaps);
        let awaits = runs && config.http.await_per_second.is_some();
        Use { work, fills: rebuilds || runs && config.sources.iter().any(Source::may_be_scanned), compares, awaits }
    }

    /// The names that are used: a rebuild looks at all generations, and plans with scratch indices.
    fn names(self, names: &[IndexNames]) -> Vec<IndexNames> {
        let used =
            |names: &IndexNames| if self.work == Work::Rebuild { in_generations(names, "*") } else { names.clone() };
        let scratch = (self.work == Work::Rebuild && makes(names)).then(|| IndexNames {
            manage: Manage::Create,
            concrete: format!("{SCRATCH}*"),
            aliases: Vec::new(),
        });
        names.iter().map(used).chain(scratch).collect()
    }
}

/// The names with this pattern in place of the generation, where there are generations.
fn in_generations(names: &IndexNames, pattern: &str) -> IndexNames {
    match names.concrete.rsplit_once('-') {
        Some((name, _)) if names.manage == Manage::Create => {
            IndexNames { concrete: format!("{name}-{pattern}"), ..names.clone() }
        }
        _ => names.clone(),
    }
}

/// The role that this work needs, and who has it.
pub fn fine_grained(config: &Config, work: Work, who: RoleMapping) -> FineGrained {
    let (all, of) = (index_names(config), Use::of(config, work));
    let names = of.names(&all);
    let index_permissions = by_manage(&names, |manage| index_actions(of, manage))
        .into_iter()
        .map(|(index_patterns, allowed_actions)| IndexPermission { index_patterns, allowed_actions })
        .collect();
    let role = Role { cluster_permissions: cluster_actions(of, &all), index_permissions };
    put(&role_name(config, work.name()), role, who)
}

fn put(name: &str, role: Role, who: RoleMapping) -> FineGrained {
    let path = |what: &str| format!("_plugins/_security/api/{what}/{name}");
    FineGrained {
        role: Put { path: path("roles"), body: role },
        role_mapping: Put { path: path("rolesmapping"), body: who },
    }
}

/// The role of who searches: all generations, since a rebuild moves the aliases, and the plugin takes an alias for its index.
/// An index whose name is placeholders alone is left out: its pattern would be every index of the cluster.
pub fn searcher(config: &Config, who: RoleMapping) -> FineGrained {
    let is_named = |pattern: &String| pattern.replace("-live", "").contains(char::is_alphanumeric);
    let all = index_names(config);
    let mut index_patterns = patterns(all.iter().map(|names| in_generations(names, ANY_GENERATION)));
    index_patterns.retain(is_named);
    let read = IndexPermission { index_patterns, allowed_actions: vec!["read"] };
    let index_permissions = if read.index_patterns.is_empty() { Vec::new() } else { vec![read] };
    let cluster_permissions = [MAIN, GET].into_iter().chain(SCROLL).chain(SEARCH_ALL).collect();
    put(&role_name(config, "search"), Role { cluster_permissions, index_permissions }, who)
}

/// The HTTP methods that are used, as IAM names them for a domain.
pub fn methods(config: &Config, work: Work) -> Vec<&'static str> {
    let (names, Use { compares, .. }) = (index_names(config), Use::of(config, work));
    let makes = makes(&names);
    let probes = work == Work::Index && names.iter().any(|names| names.manage != Manage::Never);
    let posts = work != Work::Index || probes;
    let makes = makes && work != Work::Verify;
    let methods = [
        (probes || compares, "es:ESHttpDelete"),
        // Each of them asks for the engine's version: commands and sandboxes when they start.
        (true, "es:ESHttpGet"),
        (posts, "es:ESHttpPost"),
        (makes || probes, "es:ESHttpPut"),
    ];
    methods.into_iter().filter_map(|(used, method)| used.then_some(method)).collect()
}

/// The data access policy that this work needs.
pub fn data_access(config: &Config, work: Work, principal: String, collection: &str) -> DataAccess {
    let of = Use::of(config, work);
    let names = &of.names(&index_names(config));
    let mut rules: Vec<Rule> = by_manage(names, |manage| serverless_actions(of, manage))
        .into_iter()
        .map(|(patterns, permission)| Rule {
            resource_type: "index",
            resource: patterns.iter().map(|pattern| format!("index/{collection}/{pattern}")).collect(),
            permission,
        })
        .collect();
    if makes(names) && of.work != Work::Verify {
        // Aliases and index templates belong to the collection.
        let permission =
            vec!["aoss:CreateCollectionItems", "aoss:DescribeCollectionItems", "aoss:UpdateCollectionItems"];
        let resource = vec![format!("collection/{collection}")];
        rules.push(Rule { resource_type: "collection", resource, permission });
    }
    DataAccess { description: role_name(config, work.name()), rules, principal: vec![principal] }
}

/// The name of role and mapping, by group and purpose: to put one replaces what has its name.
fn role_name(config: &Config, purpose: &str) -> String {
    format!("streamdex-{}-{purpose}", config.state.group)
}

/// What aliases and indices are called.
fn patterns(names: impl Iterator<Item = IndexNames>) -> Vec<String> {
    let mut patterns: Vec<String> = names.flat_map(|names| names.aliases.into_iter().chain([names.concrete])).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// Patterns and what is allowed on them, for each way in which an index can be managed.
fn by_manage(
    names: &[IndexNames],
    actions: impl Fn(Manage) -> Vec<&'static str>,
) -> Vec<(Vec<String>, Vec<&'static str>)> {
    let permission = |manage| {
        let patterns = patterns(names.iter().filter(|names| names.manage == manage).cloned());
        let actions = actions(manage);
        (!patterns.is_empty() && !actions.is_empty()).then_some((patterns, actions))
    };
    [Manage::Create, Manage::Check, Manage::Never].into_iter().filter_map(permission).collect()
}

fn makes(names: &[IndexNames]) -> bool {
    names.iter().any(|names| names.manage == Manage::Create)
}

/// Permissions that no index limits.
fn cluster_actions(Use { work, compares, awaits, .. }: Use, names: &[IndexNames]) -> Vec<&'static str> {
    let template = makes(names).then_some(TEMPLATE_PUT);
    let gets = (compares || awaits || work == Work::Dlq).then_some(GET);
    let walks = if compares { SCROLL.as_slice() } else { &[] };
    match work {
        Work::Run | Work::Lambda | Work::Replay | Work::Backfill | Work::Repair | Work::Rebuild | Work::Dlq => {
            let rebuilds = work == Work::Rebuild && makes(names);
            let asks = if rebuilds { TEMPLATE_ASK.as_slice() } else { &[] };
            let templates = rebuilds.then_some(TEMPLATE_DELETE).into_iter().chain(asks.iter().copied()).chain(template);
            [MAIN].into_iter().chain(templates).chain([BULK]).chain(gets).chain(walks.iter().copied()).collect()
        }
        Work::Index => {
            let asks = if makes(names) { TEMPLATE_ASK.as_slice() } else { &[] };
            let probes = names.iter().any(|names| names.manage != Manage::Never).then_some(BULK);
            [MAIN].into_iter().chain(asks.iter().copied()).chain(template).chain(probes).collect()
        }
        Work::Verify => [MAIN].into_iter().chain(gets).chain(walks.iter().copied()).collect(),
    }
}

fn index_actions(Use { work, fills, compares, awaits }: Use, manage: Manage) -> Vec<&'static str> {
    let writes = match (work, manage) {
        (Work::Index, Manage::Never) | (Work::Verify, _) => [].as_slice(),
        (Work::Index, _) => &PROBE,
        _ => &WRITE,
    };
    let makes = if manage == Manage::Create && work != Work::Verify { MAKE.as_slice() } else { &[] };
    let reads = if compares { WALK.as_slice() } else { &[] };
    let refreshes = if compares || awaits { REFRESH.as_slice() } else { &[] };
    let gets = (compares || awaits || work == Work::Dlq).then_some(GET_OF_SHARD);
    // Every command that compares an index checks that it exists, whoever creates it.
    let observes = (manage != Manage::Never || gets.is_some() || fills).then_some(OBSERVE);
    // UUIDs are compared by what goes on writing.
    let goes_on = matches!(work, Work::Run | Work::Lambda | Work::Backfill | Work::Repair | Work::Rebuild | Work::Dlq);
    let watches = (manage != Manage::Never && goes_on).then_some(WATCH);
    // A walk searches too.
    let counts = (!compares && fills || manage != Manage::Never && work == Work::Index).then_some(SEARCH);
    let deletes = (work == Work::Rebuild).then_some(DELETE);
    let asks = [observes, watches, counts, gets, deletes].into_iter().flatten();
    let mut actions: Vec<&str> =
        writes.iter().chain(makes).chain(reads).chain(refreshes).copied().chain(asks).collect();
    actions.sort_unstable();
    actions
}

fn serverless_actions(Use { work, fills, compares, awaits }: Use, manage: Manage) -> Vec<&'static str> {
    let reads = fills || compares || awaits || work == Work::Dlq;
    let creates = (manage == Manage::Create && work != Work::Verify).then_some("aoss:CreateIndex");
    let describes = (manage != Manage::Never || reads).then_some("aoss:DescribeIndex");
    // New fields change the mapping.
    let writes = ["aoss:UpdateIndex", "aoss:WriteDocument"];
    let writes = match (work, manage) {
        (Work::Index, Manage::Never) | (Work::Verify, _) => [].as_slice(),
        _ => &writes,
    };
    let counts = manage != Manage::Never && work == Work::Index;
    let counts = (counts || reads).then_some("aoss:ReadDocument");
    let deletes = (work == Work::Rebuild).then_some("aoss:DeleteIndex");
    creates.into_iter().chain(deletes).chain(describes).chain(counts).chain(writes.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn who_searches_reads_all_generations_of_these_indices_and_no_others() {
        let patterns = |index: &str| {
            let text = format!(
                "source = {{ table = 'orders' }}\nopensearch = {{ url = 'http://127.0.0.1' }}\nroute = [{{ index = '{index}' }}]"
            );
            let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
            let role = searcher(&config, RoleMapping::of_roles([])).role.body;
            role.index_permissions.into_iter().flat_map(|permission| permission.index_patterns).collect::<Vec<_>>()
        };
        assert_eq!(patterns("sessions"), ["sessions", "sessions-??????"]);
        assert_eq!(patterns("orders-{region}"), ["orders-*", "orders-*-??????"]);
        assert_eq!(patterns("{tenant}"), Vec::<String>::new());
    }
}

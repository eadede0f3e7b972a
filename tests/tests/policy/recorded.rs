//! A lab whose program is overheard: every request to DynamoDB and OpenSearch, and the right that it needs.

use std::sync::Arc;

use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::Value;
use streamdex_testkit::engines::{DynamoDbLocal, SearchEngine, SearchNode};
use streamdex_testkit::fault::{FaultServer, Recorded};
use streamdex_testkit::report::{dynamodb_local, search_node};

use super::granted::{Resource, Rights};
use crate::lab::Lab;

pub(crate) struct Overheard {
    pub(crate) lab: Lab,
    dynamodb: FaultServer,
    search: FaultServer,
    _engines: (Arc<SearchNode>, Arc<DynamoDbLocal>),
}

impl Overheard {
    /// `None` where an engine is missing.
    pub(crate) async fn new(view: StreamViewType) -> Option<Overheard> {
        let engines = (search_node(SearchEngine::OpenSearch3).await?, dynamodb_local().await?);
        let search = FaultServer::in_front_of(&engines.0.url());
        let dynamodb = FaultServer::in_front_of(&engines.1.endpoint_url());
        let lab = Lab::new(&dynamodb.url(), &engines.0.url(), view).await;
        lab.configure(&search.url(), r#"auth = { kind = "sigv4", service = "es" }"#, "");
        Some(Overheard { lab, dynamodb, search, _engines: engines })
    }

    /// Forgets what was asked so far, by the test as well.
    pub(crate) fn forget(&self) {
        self.dynamodb.forget_requests();
        self.search.forget_requests();
    }

    /// Runs the program to its end, and tells what it needed.
    pub(crate) async fn needed(&self, arguments: &[&str], status: i32) -> Rights {
        self.forget();
        let ended = self.lab.end(arguments).await;
        assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
        self.asked()
    }

    /// What the requests so far needed.
    pub(crate) fn asked(&self) -> Rights {
        let mut rights = Rights::default();
        for request in self.dynamodb.requests() {
            rights.add_call(&self.lab, &request);
        }
        for request in self.search.requests() {
            let method = request.method.as_str();
            let action = format!("es:ESHttp{}{}", &method[..1], method[1..].to_lowercase());
            rights.actions.insert((action, Resource::Search));
            rights.add_request(&request);
        }
        rights
    }
}

impl Rights {
    fn add_call(&mut self, lab: &Lab, request: &Recorded) {
        let operation = request.operation().unwrap_or_else(|| panic!("no call: {request:?}"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let of_table = |name: &str| match name {
            _ if name == lab.table.name => Resource::Table,
            _ if name == lab.state => Resource::State,
            other => panic!("another table: {other}"),
        };
        if operation == "TransactWriteItems" {
            return self.add_transaction(&body);
        }
        let resource = match (&body["TableName"], &body["RequestItems"]) {
            (Value::String(table), _) => of_table(table),
            (_, Value::Object(items)) => of_table(items.keys().next().unwrap()),
            // The ARN of a stream, or an iterator of one.
            _ => Resource::Stream,
        };
        self.actions.insert((format!("dynamodb:{operation}"), resource));
        let keys = [&body["Item"]["pk"], &body["Key"]["pk"], &body["ExpressionAttributeValues"][":pk"]];
        let keys = keys.into_iter().filter_map(|key| key["S"].as_str());
        // The emulator's name for the region.
        self.partitions.extend(keys.map(|key| key.replace(":ddblocal:", ":eu-west-1:")));
    }

    /// There is no right for a transaction: each of its parts needs its own.
    fn add_transaction(&mut self, body: &Value) {
        for part in body["TransactItems"].as_array().unwrap() {
            for (kind, part) in part.as_object().unwrap() {
                let action =
                    if kind == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{kind}Item") };
                self.actions.insert((format!("dynamodb:{action}"), Resource::State));
                let keys = [&part["Item"]["pk"], &part["Key"]["pk"]];
                let keys = keys.into_iter().filter_map(|key| key["S"].as_str());
                self.partitions.extend(keys.map(|key| key.replace(":ddblocal:", ":eu-west-1:")));
            }
        }
    }

    /// The table of requests and permissions in the security plugin's terms; see `search.rs` of `iam-policy`.
    fn add_request(&mut self, request: &Recorded) {
        let path = request.path.split('?').next().unwrap().trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        let (cluster, index): (&[&str], &[&str]) = match (request.method.as_str(), parts.as_slice()) {
            ("GET", [""]) => (&["cluster:monitor/main"], &[]),
            ("POST", ["_bulk"]) => return self.add_bulk(request),
            ("POST", ["_aliases"]) => (&[], &["indices:admin/aliases"]),
            ("PUT", ["_index_template", _]) => (&["indices:admin/index_template/put"], &[]),
            ("GET", ["_index_template", ..]) => (&["indices:admin/index_template/get"], &[]),
            ("POST", ["_index_template", "_simulate_index", _]) => {
                (&["indices:admin/index_template/simulate_index"], &[])
            }
            ("GET", [names]) => {
                self.names.extend(names.split(',').map(str::to_owned));
                (&[], &["indices:admin/get"])
            }
            ("GET", [names, "_settings", "index.uuid"]) => {
                self.names.extend(names.split(',').map(str::to_owned));
                (&[], &["indices:monitor/settings/get"])
            }
            ("PUT", [name]) => {
                self.names.insert((*name).to_owned());
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let aliases = body["aliases"].as_object().is_some_and(|aliases| !aliases.is_empty());
                (
                    &[],
                    if aliases {
                        &["indices:admin/create", "indices:admin/aliases"]
                    } else {
                        &["indices:admin/create"]
                    },
                )
            }
            ("PUT", [name, "_mapping"]) => {
                self.names.insert((*name).to_owned());
                (&[], &["indices:admin/mapping/put"])
            }
            ("POST", [name, "_search"]) | ("GET", [name, "_count"]) => {
                self.names.insert((*name).to_owned());
                (&[], &["indices:data/read/search"])
            }
            ("POST", ["_mget"]) => (&["indices:data/read/mget"], &["indices:data/read/mget[shard]"]),
            ("POST", [name, "_refresh"]) => {
                self.names.insert((*name).to_owned());
                (&[], &["indices:admin/refresh", "indices:admin/refresh[s]"])
            }
            ("POST", [name, "_search", "point_in_time"]) => {
                self.names.insert((*name).to_owned());
                (&[], &["indices:data/read/point_in_time/create"])
            }
            ("POST", ["_search"]) => (&[], &["indices:data/read/search"]),
            ("DELETE", ["_search", "point_in_time"]) => (&[], &["indices:data/read/point_in_time/delete"]),
            ("POST", ["_search", "scroll"]) => (&["indices:data/read/scroll"], &[]),
            ("DELETE", ["_search", "scroll"]) => (&["indices:data/read/scroll/clear"], &[]),
            ("DELETE", ["_index_template", _]) => (&["indices:admin/index_template/delete"], &[]),
            ("DELETE", [name]) => {
                self.names.insert((*name).to_owned());
                (&[], &["indices:admin/delete"])
            }
            // One document is a bulk request of one item.
            ("PUT", [name, "_doc", _]) => {
                self.names.insert((*name).to_owned());
                (&["indices:data/write/bulk"], &["indices:data/write/bulk*", "indices:data/write/index"])
            }
            ("DELETE", [name, "_doc", _]) => {
                self.names.insert((*name).to_owned());
                (&["indices:data/write/bulk"], &["indices:data/write/bulk*", "indices:data/write/delete"])
            }
            other => panic!("a request that no permission is known for: {other:?}"),
        };
        self.cluster.extend(cluster.iter().map(|permission| (*permission).to_owned()));
        self.index.extend(index.iter().map(|permission| (*permission).to_owned()));
    }

    fn add_bulk(&mut self, request: &Recorded) {
        self.cluster.insert("indices:data/write/bulk".to_owned());
        self.index.insert("indices:data/write/bulk*".to_owned());
        for operation in request.operations() {
            self.names.insert(operation.index().to_owned());
            self.index.insert(format!("indices:data/write/{}", operation.kind));
            if operation.kind == "index" {
                // New fields change the mapping.
                self.index.insert("indices:admin/mapping/put".to_owned());
            }
        }
    }
}

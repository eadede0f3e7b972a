//! What `streamdex iam-policy` prints, taken apart.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab::Lab;

/// What an action is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Table,
    Stream,
    State,
    Search,
}

/// Actions of IAM, and permissions of OpenSearch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) actions: BTreeSet<(String, Resource)>,
    /// Partition keys in the state table.
    pub(crate) partitions: BTreeSet<String>,
    pub(crate) cluster: BTreeSet<String>,
    pub(crate) index: BTreeSet<String>,
    /// Names of indices and aliases.
    pub(crate) names: BTreeSet<String>,
}

/// What the program would have to be granted for `options`, as `--for run`.
pub(crate) async fn granted(lab: &Lab, options: &[&str]) -> Rights {
    let fixed = ["iam-policy", "--account", "000000000000", "--domain", "search"];
    let mut rights = Rights::default();
    let policy = printed(lab, &[&fixed, options].concat()).await.expect("a policy");
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for arn in texts(&statement["Resource"]) {
            let resource = resource(lab, &arn);
            rights.actions.extend(texts(&statement["Action"]).into_iter().map(|action| (action, resource)));
        }
        rights.partitions.extend(texts(&statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]));
    }
    if let Some(search) = printed(lab, &[&fixed, options, &["--opensearch"]].concat()).await {
        let role = &search["role"]["body"];
        rights.cluster.extend(texts(&role["cluster_permissions"]));
        for permission in role["index_permissions"].as_array().unwrap() {
            rights.index.extend(texts(&permission["allowed_actions"]));
            rights.names.extend(texts(&permission["index_patterns"]));
        }
    }
    rights
}

async fn printed(lab: &Lab, arguments: &[&str]) -> Option<Value> {
    let ended = lab.end(arguments).await;
    if ended.status == 2 && ended.stderr.contains("no OpenSearch permissions are needed") {
        return None;
    }
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    Some(serde_json::from_str(&ended.stdout).unwrap())
}

fn resource(lab: &Lab, arn: &str) -> Resource {
    let table = format!("arn:aws:dynamodb:eu-west-1:000000000000:table/{}", lab.table.name);
    let state = format!("arn:aws:dynamodb:eu-west-1:000000000000:table/{}", lab.state);
    match arn {
        _ if arn == table => Resource::Table,
        _ if arn == state => Resource::State,
        _ if arn == format!("{table}/stream/*") => Resource::Stream,
        "arn:aws:es:eu-west-1:000000000000:domain/search/*" => Resource::Search,
        other => panic!("{other}"),
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

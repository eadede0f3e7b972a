//! Roles and their mappings, in the security plugin of OpenSearch.

use opensearch::http::Method;
use serde_json::{Map, Value, json};
use streamdex_config::{Auth, Config, SigV4Service};
use streamdex_sink::access::{FineGrained, RoleMapping, Work, fine_grained, searcher};
use streamdex_sink::{Client, ClientError};

use super::request::Properties;

/// Why a role is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefusedPut {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("OpenSearch refused to put {path} ({status}): {reason}")]
    Refused { path: String, status: u16, reason: String },
}

/// What whoever administers OpenSearch has; the second one is Amazon OpenSearch Service's own.
const OF_ADMINISTRATORS: [&str; 2] = ["all_access", "security_manager"];
const MAPPINGS: &str = "_plugins/_security/api/rolesmapping";

/// Puts the roles of those who write and search, and adds those who administer. Nobody loses a role. A collection of
/// OpenSearch Serverless has data access policies instead.
pub(super) async fn put_roles(client: &Client, config: &Config, properties: &Properties) -> Result<(), RefusedPut> {
    if matches!(config.opensearch.auth, Auth::None | Auth::SigV4 { service: SigV4Service::Aoss, .. }) {
        return Ok(());
    }
    let administrators = Properties::named(&properties.administrator_arns);
    if !administrators.is_empty() {
        for role in OF_ADMINISTRATORS {
            add(client, role, &administrators).await?;
        }
    }
    let writers = RoleMapping::of_roles(Properties::named(&properties.writer_arns));
    let searchers = RoleMapping::of_roles(Properties::named(&properties.searcher_arns));
    for FineGrained { role, role_mapping } in [fine_grained(config, Work::Lambda, writers), searcher(config, searchers)]
    {
        put(client, &role.path, &json!(role.body)).await?;
        put(client, &role_mapping.path, &json!(role_mapping.body)).await?;
    }
    Ok(())
}

/// Adds to who has a role.
async fn add(client: &Client, role: &str, arns: &[String]) -> Result<(), RefusedPut> {
    let path = format!("{MAPPINGS}/{role}");
    let answer = client.json(Method::Get, &path, None).await?;
    let found: Value = answer.json().unwrap_or_default();
    let found = match (answer.status, found.get(role).and_then(Value::as_object)) {
        (200, Some(found)) => found.clone(),
        (404, _) => Map::new(),
        _ => return Err(refused(&path, answer.status, &found)),
    };
    match put(client, &path, &with(&found, arns)).await {
        // There is no such role.
        Err(RefusedPut::Refused { status: 404, .. }) => Ok(()),
        put => put,
    }
}

/// The mapping as it was, with these backend roles.
fn with(found: &Map<String, Value>, arns: &[String]) -> Value {
    let list = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut roles = list("backend_roles");
    roles.extend(arns.iter().map(|arn| Value::from(arn.as_str())));
    let mut known = Vec::new();
    roles.retain(|role| {
        !known.contains(role) && {
            known.push(role.clone());
            true
        }
    });
    let mut body = json!({"backend_roles": roles, "hosts": list("hosts"), "users": list("users")});
    if let (Some(both), Some(body)) = (found.get("and_backend_roles"), body.as_object_mut()) {
        body.insert("and_backend_roles".to_owned(), both.clone());
    }
    body
}

/// All roles are one document, which somebody else may have written meanwhile: that is answered with 409.
async fn put(client: &Client, path: &str, body: &Value) -> Result<(), RefusedPut> {
    let answer = client.json(Method::Put, path, Some(body)).await?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(refused(path, status, &answer.json().unwrap_or_default())),
    }
}

fn refused(path: &str, status: u16, body: &Value) -> RefusedPut {
    let reason = ["/error/reason", "/message", "/Message"].iter().find_map(|path| body.pointer(path)?.as_str());
    RefusedPut::Refused { path: path.to_owned(), status, reason: reason.unwrap_or("no reason was given").to_owned() }
}

// === impl RefusedPut ===

impl RefusedPut {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            RefusedPut::Client(error) => error.hint(),
            RefusedPut::Refused { status: 401 | 403, .. } => {
                "the role of the function that sets up must administer the domain (MasterUserARN), and its access policy must let the role reach _plugins/_security"
            }
            RefusedPut::Refused { .. } => "it is tried again; look at the domain's health",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_are_added_once_and_nobody_is_taken_out() {
        let found = json!({"backend_roles": ["arn:a"], "users": ["u"], "hosts": [], "reserved": false, "and_backend_roles": ["x"]});
        let found = found.as_object().cloned().unwrap_or_default();
        let body = with(&found, &["arn:b".to_owned(), "arn:a".to_owned()]);
        let expected =
            json!({"backend_roles": ["arn:a", "arn:b"], "users": ["u"], "hosts": [], "and_backend_roles": ["x"]});
        assert_eq!(body, expected);
        assert_eq!(with(&Map::new(), &["arn:b".to_owned()])["backend_roles"], json!(["arn:b"]));
    }
}

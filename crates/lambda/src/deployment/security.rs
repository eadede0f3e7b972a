//! Roles and their mappings, in the security plugin of OpenSearch.

use opensearch::http::Method;
use serde_json::{Map, Value, json};
use streamdex_config::{Auth, Config, SigV4Service};
use streamdex_sink::access::{FineGrained, RoleMapping, Work, fine_grained, searcher};
use streamdex_sink::index::{SetupErrorKind, refusal};
use streamdex_sink::{Answer, Client, SetupError};

use super::people::People;

/// What whoever administers OpenSearch has; the second one is Amazon OpenSearch Service's own.
const OF_ADMINISTRATORS: [&str; 2] = ["all_access", "security_manager"];
const MAPPINGS: &str = "_plugins/_security/api/rolesmapping";

/// Puts the roles of those who write and search, in place of what has these names, and adds those who administer. Whoever
/// writes does not administer. A collection of OpenSearch Serverless has data access policies instead.
pub(super) async fn put_roles(client: &Client, config: &Config, people: &People) -> Result<(), SetupError> {
    if matches!(config.opensearch.auth, Auth::None | Auth::SigV4 { service: SigV4Service::Aoss, .. }) {
        return Ok(());
    }
    for role in OF_ADMINISTRATORS {
        change(client, role, people).await?;
    }
    let writers = RoleMapping::of_roles(people.writers.clone());
    let searchers = RoleMapping::of_roles(people.searchers.clone());
    for FineGrained { role, role_mapping } in [fine_grained(config, Work::Lambda, writers), searcher(config, searchers)]
    {
        put(client, &role.path, &json!(role.body)).await?;
        // Nobody is said too: a mapping without anything in it is refused.
        put(client, &role_mapping.path, &json!({"backend_roles": role_mapping.body.backend_roles})).await?;
    }
    Ok(())
}

/// Changes who administers, where that is another set than before.
async fn change(client: &Client, role: &str, people: &People) -> Result<(), SetupError> {
    let path = format!("{MAPPINGS}/{role}");
    let answer = client.json(Method::Get, &path, None).await?;
    let body: Value = answer.json().unwrap_or_default();
    let found = match (answer.status, body.get(role).and_then(Value::as_object)) {
        (200, Some(found)) => found.clone(),
        (404, _) => Map::new(),
        _ => return Err(refusal(&answer, format!("list the members of the role {role}"))),
    };
    let Some(changed) = changed(&found, people) else { return Ok(()) };
    let answer = client.json(Method::Put, &path, Some(&changed)).await?;
    match answer.status {
        // There is no such role.
        404 => Ok(()),
        _ => done(&answer, &path),
    }
}

/// The mapping with those who administer and without those who write; `None` where it is so already.
fn changed(found: &Map<String, Value>, people: &People) -> Option<Value> {
    let list = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let before = list("backend_roles");
    let is_writer =
        |role: &&Value| role.as_str().is_some_and(|role| people.writers.iter().any(|writer| writer == role));
    let mut roles: Vec<Value> = before.iter().filter(|role| !is_writer(role)).cloned().collect();
    for administrator in &people.administrators {
        if !roles.iter().any(|role| role == administrator.as_str()) {
            roles.push(administrator.as_str().into());
        }
    }
    if roles == before {
        return None;
    }
    let mut body = json!({"backend_roles": roles, "hosts": list("hosts"), "users": list("users")});
    if let (Some(both), Some(body)) = (found.get("and_backend_roles"), body.as_object_mut()) {
        body.insert("and_backend_roles".to_owned(), both.clone());
    }
    Some(body)
}

/// All roles are one document, which somebody else may have written meanwhile: that is answered with 409.
async fn put(client: &Client, path: &str, body: &Value) -> Result<(), SetupError> {
    done(&client.json(Method::Put, path, Some(body)).await?, path)
}

fn done(answer: &Answer, path: &str) -> Result<(), SetupError> {
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(refusal(answer, format!("put {path}"))) }
}

/// Whether it may be done later without a change. A new domain does not know its administrator at first, and somebody else may
/// write the roles at the same time.
pub(super) fn passes(error: &SetupError) -> bool {
    matches!(error.kind(), SetupErrorKind::Transient | SetupErrorKind::Credentials)
        || matches!(error, SetupError::Refused { status: 404 | 409, .. })
}

/// What to do about it.
pub(super) fn hint(error: &SetupError) -> &'static str {
    match error {
        SetupError::Refused { status: 401 | 403, .. } => {
            "the role of the function that sets up must administer the domain (MasterUserARN), and its access policy must let the role reach _plugins/_security"
        }
        SetupError::Refused { .. } => "trying again; check the domain's health",
        error => error.hint(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "code of tests")]
mod tests {
    use super::*;

    #[test]
    fn administrators_are_added_once_and_writers_are_none() {
        let people = People {
            writers: vec!["arn:w".to_owned()],
            administrators: vec!["arn:b".to_owned(), "arn:a".to_owned()],
            ..People::default()
        };
        let found = json!({
            "backend_roles": ["arn:a", "arn:w"], "users": ["u"], "hosts": [], "reserved": false, "and_backend_roles": ["x"]
        });
        let body = changed(found.as_object().unwrap(), &people).unwrap();
        let expected =
            json!({"backend_roles": ["arn:a", "arn:b"], "users": ["u"], "hosts": [], "and_backend_roles": ["x"]});
        assert_eq!(body, expected);
        assert_eq!(changed(body.as_object().unwrap(), &people), None);
        assert_eq!(changed(&Map::new(), &people).unwrap()["backend_roles"], json!(["arn:b", "arn:a"]));
    }
}

//! A lab whose program has a user and a role on the secured node.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::engines::SecuredNode;
use streamdex_testkit::report::{dynamodb_local, needs};
use tempfile::TempDir;

use crate::lab::{CONFIG, Lab, Node};

/// The configuration of who may do everything.
pub(crate) const ADMINISTRATOR: &str = "administrator.toml";
/// Good enough for the plugin, which measures it.
pub(crate) const PASSWORD: &str = "Kiel-Cork-Turku-1859";
const SECURITY: &str = "_plugins/_security/api";

pub(crate) struct Secured {
    pub(crate) lab: Lab,
    /// The name of the program's user.
    pub(crate) user: String,
    ca_file: PathBuf,
    _administrator: TempDir,
}

/// What `iam-policy --opensearch` prints.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) role: Value,
    role_path: String,
    mapping: Value,
    mapping_path: String,
}

/// One permission of a role: `/cluster_permissions/0`.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    pub(crate) name: String,
    list: String,
    place: usize,
}

impl Secured {
    /// `None` where an engine is missing.
    pub(crate) async fn new() -> Option<Secured> {
        let dynamodb = dynamodb_local().await?;
        let node = needs(SecuredNode::LABEL, SecuredNode::shared().await)?;
        let administrator = tempfile::tempdir().unwrap();
        let password = administrator.path().join("password");
        std::fs::write(&password, SecuredNode::PASSWORD).unwrap();
        let of_administrator = signed_in(&node.ca_file(), SecuredNode::ADMINISTRATOR, &password);
        let client = Node::with(&node.url(), &of_administrator).await;
        let lab = Lab::on(&dynamodb.endpoint_url(), client, StreamViewType::NewAndOldImages).await;
        lab.configure(&node.url(), &of_administrator, "");
        lab.write_file(ADMINISTRATOR, &lab.read_file(CONFIG));
        let user = format!("{}-writer", lab.index);
        let secured = Secured { user, ca_file: node.ca_file(), lab, _administrator: administrator };
        secured.lab.write_file("password", PASSWORD);
        let own = signed_in(&secured.ca_file, &secured.user, Path::new("password"));
        secured.lab.configure(&node.url(), &own, "");
        secured.make_user(&secured.user, json!({"password": PASSWORD})).await;
        Some(secured)
    }

    /// Makes a user of OpenSearch's own.
    pub(crate) async fn make_user(&self, name: &str, user: Value) {
        self.put(&format!("{SECURITY}/internalusers/{name}"), user).await;
    }

    /// Lines of `[opensearch]` with which this user signs in.
    pub(crate) fn signed_in_as(&self, user: &str) -> String {
        signed_in(&self.ca_file, user, &self.lab.folder.path().join("password"))
    }

    /// What this purpose is to be allowed.
    pub(crate) async fn printed(&self, purpose: &str) -> Access {
        let printed = self.lab.end(&["iam-policy", "--for", purpose, "--opensearch"]).await;
        assert_eq!(printed.status, 0, "{}", printed.stderr);
        let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
        let path = |part: &str| printed[part]["path"].as_str().unwrap().to_owned();
        Access {
            role: printed["role"]["body"].clone(),
            role_path: path("role"),
            mapping: printed["role_mapping"]["body"].clone(),
            mapping_path: path("role_mapping"),
        }
    }

    /// Puts role and mapping in place of what is there, under names that no other test uses.
    pub(crate) async fn allow(&self, access: &Access) {
        let own = |path: &str| format!("{path}-{}", self.user);
        self.put(&own(&access.role_path), access.role.clone()).await;
        self.put(&own(&access.mapping_path), access.mapping.clone()).await;
    }

    /// All users are one document, and so are all roles: another test may write it at the same time.
    async fn put(&self, path: &str, body: Value) {
        let (mut status, mut answer) = (409, Value::Null);
        while status == 409 {
            (status, answer) = self.lab.send(Method::Put, path, body.clone()).await;
        }
        assert!([200, 201].contains(&status), "{path}: {status} {answer}");
    }
}

impl Access {
    /// Each permission that it gives.
    pub(crate) fn permissions(&self) -> Vec<Permission> {
        let mut lists = vec!["/cluster_permissions".to_owned()];
        let of_indices = self.role["index_permissions"].as_array().unwrap().len();
        lists.extend((0..of_indices).map(|place| format!("/index_permissions/{place}/allowed_actions")));
        let mut permissions = Vec::new();
        for list in lists {
            for (place, name) in self.role.pointer(&list).unwrap().as_array().unwrap().iter().enumerate() {
                permissions.push(Permission { name: name.as_str().unwrap().to_owned(), list: list.clone(), place });
            }
        }
        permissions
    }

    /// Without one of them.
    pub(crate) fn without(&self, permission: &Permission) -> Access {
        let mut access = self.clone();
        access.role.pointer_mut(&permission.list).unwrap().as_array_mut().unwrap().remove(permission.place);
        access
    }
}

fn signed_in(ca: &Path, user: &str, password: &Path) -> String {
    format!(
        "ca_file = \"{}\"\nauth = {{ kind = \"basic\", username = \"{user}\", password_file = \"{}\" }}",
        ca.display(),
        password.display()
    )
}

//! The route that labs configure.

/// The route of all session items into `index`. It ends inside `[index.…]`, so that more of its keys can follow.
pub(crate) fn route(index: &str) -> String {
    format!(
        r#"[[route]]
index = "{index}"
id = ["user_id", "session_id"]
ttl = {{ attribute = "expires_at" }}
[index."{index}"]"#
    )
}

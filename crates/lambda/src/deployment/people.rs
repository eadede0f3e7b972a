//! The members of each role.

/// Who is to have which role in OpenSearch, by ARNs of IAM roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    pub(super) writers: Vec<String>,
    pub(super) searchers: Vec<String>,
    pub(super) administrators: Vec<String>,
}

// === impl People ===

impl People {
    /// From the function's environment; each variable holds ARNs with commas between them, or nothing.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> People {
        let list = |name: &str| {
            let text = env(name).unwrap_or_default();
            text.split(',').map(str::trim).filter(|arn| !arn.is_empty()).map(str::to_owned).collect()
        };
        People {
            writers: list("STREAMDEX_WRITER_ARNS"),
            searchers: list("STREAMDEX_SEARCHER_ARNS"),
            administrators: list("STREAMDEX_ADMINISTRATOR_ARNS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_have_which_role_is_in_the_environment() {
        let env = |name: &str| match name {
            "STREAMDEX_WRITER_ARNS" => Some("arn:a, arn:b".to_owned()),
            "STREAMDEX_SEARCHER_ARNS" => Some(String::new()),
            _ => None,
        };
        let expected = People { writers: vec!["arn:a".into(), "arn:b".into()], ..People::default() };
        assert_eq!(People::from_env(&env), expected);
    }
}

//! `${NAME}` and `${NAME:-default}` inside string values; `$${` is a literal `${`.

/// A text with its variables put in, or the reason why not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// All variables are known (or there were none).
    Text(String),
    /// These names are not set, and have no default.
    Unset(Vec<String>),
    /// A `${` that is no variable.
    Malformed,
}

/// Puts variables into `text`. As in a shell, a default also replaces an empty variable.
pub(crate) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut out = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Expanded::Malformed;
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Expanded::Malformed;
        }
        match (env(name), default) {
            (Some(value), Some(default)) if value.is_empty() => out.push_str(default),
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => unset.push(name.to_owned()),
        }
        rest = after;
    }
    out.push_str(rest);
    if unset.is_empty() { Expanded::Text(out) } else { Expanded::Unset(unset) }
}

fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let env = |name: &str| match name {
            "HOST" => Some("search".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        let rows = [
            ("plain $ text", "plain $ text"),
            ("https://${HOST}:9200", "https://search:9200"),
            ("${HOST}${HOST}", "searchsearch"),
            ("${NONE:-local}", "local"),
            ("${EMPTY:-local}", "local"),
            ("[${EMPTY}]", "[]"),
            ("$${HOST}", "${HOST}"),
            ("a$${b${HOST}", "a${bsearch"),
            ("${NESTED}", "${HOST}"),
            ("${NONE:-}", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(expand(text, &env), Expanded::Text(expected.to_owned()), "{text}");
        }
        assert_eq!(expand("${A}${HOST}${B}", &env), Expanded::Unset(vec!["A".into(), "B".into()]));
        for malformed in ["${", "${}", "${1A}", "${A-b}", "${A B}"] {
            assert_eq!(expand(malformed, &env), Expanded::Malformed, "{malformed}");
        }
    }
}

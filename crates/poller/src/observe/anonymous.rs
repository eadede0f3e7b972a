//! Texts without account ids and principals, for answers that need no sign-in.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::Regex;

/// What is cut, and what stays of it.
///
/// Forms: [ARNs](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html), [unique
/// ids](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html), and `User.toString` of OpenSearch's
/// security plugin.
const CUTS: [(&str, &str); 4] = [
    // roles, users and sessions
    (r#"(arn:[a-z0-9-]+:(?:iam|sts):)[^\s"'\\\])>]*"#, "${1}…"),
    // the user of OpenSearch, with its roles
    (r#"(\bUser \[)(?:[^\[\]"\\]|\[[^\[\]"\\]*\])*\]"#, "${1}…]"),
    // ids of access keys, roles and users
    (r"\b(A(?:KI|SI|RO|ID)A)[A-Z0-9]{12,}\b", "${1}…"),
    // an account; as part of a name it is some other number
    (r#"(^|[\s:/('"=\[])[0-9]{12}($|[\s:/)'",;\]])"#, "${1}…${2}"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| CUTS.iter().filter_map(|(pattern, kept)| Some((Regex::new(pattern).ok()?, *kept))).collect());

/// The same text without the ids of AWS accounts and access keys, without the names of IAM roles, users and sessions, and
/// without the user whom OpenSearch's security plugin names. Actions, tables, indices and hosts stay. The log has the whole text.
pub fn anonymous(text: &str) -> Cow<'_, str> {
    PATTERNS.iter().fold(Cow::Borrowed(text), |text, (pattern, kept)| match pattern.is_match(&text) {
        true => Cow::Owned(pattern.replace_all(&text, *kept).into_owned()),
        false => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), CUTS.len());
    }

    /// One row per line: texts of AWS and of OpenSearch, and what is shown of them.
    #[test]
    fn accounts_and_principals_are_cut_and_the_rest_stays() {
        let rows = [
            (
                "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/indexer/i-0abc is not authorized to \
                 perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:123456789012:table/state because no \
                 identity-based policy allows the dynamodb:PutItem action",
                "AccessDeniedException: User: arn:aws:sts:… is not authorized to \
                 perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:…:table/state because no \
                 identity-based policy allows the dynamodb:PutItem action",
            ),
            ("(arn:aws-cn:iam::123456789012:role/a/b@c=d,e+f)", "(arn:aws-cn:iam:…)"),
            (
                "no permissions for [indices:data/write/bulk] and User [name=arn:aws:iam::123456789012:role/indexer, \
                 backend_roles=[arn:aws:iam::123456789012:role/indexer], requestedTenant=null]",
                "no permissions for [indices:data/write/bulk] and User […]",
            ),
            (
                "no permissions for [] and User [name=alice, backend_roles=[], requestedTenant=null]: x",
                "no permissions for [] and User […]: x",
            ),
            ("account 123456789012 is not active", "account … is not active"),
            (
                "the key ASIAIOSFODNN7EXAMPLE of AROADBQP57FF2AEXAMPLE:s is not known",
                "the key ASIA… of AROA…:s is not known",
            ),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:search-AbCdEf cannot be read",
                "arn:aws:secretsmanager:eu-west-1:…:secret:search-AbCdEf cannot be read",
            ),
            // No account: an index of a tenant, a shard, a sequence number, a host, a time.
            ("index orders-123456789012: paused", "index orders-123456789012: paused"),
            ("shardId-00000001764412345678-abcdef12", "shardId-00000001764412345678-abcdef12"),
            ("after 1234567890123", "after 1234567890123"),
            (
                "search-123456789012.eu-west-1.es.amazonaws.com:443",
                "search-123456789012.eu-west-1.es.amazonaws.com:443",
            ),
            ("OpenSearch did not answer within 10 s", "OpenSearch did not answer within 10 s"),
        ];
        for (text, expected) in rows {
            assert_eq!(anonymous(text), expected, "{text}");
        }
    }
}

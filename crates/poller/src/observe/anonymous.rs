//! Texts without account ids and principals, for answers that need no sign-in.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::Regex;

/// What is cut, and what stays of it, in this order.
///
/// Forms: [ARNs](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html), [unique
/// ids](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html), and `User.toString` and other texts of
/// OpenSearch's security plugin.
const CUTS: [(&str, &str); 8] = [
    // roles, users, sessions and the organization
    (r#"(arn:[a-z0-9-]+:(?:iam|sts|organizations):)[^\s"'\\\])>]*"#, "${1}…"),
    (r#"(arn%3A)[^\s"'\\\])>]*"#, "${1}…"),
    // the account of any other ARN, cut off or not
    (r"(arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:)[0-9]+", "${1}…"),
    // the user of OpenSearch with its roles: to the end of the text where that end is not there
    (r"(\bUser \[)(?s:.*?)requestedTenant=[^\]]*\]", "${1}…]"),
    (r"(\bUser \[)[^…](?s:.*)", "${1}…"),
    (r"(\b(?:[Uu]sers?|[Rr]oles?) \[)[^…\]][^\]]*", "${1}…"),
    (r#"(\buser than )"[^"]*""#, "${1}…"),
    // ids of access keys, roles and users, with a session
    (
        r"(\b|_)(A(?:3T[A-Z0-9]|KIA|SIA|ROA|IDA|GPA|IPA|NPA|NVA|BIA|CCA|PKA|SCA))[A-Z0-9]{12,}(?::[\w+=,.@-]+)?",
        "${1}${2}…",
    ),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| CUTS.iter().filter_map(|(pattern, kept)| Some((Regex::new(pattern).ok()?, *kept))).collect());

/// The same text without the ids of AWS accounts and access keys, without the names of IAM roles, users and sessions, and
/// without the user that OpenSearch's security plugin names. Actions, tables, indices and hosts stay. The log has the
/// whole text. A name in another form can stay.
pub fn anonymous(text: &str) -> Cow<'_, str> {
    let text = PATTERNS.iter().fold(Cow::Borrowed(text), |text, (pattern, kept)| {
        let cut = match pattern.replace_all(&text, *kept) {
            Cow::Owned(cut) => Some(cut),
            Cow::Borrowed(_) => None,
        };
        cut.map_or(text, Cow::Owned)
    });
    without_accounts(&text).map_or(text, Cow::Owned)
}

/// The text without numbers of 12 digits that stand alone; `None` where there is none. As part of a name such a number
/// is something else.
fn without_accounts(text: &str) -> Option<String> {
    const DIGITS: usize = 12;
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let (mut cut, mut rest, mut before) = (String::new(), text, None);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (head, tail) = rest.split_at(start);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, after) = tail.split_at(end);
        let mut following = after.chars();
        let next = following.next();
        // A host goes on after its dot, a sentence does not.
        let goes_on = next == Some('.') && following.next().is_some_and(is_of_name);
        let is_account = number.len() == DIGITS
            && !head.chars().next_back().or(before).is_some_and(|c| is_of_name(c) || c == '.')
            && !next.is_some_and(is_of_name)
            && !goes_on;
        cut += head;
        cut += if is_account { "…" } else { number };
        before = number.chars().next_back();
        rest = after;
    }
    cut += rest;
    (cut != text).then_some(cut)
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
            // Names of a directory, and texts that were cut off.
            (
                r"no permissions for [] and User [name=CORP\alice, backend_roles=[all, [ops]], requestedTenant=null] here",
                "no permissions for [] and User […] here",
            ),
            ("User [name=streamdex, backend_roles=[arn:aws:iam::123456789012:role/indexer, own_ind", "User […"),
            (
                "no permissions for [x] and associated roles [own_index, writer]",
                "no permissions for [x] and associated roles […]",
            ),
            (
                "is unauthorized for user [alice] with roles [admin,writer]",
                "is unauthorized for user […] with roles […]",
            ),
            (
                r#"the password of a different user than "alice" in opensearch.auth"#,
                "the password of a different user than … in opensearch.auth",
            ),
            ("arn:aws:kms:eu-west-1:1234567890", "arn:aws:kms:eu-west-1:…"),
            (
                "in arn:aws:organizations::123456789012:policy/o-a1/service_control_policy/p-b2 x",
                "in arn:aws:organizations:… x",
            ),
            ("accounts 123456789012,210987654321 and 123456789012.", "accounts …,… and …."),
            ("`123456789012` <AccountId>123456789012</AccountId>", "`…` <AccountId>…</AccountId>"),
            ("AROADBQP57FF2AEXAMPLE:jane@corp.example is not known", "AROA… is not known"),
            ("account 123456789012 is not active", "account … is not active"),
            (
                "the key ASIAIOSFODNN7EXAMPLE of AROADBQP57FF2AEXAMPLE:s is not known",
                "the key ASIA… of AROA… is not known",
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

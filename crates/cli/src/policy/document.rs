//! An IAM policy document.

use std::collections::BTreeMap;

use serde::Serialize;

/// A policy, as `aws iam put-role-policy` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyDocument {
    version: &'static str,
    pub(crate) statement: Vec<Statement>,
}

/// What must hold besides: operator, key, values.
type Conditions = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

/// Actions on resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: String,
    effect: &'static str,
    pub(crate) action: Vec<String>,
    pub(crate) resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Conditions,
}

// === impl PolicyDocument ===

impl Default for PolicyDocument {
    /// Nothing.
    fn default() -> PolicyDocument {
        PolicyDocument { version: "2012-10-17", statement: Vec::new() }
    }
}

impl PolicyDocument {
    /// Adds a statement: its resources to one that says the same of others, else as a new one. Sids are unique.
    pub(crate) fn add(&mut self, mut statement: Statement) {
        let base = statement.sid.clone();
        let same = |other: &&mut Statement| {
            other.is(&base)
                && other.effect == statement.effect
                && other.action == statement.action
                && other.condition == statement.condition
        };
        if let Some(known) = self.statement.iter_mut().find(same) {
            let new = statement.resource.into_iter().filter(|resource| !known.resource.contains(resource));
            known.resource.extend(new.collect::<Vec<_>>());
            return;
        }
        match self.statement.iter().filter(|other| other.is(&base)).count() {
            0 => {}
            others => statement.sid = format!("{base}{}", others + 1),
        }
        self.statement.push(statement);
    }
}

// === impl Statement ===

impl Statement {
    /// Allows `actions` on one resource.
    pub(crate) fn new(sid: &str, actions: &[&str], resource: impl Into<String>) -> Statement {
        Statement {
            sid: sid.to_owned(),
            effect: "Allow",
            action: actions.iter().map(|action| (*action).to_owned()).collect(),
            resource: vec![resource.into()],
            condition: Conditions::new(),
        }
    }

    /// Whether it is of this name, number aside.
    pub(crate) fn is(&self, sid: &str) -> bool {
        self.sid.trim_end_matches(|digit: char| digit.is_ascii_digit()) == sid
    }

    /// The same actions, forbidden.
    pub(crate) fn denied(self) -> Statement {
        Statement { effect: "Deny", ..self }
    }

    /// On these resources too.
    pub(crate) fn and_on(mut self, resources: impl IntoIterator<Item = String>) -> Statement {
        self.resource.extend(resources);
        self
    }

    /// Only where the request's `key` is one of `values`.
    pub(crate) fn when(
        mut self,
        operator: &'static str,
        key: &'static str,
        values: impl IntoIterator<Item = String>,
    ) -> Statement {
        self.condition.entry(operator).or_default().entry(key).or_default().extend(values);
        self
    }

    /// Only in this account: whoever makes a bucket of a name that is free again gets nothing.
    pub(crate) fn in_account(self, account: &str) -> Statement {
        self.when("StringEquals", "s3:ResourceAccount", [account.to_owned()])
    }

    /// Only by way of this service, as `dynamodb.eu-west-1.amazonaws.com`: a key is of no use to the credentials
    /// themselves.
    pub(crate) fn via(self, service: String) -> Statement {
        self.when("StringEquals", "kms:ViaService", [service])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_statements_are_one_and_sids_are_unique() {
        let mut document = PolicyDocument::default();
        document.add(Statement::new("Table", &["a:Read"], "one"));
        document.add(Statement::new("Table", &["a:Read"], "two"));
        document.add(Statement::new("Table", &["a:Read"], "two"));
        document.add(Statement::new("Table", &["a:Write"], "one"));
        document.add(Statement::new("Table", &["a:Write"], "three"));
        let short: Vec<(String, Vec<String>)> =
            document.statement.into_iter().map(|statement| (statement.sid, statement.resource)).collect();
        let expected = [("Table", vec!["one", "two"]), ("Table2", vec!["one", "three"])];
        assert_eq!(short, expected.map(|(sid, list)| (sid.to_owned(), list.into_iter().map(str::to_owned).collect())));
    }
}

//! The text of conditions and changes, as DynamoDB reads it. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::of_number;
use super::keys::FORMAT;
use super::operation::{Action, Condition, Operation};

/// The expressions of one operation, with the names and values that they refer to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expression {
    pub(super) condition: Option<String>,
    pub(super) update: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

/// Every name is replaced, since many words are reserved.
#[derive(Default)]
struct Places {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

// === impl Expression ===

impl Expression {
    pub(super) fn of(operation: &Operation) -> Expression {
        let mut places = Places::default();
        let conditions: Vec<String> =
            operation.conditions.iter().map(|condition| text_of(condition, &mut places)).collect();
        let update = match &operation.action {
            Action::Update { set, remove } => {
                let mut names: Vec<&String> = set.keys().collect();
                names.sort();
                let mut set_to: Vec<String> = Vec::new();
                for name in names {
                    if let Some(value) = set.get(name) {
                        set_to.push(format!("{} = {}", places.name(name), places.value(value.clone())));
                    }
                }
                set_to.push(format!("{} = {}", places.name("v"), places.value(of_number(FORMAT))));
                let removed: Vec<String> = remove.iter().map(|name| places.name(name)).collect();
                let tail = if removed.is_empty() { String::new() } else { format!(" REMOVE {}", removed.join(", ")) };
                Some(format!("SET {}{tail}", set_to.join(", ")))
            }
            Action::Check | Action::Put(_) | Action::Delete => None,
        };
        Expression {
            condition: (!conditions.is_empty()).then(|| conditions.join(" AND ")),
            update,
            names: (!places.names.is_empty()).then_some(places.names),
            values: (!places.values.is_empty()).then_some(places.values),
        }
    }
}

fn text_of(condition: &Condition, places: &mut Places) -> String {
    match condition {
        Condition::Exists => format!("attribute_exists({})", places.name("pk")),
        Condition::Missing => format!("attribute_not_exists({})", places.name("pk")),
        Condition::Is(name, value) => format!("{} = {}", places.name(name), places.value(value.clone())),
        Condition::Lacks(name) => format!("attribute_not_exists({})", places.name(name)),
        Condition::Below(name, value) => {
            let name = places.name(name);
            format!("(attribute_not_exists({name}) OR {name} < {})", places.value(value.clone()))
        }
    }
}

// === impl Places ===

impl Places {
    fn name(&mut self, name: &str) -> String {
        let place = format!("#{name}");
        self.names.insert(place.clone(), name.to_owned());
        place
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let place = format!(":{}", self.values.len());
        self.values.insert(place.clone(), value);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Item;

    fn operation(conditions: Vec<Condition>, action: Action) -> Operation {
        Operation { sort_key: "s".to_owned(), conditions, action }
    }

    #[test]
    fn conditions_and_changes_have_their_text() {
        let set = Item::from([("b".to_owned(), of_number(2)), ("a".to_owned(), of_number(1))]);
        let conditions = vec![Condition::Exists, Condition::Lacks("owner"), Condition::Below("term", of_number(3))];
        let update = Action::Update { set, remove: vec!["swept"] };
        let expression = Expression::of(&operation(conditions, update));
        assert_eq!(
            expression.condition.as_deref(),
            Some(
                "attribute_exists(#pk) AND attribute_not_exists(#owner) AND (attribute_not_exists(#term) OR #term < :0)"
            )
        );
        assert_eq!(expression.update.as_deref(), Some("SET #a = :1, #b = :2, #v = :3 REMOVE #swept"));
        assert_eq!(expression.values.as_ref().and_then(|values| values.get(":0")), Some(&of_number(3)));
        assert_eq!(expression.names.as_ref().and_then(|names| names.get("#term")).map(String::as_str), Some("term"));
        assert_eq!(Expression::of(&operation(Vec::new(), Action::Delete)), Expression::default());
    }
}

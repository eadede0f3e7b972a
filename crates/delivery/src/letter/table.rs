//! Dead letters in the state table.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Number, Value};
use streamdex_dynamodb::Call;
use streamdex_dynamodb::state::{
    Action, Answer, Condition, Item, Operation, Partition, StatePartition, StateTable, check_format,
};

use crate::letter::{DeadLetter, DeadLetterStore, FORMAT, LetterError, LetterKey, LetterPage};

const PUTS_AT_ONCE: usize = 8;
const LETTERS_A_PAGE: i32 = 500;

/// Dead letters of one group in the state table.
#[derive(Debug, Clone)]
pub struct TableLetters {
    table: StateTable,
    partition: String,
}

// === impl TableLetters ===

impl TableLetters {
    /// The letters of `table`'s group.
    pub fn new(table: StateTable) -> TableLetters {
        let partition = Partition::Letters { group: table.group() }.key();
        TableLetters { table, partition }
    }

    fn key(&self, key: &LetterKey) -> Item {
        Item::from([
            ("pk".to_owned(), AttributeValue::S(self.partition.clone())),
            ("sk".to_owned(), AttributeValue::S(key.to_string())),
        ])
    }

    async fn put_one(&self, letter: &DeadLetter) -> Result<(), LetterError> {
        let mut item = to_item(letter).ok_or_else(|| LetterError::Unstorable(letter.key.clone()))?;
        item.extend(self.key(&letter.key));
        Ok(self.table.put(item).await?)
    }
}

#[async_trait]
impl DeadLetterStore for TableLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        let puts: Vec<_> = letters.iter().map(|letter| self.put_one(letter)).collect();
        stream::iter(puts).buffer_unordered(PUTS_AT_ONCE).try_collect().await
    }

    async fn list(&self, after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        let of_call = Call::of("Query");
        let call = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .consistent_read(true)
            .limit(LETTERS_A_PAGE)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(self.partition.clone()))
            .set_exclusive_start_key(after.map(|key| self.key(key)))
            .customize()
            .interceptor(of_call.clone())
            .send();
        let answer = Box::pin(call).await.map_err(|error| self.table.failed(of_call.failed(&error)))?;
        let items = answer.items.as_ref().ok_or_else(|| self.table.failed(of_call.lacks("Items")))?;
        let mut page = LetterPage::default();
        for item in items {
            let sort_key = item.get("sk").and_then(|key| key.as_s().ok()).map(String::as_str).unwrap_or_default();
            check_format(item, sort_key)?;
            match from_item(item) {
                Some(letter) => page.letters.push(letter),
                None => page.malformed.push(sort_key.to_owned()),
            }
        }
        let last = answer.last_evaluated_key().and_then(|key| key.get("sk")).and_then(|key| key.as_s().ok());
        page.next = last.and_then(|key| LetterKey::parse(key));
        Ok(page)
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError> {
        let partition = StatePartition::new(self.table.clone(), self.partition.clone());
        let sort_key = letter.key.to_string();
        let delete = Operation { sort_key, conditions: unchanged(letter), action: Action::Delete };
        Ok(matches!(partition.write(&[delete]).await?.answer, Answer::Stored))
    }

    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        let Some(item) = self.table.get(self.key(key)).await? else { return Ok(None) };
        check_format(&item, &key.to_string())?;
        Ok(from_item(&item))
    }
}

/// The condition that the letter is still the one that was read. Each refusal writes all of these.
fn unchanged(letter: &DeadLetter) -> Vec<Condition> {
    let number = |number: u64| AttributeValue::N(number.to_string());
    let version = match letter.version {
        Some(version) => Condition::Is("version", number(version)),
        None => Condition::Lacks("version"),
    };
    vec![
        Condition::Is("at", number(letter.at)),
        Condition::Is("reason", AttributeValue::S(letter.reason.clone())),
        Condition::Is("error", AttributeValue::S(letter.error.clone())),
        version,
    ]
}

/// A letter is flat, so its JSON members are the item's attributes.
fn to_item(letter: &DeadLetter) -> Option<Item> {
    let Value::Object(members) = serde_json::to_value(DeadLetter { format: FORMAT, ..letter.clone() }).ok()? else {
        return None;
    };
    let attribute = |(name, value): (String, Value)| {
        let value = match value {
            Value::String(text) => AttributeValue::S(text),
            Value::Number(number) => AttributeValue::N(number.to_string()),
            Value::Bool(value) => AttributeValue::Bool(value),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name, value))
    };
    members.into_iter().map(attribute).collect()
}

fn from_item(item: &Item) -> Option<DeadLetter> {
    let mut members = Map::with_capacity(item.len());
    for (name, value) in item {
        let value = match value {
            AttributeValue::S(text) => Value::String(text.clone()),
            AttributeValue::N(digits) => Value::Number(Number::from(digits.parse::<u64>().ok()?)),
            AttributeValue::Bool(value) => Value::Bool(*value),
            _ => continue,
        };
        members.insert(name.clone(), value);
    }
    serde_json::from_value(Value::Object(members)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::sample;

    #[test]
    fn letters_survive_the_table() {
        for letter in [
            sample("1", 0).with_document(b"{}"),
            DeadLetter { address: None, keys: None, version: None, ..sample("2", 1) },
        ] {
            let mut item = to_item(&letter).unwrap();
            item.insert("pk".to_owned(), AttributeValue::S("letters|default".into()));
            item.insert("later".to_owned(), AttributeValue::Ss(vec!["x".into()]));
            assert_eq!(from_item(&item), Some(letter));
        }
        assert_eq!(from_item(&Item::new()), None);
    }

    #[test]
    fn b4_a_letter_that_was_written_again_is_not_removed() {
        let holds = |read: &DeadLetter, found: &DeadLetter| {
            let delete = Operation { sort_key: "s".into(), conditions: unchanged(read), action: Action::Delete };
            delete.holds(to_item(found).as_ref())
        };
        let letter = sample("1", 0);
        assert!(holds(&letter, &letter));
        for changed in [
            DeadLetter { at: letter.at + 1, ..letter.clone() },
            DeadLetter { version: None, ..letter.clone() },
            DeadLetter { error: "another".into(), ..letter.clone() },
            DeadLetter { reason: "another".into(), ..letter.clone() },
        ] {
            assert!(!holds(&letter, &changed) && !holds(&changed, &letter), "{changed:?}");
        }
    }
}

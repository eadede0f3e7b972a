//! The items of the shop: pure.
//!
//! ```text
//! pk            sk                    what
//! CUSTOMER#c7   PROFILE               a customer
//! CUSTOMER#c7   ORDER#o29             an order
//! CUSTOMER#c7   ORDER#o29#LINE#1      a line of it
//! ```

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item of the table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Four orders a customer.
const ORDERS_EACH: u32 = 4;
const CITIES: [&str; 5] = ["Cork", "Turku", "Ghent", "Porto", "Graz"];
const NAMES: [&str; 6] = ["Aino Laine", "Sean Walsh", "Lotte Peeters", "Rui Sousa", "Eva Gruber", "Mia Korhonen"];
const GOODS: [&str; 6] = ["teapot", "lantern", "wool blanket", "garden shears", "atlas", "oak stool"];
const STATES: [&str; 3] = ["open", "paid", "shipped"];
/// 1 January 2026.
const BEGINS: u32 = 1_767_225_600;

/// All items of a shop with so many orders. One order in the middle has a gift that is a number and a map: no field takes both.
/// One item is of no kind that the shop knows.
pub(crate) fn items(orders: u32) -> impl Iterator<Item = Item> {
    let odd = [item("BASKET#b1", "BASKET#b1", [("items", AttributeValue::L(vec![text("teapot")]))])];
    (0..orders).flat_map(move |order| of_order(order, orders / 2)).chain(odd)
}

fn of_order(order: u32, odd: u32) -> Vec<Item> {
    let customer = order / ORDERS_EACH;
    let pk = format!("CUSTOMER#c{customer}");
    let mut items = Vec::new();
    if order.is_multiple_of(ORDERS_EACH) {
        let address = [("street", format!("{} Main Street", customer % 90 + 1)), ("city", pick(&CITIES, customer))];
        items.push(item(
            &pk,
            "PROFILE",
            [
                ("name", text(pick(&NAMES, customer / 3))),
                ("email", text(format!("c{customer}@example.com"))),
                ("since", text(format!("2025-{:02}-{:02}", customer % 12 + 1, customer % 28 + 1))),
                ("address", map(address.map(|(name, value)| (name, text(value))))),
                ("password_hash", text(format!("$argon2id${customer}"))),
            ],
        ));
    }
    let flags = map([(&*format!("campaign-{order}"), AttributeValue::Bool(true))]);
    items.push(item(
        &pk,
        &format!("ORDER#o{order}"),
        [
            ("status", text(pick(&STATES, order))),
            ("placed_at", number(BEGINS + order * 60)),
            ("total", number(format!("{}.{:02}", order % 300 + 5, order % 100))),
            ("city", text(pick(&CITIES, order))),
            ("flags", flags),
        ],
    ));
    if order == odd
        && let Some(odd) = items.last_mut()
    {
        odd.insert("gift".to_owned(), AttributeValue::L(vec![number(1), map([("wrap", AttributeValue::Bool(true))])]));
    }
    items.push(item(
        &pk,
        &format!("ORDER#o{order}#LINE#1"),
        [
            ("sku", text(format!("SKU-{}", order % 500))),
            ("product", text(pick(&GOODS, order))),
            ("quantity", number(order % 5 + 1)),
        ],
    ));
    items
}

fn item<'a>(pk: &str, sk: &str, attributes: impl IntoIterator<Item = (&'a str, AttributeValue)>) -> Item {
    let key = [("pk", text(pk)), ("sk", text(sk))];
    key.into_iter().chain(attributes).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn pick(of: &[&str], number: u32) -> String {
    let place = usize::try_from(number).unwrap_or_default() % of.len().max(1);
    of.get(place).copied().unwrap_or_default().to_owned()
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn map<'a>(members: impl IntoIterator<Item = (&'a str, AttributeValue)>) -> AttributeValue {
    AttributeValue::M(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_order_has_a_line_and_every_key_is_there_once() {
        let items: Vec<Item> = items(10).collect();
        assert_eq!(items.len(), 3 + 10 + 10 + 1);
        let keys: HashSet<String> = items.iter().map(|item| format!("{:?} {:?}", item["pk"], item["sk"])).collect();
        assert_eq!(keys.len(), items.len());
        assert_eq!(items.iter().filter(|item| item.contains_key("gift")).count(), 1);
    }
}

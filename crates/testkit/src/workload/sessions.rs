//! Items like those of a table of web sessions: every type, about 1 KB each.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;

/// An item; sorted, so that equal seeds give equal text.
pub type Item = BTreeMap<String, AttributeValue>;

/// The partition key's name.
pub const PARTITION_KEY: &str = "user_id";
/// The sort key's name.
pub const SORT_KEY: &str = "session_id";
/// The TTL attribute's name.
pub const TTL: &str = "expires_at";

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "curl/8.7.1",
];
const CITIES: [&str; 6] = ["Dublin", "São Paulo", "東京", "Zürich", "Cork \"city\"", "Reykjavík"];
const DEVICES: [&str; 3] = ["phone", "desktop", "tablet"];
const PAGES: [&str; 5] = ["/", "/cart", "/orders?page=2", "/search?q=caf%C3%A9", "/profile/settings"];

/// A seeded source of items.
#[derive(Debug, Clone)]
pub struct Sessions {
    random: Rng,
    now: u64,
}

impl Sessions {
    /// Items around the time `now`, in seconds since 1970.
    #[must_use]
    pub fn new(seed: u64, now: u64) -> Self {
        Self { random: Rng::with_seed(seed), now }
    }

    /// The key attributes of one of `users` times `sessions` items.
    pub fn key(&mut self, users: u32, sessions: u32) -> Item {
        let user = self.random.u32(0..users);
        let session = self.random.u32(0..sessions);
        Self::key_of(user, session)
    }

    /// The key attributes of session `session` of user `user`.
    #[must_use]
    pub fn key_of(user: u32, session: u32) -> Item {
        Item::from([
            (PARTITION_KEY.to_owned(), string(&format!("user-{user:06}"))),
            (SORT_KEY.to_owned(), string(&format!("s|{session:08x}"))),
        ])
    }

    /// An item under that key, with 10 to 25 attributes; one in twenty is [awkward](Sessions::awkward).
    pub fn item(&mut self, key: Item) -> Item {
        let mut item = key;
        self.add_basics(&mut item);
        self.add_optional(&mut item);
        if self.random.u8(0..20) == 0 {
            self.awkward(&mut item);
        }
        item
    }

    /// Adds what converters stumble over: 38 digits, mixed lists, text for a TTL, empty and nested collections.
    pub fn awkward(&mut self, item: &mut Item) {
        let mut add = |name: &str, value| item.insert(name.to_owned(), value);
        add("balance", number("12345678901234567890123456789012345678"));
        add("tiny", number("0.00000000000000000000000000000000000001"));
        add("ratios", AttributeValue::L(vec![number("1"), number("2.5"), number("-0")]));
        add("nothing", AttributeValue::Null(true));
        add("empty", AttributeValue::M([].into()));
        add("nested", nested(8));
        add("digests", AttributeValue::Bs(vec![Blob::new([0, 255]), Blob::new([1, 2, 3])]));
        match self.random.u8(0..3) {
            0 => drop(item.remove(TTL)),
            1 => drop(item.insert(TTL.to_owned(), string("never"))),
            _ => {}
        }
    }

    /// Changes a few attributes, as a request of the session does.
    pub fn change(&mut self, item: &mut Item) {
        self.add_activity(item);
        if self.random.bool() {
            item.insert("city".to_owned(), string(self.random.choice(CITIES).unwrap()));
        }
    }

    fn add_basics(&mut self, item: &mut Item) {
        let started = self.now - self.random.u64(0..86_400);
        let agent = self.random.choice(AGENTS).unwrap();
        let device = self.random.choice(DEVICES).unwrap();
        let mut add = |name: &str, value| item.insert(name.to_owned(), value);
        add("kind", string("session"));
        add("user_agent", string(agent));
        add("device", string(device));
        add("started_at", number(&started.to_string()));
        add(TTL, number(&(self.now + 86_400).to_string()));
        add("signed_in", AttributeValue::Bool(true));
        add("roles", AttributeValue::Ss(vec!["reader".to_owned(), "buyer".to_owned()]));
        self.add_activity(item);
    }

    fn add_activity(&mut self, item: &mut Item) {
        let seen = self.now + self.random.u64(0..3_600);
        let requests = self.random.u32(1..5_000);
        let cart = f64::from(self.random.u32(0..100_000)) / 100.0;
        let page = self.random.choice(PAGES).unwrap();
        let mut add = |name: &str, value| item.insert(name.to_owned(), value);
        add("last_seen", number(&seen.to_string()));
        add("requests", number(&requests.to_string()));
        add("cart_total", number(&format!("{cart:.2}")));
        add("last_page", string(page));
    }

    fn add_optional(&mut self, item: &mut Item) {
        let token: Vec<u8> = (0..24).map(|_| self.random.u8(..)).collect();
        let city = self.random.choice(CITIES).unwrap();
        let pages = self.random.usize(1..6);
        let visits = (0..pages).map(|_| self.visit()).collect();
        let optional = [
            ("token", AttributeValue::B(Blob::new(token))),
            ("city", string(city)),
            ("visits", AttributeValue::L(visits)),
            ("scores", AttributeValue::Ns(vec!["3".to_owned(), "1.50".to_owned(), "-7".to_owned()])),
            ("address", self.address()),
            ("ip", string(&format!("192.0.2.{}", self.random.u8(..)))),
            ("locale", string("en-IE")),
            ("referrer", string("https://shop.example/campaign?utm_source=newsletter&utm_medium=email")),
            ("experiment", AttributeValue::Null(true)),
            ("note", string("line one\nline two\t\"quoted\" \\ back, and a snowman \u{2603}")),
        ];
        for (name, value) in optional {
            if self.random.u8(0..4) > 0 {
                item.insert(name.to_owned(), value);
            }
        }
    }

    fn visit(&mut self) -> AttributeValue {
        let milliseconds = self.random.u32(5..900).to_string();
        let page = self.random.choice(PAGES).unwrap();
        map([("page", string(page)), ("ms", number(&milliseconds))])
    }

    fn address(&mut self) -> AttributeValue {
        let house = self.random.u16(1..300).to_string();
        let city = self.random.choice(CITIES).unwrap();
        let position = map([("lat", number("53.349805")), ("lon", number("-6.26031"))]);
        map([("street", string("Main Street")), ("house", number(&house)), ("city", string(city)), ("at", position)])
    }
}

pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn number(text: &str) -> AttributeValue {
    AttributeValue::N(text.to_owned())
}

fn map<const N: usize>(members: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn nested(depth: u32) -> AttributeValue {
    match depth {
        0 => string("leaf"),
        _ => map([("deeper", nested(depth - 1))]),
    }
}

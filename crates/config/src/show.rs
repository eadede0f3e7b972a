//! A configuration written out again: everything resolved, secrets hidden.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::fingerprint::{EQUALS_NUMBER, ListOrder, NUMBER, route_json};
use crate::model::{
    Auth, AwsSettings, Compression, Config, DeadLetterKind, Http, IndexSettings, Manage, OnGap, OpenSearch,
    PasswordSource, SigV4Service, Source, StartPosition, State, TableReference,
};

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// The resolved configuration as TOML: defaults filled in, the environment put in, secrets hidden.
pub fn show(config: &Config) -> String {
    let sources: Vec<Value> = config.sources.iter().map(source).collect();
    let several = sources.len() > 1;
    let routes = config.sources.iter().flat_map(|source| {
        source.routes.iter().map(move |route| {
            let mut route = route_json(route, &ListOrder::Written);
            if let (Value::Object(route), true) = (&mut route, several) {
                route.insert("source".to_owned(), json!(source.name));
            }
            route
        })
    });
    let indices = config.indices.iter().map(|(name, settings)| (name.clone(), index(settings)));
    let document = [
        ("aws", aws(&config.aws)),
        ("source", if several { json!(sources) } else { sources.into_iter().next().unwrap_or(Value::Null) }),
        ("opensearch", opensearch(&config.opensearch)),
        ("state", state(&config.state)),
        ("dead_letter", dead_letter(&config.dead_letter.kind)),
        ("lambda", json!({ "deadline_margin": duration(config.lambda.deadline_margin) })),
        ("http", http(&config.http)),
        ("route", Value::Array(routes.collect())),
        ("index", Value::Object(indices.collect())),
    ];
    let mut text = String::new();
    for (name, settings) in &config.indices {
        if settings.mapping.is_some() {
            text.push_str(&format!("# [index.{name:?}] has a mapping_file, which is not shown\n"));
        }
    }
    for (key, value) in document {
        let table = toml::Table::from_iter([(key.to_owned(), toml_of(value))]);
        if table.values().any(|value| value.as_table().is_some_and(toml::Table::is_empty)) {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table.to_string());
    }
    text
}

fn source(source: &Source) -> Value {
    let mut table = aws(&source.aws);
    set(&mut table, "name", Some(json!(source.name)));
    match &source.table {
        TableReference::Name(name) => set(&mut table, "table", Some(json!(name))),
        TableReference::StreamArn(arn) => set(&mut table, "stream_arn", Some(json!(arn.as_str()))),
    }
    set(&mut table, "region", source.region.as_ref().map(|region| json!(region)));
    set(&mut table, "endpoint_url", source.endpoint_url.as_ref().map(|url| json!(url.as_str())));
    set(&mut table, "streams_endpoint_url", source.streams_endpoint_url.as_ref().map(|url| json!(url.as_str())));
    let start = match source.start {
        StartPosition::TrimHorizon => "trim_horizon",
        StartPosition::Latest => "latest",
    };
    set(&mut table, "start", Some(json!(start)));
    let on_gap = match source.on_gap {
        OnGap::Fail => "fail",
        OnGap::Resnapshot => "resnapshot",
    };
    set(&mut table, "on_gap", Some(json!(on_gap)));
    let backfill = if source.backfill_at_most.is_some() { "if_empty" } else { "never" };
    set(&mut table, "backfill", Some(json!(backfill)));
    set(&mut table, "backfill_max_items", source.backfill_at_most.map(|most| json!(most)));
    set(&mut table, "freshness", Some(json!(duration(source.freshness))));
    table
}

fn opensearch(settings: &OpenSearch) -> Value {
    let compression = match settings.compression {
        Compression::Gzip => "gzip",
        Compression::None => "none",
    };
    json!({
        "url": settings.url.as_str(),
        "auth": auth(&settings.auth),
        "ca_file": settings.ca_file,
        "tls_verify": settings.tls_verify,
        "compression": compression,
        "max_batch_bytes": settings.max_batch_bytes,
        "max_batch_operations": settings.max_batch_operations,
        "max_concurrent_requests": settings.max_concurrent_requests,
        "brake_after": settings.brake_after.unwrap_or(0),
        "brake_after_field": settings.brake_after_field.unwrap_or(0),
        "request_timeout": duration(settings.request_timeout),
    })
}

fn auth(auth: &Auth) -> Value {
    match auth {
        Auth::None => json!({ "kind": "none" }),
        Auth::Basic { username, password: PasswordSource::Environment(name) } => {
            json!({ "kind": "basic", "username": username, "password_env": name })
        }
        Auth::Basic { username, password: PasswordSource::File(path) } => {
            json!({ "kind": "basic", "username": username, "password_file": path })
        }
        Auth::Basic { username, password: PasswordSource::Secret(secret) } => {
            json!({ "kind": "basic", "username": username, "password_secret": secret.arn })
        }
        Auth::SigV4 { service, region, aws: credentials } => {
            let service = match service {
                SigV4Service::Es => "es",
                SigV4Service::Aoss => "aoss",
            };
            let mut table = aws(credentials);
            set(&mut table, "kind", Some(json!("sigv4")));
            set(&mut table, "service", Some(json!(service)));
            set(&mut table, "region", region.as_ref().map(|region| json!(region)));
            table
        }
    }
}

fn aws(settings: &AwsSettings) -> Value {
    let external_id = settings.external_id.as_ref().map(|_| HIDDEN);
    let mut table = Value::Object(Map::new());
    set(&mut table, "profile", settings.profile.as_ref().map(|profile| json!(profile)));
    set(&mut table, "role_arn", settings.role_arn.as_ref().map(|role| json!(role)));
    set(&mut table, "external_id", external_id.map(|hidden| json!(hidden)));
    table
}

fn state(state: &State) -> Value {
    let mut table = aws(&state.aws);
    set(&mut table, "table", Some(json!(state.table)));
    set(&mut table, "group", Some(json!(state.group)));
    set(&mut table, "region", state.region.as_ref().map(|region| json!(region)));
    set(&mut table, "endpoint_url", state.endpoint_url.as_ref().map(|url| json!(url.as_str())));
    table
}

fn dead_letter(kind: &DeadLetterKind) -> Value {
    match kind {
        DeadLetterKind::Table => json!({ "kind": "table" }),
        DeadLetterKind::File(path) => json!({ "kind": "file", "path": path }),
    }
}

fn http(http: &Http) -> Value {
    let mut table = Value::Object(Map::new());
    set(&mut table, "listen", http.listen.map(|address| json!(address.to_string())));
    set(&mut table, "await_per_second", http.await_per_second.map(|number| json!(number)));
    table
}

fn index(settings: &IndexSettings) -> Value {
    let manage = match settings.manage {
        Manage::Create => "create",
        Manage::Check => "check",
        Manage::Never => "never",
    };
    json!({ "manage": manage, "generation": settings.generation, "settings": hide_secrets(&settings.settings) })
}

/// Index settings are the user's own; what is called a secret is taken for one.
fn hide_secrets(settings: &Map<String, Value>) -> Value {
    let hidden = settings.iter().map(|(key, value)| {
        let lower = key.to_lowercase();
        let secret = ["password", "secret", "token", "access_key"].iter().any(|word| lower.contains(word));
        let value = match value {
            _ if secret => json!(HIDDEN),
            Value::Object(inner) => hide_secrets(inner),
            other => other.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(hidden.collect())
}

fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

fn set(table: &mut Value, key: &str, value: Option<Value>) {
    if let (Value::Object(table), Some(value)) = (table, value) {
        table.insert(key.to_owned(), value);
    }
}

/// JSON as TOML, without the nulls that TOML does not have.
fn toml_of(value: Value) -> toml::Value {
    match value {
        Value::Null => toml::Value::String(String::new()),
        Value::Bool(boolean) => toml::Value::Boolean(boolean),
        // A text that was resolved is not to be resolved again.
        Value::String(text) => toml::Value::String(text.replace("${", "$${")),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => toml::Value::Integer(integer),
            (None, Some(float)) => toml::Value::Float(float),
            (None, None) => toml::Value::String(number.to_string()),
        },
        Value::Array(elements) => toml::Value::Array(elements.into_iter().map(toml_of).collect()),
        Value::Object(entries) if entries.contains_key(NUMBER) => {
            toml_number(entries.get(NUMBER).and_then(Value::as_str).unwrap_or_default())
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
                match (key.as_str(), &value) {
                    (EQUALS_NUMBER, Value::String(number)) => ("equals".to_owned(), toml_number(number)),
                    _ => (key, toml_of(value)),
                }
            });
            toml::Value::Table(entries.collect())
        }
    }
}

fn toml_number(text: &str) -> toml::Value {
    let float = || text.parse().map_or_else(|_| toml::Value::String(text.to_owned()), toml::Value::Float);
    text.parse().map_or_else(|_| float(), toml::Value::Integer)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_shown_reads_as_the_same_configuration() {
        let text = r#"
            aws = { role_arn = "arn:aws:iam::123456789012:role/reader", external_id = "hush-1" }
            state = { group = "blue" }
            dead_letter = { kind = "file", path = "letters.ndjson" }
            lambda = { deadline_margin = "2500ms" }
            http = { listen = "[::1]:9464", await_per_second = 7 }
            [[source]]
            name = "app"
            table = "app"
            endpoint_url = "http://127.0.0.1:8000"
            [[source]]
            name = "other"
            stream_arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/other/stream/2026-01-01T00:00:00.000"
            start = "latest"
            freshness = "250ms"
            [opensearch]
            url = "https://localhost:9200"
            auth = { kind = "basic", username = "writer", password_env = "PASSWORD" }
            tls_verify = false
            request_timeout = "1500ms"
            brake_after = 0
            brake_after_field = 70
            [[route]]
            source = "app"
            index = "orders-{region}"
            max_indices = 7
            when = [{ attribute = "total", equals = 1.5 }, { attribute = "n", equals = 12, not = true }]
            [[route]]
            source = "other"
            index = "others"
            when = [{ attribute = "pk", like = "ORDER#*" }, { attribute = "kind", one_of = ["a", 1.50, true] }]
            include = ["user.name", 'a\.b', "at", "prefs", "no"]
            exclude = ["user.name.secret"]
            as_json = ["prefs"]
            numbers_as_string = ["no"]
            dates = ["at"]
            dots = "expand"
            set = { place = { lat = "geo.lat", lon = "geo.lon" }, id = { from = "pk", after = "-" }, kind = { value = 7 }, name = { from = "user.name" } }
            [index."orders-{region}"]
            settings = { number_of_shards = 3, analysis = { secret_key = "hush-2" } }
        "#;
        let config = Config::parse(text, Path::new("/etc/streamdex"), &|_| None).unwrap().config;
        let shown = show(&config);
        assert!(!shown.contains("hush"), "{shown}");
        let again = Config::parse(&shown, Path::new("/elsewhere"), &|_| None)
            .unwrap_or_else(|error| panic!("{error}\n{shown}"))
            .config;
        assert_eq!(show(&again), shown);
        assert_eq!(again.sources[0].routes, config.sources[0].routes);
        assert_eq!(again.sources[1].region.as_deref(), Some("eu-west-1"));
        assert_eq!(again.sources.iter().map(|source| source.freshness.as_millis()).collect::<Vec<_>>(), [1000, 250]);
        assert_eq!(again.http, config.http);
        assert_eq!(again.opensearch.request_timeout, Duration::from_millis(1500));
        assert_eq!((again.opensearch.brake_after, again.opensearch.brake_after_field), (None, Some(70)));
        assert_eq!(again.sources[0].routes[0].max_indices, 7);
        assert_eq!(again.lambda.deadline_margin, Duration::from_millis(2500));
    }
}

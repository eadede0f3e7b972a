use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use streamdex_config::{Config, TableArn};
use streamdex_dynamodb::state::{Creation, Extent, Item, Making, StateError, StateTable, number, text};
use streamdex_testkit::emulators::{engines, n, s};
use streamdex_testkit::engines::unique_name;

fn arn(account: &str) -> TableArn {
    TableArn::parse(&format!("arn:aws:dynamodb:eu-west-1:{account}:table/sessions")).unwrap()
}

#[tokio::test]
async fn the_table_is_made_once_and_by_itself_in_an_emulator_alone() {
    for engine in engines().await {
        let table = StateTable::new(engine.dynamodb.clone(), unique_name("state"), "default");
        let on_aws = table.ensure(&arn("123456789012")).await.unwrap_err();
        assert!(
            matches!(on_aws, StateError::Missing { .. }) && on_aws.hint().contains("state create"),
            "{}",
            engine.name
        );
        let load = table.query("follow|default|x", Extent::All).await.unwrap_err();
        assert!(matches!(load, StateError::Missing { .. }), "{}: {load}", engine.name);
        assert_eq!(table.ensure(&arn("000000000000")).await.unwrap(), Creation::Created);
        assert_eq!(table.create(&Making::default()).await.unwrap(), Creation::Existed);
        let data = engine.table().await;
        let error =
            StateTable::new(engine.dynamodb.clone(), data, "default").create(&Making::default()).await.unwrap_err();
        assert!(matches!(error, StateError::OtherKeys(_)), "{}: {error}", engine.name);
    }
}

/// A table with the key names and types of a state table, as single-table designs have them.
async fn single_table(engine: &streamdex_testkit::emulators::Engine, sort_key: ScalarAttributeType) -> String {
    let name = unique_name("single");
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let call = engine.dynamodb.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    call.attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", sort_key))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
    name
}

fn config(sources: &str, state: &str, endpoint: &str) -> Config {
    let place = format!("endpoint_url = '{endpoint}'");
    let text = format!(
        "source = {{ {sources}, {place} }}\nstate = {{ table = '{state}', {place} }}\n\
         opensearch = {{ url = 'http://127.0.0.1' }}\nroute = [{{ index = 'i' }}]"
    );
    Config::parse(&text, std::path::Path::new(""), &|_| None).unwrap().config
}

#[tokio::test]
async fn a_source_is_no_state_table_and_others_gain_the_mark() {
    for engine in engines().await {
        let name = single_table(&engine, ScalarAttributeType::S).await;
        let state = |sources: &str| {
            let config = config(sources, "streamdex-state", "http://127.0.0.1:1");
            StateTable::new(engine.dynamodb.clone(), &name, "default").beside(&config.sources, &config.state)
        };
        let items = || async { engine.dynamodb.scan().table_name(&name).send().await.unwrap().items.unwrap() };
        let refused = |error: StateError| {
            assert!(matches!(error, StateError::IsSource(_)), "{}: {error}", engine.name);
            assert!(error.to_string().contains(&name) && error.hint().contains("state.table"), "{error}");
        };
        // By its name, by its stream's ARN, and by the ARN that its description shows.
        let described = engine.dynamodb.describe_table().table_name(&name).send().await.unwrap().table.unwrap();
        let table_arn = described.table_arn.unwrap();
        refused(state(&format!("table = '{name}'")).create(&Making::default()).await.unwrap_err());
        let by_stream = format!("stream_arn = '{table_arn}/stream/2026-01-01T00:00:00.000'");
        refused(state(&by_stream).create(&Making::default()).await.unwrap_err());
        refused(state("table = 'another'").ensure(&TableArn::parse(&table_arn).unwrap()).await.unwrap_err());
        assert_eq!(items().await.len(), 0, "{}: nothing is written into it", engine.name);

        assert_eq!(state("table = 'another'").ensure(&arn("000000000000")).await.unwrap(), Creation::Existed);
        let marks = items().await;
        assert_eq!(marks.len(), 1, "{}", engine.name);
        assert_eq!((text(&marks[0], "pk"), text(&marks[0], "sk")), (Some("mark"), Some("state")), "{}", engine.name);
        assert_eq!(number(&marks[0], "v"), Some(1));
        // A mark does not make a source a state table.
        refused(state(&format!("table = '{name}'")).create(&Making::default()).await.unwrap_err());

        let numbers = single_table(&engine, ScalarAttributeType::N).await;
        let error =
            StateTable::new(engine.dynamodb.clone(), numbers, "default").create(&Making::default()).await.unwrap_err();
        assert!(matches!(error, StateError::OtherKeys(_)), "{}: {error}", engine.name);
    }
}

#[tokio::test]
async fn a_state_table_of_a_newer_version_is_refused() {
    for engine in engines().await {
        let state = StateTable::new(engine.dynamodb.clone(), unique_name("state"), "default");
        state.create(&Making::default()).await.unwrap();
        let mark = Item::from([("pk".to_owned(), s("mark")), ("sk".to_owned(), s("state")), ("v".to_owned(), n(2))]);
        state.put(mark).await.unwrap();
        let error = state.create(&Making::default()).await.unwrap_err();
        assert!(matches!(error, StateError::NewerFormat { .. }), "{}: {error}", engine.name);
    }
}

#[tokio::test]
async fn a_missing_table_is_looked_for_in_a_place() {
    for engine in engines().await {
        let table = StateTable::new(engine.dynamodb.clone(), "no-such-table", "default");
        let error = table.ensure(&arn("123456789012")).await.unwrap_err();
        assert_eq!(error.to_string(), format!("there is no state table no-such-table at {}", engine.endpoint));
    }
}

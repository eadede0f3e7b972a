//! The brakes of indices on record, on DynamoDB Local and dynoxide.

use std::path::Path;
use std::sync::Arc;

use streamdex_config::{Config, TableArn};
use streamdex_delivery::BrakeRecords;
use streamdex_dynamodb::state::{Making, StateTable};
use streamdex_mapping::{
    Action, Address, CreationTime, DocumentId, ExternalVersion, IndexName, Operation, Origin, Role,
};
use streamdex_sink::writer::Targets;
use streamdex_sink::{BulkWriter, Client, Learned, Patience, WriterSettings};
use streamdex_testkit::emulators::engines;
use streamdex_testkit::engines::unique_name;
use streamdex_testkit::fault::FaultServer;
use tokio_util::sync::CancellationToken;

struct FirstGeneration;

impl Targets for FirstGeneration {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        Some(format!("{index}-000001").into())
    }
}

fn braked(learned: &Learned) -> Vec<String> {
    learned.braked().into_iter().map(|braked| braked.concrete.to_string()).collect()
}

/// An index operation is accepted.
async fn accept(settings: &WriterSettings, config: &Config, learned: &Learned) {
    let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
    let (settings, cancel) = (settings.clone(), CancellationToken::new());
    let writer = BulkWriter::start_with(client, Arc::new(FirstGeneration), settings, learned.clone(), cancel.clone());
    let operation = Operation {
        address: Address {
            index: IndexName::parse("orders").unwrap(),
            id: DocumentId::parse("a").unwrap(),
            routing: None,
        },
        version: ExternalVersion::of_change(CreationTime::from_seconds(1), None),
        action: Action::Index("{}".into()),
        origin: Origin::Image,
        role: Role::Live,
    };
    writer.write(vec![operation]).await;
    cancel.cancel();
}

#[tokio::test]
async fn r4_a_process_that_starts_later_begins_braked_until_a_document_is_accepted() {
    let server = FaultServer::scripted();
    let text = format!(
        "source = {{ table = 'orders' }}\nopensearch = {{ url = '{}' }}\nroute = [{{ index = 'orders' }}]",
        server.url()
    );
    let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
    let settings = WriterSettings::new(&config.opensearch, Patience::Endless);
    for engine in engines().await {
        let table = StateTable::new(engine.dynamodb.clone(), unique_name("brakes"), "default");
        table.create(&Making::default()).await.unwrap();
        let sources = ["orders", "carts"]
            .map(|table| TableArn::parse(&format!("arn:aws:dynamodb:eu-west-1:000000000000:table/{table}")).unwrap());
        let records = || BrakeRecords::new(table.clone(), &sources);
        let first = Learned::new(&settings);
        let of_first = records();
        of_first.recall(&first).await.unwrap();
        assert!(braked(&first).is_empty(), "{}", engine.name);
        for concrete in ["orders-000001", "carts-000001"] {
            first.brake(concrete.into());
        }
        of_first.keep(&first).await.unwrap();

        let later = Learned::new(&settings);
        let of_later = records();
        of_later.recall(&later).await.unwrap();
        assert_eq!(braked(&later), ["carts-000001", "orders-000001"], "{}", engine.name);
        accept(&settings, &config, &later).await;
        of_later.keep(&later).await.unwrap();

        let last = Learned::new(&settings);
        // One of the tables is enough.
        BrakeRecords::new(table.clone(), &sources[1..]).recall(&last).await.unwrap();
        assert_eq!(braked(&last), ["carts-000001"], "{}", engine.name);
    }
}

//! Index names that records give: beyond what is meant, each is its own record's problem.

use std::path::Path;
use std::sync::Arc;

use streamdex_config::Config;
use streamdex_delivery::letter::FileLetters;
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryProgress};
use streamdex_mapping::{Mapper, Outcome, Trust, event};
use streamdex_sink::{BulkWriter, Client, Indices, Patience, SetupContext, WriterSettings};
use streamdex_testkit::fault::FaultServer;
use tokio_util::sync::CancellationToken;

fn record(number: usize, region: &str) -> String {
    format!(
        r#"{{"eventName":"INSERT","dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"k{number}"}}}},"NewImage":{{"pk":{{"S":"k{number}"}},"region":{{"S":"{region}"}}}},"SequenceNumber":"{number}00000000000000000001"}}}}"#
    )
}

/// Delivers one record for each region, and gives the outcomes and the letters.
async fn deliver(server: &FaultServer, manage: &str, regions: &[String]) -> (Vec<Option<Outcome>>, String) {
    let text = format!(
        "source = {{ table = 'orders' }}\nopensearch = {{ url = '{}' }}\nroute = [{{ index = 'orders-{{region}}', id = ['pk'] }}]\n[index.'orders-{{region}}']\nmanage = '{manage}'",
        server.url()
    );
    let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
    let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
    let indices = Arc::new(Indices::new(client.clone(), &config, &SetupContext::new()));
    let cancel = CancellationToken::new();
    let settings = WriterSettings::new(&config.opensearch, Patience::Endless);
    let mapper = Arc::new(Mapper::new(config.sources[0].routes.clone()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let delivery = Delivery {
        table: "orders".into(),
        mapper: Arc::clone(&mapper),
        reader: None,
        indices: indices.clone(),
        writer: BulkWriter::start(client, indices, settings, cancel.clone()),
        letters: Arc::new(FileLetters::new(&path)),
        patience: Patience::Endless,
        memory: streamdex_delivery::ReadMemory::default(),
        progress: DeliveryProgress::under_way(),
    };
    let records: Vec<String> = regions.iter().enumerate().map(|(number, region)| record(number + 1, region)).collect();
    let mut page = Page::default();
    let add = |_: usize, record: Result<&_, _>| page.add(&mapper, record, Trust::InOrder);
    event::read_captured(&format!("[{}]", records.join(",")), add).unwrap();
    let delivered = delivery.deliver_page(page, &Bounds::from(cancel)).await;
    assert!(delivered.fault.is_none(), "{:?}", delivered.fault);
    (delivered.outcomes, std::fs::read_to_string(path).unwrap_or_default())
}

#[tokio::test]
async fn the_101st_index_is_a_dead_letter_and_its_neighbours_go_on() {
    let server = FaultServer::scripted();
    let mut regions: Vec<String> = (0..103).map(|number| format!("r{number:03}")).collect();
    regions.push("r007".into());
    let (outcomes, letters) = deliver(&server, "never", &regions).await;
    let count = |outcome| outcomes.iter().filter(|found| **found == Some(outcome)).count();
    assert_eq!((count(Outcome::Applied), count(Outcome::DeadLettered)), (101, 3));
    assert_eq!(outcomes[103], Some(Outcome::Applied));
    assert_eq!(letters.lines().count(), 3);
    assert!(
        letters.lines().all(|letter| letter.contains("too_many_indices") && letter.contains("max_indices")),
        "{letters}"
    );
}

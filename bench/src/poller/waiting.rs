//! The time that `POST /await` adds: from a put until its document is visible, until a search finds it without help,
//! and until the wait is answered, in turn, on a DynamoDB Local.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use serde_json::json;
use streamdex_testkit::engines::{DynamoDbLocal, dynamodb_client};
use streamdex_testkit::workload::{PARTITION_KEY, SORT_KEY, create_sessions_table};
use tokio::time::{Instant, sleep};

use super::putter::{LIMIT, become_searchable, become_visible};
use crate::child::Running;
use crate::search::{Bench, config_text};
use crate::statistics::percentile;

const TABLE: &str = "sessions";
/// Puts that do not count: the index is made, the first contact of the wait is made.
const WARM_UP: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(137);

/// What a put is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Visible,
    Searchable,
    Awaited,
}

const LOOKS: [(Look, &str); 3] = [
    (Look::Visible, "a GET by its id finds it, looked for every 10 ms"),
    (Look::Searchable, "a search finds it by itself, looked for every 10 ms"),
    (Look::Awaited, "`POST /await` answers that searches find it"),
];

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, watched: Duration) -> anyhow::Result<()> {
    let dynamodb = DynamoDbLocal::start().await?;
    let client = dynamodb_client(&dynamodb.endpoint_url());
    create_sessions_table(&client, TABLE, StreamViewType::NewAndOldImages).await;
    bench.fresh_index_of(&bench.programs.now).await?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let text = config_text(&bench.node.url(), &dynamodb.endpoint_url(), TABLE);
    let config = bench.folder.join("await.toml");
    std::fs::write(&config, format!("{text}\n[http]\nlisten = \"127.0.0.1:{port}\"\nawait_per_second = 1000\n"))?;
    let running = Running::start(&bench.programs.now, &config)?;
    let worker = transport(&format!("http://127.0.0.1:{port}"))?;
    let mut milliseconds = [const { Vec::new() }; 3];
    let begun = Instant::now();
    for number in 0.. {
        if begun.elapsed() > watched && number > WARM_UP * 3 {
            break;
        }
        for (at, (look, _)) in LOOKS.iter().enumerate() {
            let (user, session) = (format!("user-{number}"), format!("{at}"));
            let key = |text: &str| AttributeValue::S(text.to_owned());
            let put = client.put_item().table_name(TABLE).item(PARTITION_KEY, key(&user)).item(SORT_KEY, key(&session));
            let put_at = Instant::now();
            put.item("city", key("Cork")).send().await?;
            let id = format!("{session}|{user}");
            let found = async {
                match look {
                    Look::Visible => become_visible(&bench.reader(), &id).await,
                    Look::Searchable => become_searchable(&bench.reader(), &id).await,
                    Look::Awaited => awaited(&worker, &user, &session).await,
                }
            };
            Box::pin(found).await.with_context(|| running.log_tail())?;
            let spent = put_at.elapsed().as_secs_f64() * 1e3;
            if let Some(figures) = milliseconds.get_mut(at).filter(|_| number >= WARM_UP) {
                figures.push(spent);
            }
            sleep(BETWEEN).await;
        }
    }
    running.stop().await?;
    print(&milliseconds);
    Ok(())
}

async fn awaited(worker: &Transport, user: &str, session: &str) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse()?);
    let body = json!({ "key": { PARTITION_KEY: user, SORT_KEY: session } }).to_string();
    let answer = worker.send(Method::Post, "/await", headers, None::<&()>, Some(body), Some(LIMIT)).await?;
    let status = answer.status_code().as_u16();
    ensure!(status == 200, "the wait was answered with {status}: {}", answer.text().await?);
    Ok(())
}

fn transport(url: &str) -> anyhow::Result<Transport> {
    let pool = SingleNodeConnectionPool::new(url.parse()?);
    Ok(TransportBuilder::new(pool).timeout(LIMIT).disable_proxy().build()?)
}

fn print(milliseconds: &[Vec<f64>; 3]) {
    println!("## Await: DynamoDB Local, default settings, into OpenSearch 3.8.0\n");
    println!("| from a put until | ms, p50 | ms, p99 | puts |");
    println!("|---|---|---|---|");
    for ((_, title), figures) in LOOKS.iter().zip(milliseconds) {
        println!("| {title} | {:.0} | {:.0} | {} |", percentile(figures, 50), percentile(figures, 99), figures.len());
    }
    println!("\nThe three take turns, with 137 ms between.\n");
}

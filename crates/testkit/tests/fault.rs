use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use opensearch::cert::{Certificate, CertificateValidation};
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::response::Response;
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use streamdex_testkit::engines::{SearchEngine, unique_name};
use streamdex_testkit::fault::{CertificateKind, FaultServer, ItemError, Reply, Rule};
use streamdex_testkit::report;

const BULK: &str =
    "{\"index\":{\"_id\":\"1\"}}\n{\"a\":1}\n{\"delete\":{\"_id\":\"2\"}}\n{\"index\":{\"_id\":\"3\"}}\n{}\n";

async fn post(url: &str, path: &str, body: &str) -> Result<Response, opensearch::Error> {
    let transport = Transport::single_node(url).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/x-ndjson".parse().unwrap());
    let limit = Some(Duration::from_secs(20));
    transport.send(Method::Post, path, headers, None::<&()>, Some(body.to_owned()), limit).await
}

async fn post_text(url: &str, path: &str, body: &str) -> (u16, String) {
    let answer = post(url, path, body).await.unwrap();
    (answer.status_code().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_scripted_server_takes_bulk_operations() {
    let server = FaultServer::scripted();
    let (status, answer) = post_text(&server.url(), "/a/_bulk", BULK).await;
    assert_eq!(status, 200);
    assert!(answer.contains("\"errors\":false"), "{answer}");
    assert_eq!(post_text(&server.url(), "/a/_search", "{}").await.0, 404);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].operations().len(), 3);
    assert_eq!(requests[0].status, Some(200));
}

#[tokio::test]
async fn the_nth_request_gets_the_answer_of_its_rule() {
    let server = FaultServer::scripted();
    let busy = Reply::json(429, "{}").header("Retry-After", "3");
    let rule = server.add(Rule::bulk().nth(2).answer(busy));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post_text(&server.url(), "/a/_bulk", BULK).await.0);
    }
    assert_eq!(statuses, [200, 429, 200]);
    assert_eq!(server.hits(rule), 1);
}

#[tokio::test]
async fn answers_are_cut_and_lost() {
    let server = FaultServer::scripted();
    server.add(Rule::bulk().nth(1).cut_answer(10));
    server.add(Rule::bulk().nth(1).drop_after());
    server.add(Rule::bulk().nth(1).drop_before());
    let cut = post(&server.url(), "/a/_bulk", BULK).await.unwrap();
    assert!(cut.text().await.is_err());
    assert!(post(&server.url(), "/a/_bulk", BULK).await.is_err());
    assert!(post(&server.url(), "/a/_bulk", BULK).await.is_err());
    assert_eq!(post_text(&server.url(), "/a/_bulk", BULK).await.0, 200);
    let statuses: Vec<_> = server.bulk_requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(200), None, None, Some(200)]);
}

#[tokio::test]
async fn a_refusing_server_comes_back_on_its_port() {
    let server = FaultServer::scripted();
    server.refuse();
    assert!(post(&server.url(), "/a/_bulk", BULK).await.is_err());
    server.accept();
    assert_eq!(post_text(&server.url(), "/a/_bulk", BULK).await.0, 200);
}

#[tokio::test]
async fn a_delayed_request_goes_on_without_its_client() {
    let server = FaultServer::scripted();
    server.add(Rule::bulk().delay(Duration::from_millis(300)));
    let address = server.url().replace("http://", "");
    let mut client = TcpStream::connect(&address).unwrap();
    write!(client, "POST /a/_bulk HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{BULK}", BULK.len()).unwrap();
    let arrived = server.wait_until(|requests| requests.len() == 1, Duration::from_secs(10)).await;
    assert!(arrived);
    drop(client);
    let answered = |requests: &[streamdex_testkit::fault::Recorded]| requests[0].status == Some(200);
    assert!(server.wait_until(answered, Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_hanging_server_keeps_the_connection() {
    let server = FaultServer::scripted();
    server.add(Rule::any().hang());
    let mut client = TcpStream::connect(server.url().replace("http://", "")).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let begun = Instant::now();
    write!(client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(client.read(&mut [0; 1]).is_err());
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn items_are_withheld_from_a_real_node() {
    let Some(node) = report::search_node(SearchEngine::OpenSearch3).await else {
        return;
    };
    let server = FaultServer::in_front_of(&node.url());
    let busy = ItemError::new(429, "rejected_execution_exception");
    server.add(Rule::bulk().nth(1).withhold_items(busy.clone(), |_, operation| operation.id() == "1"));
    server.add(Rule::bulk().nth(1).rewrite_items(busy, |position, _| position == 0));
    let index = unique_name("withheld");
    let (_, answer) = post_text(&server.url(), &format!("/{index}/_bulk"), BULK).await;
    assert!(answer.contains("\"errors\":true"), "{answer}");
    let get = async |id: &str| {
        let transport = Transport::single_node(&node.url()).unwrap();
        let path = format!("/{index}/_doc/{id}");
        let none = None::<&()>;
        let sent = transport.send(Method::Get, &path, HeaderMap::new(), none, None::<String>, None).await;
        sent.unwrap().status_code().as_u16()
    };
    assert_eq!((get("1").await, get("3").await), (404, 200));
    let (_, answer) = post_text(&server.url(), &format!("/{index}/_bulk"), BULK).await;
    assert!(answer.contains("429"), "{answer}");
    assert_eq!(get("1").await, 200);
}

async fn status_over_tls(kind: CertificateKind) -> Option<u16> {
    let upstream = FaultServer::scripted();
    let server = FaultServer::with_tls(&upstream.url(), kind);
    let trusted = Certificate::from_pem(server.trusted_ca().as_bytes()).unwrap();
    let pool = SingleNodeConnectionPool::new(server.url().parse().unwrap());
    let transport = TransportBuilder::new(pool).cert_validation(CertificateValidation::Full(trusted)).build().unwrap();
    let none = None::<&()>;
    let sent = transport.send(Method::Post, "/a/_bulk", HeaderMap::new(), none, Some(BULK), None).await;
    sent.ok().map(|answer| answer.status_code().as_u16())
}

#[tokio::test]
async fn certificates_are_what_they_claim() {
    for (kind, status) in [
        (CertificateKind::PrivateCa, Some(200)),
        (CertificateKind::Expired, None),
        (CertificateKind::ForeignCa, None),
        (CertificateKind::OtherHost, None),
    ] {
        assert_eq!(status_over_tls(kind).await, status, "{kind:?}");
    }
}

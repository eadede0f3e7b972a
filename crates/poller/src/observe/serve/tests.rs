use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::follow::StatusBoard;

struct Served {
    address: SocketAddr,
    boards: Boards,
    task: JoinHandle<()>,
}

impl Served {
    async fn start() -> Served {
        Served::with(None).await
    }

    async fn with(awaits: Option<Arc<dyn Awaits>>) -> Served {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, boards) = (server.address(), Boards::default());
        let task = tokio::spawn(server.run(boards.clone(), awaits));
        Served { address, boards, task }
    }

    /// Head and body of the answer.
    async fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await
    }
}

#[tokio::test]
async fn probes_metrics_and_status() {
    let served = Served::start().await;
    assert_eq!(served.get("/livez").await.1, "ok\n");
    let (head, body) = served.get("/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "starting: nothing is followed yet\nOpenSearch has not answered yet\n");

    let board = StatusBoard::default();
    served.boards.add("sessions", board.clone());
    board.lease_seen();
    served.boards.reached(Ok(()));
    let (head, body) = served.get("/readyz?verbose").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("no-store"), "{head}");
    assert_eq!(body, "ok\n");

    let (head, body) = served.get("/metrics").await;
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("# TYPE streamdex_records_total counter\n"), "{body}");
    assert!(body.contains("streamdex_records_total{source=\"sessions\",outcome=\"applied\"} 0\n"), "{body}");
    let accept = "GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.1\r\n\r\n";
    let (head, body) = served.ask(accept).await;
    assert!(head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");

    let (_, body) = served.get("/status").await;
    let report: Report = serde_json::from_str(&body).unwrap();
    assert!(report.live && report.ready && report.sources[0].name == "sessions");
}

#[tokio::test]
async fn neither_probes_nor_status_name_an_account_or_a_role() {
    let served = Served::start().await;
    let role = "arn:aws:sts::123456789012:assumed-role/indexer/i-0";
    let board = StatusBoard::default();
    served.boards.add("sessions", board.clone());
    board.pause_all(Some(format!("User: {role} is not authorized")));
    board.gap(&crate::gap::Gap::new(
        crate::gap::GapKind::StreamVanished,
        "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions/stream/2026-11-22T00:00:00.000",
    ));
    served.boards.reached(Err(format!("the role {role} cannot be assumed")));
    for path in ["/readyz", "/status"] {
        let (_, body) = served.get(path).await;
        assert!(!body.contains("123456789012") && !body.contains("indexer"), "{path}: {body}");
        assert!(body.contains("the role arn:aws:sts:… cannot be assumed"), "{path}: {body}");
    }
    assert!(served.get("/status").await.1.contains("arn:aws:dynamodb:eu-west-1:…:table/sessions/stream/2026"));
}

#[tokio::test]
async fn anything_else_is_refused() {
    let served = Served::start().await;
    for (line, expected) in [
        ("GET /favicon.ico", "404"),
        ("POST /", "405"),
        ("POST /await", "404"),
        ("GET /livez/", "404"),
        ("POST /other", "404"),
        ("POST /status", "405"),
        ("DELETE /livez", "405"),
        ("HEAD /livez", "200"),
        ("no HTTP at all", "400"),
    ] {
        let (head, body) = served.ask(&format!("{line} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {expected}")), "{line}: {head}");
        assert!(!line.starts_with("HEAD") || body.is_empty(), "{line}: {body}");
    }
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2 * LARGEST_HEADERS));
    let (head, _) = served.ask(&long).await;
    assert!(head.starts_with("HTTP/1.1 431"), "{head}");
}

#[tokio::test]
async fn the_page_may_ask_nobody_but_this_process() {
    let served = Served::start().await;
    let (head, body) = served.get("/").await;
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/html"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'") && head.contains("connect-src 'self'"),
        "{head}"
    );
    assert!(body.starts_with("<!doctype html>") && !body.contains("http://") && !body.contains("https://"), "{body}");
}

/// Says what it was asked.
struct Echo;

#[async_trait::async_trait]
impl Awaits for Echo {
    async fn answer(&self, body: Bytes) -> AwaitAnswer {
        AwaitAnswer { status: 409, body: String::from_utf8(body.to_vec()).unwrap() }
    }
}

#[tokio::test]
async fn only_json_is_awaited() {
    let served = Served::with(Some(Arc::new(Echo))).await;
    let ask = async |method: &str, kind: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "{method} /await HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        served.ask(&request).await
    };
    let (head, body) = ask("POST", "application/json; charset=utf-8", "{\"key\":1}").await;
    assert!(head.starts_with("HTTP/1.1 409") && body == "{\"key\":1}\n", "{head} {body}");
    for (method, kind, body, expected) in [
        ("POST", "text/plain", "{}", "415"),
        ("PUT", "application/json", "{}", "405"),
        ("POST", "application/json", &"x".repeat(17 * 1024), "413"),
    ] {
        let (head, _) = ask(method, kind, body).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {expected}")), "{method} {kind}: {head}");
    }
    let (head, _) = ask("GET", "application/json", "").await;
    assert!(head.to_lowercase().contains("allow: post"), "{head}");
}

#[tokio::test]
async fn half_open_connections_do_not_starve_the_probes() {
    let served = Served::start().await;
    let mut silent = Vec::new();
    for _ in 0..3 * ARRIVING {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // Half of a request is no request.
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    for _ in 0..10 {
        for path in ["/livez", "/readyz", "/metrics"] {
            let answer = tokio::time::timeout(Duration::from_secs(1), served.get(path)).await;
            assert!(answer.expect("an answer at once").0.starts_with("HTTP/1.1 "), "{path}");
        }
    }
    served.task.abort();
    let mut nothing = Vec::new();
    silent[0].read_to_end(&mut nothing).await.unwrap_or_default();
    assert!(TcpStream::connect(served.address).await.is_err(), "a stop closes everything");
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let served = Served::start().await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(HEADERS_WITHIN * 2, silent.read_to_end(&mut nothing)).await;
    assert!(closed.is_ok(), "its time for a header is over");
}

#[test]
fn probes_have_places_that_nothing_else_takes() {
    let rooms = Rooms::default();
    let connections: Vec<Connection> = (0..ARRIVING).map(|_| Connection::arriving(&rooms)).collect();
    let probe = Connection::arriving(&rooms);
    probe.asks(rooms.for_path("/livez"));
    connections.iter().for_each(|connection| connection.asks(rooms.for_path("/metrics")));
    let more: Vec<Connection> = (0..ANSWERED).map(|_| Connection::arriving(&rooms)).collect();
    more.iter().for_each(|connection| connection.asks(rooms.for_path("/status")));
    assert!(!probe.close.is_cancelled());
    assert!(connections.iter().all(|connection| connection.close.is_cancelled()));
    assert!(more.iter().all(|connection| !connection.close.is_cancelled()));
}

#[tokio::test]
async fn a_taken_port_is_said() {
    let served = Served::start().await;
    let error = Server::bind(served.address).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", served.address));
    assert!(error.hint().contains("--listen"));
}

//! `streamdex status --url` against something that answers as a worker does.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::{end, streamdex};

/// Answers one request, whatever it is, and gives its first line.
fn answering(status: &str, body: &str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        stream.write_all(answer.as_bytes()).unwrap();
        request.into_iter().next().unwrap()
    });
    (url, served)
}

#[test]
fn a_worker_is_shown_as_text_and_as_it_is() {
    let body = r#"{"version":"9.9.9","live":true,"ready":true,"colour":"blue","sources":[]}"#;
    for (arguments, expected) in [(&[][..], "streamdex 9.9.9, up 0 s: ready\n"), (&["--json"], "\"colour\":\"blue\"")] {
        let (url, served) = answering("200 OK", body);
        let ended = end(streamdex(&["status", "--url", &url]).args(arguments));
        assert_eq!(served.join().unwrap(), "GET /status HTTP/1.1");
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    }
}

#[test]
fn a_health_check_is_quiet() {
    let (url, served) = answering("200 OK", "ok\n");
    let ended = end(&mut streamdex(&["status", "--live", "--url", &url]));
    assert_eq!(served.join().unwrap(), "GET /livez HTTP/1.1");
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));

    let (url, served) = answering("503 Service Unavailable", "the supervisor has stood still for 61 s\n");
    let ended = end(&mut streamdex(&["status", "--live", "--url", &url]));
    served.join().unwrap();
    assert_eq!((ended.status, ended.stdout.as_str()), (3, ""));
    assert!(ended.stderr.contains("stood still for 61 s"), "{}", ended.stderr);
}

#[test]
fn nobody_there_is_status_3_and_no_address_is_status_2() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = end(&mut streamdex(&["status", "--url", &format!("http://{free}")]));
    assert_eq!((ended.status, ended.stdout.as_str()), (3, ""));
    assert!(ended.stderr.contains("refused") && ended.stderr.contains("hint: check that"), "{}", ended.stderr);

    let (url, served) = answering("200 OK", "<html>");
    let ended = end(&mut streamdex(&["status", "--url", &url]));
    served.join().unwrap();
    assert_eq!(ended.status, 3, "{}", ended.stderr);

    for wrong in ["127.0.0.1:9464", "https://127.0.0.1:9464"] {
        assert_eq!(end(&mut streamdex(&["status", "--url", wrong])).status, 2, "{wrong}");
    }
}

#[test]
fn a_taken_port_is_said_before_anything_is_followed() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let config = "source.table = 'sessions'\nopensearch.url = 'http://127.0.0.1:1'\n[[route]]\nindex = 'sessions'\n";
    let mut command = streamdex(&["run", "--listen", &listen]);
    let ended = end(command.env("STREAMDEX_CONFIG_TOML", config).env("AWS_REGION", "eu-west-1"));
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("cannot listen on {listen}")), "{}", ended.stderr);
}

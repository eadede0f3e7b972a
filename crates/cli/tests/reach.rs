//! Nothing listens: clear words, status 3, in bounded time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::{end, file, streamdex};

/// A configuration whose servers are all at a port where nobody listens.
fn nobody_listens() -> (tempfile::TempDir, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("http://127.0.0.1:{port}");
    let text = format!(
        "[source]\ntable = 'sessions'\nendpoint_url = '{address}'\n[opensearch]\nurl = '{address}'\n[[route]]\nindex = 'sessions'\n"
    );
    file(folder.path(), "streamdex.toml", &text);
    (folder, address)
}

#[test]
fn commands_give_up() {
    let (folder, address) = nobody_listens();
    let host = address.trim_start_matches("http://");
    for (command, part) in
        [(["index", "plan"], host), (["state", "create"], "streamdex-state"), (["dlq", "list"], "streamdex-state")]
    {
        let started = Instant::now();
        let ended = end(streamdex(&command).args(["-c", "streamdex.toml"]).current_dir(folder.path()));
        assert_eq!((ended.status, ended.stdout.as_str()), (3, ""), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part) && ended.stderr.contains("\n  hint: "), "{command:?}: {}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(30), "{command:?} took {:?}", started.elapsed());
    }
}

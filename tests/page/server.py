"""Serves the page as `streamdex run` does, and answers of /status as a test wants them."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# PAGE names another one, as one that is broken on purpose.
PAGE = Path(os.environ.get("PAGE") or Path(__file__).resolve().parents[2] / "crates/poller/src/observe/page.html")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PREFIX = "/some/prefix/"


class Server:
    """`answer` is what /status says: a report, text as it is, a number for a failure, or HANG. It may be a function."""

    HANG = object()

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.over = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=[0.05], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}{PREFIX}"

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()

    def statuses(self):
        return [at for at, path in self.asked if path == PREFIX + "status"]

    def _reply(self):
        answer = self.answer() if callable(self.answer) else self.answer
        if answer is Server.HANG:
            self.over.wait(30)
            return 503, "text/plain", ""
        if isinstance(answer, int):
            return answer, "text/plain", "failed"
        if isinstance(answer, str):
            return 200, "text/html", answer
        return 200, "application/json", json.dumps(answer)

    def _handler(server):  # noqa: N805, the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append((time.monotonic(), self.path))
                if self.path == PREFIX:
                    self.send(200, "text/html; charset=utf-8", PAGE.read_text())
                elif self.path == PREFIX + "status":
                    self.send(*server._reply())
                else:
                    self.send(404, "text/plain", "")

            def send(self, status, kind, body):
                body = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", POLICY)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # The page did not wait for it.

            def log_message(self, *_):
                pass

        return Handler

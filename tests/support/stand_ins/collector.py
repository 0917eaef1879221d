"""A stand-in for the OpenTelemetry collector: counts requests with spans, serves the count."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Takes spans with POST /v1/traces, and answers any GET with the count, as a metric."""

    received = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.received += 1
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(f"stand_in_collector_requests_total {self.received}\n".encode())

    def answer(self, body: bytes) -> None:
        """Answer with 200 and a body."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Path(sys.argv[1].partition("=")[2]).read_text()  # it must be mounted
    for port in (4318, 8888):
        threading.Thread(target=ThreadingHTTPServer(("", port), Handler).serve_forever).start()

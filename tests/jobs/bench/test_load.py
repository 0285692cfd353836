import http.server
import threading
import time

import pytest

from jobs.bench.load import Request, closed_loop, open_loop

PAUSE_S = 0.02


class Slow(http.server.BaseHTTPRequestHandler):
    """Responds after a pause: 200 to /fine, 503 to all other paths."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(PAUSE_S)
        self.send_response(200 if self.path == "/fine" else 503)
        self.end_headers()

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def port():
    """The port of a slow server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_closed_loop_waits_for_each_response(port):
    """Rejected requests are counted, and have no latency."""
    requests = [Request.of_json("/fine", a=1), Request.of_file("/busy", "mesh", b"123")]
    outcome = closed_loop(port, requests, 1, 0.5)

    assert set(outcome.statuses) == {200, 503}
    assert len(outcome.ms) == outcome.statuses[200]
    assert outcome.percentile(50) >= 1000 * PAUSE_S
    assert outcome.statuses.total() <= 0.5 / PAUSE_S + 1


def test_an_open_loop_keeps_its_rate(port):
    """Requests are sent when they are due, without waiting for responses."""
    outcome = open_loop(port, [Request.of_json("/fine")], 100, 0.5)

    assert outcome.statuses == {200: 50}
    assert outcome.rate == 100


def test_a_broken_connection_is_counted():
    """Its status is 0."""
    outcome = closed_loop(1, [Request.of_json("/fine")], 1, 0.05)

    assert set(outcome.statuses) == {0}

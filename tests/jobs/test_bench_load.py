"""The client that measures servers, against a server whose behaviour is known."""

import http.server
import threading
import time

import pytest

from jobs.bench.load import Request, closed_loop, open_loop

PAUSE_S = 0.02


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers after a pause: 200 to /fine, 503 to all else."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(PAUSE_S)
        self.send_response(200 if self.path == "/fine" else 503)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def port():
    """The port of a server that is slow."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_closed_loop_asks_when_it_was_answered(port):
    """One client waits for each answer; refusals are counted, and have no latency."""
    requests = [Request.of_json("/fine", a=1), Request.of_file("/busy", "mesh", b"123")]
    outcome = closed_loop(port, requests, 1, 0.5)

    assert set(outcome.statuses) == {200, 503}
    assert len(outcome.ms) == outcome.statuses[200]
    assert outcome.percentile(50) >= 1000 * PAUSE_S
    assert outcome.statuses.total() <= 0.5 / PAUSE_S + 1


def test_an_open_loop_keeps_its_times(port):
    """Requests are asked when they are due, whether or not others are answered."""
    outcome = open_loop(port, [Request.of_json("/fine")], 100, 0.5)

    assert outcome.statuses == {200: 50}
    assert outcome.rate == 100


def test_a_server_that_is_gone_is_counted():
    """A broken connection is status 0."""
    outcome = closed_loop(1, [Request.of_json("/fine")], 1, 0.05)

    assert set(outcome.statuses) == {0}

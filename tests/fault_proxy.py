"""A proxy that injects faults into requests to an HTTP server: `PORT TARGET_PORT`. `GET /-/faults` counts them.

2.5 % of the requests get a 503 without reaching the server, 2.5 % get a response that breaks off after the server has
handled them, and 2 % wait for five seconds.
"""

import http.client
import http.server
import json
import random
import sys
import time
from collections import Counter
from typing import ClassVar

REFUSED, CUT, DELAYED = 0.025, 0.05, 0.07
"""Cumulative shares of the faults."""

DELAY_S = 5.0

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class Proxy(http.server.BaseHTTPRequestHandler):
    """One connection of a client; each request opens a connection to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    target_port: int
    counts: ClassVar[Counter] = Counter()
    chance = random.Random(0)

    def handle_expect_100(self):
        """Let the client send its body, which is passed on complete."""
        self.send_response_only(100)
        self.end_headers()
        return True

    def do(self):
        body = self.body()
        if self.path == "/-/faults":
            return self.answer(200, [], json.dumps(self.counts).encode())
        drawn = self.chance.random()
        fault = "refused" if drawn < REFUSED else "cut" if drawn < CUT else "delayed" if drawn < DELAYED else "none"
        self.counts[fault] += 1
        if fault == "refused":
            return self.answer(503, [("content-type", "application/xml")], SLOW_DOWN)
        if fault == "delayed":
            time.sleep(DELAY_S)
        status, headers, content = self.ask(body)
        return self.answer(status, headers, content, whole=fault != "cut")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do  # noqa: N815 (http.server's names)

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def ask(self, body: bytes):
        """Forward the request with unchanged headers, because they are signed."""
        server = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=120)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        dropped = ("connection", "transfer-encoding", "content-length", "expect")
        for name, value in self.headers.items():
            if name.lower() not in dropped:
                server.putheader(name, value)
        server.putheader("content-length", str(len(body)))
        server.endheaders(body)
        answer = server.getresponse()
        content = answer.read()
        server.close()
        return answer.status, answer.getheaders(), content

    def answer(self, status, headers, content: bytes, *, whole: bool = True):
        dropped = ("connection", "transfer-encoding", "content-length", "date")
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        length = lengths[0] if self.command == "HEAD" and lengths else str(len(content))
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in dropped:
                self.send_header(name, value)
        self.send_header("content-length", length)
        if whole:
            self.end_headers()
            self.wfile.write(content)
        elif content:
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        self.close_connection = not whole  # of a response without content not even the head is sent

    def log_message(self, *_):
        """Log nothing."""


if __name__ == "__main__":
    Proxy.target_port = int(sys.argv[2])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()

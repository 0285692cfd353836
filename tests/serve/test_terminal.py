"""The terminal shows one line of the server: its address."""

import os
import signal
import subprocess
import sys

import httpx
import pytest


@pytest.mark.timeout(300)
def test_serve_prints_its_address_from_its_start_to_its_end(run, bodies, free_ports):
    """It is healthy when it says so, responds to images and meshes, and ends with code 0 after Ctrl-C."""
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "featurelib", "serve", "--run", str(run), "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = server.stdout.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            content = (bodies / "meshes" / "body-00001.ply").read_bytes()
            found = [
                client.get("/healthz"),
                client.post("/infer", json={"object_id": "body-00001", "view": 3}),
                client.post("/infer/3d", files={"mesh": content}),
                client.post("/infer/3d", json={"object_id": "nobody"}),
            ]
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=60)
    finally:
        server.kill()

    assert [response.status_code for response in found] == [200, 200, 200, 404]
    assert (line, rest) == (f"http://127.0.0.1:{port}: the server is ready, with API and viewer; Ctrl-C stops it\n", "")
    assert server.returncode == 0

"""`wares serve` in a process of its own: starting, stopping, several workers, changes, kills, a shop that is replaced.

The towers are small ones, untrained: what is tested is that nothing is lost.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from processes import command, environment
from served import KEY, Served, goods, served, until

from wares.data.catalogue import read_catalogue
from wares.encoders.registry import build_towers
from wares.shop.build import build_shop
from wares.shop.shop import open_shop

STOPPED = (0, -signal.SIGTERM)  # uvicorn stops in good order, and then ends by the signal that it was sent


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    build_towers("small").save(tmp_path / "model")
    build_shop(read_catalogue(goods(tmp_path / "goods", 12)), build_towers("small"), tmp_path / "shop")
    return tmp_path / "shop"


def answered_to(server: Served, request: bytes) -> bytes:
    """What comes first for bytes that are no whole request."""
    host, port = server.address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection, suppress(ConnectionError):
        with suppress(ConnectionError):  # not all of it is taken
            connection.sendall(request)
        return connection.recv(100)
    return b""


def test_the_server_runs_until_sigterm(shop: Path) -> None:
    with served(shop) as server:
        assert server.get("api/search", q="red thing").json()["total"] == 12
        endless = b"GET /healthz HTTP/1.1\r\nHost: here\r\nX: " + b"a" * 1_000_000
        assert answered_to(server, endless)[:12] in (b"HTTP/1.1 400", b"")  # refused, or hung up on
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) in STOPPED
    assert {"shop opened", "request", "Application shutdown complete."} <= {line["message"] for line in server.lines()}
    with pytest.raises(httpx2.TransportError):
        server.get("healthz")


def test_a_running_request_finishes_before_shutdown(shop: Path) -> None:
    body = json.dumps({"title": "late thing"}).encode()
    with served(shop) as server:
        host, port = server.address.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = [
                "PUT /api/listings/late HTTP/1.1",
                f"Host: {host}",
                f"Authorization: Bearer {KEY}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Expect: 100-continue",
            ]
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the body
            server.process.send_signal(signal.SIGTERM)
            until(lambda: "Shutting down" in server.log.read_text())
            connection.sendall(body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert server.process.wait(60) in STOPPED
    assert len(open_shop(shop)) == 13


def test_every_worker_sees_a_change_immediately(shop: Path) -> None:
    with served(shop, "--workers", 2) as server:
        workers = {line["message"] for line in server.lines() if line["message"].startswith("Started server process")}
        assert len(workers) == 2
        until(lambda: 'wares_listings{shop="shop"} 12.0' in server.get("metrics").text)
        for number in range(1, 9):
            assert server.put(f"new{number}").json() == {"added": 1, "changed": 0}
            assert {server.total() for _ in range(6)} == {12 + number}  # a connection each: any worker may answer


def test_a_worker_that_dies_is_replaced(shop: Path) -> None:
    with served(shop, "--workers", 2) as server:
        children = [child for child in psutil.Process(server.process.pid).children() if len(child.children()) == 0]
        serving = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        serving[0].kill()
        until(lambda: sum("Started server process" in line["message"] for line in server.lines()) == 3)
        until(lambda: server.total() == 12)


def test_no_confirmed_change_is_lost_by_a_kill(shop: Path) -> None:
    answered: list[str] = []
    with served(shop) as server:

        def change(worker: int) -> None:
            for number in range(1000):
                try:
                    if server.put(f"w{worker}-{number}", f"thing {number}").status_code == 200:
                        answered.append(f"w{worker}-{number}")
                except httpx2.TransportError:
                    return

        with ThreadPoolExecutor(3) as pool:
            for worker in range(3):
                pool.submit(change, worker)
            while len(answered) < 15:
                pass
            server.process.kill()
    with served(shop) as again:
        lost = [id for id in answered if again.get(f"api/listings/{id}").status_code != 200]
        assert not lost
        assert again.put("after").status_code == 200


def test_a_shop_is_replaced_without_a_failed_request(shop: Path, tmp_path: Path) -> None:
    statuses: list[int] = []
    done = threading.Event()
    with served(shop) as server:

        def ask() -> None:
            with httpx2.Client(base_url=server.address, timeout=60) as client:
                while not done.is_set():
                    statuses.append(client.get("api/search", params={"q": f"red {len(statuses)}"}).status_code)

        with ThreadPoolExecutor(2) as pool:
            askers = [pool.submit(ask) for _ in range(2)]
            try:
                for count in (20, 30):
                    catalogue = goods(tmp_path / f"goods{count}", count)
                    index = command("index", catalogue, "--model", tmp_path / "model", "--out", shop, "--overwrite")
                    subprocess.run(index, check=True, env=environment())
                    until(lambda count=count: server.total() == count)  # type: ignore[misc]
            finally:
                done.set()
            for asker in askers:
                asker.result()
    assert set(statuses) == {200}

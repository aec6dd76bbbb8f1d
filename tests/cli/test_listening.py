"""What a watching command tells over HTTP: health and metrics, without being held up by whoever asks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families
from shop import Shop, popularity

from pointsman.cli.listening import PATIENCE, Watched
from pointsman.cli.main import main


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def telling(watched: Watched, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """The address of what is served."""
    with watched.served(("127.0.0.1", 0)):
        yield capsys.readouterr().err.split()[-1].removesuffix("/metrics")


def test_health_is_of_passes_that_ended_however_they_went(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    watched = Watched(30, clock)
    with telling(watched, capsys) as url:

        def health() -> tuple[int, Any]:
            answer = httpx.get(f"{url}/healthz", timeout=60)
            return answer.status_code, answer.json()

        assert watched.limit == PATIENCE + 90
        code, document = health()
        assert (code, document["last_pass"], document["fresh"]) == (200, None, True)
        clock.now = watched.limit + 1
        assert health()[0] == 503
        watched.ended("https://user:secret@git.example/x is away")
        code, document = health()
        assert (code, document["age_seconds"]) == (200, 0)
        assert document["trouble"] == "https://git.example/x is away"
        clock.now += watched.limit
        assert health()[0] == 200
        clock.now += 1
        code, document = health()
        assert (code, document["fresh"], document["limit_seconds"]) == (503, False, 690)
        assert document["last_pass"].endswith("Z")


def test_there_are_two_paths_and_head_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched(1)
    with telling(watched, capsys) as url:
        assert httpx.get(f"{url}/metrics", timeout=60).text == ""
        registry = CollectorRegistry()
        Gauge("pointsman_some", "Some.", registry=registry).set(3)
        watched.metrics = lambda: registry
        metrics = httpx.get(f"{url}/metrics?x=1", timeout=60)
        assert (metrics.status_code, "pointsman_some 3.0\n" in metrics.text) == (200, True)
        assert httpx.get(f"{url}/", timeout=60).status_code == 404
        head = httpx.head(f"{url}/healthz", timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert httpx.post(f"{url}/healthz", timeout=60).status_code == 501


def test_whoever_sends_nothing_and_whoever_sends_nonsense_holds_up_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched(1)
    with telling(watched, capsys) as url:
        address = (httpx.URL(url).host, httpx.URL(url).port or 0)
        with socket.create_connection(address), socket.create_connection(address, timeout=60) as odd:
            odd.sendall(b"\x00\x1b[31m\r\n\r\n")
            assert b"400" in odd.makefile("rb").read()
            assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    assert capsys.readouterr().err == ""


def test_more_connections_than_a_few_are_closed_unanswered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.cli.listening._AT_ONCE", 1)
    with telling(Watched(1), capsys) as url:
        address = (httpx.URL(url).host, httpx.URL(url).port or 0)
        with socket.create_connection(address, timeout=60) as first:
            with socket.create_connection(address, timeout=60) as second:
                assert second.recv(1) == b""
            first.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in first.recv(100)


def test_a_request_that_drips_has_one_limit_for_all_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.cli.listening._WHOLE", 0.1)
    monkeypatch.setattr("pointsman.cli.listening._Answer.timeout", 3600)  # no byte comes too late for this one
    with telling(Watched(1), capsys) as url:
        address = (httpx.URL(url).host, httpx.URL(url).port or 0)
        with socket.create_connection(address, timeout=60) as drips:
            drips.sendall(b"GET /heal")
            assert drips.recv(1) == b""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    return shop


@pytest.mark.slow
def test_a_sync_that_watches_tells_of_its_passes(shop: Shop) -> None:
    away = shop.origin.with_name("away.git")
    words = ["-C", str(shop.desk), "sync", "--watch", "0.05", "--listen", "0", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pointsman", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stderr.readline().split()[-1]

    def passes() -> dict[str, float]:
        """The gauges after at least one more pass."""
        for _ in range(2):  # the one that is told now may have ended just before
            assert process.stdout is not None
            json.loads(process.stdout.readline())
        families = text_string_to_metric_families(httpx.get(url, timeout=60).text)
        return {
            "".join((sample.name, *sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    found = passes()
    assert found["pointsman_sync_targetsunchanged"] == 1
    assert found["pointsman_sync_failed_passes"] == 0
    assert found["pointsman_sync_timestamp_seconds"] > 1.7e9
    shop.origin.rename(away)
    for _ in range(50):
        if (found := passes())["pointsman_sync_failed_passes"]:
            break
    assert found["pointsman_sync_failed_passes"] >= 1
    assert found["pointsman_sync_timestamp_seconds"] < found["pointsman_sync_pass_timestamp_seconds"]
    answer = httpx.get(url.replace("metrics", "healthz"), timeout=60)
    assert answer.status_code == 200
    assert "origin" in answer.json()["trouble"]
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
def test_an_address_that_cannot_be_had_is_one_sentence(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["-C", str(shop.origin), "sync", "--watch", "1", "--listen", str(port)]) == 2
    assert capsys.readouterr().err == f"pointsman: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert main(["-C", str(shop.origin), "sync", "--listen", "9464"]) == 2
    assert "--listen serves what --watch sees" in capsys.readouterr().err

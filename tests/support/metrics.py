"""Prometheus: a stand-in whose range queries a test answers, and the real one, which scrapes services."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from answering import answering, plain
from loader import Instance

REQUESTS = "recsys_recommendation_requests_total"
PAGE = 5  # items that a page shows


class Metrics:
    """`value`: (query, seconds since 1970) → the value then; None: there is none. `asked`: the queries so far."""

    def __init__(self) -> None:
        self.value: Callable[[str, int], float | None] = lambda query, at: 0.0
        self.asked: list[str] = []
        self.url = ""

    def always(self, value: float | None) -> None:
        """From now on every query has this value at every moment."""
        self.value = lambda query, at: value

    def answer(self, to: Any) -> None:
        form = {name: found[0] for name, found in parse_qs(to.given.decode()).items()}
        self.asked.append(form["query"])
        moments = range(int(form["start"]), int(form["end"]) + 1, int(form["step"]))
        found = [(at, self.value(form["query"], at)) for at in moments]
        values = [[at, str(each)] for at, each in found if each is not None]
        result = [{"metric": {}, "values": values}] if values else []
        body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        plain(200, json.dumps(body).encode())(to)


@contextlib.contextmanager
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    with answering(made.answer) as (made.url, _):
        yield made


class Service:
    """A service of one ring that answers ten requests whenever it is scraped, by what its pointer says then.

    A recommendation is empty if popularity has fewer items than a page. It tells what it counted as recsys-service
    does; of an outcome that never was it has no series.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.counted: Counter[str] = Counter()
        self.has_traffic = True
        self.port = 0

    def answer(self, to: Any) -> None:
        for _ in range(10 if self.has_traffic else 0):
            manifest = json.loads(self.instance.request())
            blob = Path(manifest["current"]["popularity"].removeprefix("file://"))
            items = json.loads(blob.read_bytes())["items"]
            self.counted["success" if len(items) >= PAGE else "empty"] += 1
        lines = (f'{REQUESTS}{{outcome="{outcome}"}} {count}\n' for outcome, count in self.counted.items())
        body = "".join((f"# TYPE {REQUESTS} counter\n", *lines)).encode()
        to.send_response(200)
        to.send_header("Content-Type", "text/plain; version=0.0.4")
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


@contextlib.contextmanager
def prometheus(root: Path, services: Mapping[str, Sequence[Service]]) -> Iterator[str]:
    """The URL of a Prometheus on loopback that scrapes the services of each ring; skipped where there is none."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus here: apt-get install prometheus")
    with contextlib.ExitStack() as stack:
        jobs = []
        for ring, some in services.items():
            urls = [stack.enter_context(answering(each.answer))[0].removeprefix("http://") for each in some]
            jobs.append({"targets": urls, "labels": {"ring": ring}})
        scrape = {"job_name": "recsys", "scrape_interval": "200ms", "static_configs": jobs}
        config = root / "prometheus.yml"
        config.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [program, f"--config.file={config}", f"--storage.tsdb.path={root / 'tsdb'}", "--log.level=error"]
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdin=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 60
            while not _is_ready(f"http://{address}/-/ready"):
                assert process.poll() is None, "prometheus has ended"
                assert time.monotonic() < until, "prometheus is not ready"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield f"http://{address}"
        finally:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - on loopback
            return bool(answer.status == 200)
    except OSError:
        return False

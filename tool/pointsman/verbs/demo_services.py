"""What the demo of rings watches: a service for each ring, and a Prometheus that knows what they counted."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.verbs.demo import Serving

REQUESTS = "recsys_recommendation_requests_total"
WINDOW = 4  # seconds that a rate looks back
_TICK = 0.2  # seconds between two looks at the pointer
_KEPT = 1000  # ticks
_VISITORS = 10  # of a tick; the nth has seen the n most popular items already
_PATIENCE = 60.0  # seconds until Prometheus is ready
_MOST = 1 << 16  # bytes of a question
_MOST_VALUES = 1000  # of an answer


class Service(Struct):
    """A service of one ring. It reads its pointer at each tick, as recsys-service does, and recommends what it names.

    A recommendation is empty if the visitor has seen all that there is.
    """

    serving: Serving
    counted: Counter[str] = field(default_factory=Counter)
    ticks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))  # time, empty, all

    def tick(self) -> None:
        """Answer ten requests."""
        with contextlib.suppress(Problem, OSError):  # as yet nothing stands there
            items = self.serving.popular()
            tick = Counter("success" if items > seen else "empty" for seen in range(_VISITORS))
            self.counted = self.counted + tick  # whole ticks only are told
            self.ticks.append((time.time(), self.counted["empty"], self.counted.total()))

    def share(self, at: float) -> float | None:
        """The share of empty results in the seconds before a moment; None if nothing was counted in them."""
        within = [each for each in list(self.ticks) if at - WINDOW < each[0] <= at]
        if len(within) < 2:
            return None
        (_, empty, every), (_, empty_now, every_now) = within[0], within[-1]
        return (empty_now - empty) / (every_now - every)


@contextlib.contextmanager
def watched(root: Path, services: Mapping[str, Service], program: str | None) -> Iterator[str]:
    """The URL of what knows the share of empty results of each ring's service.

    `program`: Prometheus, which scrapes them; None: a stand-in answers its range queries. All is on loopback, and ends
    with the context.
    """
    over = threading.Event()
    server = _Server(("127.0.0.1", 0), services)
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True),
        threading.Thread(target=_tick, args=(services, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with contextlib.nullcontext(url) if program is None else _prometheus(program, root, services, url) as asked:
            yield asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()


def _tick(services: Mapping[str, Service], over: threading.Event) -> None:
    while not over.wait(_TICK):
        for service in services.values():
            service.tick()


@contextlib.contextmanager
def _prometheus(program: str, root: Path, services: Mapping[str, Service], url: str) -> Iterator[str]:
    """A Prometheus that scrapes the services."""
    at = [url.removeprefix("http://")]
    jobs = [
        {"job_name": ring, "metrics_path": f"/{ring}/metrics", "scrape_interval": f"{_TICK * 1000:.0f}ms"}
        | {"static_configs": [{"targets": at, "labels": {"ring": ring}}]}
        for ring in services
    ]
    data = root / "prometheus"
    data.mkdir()
    config = data / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": jobs}))  # JSON is YAML
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={data / 'tsdb'}", "--log.level=error"]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        latest = time.monotonic() + _PATIENCE
        while not _is_ready(f"http://{address}/-/ready"):
            if process.poll() is not None or time.monotonic() > latest:
                raise Problem(f"the demo stops: {program} is not ready; {data / 'log'} may say why")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy there is: it is on loopback
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], services: Mapping[str, Service]) -> None:
        self.services = services
        super().__init__(address, _Answer)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked is gone, or asked nonsense."""


class _Answer(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        """What a service counted, as recsys-service tells it; of an outcome that never was it has no series."""
        service = self.server.services.get(self.path.split("/")[1])
        counted = dict(service.counted) if service is not None else {}
        lines = (f'{REQUESTS}{{outcome="{outcome}"}} {count}\n' for outcome, count in counted.items())
        self._send("text/plain; version=0.0.4", "".join((f"# TYPE {REQUESTS} counter\n", *lines)))

    def do_POST(self) -> None:
        """What Prometheus says to a range query about the empty results of one ring."""
        given = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MOST)).decode()
        form = {name: found[0] for name, found in parse_qs(given).items()}
        moments = range(int(form["start"]), int(form["end"]) + 1, int(form["step"]))[:_MOST_VALUES]
        (service,) = (each for ring, each in self.server.services.items() if f'ring="{ring}"' in form["query"])
        found = [(at, service.share(at)) for at in moments]
        values = [[at, str(share)] for at, share in found if share is not None]
        result = [{"metric": {}, "values": values}] if values else []
        document = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        self._send("application/json", json.dumps(document))

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are no news."""

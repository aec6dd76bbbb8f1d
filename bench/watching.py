"""What `sync --watch` costs while nothing happens: processor time, and requests to a bucket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench import bucket, history, waiting
from bench.measure import Figure

_HERE = Path(__file__).parent
_MB = 1_000_000
_PASSES = 20
_A_MINUTE = 12  # passes, one every 5 s


def idle(root: Path, count: int) -> list[Figure]:
    """Passes with nothing new in a clone of a repository of so many targets, in a directory and on SeaweedFS."""
    store = root / "idle-store"
    for target in history.targets(count):
        path = store / history.key(target, 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(history.blob(target, 0))
    group = f"sync --watch of {count:,} targets with nothing new"
    on_a_bucket = _on_a_bucket(root, group, store, count)  # first: the others write pointers beside the blobs
    rings = waiting.rings_of(root)
    each, two = (
        _pass(_clone(root / name, f"file://{store}", count, more=more))
        for name, more in (("idle", ""), ("rings", rings))
    )
    return [
        Figure(group, "processor time of a pass, its children's too", each * 1000, "ms"),
        Figure(group, "the same in a minute, at a pass every 5 s", each * _A_MINUTE, "s", 0.7),
        Figure(group, "two rings against one place", two / each, "x", 1.3),
        *on_a_bucket,
    ]


def _on_a_bucket(root: Path, group: str, store: Path, count: int) -> list[Figure]:
    # Imported late: the suites of tests are no part of a run without a bucket.
    sys.path.insert(0, str(_HERE.parent / "tests" / "support"))
    import obstore
    from obstore.store import S3Store
    from proxy import running

    host = bucket.start(root / "weed")
    url = f"s3://{bucket.NAME}"
    subprocess.run([sys.executable, _HERE / "uploading.py", url, f"http://{host}", store], check=True)
    with running(host) as proxy:
        clone = _clone(root / "idle-s3", url, count, endpoint=proxy.endpoint)
        calls, seconds = [], 0.0
        for passes in (1, 1, 1 + _PASSES):  # the first run writes the pointers
            seconds = _pass(clone, passes)
            calls.append(len(proxy.calls))
            proxy.calls.clear()
        client = S3Store(bucket.NAME, endpoint=proxy.endpoint, client_options={"allow_http": True})
        listed = sum(map(len, obstore.list(client, "registry/current")))
        pages = len(proxy.calls)
    requests = (calls[2] - calls[1]) / _PASSES
    return [
        Figure(group, "SeaweedFS, processor time of a pass", seconds * 1000, "ms"),
        Figure(group, "SeaweedFS, the same in a minute", seconds * _A_MINUTE, "s"),
        Figure(group, f"SeaweedFS, requests of a pass: pages of {listed:,} keys", requests, ""),
        Figure(group, "SeaweedFS, the same", requests / pages, "x one listing", 1),
    ]


def _clone(place: Path, url: str, count: int, *, more: str = "", endpoint: str = "") -> Path:
    origin = place.with_suffix(".git")
    history.build(origin, url, of=count, each=1, ships=1, artifact_bytes=_MB, more=more, endpoint=endpoint)
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", origin, place], check=True)
    return place


def _pass(clone: Path, passes: int = _PASSES) -> float:
    """Seconds of processor time, its children's too."""
    command = [sys.executable, _HERE / "idle.py", clone, str(passes)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

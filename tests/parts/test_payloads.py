"""Contents: what stands in stored artifacts, fetched once, proven, kept, and said to be missing where it is."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import obstore
import proxy
import pytest
from bucketshop import BucketShop
from msgspec.structs import replace
from proxy import Proxy
from seaweed import BUCKET, Server
from shop import STAGING, git, popularity

from pointsman.artifact.content import Rows
from pointsman.gate import blob_cache
from pointsman.gate.payloads import Contents, Missing, Pair
from pointsman.guardrails.comparison import Likeness
from pointsman.settings import Settings
from pointsman.state.documents import Record
from pointsman.state.store_url import Access
from pointsman.verbs import check
from pointsman.workspace import Workspace

RECORD = Record(
    tenant="grocer", surface="home", segment="", type="popularity", version="", window_start="2026-03-01T00:00:00Z",
    window_end="2026-03-02T00:00:00Z", uri="", size=1, built_at="", source_hash="", summary={}, run="", commit="",
    recorded_at="2026-03-02T00:00:00.000000Z", tool="",
)  # fmt: skip


def payload(*names: str) -> bytes:
    return json.dumps({"items": [{"item_id": name, "count": 1} for name in names]}).encode()


def record(data: bytes, url: str, kind: str = "popularity") -> Record:
    version = hashlib.sha256(data).hexdigest()
    uri = f"{url}/grocer/home/{kind}/{version}.json"
    return replace(RECORD, type=kind, version=version, uri=uri, size=len(data))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test, which nothing has made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pointsman"


class Place:
    """A store of files, and what is said of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"file://{root}"
        self.settings = Settings(self.url)

    def put(self, data: bytes, kind: str = "popularity") -> Record:
        made = record(data, self.url, kind)
        path = self.path(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return made

    def path(self, made: Record) -> Path:
        return Path(made.uri.removeprefix("file://"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "store")


def why(found: object) -> str:
    assert isinstance(found, Missing)
    return found.why


# reading


def test_a_version_is_read_from_its_store_and_one_on_a_disk_is_kept_nowhere_else(place: Place, cache: Path) -> None:
    made = place.put(payload("a", "b"))
    found = Contents().read(place.settings, made)
    assert isinstance(found, Rows)
    assert list(found.rows) == ["a", "b"]
    assert not cache.exists()


def test_what_is_at_hand_is_not_fetched(place: Place) -> None:
    made = record(payload("a"), place.url)
    found = Contents(offline=True, at_hand={made.version: lambda: payload("a")}).read(place.settings, made)
    assert isinstance(found, Rows)


def test_what_cannot_be_had_is_said_with_the_reason(place: Place) -> None:
    made, absent = place.put(payload("a")), record(payload("b"), place.url)
    assert why(Contents(offline=True).read(place.settings, made)) == "the store was not asked (--offline)"
    assert why(Contents().read(place.settings, absent)) == f"no blob at {absent.uri}"
    place.path(made).write_bytes(payload("c"))
    assert why(Contents().read(place.settings, made)) == f"the bytes at {made.uri} do not hash to their version"
    place.path(made).write_bytes(payload("a") + bytes(1 << 20))
    assert "has more than the 41 bytes that its record says" in why(Contents().read(place.settings, made))
    place.path(made).unlink()
    place.path(made).mkdir()
    assert "a directory stands there, not a file" in why(Contents().read(place.settings, made))
    assert "cannot be compared" in why(Contents().read(place.settings, place.put(b"[]")))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "{url}/../x.json",
        "{url}/baker/home/popularity/{version}.json",
        "http://127.0.0.1/{version}.json",
        "{url}/grocer/home/popularity/{version}.json?x",
    ],
)
def test_nothing_but_the_place_of_a_version_is_ever_opened(place: Place, uri: str) -> None:
    made = place.put(payload("a"))
    elsewhere = replace(made, uri=uri.format(url=place.url, version=made.version))
    assert why(Contents().read(place.settings, elsewhere)) == f"{elsewhere.uri} is in no store that can be asked"


def test_a_former_store_is_asked_for_what_was_recorded_there(place: Place, tmp_path: Path) -> None:
    made = place.put(payload("a"))
    moved = Settings(f"file://{tmp_path}/new", former=("ftp://long/gone", place.url))
    assert isinstance(Contents().read(moved, made), Rows)
    old = replace(made, uri=f"ftp://long/gone/grocer/home/popularity/{made.version}.json")
    assert "is in no store that can be asked" in why(Contents().read(moved, old))


def test_all_are_read_together_and_each_once(place: Place) -> None:
    made = [place.put(payload(name)) for name in "abc"]
    found = Contents().read_all(place.settings, [*made, *made])
    assert {version: isinstance(each, Rows) for version, each in found.items()} == {m.version: True for m in made}


# the cache


@pytest.fixture
def between(s3: Server) -> Iterator[Proxy]:
    with proxy.running(s3.host) as running:
        yield running


class Bucket(Place):
    """A store in a bucket, behind the proxy."""

    def __init__(self, s3: Server, between: Proxy) -> None:
        self.url = f"s3://{BUCKET}/contents-{uuid.uuid4().hex}"
        self.settings = Settings(self.url, Access(between.endpoint, "", True))
        self.client = s3.client()

    def put(self, data: bytes, kind: str = "popularity") -> Record:
        made = record(data, self.url, kind)
        obstore.put(self.client, self.key(made), data)
        return made

    def take(self, made: Record) -> None:
        obstore.delete(self.client, self.key(made))

    def key(self, made: Record) -> str:
        return made.uri.removeprefix(f"s3://{BUCKET}/")


@pytest.fixture
def bucket(s3: Server, between: Proxy) -> Bucket:
    return Bucket(s3, between)


def blobs(between: Proxy) -> list[str]:
    """The blobs whose bytes were asked for."""
    return [call.path for call in between.calls if call.method == "GET" and "/grocer/" in call.path]


@pytest.mark.slow
def test_a_bucket_is_asked_once_and_what_is_kept_needs_it_no_more(bucket: Bucket, between: Proxy, cache: Path) -> None:
    made = bucket.put(payload("a"))
    for _ in range(2):
        assert isinstance(Contents().read(bucket.settings, made), Rows)
    assert len(blobs(between)) == 1
    bucket.take(made)
    assert isinstance(Contents(offline=True).read(bucket.settings, made), Rows)
    assert [path.name for path in cache.iterdir()] == [f"{made.version}.json"]
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_spoilt_entry_of_the_cache_is_fetched_again(bucket: Bucket, between: Proxy, cache: Path) -> None:
    made = bucket.put(payload("a"))
    Contents().read(bucket.settings, made)
    entry = cache / f"{made.version}.json"
    for data in (b"", payload("b"), payload("a")[:-1]):
        entry.write_bytes(data)
        found = Contents().read(bucket.settings, made)
        assert isinstance(found, Rows)
        assert list(found.rows) == ["a"]
        assert entry.read_bytes() == payload("a")
    assert len(blobs(between)) == 4


@pytest.mark.parametrize("cause", ["a file where the directory belongs", "a directory where the entry belongs"])
def test_a_cache_that_cannot_be_written_is_none(bucket: Bucket, cache: Path, cause: str) -> None:
    made = bucket.put(payload("a"))
    if cause == "a file where the directory belongs":
        cache.parent.write_text("no")
    else:
        (cache / f"{made.version}.json").mkdir(parents=True)
    assert isinstance(Contents().read(bucket.settings, made), Rows)
    assert cause[:6] == "a file" or os.listdir(cache) == [f"{made.version}.json"], "nothing half written is left"


def test_the_cache_is_bounded_and_what_was_unused_for_longest_goes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_cache, "_MOST", 250)
    datas = [bytes([number]) * 100 for number in range(4)]
    versions = [hashlib.sha256(data).hexdigest() for data in datas]
    for number, (version, data) in enumerate(zip(versions, datas, strict=True)):
        blob_cache.cache(version, data)
        if (entry := cache / f"{version}.json").exists():
            os.utime(entry, (number, number))
        if number == 1:
            assert blob_cache.cached(versions[0]) == datas[0]  # used just now
    assert {path.stem for path in cache.iterdir()} == {versions[0], versions[3]}
    blob_cache.cache(versions[1], b"\1" * 1000)
    assert {path.stem for path in cache.iterdir()} == {versions[1]}, "what was just fetched stays, whatever its size"


def test_what_a_killed_process_had_begun_goes_a_day_later(cache: Path) -> None:
    cache.mkdir(parents=True)
    old, new = (cache / f".{digit * 64}.89abcdef" for digit in "01")
    for path in (old, new):
        path.write_bytes(b"begun")
    os.utime(old, (0, time.time() - 86500))
    blob_cache.cache("2" * 64, b"whole")
    assert {path.name for path in cache.iterdir()} == {new.name, f"{'2' * 64}.json"}, "another may be at work"


def test_what_is_to_be_erased_is_dropped_from_the_cache_and_kept_out_of_it(bucket: Bucket, cache: Path) -> None:
    made = bucket.put(payload("a"))
    assert isinstance(Contents().read_all(bucket.settings, [made])[made.version], Rows)
    assert list(blob_cache.versions()) == [made.version]
    reader = Contents()
    reader.erased = lambda record: record == made
    assert isinstance(reader.read_all(bucket.settings, [made])[made.version], Rows), "it is there until gc takes it"
    assert not os.listdir(cache)
    blob_cache.cache(made.version, payload("a"))
    (cache / "notes.txt").touch()
    assert list(blob_cache.versions()) == [made.version]
    reader = Contents(offline=True)
    reader.erased = lambda record: record == made
    assert isinstance(reader.read_all(bucket.settings, [made])[made.version], Missing), "its copy is not used"
    assert os.listdir(cache) == ["notes.txt"]


def test_the_cache_stands_where_the_platform_keeps_such_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value in ("", "relative/path"):  # the specification has a relative one ignored
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert blob_cache._directory() == tmp_path / "home" / ".cache" / "pointsman"


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_asked_once(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "1")
    made = bucket.put(payload("a"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    away = replace(bucket.settings, access=replace(bucket.settings.access, endpoint=f"http://127.0.0.1:{port}"))
    reader = Contents()
    first = reader.read(away, made)
    assert "cannot read" in why(first)
    assert reader.read(away, replace(made, version="0" * 64, uri=made.uri.replace(made.version, "0" * 64))) is first


@pytest.mark.slow
def test_check_fetches_each_blob_once_and_still_proves_what_the_store_has(
    s3: Server, between: Proxy, tmp_path: Path
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint, "[policy]\nkept_low = 0.3\n")
    shop.publish(popularity(tmp_path / "1.json", 100), merge=True)
    shop.publish(popularity(tmp_path / "2.json", 101))
    git(shop.desk, "fetch", "-q", "origin")
    head = f"origin/{shop.pulls()[0]['branch']}"
    between.forget()
    with shop.open() as repo:
        assert check.check(Workspace(repo), base="origin/main", head=head).document["faults"] == []
    assert len(blobs(between)) == len(set(blobs(between)))
    # Both are in the cache now; the store is asked all the same.
    [new] = [key for key in shop.objects() if f"/{shop.pulls()[0]['title'].split()[-1]}" in key]
    shop.put(new, shop.objects()[new].replace(b"item-0000", b"item-000x"))
    assert shop.check("origin/main", head) == ["blob-altered"]


# how alike


def test_what_is_alike_is_measured_once_and_only_as_far_as_asked(place: Place) -> None:
    before, after = place.put(payload("a", "b", "c")), place.put(payload("b", "c", "d"))
    reader = Contents()
    key = (before.version, after.version)
    assert reader.likeness(place.settings, [Pair(before, after, False)]) == {key: Likeness(2 / 3, None)}
    assert reader.likeness(place.settings, [Pair(before, after, True)]) == {key: Likeness(2 / 3, 0.5)}
    place.path(before).unlink()
    assert reader.likeness(place.settings, [Pair(before, after, False)] * 2) == {key: Likeness(2 / 3, None)}
    assert Contents().likeness(place.settings, [Pair(after, after, True)]) == {(key[1],) * 2: Likeness(1, 1)}


def test_what_could_not_be_read_is_asked_for_again(place: Place) -> None:
    before, after = place.put(payload("a")), record(payload("b"), place.url)
    reader = Contents()
    [missing] = reader.likeness(place.settings, [Pair(before, after, False)]).values()
    assert missing.kept is None
    assert missing.why.startswith("no blob at ")
    place.put(payload("b"))
    assert list(reader.likeness(place.settings, [Pair(before, after, False)]).values()) == [Likeness(0, None)]


def test_from_nothing_nothing_can_be_lost_and_in_what_is_no_artifact_nothing_is_kept(place: Place) -> None:
    empty, full, garbled = place.put(payload()), place.put(payload("a")), place.put(b"see the attached sheet")

    def told(before: Record, after: Record) -> Likeness:
        [like] = Contents().likeness(place.settings, [Pair(before, after, True)]).values()
        return like

    assert told(empty, full) == Likeness(1, 1)
    assert told(full, empty) == Likeness(0, 0)
    assert told(full, garbled) == Likeness(0, 0)
    assert "cannot be read as popularity" in told(garbled, full).why


def test_a_former_store_that_cannot_be_opened_stops_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    settings = replace(place.settings, former=("az://nobody/knows", "ftp://x/y"))
    before, after = place.put(payload("a")), place.put(payload("a", "b"))
    assert list(Contents().likeness(settings, [Pair(before, after, False)]).values()) == [Likeness(1, None)]


FIRST = """
import sys, threading
from pathlib import Path
from pointsman.artifact import built_in, content

sys.setswitchinterval(1e-6)
files = [path.read_bytes() for path in Path(sys.argv[1]).rglob("*.json")]
together = threading.Barrier(len(files))

def read(data):
    together.wait()
    document, _ = built_in.decode(data)
    assert content.decode(document.artifact_type, data)

threads = [threading.Thread(target=read, args=(data,)) for data in files]
for each in threads:
    each.start()
for each in threads:
    each.join()
"""


@pytest.mark.slow
def test_threads_that_read_the_first_artifacts_of_a_process_at_the_same_moment_do_not_crash_it(tmp_path: Path) -> None:
    """Where each made its own decoder, one process of six crashed."""
    script = tmp_path / "first.py"
    script.write_text(FIRST)
    for _ in range(30):
        ran = subprocess.run([sys.executable, script, STAGING / "grocer"], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")

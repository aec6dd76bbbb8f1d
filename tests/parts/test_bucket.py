"""Buckets: whatever a request answers, what stands there decides, and every trouble has its own sentence."""

from __future__ import annotations

import hashlib
import random
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import obstore
import proxy
import pytest
import world
from proxy import FAULTS, Call, Proxy
from seaweed import BUCKET, Server

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.state.store_url import Access
from pointsman.store.bucket import Bucket
from pointsman.store.open import open_store

OLD, NEW = "t/s/old.json", "t/s/new.json"
WAS, IS = b"o" * 3000, b"n" * 3000


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def at(server: Server, url: str, endpoint: str = "") -> Bucket:
    opened = open_store(url, Access(endpoint or server.endpoint, "", True))
    assert isinstance(opened, Bucket)
    return opened


@pytest.fixture
def bucket(s3: Server, url: str) -> Bucket:
    return at(s3, url)


def tag(bucket: Bucket, key: str) -> str:
    held = bucket.read(key)
    assert held is not None
    return held.tag


def test_a_prefix_of_a_bucket_is_a_store_of_its_own(bucket: Bucket, s3: Server, url: str) -> None:
    for key in ("t/s/m.json", "t/r/m.json", "t2/s/m.json"):
        bucket.create(key, b"x")
    assert list(at(s3, f"{url}/t").keys("", 2)) == ["r/m.json", "s/m.json"]


def test_a_second_look_finds_a_pointer_that_was_written_or_taken_away(bucket: Bucket) -> None:
    for key in ("t/s/m.json", "t/r/m.json"):
        bucket.replace(key, b"one", was=None)
    read = {key: tag(bucket, key) for key in ("t/s/m.json", "t/r/m.json")}
    assert bucket.still(read)
    bucket.replace("t/s/m.json", b"two", was=read["t/s/m.json"])
    assert not bucket.still(read)
    bucket.replace("t/s/m.json", b"one", was=tag(bucket, "t/s/m.json"))
    assert bucket.still(read)
    bucket.delete("t/r/m.json", was=read["t/r/m.json"])
    assert not bucket.still(read)


# whatever goes wrong on the way

CALLS: dict[str, tuple[str, Callable[[Bucket, str], Any], Any]] = {  # name → method that is spoilt, call, right answer
    "create": ("PUT", lambda bucket, was: bucket.create(NEW, IS), True),
    "replace": ("PUT", lambda bucket, was: bucket.replace(OLD, IS, was=was), None),
    "delete": ("DELETE", lambda bucket, was: bucket.delete(OLD, was=was), None),
    "remove": ("DELETE", lambda bucket, was: bucket.remove(OLD), None),
    "read": ("GET", lambda bucket, was: bucket.read(OLD).data, WAS),  # type: ignore[union-attr]
    "digest": ("GET", lambda bucket, was: bucket.digest(OLD), (len(WAS), hashlib.sha256(WAS).hexdigest())),
    "size": ("HEAD", lambda bucket, was: bucket.size(OLD), len(WAS)),
    "keys": ("GET", lambda bucket, was: list(bucket.keys("", 3)), [OLD]),
}
AFTER = {"create": {OLD: WAS, NEW: IS}, "replace": {OLD: IS}, "delete": {}, "remove": {}}


@pytest.fixture
def between(s3: Server) -> Iterator[Proxy]:
    with proxy.running(s3.host) as running:
        yield running


def contents(server: Server, url: str) -> dict[str, bytes]:
    client = server.client(url.rpartition("/")[2])
    paths = [meta["path"] for page in obstore.list(client) for meta in page]
    return {path: bytes(obstore.get(client, path).bytes()) for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_ridden_out_and_everything_is_done_once(
    s3: Server, url: str, between: Proxy, fault: str, monkeypatch: pytest.MonkeyPatch, dice: random.Random
) -> None:
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "2" if fault == "hang" else "8")
    names = dice.sample(sorted(CALLS), world.how_many_points(2 if fault == "hang" else 4, len(CALLS), 10))
    direct, spoilt = at(s3, url), at(s3, url, between.endpoint)
    for name in names:
        method, call, right = CALLS[name]
        for key in contents(s3, url):
            direct.delete(key, was=tag(direct, key))
        direct.create(OLD, WAS)
        was = tag(direct, OLD)
        between.forget(lambda each, method=method: fault if each.method == method and not between.spoilt else None)  # type: ignore[misc]
        assert call(spoilt, was) == right, name
        assert len(between.spoilt) == 1, name
        assert contents(s3, url) == AFTER.get(name, {OLD: WAS}), name


def test_what_a_store_does_not_allow_is_asked_for_once(s3: Server, url: str, between: Proxy) -> None:
    between.forget(lambda each: "403" if each.method == "PUT" else None)
    with pytest.raises(Unreachable, match="AccessDenied"):
        at(s3, url, between.endpoint).create("new", b"bytes")
    assert [each.method for each in between.spoilt] == ["PUT"]
    assert contents(s3, url) == {}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_lasts_is_a_problem_in_the_end_and_nothing_is_done_by_halves(
    s3: Server, url: str, between: Proxy, fault: str, monkeypatch: pytest.MonkeyPatch, dice: random.Random
) -> None:
    direct = at(s3, url)
    direct.create(OLD, WAS)
    was = tag(direct, OLD)
    for name in dice.sample(sorted(CALLS), world.how_many_points(1, len(CALLS), 10)):
        method, call, right = CALLS[name]
        done = fault in ("lost answer", "truncated") and name in AFTER
        monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "8" if done else "0.3")
        spoilt = at(s3, url, between.endpoint)
        between.forget(lambda each, method=method: fault if each.method == method else None)  # type: ignore[misc]
        if done:  # and reading back shows it
            assert call(spoilt, was) == right, name
        else:
            with pytest.raises(Unreachable, match=re.escape(between.endpoint)):
                call(spoilt, was)
        assert between.spoilt, name
        found = contents(s3, url)
        assert found in ({OLD: WAS}, AFTER.get(name)), name
        for key in found:
            direct.delete(key, was=tag(direct, key))
        direct.create(OLD, WAS)
        was = tag(direct, OLD)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "lost answer"])
def test_a_move_rides_out_a_fault_that_passes_and_leaves_everything_where_it_is_if_one_lasts(
    s3: Server, url: str, between: Proxy, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, spoilt = at(s3, url), at(s3, url, between.endpoint)
    direct.create(OLD, WAS)
    between.forget(lambda each: fault if each.method == "PUT" and not between.spoilt else None)
    assert spoilt.move(OLD, NEW, len(WAS), lambda: True) is True
    assert contents(s3, url) == {NEW: WAS}
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.3")
    between.forget(lambda each: fault if each.method == "PUT" else None)
    with pytest.raises(Unreachable, match=f"cannot copy {re.escape(url)}/{NEW}"):
        at(s3, url, between.endpoint).move(NEW, OLD, len(WAS), lambda: True)
    assert contents(s3, url)[NEW] == WAS
    between.forget()
    with pytest.raises(Unreachable, match="is not the copy that was asked for"):
        spoilt.move(NEW, OLD, len(WAS) + 1, lambda: True)
    assert spoilt.move(NEW, OLD, len(WAS), iter([True, False]).__next__) is False
    assert contents(s3, url) == {OLD: WAS, NEW: WAS}
    assert spoilt.move("t/s/none.json", OLD, 1, lambda: True) is False


@pytest.mark.slow
def test_a_copy_that_is_not_there_although_the_store_says_so_costs_nothing(
    s3: Server, url: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.create(OLD, WAS)
    monkeypatch.setattr(obstore, "copy", lambda *_: None)
    with pytest.raises(Unreachable, match="is not the copy that was asked for"):
        bucket.move(OLD, NEW, len(WAS), lambda: True)
    assert contents(s3, url) == {OLD: WAS}


@pytest.mark.slow
def test_a_listing_that_breaks_off_does_not_end(
    s3: Server, url: str, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(s3, url).create(OLD, WAS)
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.3")
    between.forget(lambda each: "500" if each.method == "GET" else None)
    with pytest.raises(Unreachable, match="cannot list"):
        list(at(s3, url, between.endpoint).objects(""))


def test_a_create_that_finds_other_bytes_after_a_lost_answer_says_that_something_is_there(
    s3: Server, url: str, between: Proxy
) -> None:
    """The answer is lost, and the write too: someone else's bytes stand there when we look."""

    def someone_else(call: Call) -> str | None:
        if call.method != "PUT":
            return None
        at(s3, url).create(NEW, b"someone else's")
        return "reset"

    between.forget(someone_else)
    assert at(s3, url, between.endpoint).create(NEW, IS) is False
    assert contents(s3, url) == {NEW: b"someone else's"}


def test_a_replace_that_finds_other_bytes_after_a_lost_answer_says_that_someone_moved_first(
    s3: Server, url: str, between: Proxy
) -> None:
    direct = at(s3, url)
    direct.create(OLD, WAS)
    was = tag(direct, OLD)

    def someone_else(call: Call) -> str | None:
        if call.method == "PUT" and not between.spoilt:
            direct.replace(OLD, b"someone else's", was=was)
            return "reset"
        return None

    between.forget(someone_else)
    with pytest.raises(MovedFirst):
        at(s3, url, between.endpoint).replace(OLD, IS, was=was)
    assert contents(s3, url) == {OLD: b"someone else's"}


# what is said


def says(bucket: Bucket, call: Callable[[Bucket], Any] = lambda bucket: bucket.digest(NEW)) -> str:
    with pytest.raises(Unreachable) as error:
        call(bucket)
    assert error.value.exit_code == 3
    return str(error.value)


def test_every_trouble_has_its_own_sentence_that_says_what_to_check(
    s3: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "bucket": says(at(s3, "s3://no-such-bucket/x")),
        "bucket by size": says(at(s3, "s3://no-such-bucket/x"), lambda bucket: bucket.size(NEW)),
        "bucket by list": says(at(s3, "s3://no-such-bucket/x"), lambda bucket: list(bucket.keys("", 3))),
    }
    assert all("there is no bucket 'no-such-bucket': create it, or correct the URL" in each for each in found.values())
    assert all(f" at {s3.endpoint}: " in each for each in found.values())
    for name, value in (("AWS_SECRET_ACCESS_KEY", "wrong-and-secret"), ("AWS_ACCESS_KEY_ID", "AKIDWRONG")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            for call in (
                lambda bucket: bucket.size(NEW),
                lambda bucket: bucket.create(NEW, IS),
                lambda bucket: bucket.remove(NEW),
            ):
                sentence = says(at(s3, url), call)
                assert "the credentials are wrong or have expired" in sentence
                assert "check AWS_ACCESS_KEY_ID" in sentence
                assert value not in sentence
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3.reader_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3.reader_secret)
        assert "no permission (403 AccessDenied)" in says(at(s3, url), lambda bucket: bucket.create(NEW, IS))
        assert at(s3, url).size(NEW) is None  # it may read, and nothing is there
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert "no answer: check [store] endpoint" in says(at(s3, url, nobody))
    assert f"{nobody}: nothing answers there: check [store] endpoint" in says(at(s3, url, nobody))


@pytest.mark.slow
@pytest.mark.parametrize(
    "status,code,sentence",
    [
        (429, "", "the store is throttling requests (429)"),
        (503, "SlowDown", "the store is throttling requests (503 SlowDown)"),
        (500, "InternalError", "an internal error (500 InternalError)"),
        (507, "XMinioStorageFull", "the store is full"),
        (403, "RequestTimeTooSkewed", "clock is wrong"),
        (400, "ExpiredToken", "the credentials are wrong or have expired (400 ExpiredToken)"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region"),
        (404, "", "the server there is not an object store"),
        (301, "PermanentRedirect", "the bucket is in another region"),
        (418, "Teapot", "the store refuses the request (418 Teapot)"),
    ],
)
def test_what_a_store_answers_is_told_apart(
    s3: Server, url: str, status: int, code: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            quoted = f"<AWSAccessKeyId>{s3.key}</AWSAccessKeyId><StringToSign>{s3.secret}</StringToSign>"
            body = f"<Error><Code>{code}</Code>{quoted}</Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            told = says(at(s3, url, f"http://127.0.0.1:{server.server_address[1]}"))
        finally:
            server.shutdown()
            thread.join()
    assert sentence in told
    assert s3.key not in told
    assert s3.secret not in told


def test_credentials_that_cannot_be_sent_are_named_and_not_shown(
    s3: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{s3.key}\n")
    with pytest.raises(Problem, match="AWS_ACCESS_KEY_ID has a space or a line break in it") as error:
        at(s3, url).size(NEW)
    assert s3.key not in str(error.value)


def test_a_machine_without_credentials_is_told_which_to_give(
    s3: Server, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in s3.environment:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{listening.getsockname()[1]}/role")
        (tmp_path / "token").write_text("a-token")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.2")
        assert "no credentials were found: check AWS_ACCESS_KEY_ID" in says(at(s3, url))


def test_an_endpoint_of_the_settings_wins_over_the_environment(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, s3: Server, url: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert at(s3, url).create(NEW, IS) is True


# what it costs


@pytest.mark.slow
def test_a_large_object_is_hashed_in_little_memory(s3: Server, url: str) -> None:
    size = 64 << 20
    obstore.put(s3.client(url.rpartition("/")[2]), OLD, bytes(size), mode="create")
    script = (
        "import resource, sys\n"
        "from pointsman.store.open import open_store\n"
        "from pointsman.state.store_url import Access\n"
        "bucket = open_store(sys.argv[1], Access(sys.argv[2], '', True))\n"
        "bucket.size(sys.argv[3])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(*bucket.digest(sys.argv[3]), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)\n"
    )
    command = [sys.executable, "-c", script, url, s3.endpoint, OLD]
    found, digest, grown = subprocess.check_output(command, text=True).split()
    assert (int(found), digest) == (size, hashlib.sha256(bytes(size)).hexdigest())
    assert int(grown) < size // 2


@pytest.mark.slow
def test_a_large_object_that_is_always_cut_short_is_given_up_although_bytes_keep_coming(
    s3: Server, url: str, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert at(s3, url).create(OLD, bytes(8 << 20)) is True
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "2")
    between.forget(lambda call: "truncated")
    assert "the connection broke off" in says(at(s3, url, between.endpoint), lambda bucket: bucket.digest(OLD))
    assert len([call for call in between.spoilt if call.path.endswith(OLD)]) == 10


def test_a_directory_never_imports_obstore() -> None:
    script = (
        "import sys; from pointsman.store.open import open_store as o; o('file:///x'); print('obstore' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "False"

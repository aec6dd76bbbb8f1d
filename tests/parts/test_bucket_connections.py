"""Buckets behind an own CA, a dead proxy or a gateway that cannot write conditionally: what works, and what is said."""

from __future__ import annotations

import socket
import uuid
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest
from answering import answering, own_certificate, plain

from pointsman.errors import Problem, Unreachable
from pointsman.state.store_url import Access
from pointsman.store.bucket import Bucket

NOTHING = plain(404, b"<Error><Code>NoSuchKey</Code></Error>")
PROXIES = [f"{name}_proxy" for name in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.5")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


def bucket(endpoint: str) -> Bucket:
    return Bucket(f"s3://bucket/{uuid.uuid4().hex}", Access(endpoint, "", endpoint.startswith("http:")))


def test_an_own_ca_is_trusted_where_other_tools_are_told_of_it_and_else_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "60")  # nothing here waits for it, however busy the machine is
    with answering(NOTHING, own_certificate(tmp_path)) as (url, _):
        with pytest.raises(Unreachable, match=r"no secure connection can be made.*name the CA's file in SSL_CERT_FILE"):
            bucket(url).read("x")
        for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(tmp_path / "ca.pem"))
                assert bucket(url).read("x") is None, variable


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_bundle_that_cannot_be_used_is_named_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    for name, says in (("absent.pem", "which cannot be read"), ("empty.pem", "in which no certificate stands")):
        monkeypatch.setenv(variable, str(tmp_path / name))
        with pytest.raises(Problem, match=f"^{variable} names .*{name}, {says}"):
            bucket("https://127.0.0.1:1").read("x")
    monkeypatch.setenv(variable, str(tmp_path / "broken.pem"))
    with pytest.raises(Problem, match=r"cannot open|no secure connection"):
        bucket("https://127.0.0.1:1").read("x")
    monkeypatch.setenv(variable, str(tmp_path))  # a directory is for other tools
    with pytest.raises(Unreachable, match="nothing answers there"):
        bucket("https://127.0.0.1:1").read("x")


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_dead_is_named_with_its_variable_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"127.0.0.1:{taken.getsockname()[1]}"
    with answering(NOTHING) as (url, asked):
        monkeypatch.setenv(variable, f"http://user:secret@{dead}")
        with pytest.raises(Unreachable) as error:
            bucket(url).read("x")
        assert f"at {url}, sent through the proxy {dead} of {variable}: " in str(error.value)
        assert "secret" not in str(error.value)
        assert asked == []
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert bucket(url).read("x") is None


def test_a_store_without_conditional_writes_is_said_at_once() -> None:
    says = b"<Error><Code>NotImplemented</Code><Header>If-None-Match</Header></Error>"
    for status in (501, 400):
        with answering(plain(status, says)) as (url, asked):
            for write in (
                lambda url=url: bucket(url).create("x", b"one"),
                lambda url=url: bucket(url).replace("x", b"one", was="tag"),
            ):
                with pytest.raises(Unreachable, match=r"it has no conditional writes \(If-None-Match, If-Match\)"):
                    write()
            assert asked == ["PUT", "PUT"], "asking again does not help"


def _key(name: str) -> bytes:
    meta = "<Size>1</Size><ETag>e</ETag><LastModified>2026-01-01T00:00:00Z</LastModified>"
    return f"<Contents><Key>p/{name}</Key>{meta}</Contents>".encode()


@pytest.mark.slow
def test_a_bucket_that_drips_or_lists_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n')
        to.wfile.write(b"Content-Length: 10000\r\n\r\n")
        while True:
            to.wfile.write(b"x")
            Event().wait(0.02)

    def endless(to: BaseHTTPRequestHandler) -> None:
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{len(asked)}</NextContinuationToken>".encode()
        plain(200, b"<ListBucketResult>" + more + b"</ListBucketResult>")(to)

    with answering(drip) as (url, asked):
        for read in (lambda url=url: bucket(url).read("x"), lambda url=url: bucket(url).digest("x")):
            with pytest.raises(Unreachable, match="no answer: check"):
                read()
    monkeypatch.setattr("pointsman.store.bucket_listing.MOST_LISTED", 5)
    page = b"".join(_key(f"{place:060}") for place in range(6))
    whole = b"<ListBucketResult><IsTruncated>false</IsTruncated>" + page + b"</ListBucketResult>"
    with answering(plain(200, whole)) as (url, _), pytest.raises(Unreachable, match="more than 5 objects"):
        list(bucket(url).keys("", 1))
    monkeypatch.setattr("pointsman.store.bucket_listing.SECONDS_A_PAGE", 0)
    with answering(endless) as (url, asked), pytest.raises(Unreachable, match="no answer: check"):
        list(bucket(url).keys("", 1))


def test_no_more_of_an_object_is_read_than_was_asked_for() -> None:
    def long(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n')
        to.wfile.write(b"Content-Length: 1000000000000\r\n\r\n")
        while True:
            to.wfile.write(b"x" * 4096)

    with answering(long) as (url, _):
        held = bucket(url).read("x", 10)
        assert held is not None
        assert held.data == b"x" * 11
        assert bucket(url).digest("x", 10) == (1_000_000_000_000, "")

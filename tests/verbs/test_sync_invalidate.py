"""After a pointer was written, every replica of recsys-service is told to read it, by the rules of its own handler."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from recsys_service import Replica, replicas
from shop import GROCER, Shop, cooc, popularity

from pointsman.outcome import Outcome
from pointsman.serving import calls, notify

HEADERS = "X-Org-Id: {tenant}\n[grocer] X-API-Key: key-of-grocer\n[baker]X-API-Key: key-of-baker\n"
TOLD = {"targets": ["popularity"], "surface": "home"}


@pytest.fixture
def service() -> Generator[list[Replica]]:
    with replicas(2, "grocer", "baker") as made:
        yield made


@pytest.fixture
def open_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    monkeypatch.setattr(calls, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, HEADERS)

    def build(urls: object, settings: str = "") -> Shop:
        shop = Shop(tmp_path / "shop", f"[serving]\ninvalidate = {json.dumps(urls)}\n{settings}")
        shop.publish(popularity(tmp_path / "p1.json", 10), cooc(tmp_path / "c1.json", 5), merge=True)
        return shop

    return build


def failed(outcome: Outcome[Any]) -> dict[str, str]:
    return {call["url"]: call["says"] for call in outcome.document["calls"] if not call["ok"]}


def owed(shop: Shop) -> Any:
    return json.loads((shop.store / "registry" / "current" / notify.KEY).read_text())["owed"]


def place(replica: Replica, tenant: str = "grocer") -> str:
    return replica.url.replace("{tenant}", tenant)


@pytest.mark.slow
def test_every_replica_takes_the_call_whatever_types_changed(
    open_shop: Callable[..., Shop], service: list[Replica], tmp_path: Path
) -> None:
    shop = open_shop([each.url for each in service])
    assert failed(shop.sync()) == {}
    shop.publish(cooc(tmp_path / "c2.json", 6, day=2), merge=True)
    assert failed(shop.sync()) == {}
    for each in service:
        assert each.refused == []
        assert each.hears == [("grocer", TOLD)] * 2
    assert shop.sync().document["calls"] == []


@pytest.mark.slow
def test_each_tenant_has_headers_of_its_own(
    open_shop: Callable[..., Shop], service: list[Replica], tmp_path: Path
) -> None:
    shop = open_shop(service[0].url)  # one URL need not be a list
    shop.publish(popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    assert failed(shop.sync()) == {}
    assert sorted(service[0].hears) == [("baker", TOLD), ("grocer", TOLD)]


@pytest.mark.parametrize(
    "headers, path, says",
    [
        ("X-API-Key: wrong-secret", "", "HTTP 401: invalid api key, RECSYS_AUTH_INVALID"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                ("X-Team: shop", "", "HTTP 401: authentication required, RECSYS_AUTH_REQUIRED"),
                ("X-API-Key: key-of-baker", "", "HTTP 403: tenant scope mismatch, RECSYS_TENANT_SCOPE_MISMATCH"),
                (f"{HEADERS}X-Org-Id: baker", "", "HTTP 403: tenant scope mismatch, RECSYS_TENANT_SCOPE_MISMATCH"),
                (HEADERS, "s", "HTTP 404: 404 page not found"),
            ]
        ),
    ],
)
def test_the_reason_of_a_refusal_is_told_without_the_secret(
    open_shop: Callable[..., Shop],
    service: list[Replica],
    monkeypatch: pytest.MonkeyPatch,
    headers: str,
    path: str,
    says: str,
) -> None:
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, headers)
    shop = open_shop(service[0].url + path)
    outcome = shop.sync()
    where = place(service[0]) + path
    assert failed(outcome) == {where: says}
    assert outcome.notes == (f"invalidate of grocer/home at {where} failed: {says}",)
    assert outcome.exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_one_replica_that_is_away_keeps_neither_the_others_nor_the_messages_waiting(
    open_shop: Callable[..., Shop], service: list[Replica], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = f"http://127.0.0.1:{port}/v1/admin/tenants/{{tenant}}/cache/invalidate"
    tell = f"tee -a '{tmp_path}/told.jsonl'"
    shop = open_shop([away, service[0].url, service[1].url], f'[notify]\ncommand = "{tell}"\n')
    shop.publish(popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    service[0].out_of_order = [500, 503, 502]  # and one that is ill for the first of its calls
    wrong = failed(shop.sync())
    assert service[1].hears == [("baker", TOLD), ("grocer", TOLD)]
    assert wrong.pop(place(service[0], "baker")) == "HTTP 502: internal error, RECSYS_INTERNAL"
    assert wrong.pop(away.replace("{tenant}", "grocer")) == (
        "not tried: this server gave no answer to the call before"  # one dead server costs one wait, not one a target
    )
    assert "refused" in wrong.pop(away.replace("{tenant}", "baker"))
    assert wrong == {}
    assert owed(shop) == {
        "baker/home": {"invalidate": [away, service[0].url], "webhook": [], "command": []},
        str(GROCER): {"invalidate": [away], "webhook": [], "command": []},
    }
    shop.sync()  # whoever was told is not told again; who was not, is
    assert [len(each.hears) for each in service] == [2, 2]
    assert len((tmp_path / "told.jsonl").read_text().splitlines()) == 2
    assert sorted(owed(shop)) == ["baker/home", "grocer/home"]


@pytest.mark.slow
def test_a_replica_that_takes_its_time_keeps_no_other_waiting(
    open_shop: Callable[..., Shop], service: list[Replica]
) -> None:
    heard = threading.Event()
    service[0].before = lambda: heard.wait(30)  # it answers only after the other was called
    service[1].before = heard.set
    shop = open_shop([each.url for each in service])
    assert failed(shop.sync()) == {}
    assert [len(each.hears) for each in service] == [1, 1]


@pytest.mark.slow
def test_a_webhook_that_is_away_repeats_no_message_to_the_command_and_loses_none_of_its_own(
    open_shop: Callable[..., Shop], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    log = tmp_path / "told.jsonl"
    shop = open_shop([], f'[notify]\ncommand = "tee -a \'{log}\'"\nwebhook = "http://127.0.0.1:{port}/hook"\n')
    shop.sync()
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    shop.sync()
    told = [json.loads(line)["commit"] for line in log.read_text().splitlines()]
    assert len(told) == 2
    assert [event["commit"] for event in owed(shop)["grocer/home"]["webhook"]] == told
    assert owed(shop)["grocer/home"]["command"] == []
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.write_text(path.read_text().replace('"updated_at": "2', '"updated_at": "3'))
    shop.push("by hand")
    for _ in range(3):
        assert shop.sync().exit_code == 5
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["ship", "ship", "refusal"]


def test_a_header_for_one_tenant_is_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, "X-Org-Id: {tenant}\n [a.b] X-Key : s: {tenant}!\n[c]X-Key:t\n\n")
    assert calls.read_headers(calls.INVALIDATE_HEADERS, "a.b") == {"X-Org-Id": "a.b", "X-Key": "s: a.b!"}
    assert calls.read_headers(calls.INVALIDATE_HEADERS, "c") == {"X-Org-Id": "c", "X-Key": "t"}
    assert calls.read_headers(calls.INVALIDATE_HEADERS, "axb") == {"X-Org-Id": "axb"}


def test_a_server_that_sends_back_what_it_got_makes_us_tell_no_secret() -> None:
    said = calls.reason(
        b'{"detail": "bad token s3cret-token\\u001b[31m of https://u:pw@h/x"}', {"A": "Bearer s3cret-token"}
    )
    assert said == ": bad token ***\\u001b[31m of https://h/x"
    assert calls.reason(b"", {}) == ""
    assert len(calls.reason(b"x" * 100_000, {})) < 300
    assert calls.reason(b"[" * 100_000, {}).startswith(": [[[")

"""Seen: what instances have loaded, from their logs; status and its metrics say it, and hostile lines harm nobody."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from loader import Instance
from output_schemas import validate
from shop import Kept, Shop, popularity

from pointsman.cli import seen as command
from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.report import status as status_text
from pointsman.report import status_table
from pointsman.serving.instances import FORGOTTEN, MOST_TARGETS
from pointsman.state.log_line import MOST, read_form
from pointsman.verbs import log_lines, seen, status, watch
from pointsman.workspace import Workspace

HASH = "ab" * 32


def synced(root: Path) -> Shop:
    shop = Shop(root)
    shop.publish(popularity(root / "p1.json", 10), merge=True)
    shop.sync()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("seen"), synced)


class Fleet:
    """A shop whose service runs as some instances, and a clock for all of them."""

    def __init__(self, shop: Shop, count: int) -> None:
        self.shop = shop
        self.now = datetime.now(UTC).timestamp() + 60
        pointers = shop.store / "registry" / "current"
        logs = [shop.root / f"web-{each}.log" for each in range(count)]
        self.instances = [Instance(pointers, log, lambda: self.now) for log in logs]

    def workspace(self, repo: Any) -> Workspace:
        return Workspace(repo, clock=lambda: datetime.fromtimestamp(self.now, UTC))

    def request(self, *which: int) -> None:
        for each in which or range(len(self.instances)):
            self.instances[each].request()

    def read(self) -> None:
        for each in self.instances:
            self.seen(each.log, instance=each.log.stem)

    def seen(self, *files: Path, instance: str = "web-0", fields: Sequence[tuple[str, str]] = ()) -> Outcome[Any]:
        with self.shop.open() as repo:
            request = seen.Request(tuple(map(str, files)), form=read_form(tuple(fields)), instance=instance)
            made = seen.seen(self.workspace(repo), request)
        validate("seen", made.document)
        assert command.render(made.value)
        return made

    def lines(self, *lines: object, **more: Any) -> Outcome[Any]:
        """What is made of these lines: bytes, or documents."""
        log = self.shop.root / "lines.log"
        log.write_bytes(b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n"
                                 for each in lines))  # fmt: skip
        return self.seen(log, **more)

    def load(self, **more: Any) -> dict[str, Any]:
        message = "artifact manifest loaded"
        return {"ts": self.now, "msg": message, "tenant": "grocer", "surface": "home", "hash": HASH, **more}

    def status(self) -> Any:
        with self.shop.open() as repo:
            made = status.status(self.workspace(repo), [])
        validate("status", made.document)
        return made.value.targets[0]

    def counts(self) -> tuple[int, int, int] | None:
        found = self.status().instances
        return (found.current, found.behind, found.known) if found is not None else None

    @property
    def ledger(self) -> Path:
        return self.shop.store / "registry" / "current" / ".pointsman" / "seen"


@pytest.fixture
def fleet(kept: Kept) -> Fleet:
    return Fleet(kept.fresh(), 3)


def test_status_says_nothing_of_instances_where_none_was_ever_seen(fleet: Fleet) -> None:
    found = fleet.status()
    assert found.instances is None
    assert "instances" not in "\n".join(status_text.lines_of(found))


def test_three_instances_take_over_a_ship_one_after_the_other(fleet: Fleet, tmp_path: Path) -> None:
    fleet.request()
    fleet.read()
    assert fleet.counts() == (3, 0, 3)
    old = json.loads((fleet.ledger / "web-0.json").read_text())["targets"]["grocer/home"]["sha256"]
    fleet.shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    fleet.shop.sync()
    fleet.request()
    fleet.read()
    assert fleet.counts() == (0, 3, 3), "they have it in their caches"
    for each in fleet.instances[:2]:
        each.invalidate()
    fleet.request()
    fleet.now += 0.5
    fleet.read()
    assert fleet.counts() == (2, 1, 3)
    found = fleet.status()
    text = "\n".join(status_text.lines_of(found))
    assert f"2 of 3 instances, 1 still on {old[:7]} for " in text
    assert f"web-2 has {old[:7]}" in text
    assert "1 of 3 instances behind" in "; ".join(status_table.to_know(found))
    with fleet.shop.open() as repo:
        assert watch.wait(fleet.workspace(repo), [], 0, instances=2).exit_code == 4, "one has another"
    fleet.now += 100
    fleet.request()
    fleet.read()
    assert fleet.counts() == (3, 0, 3)


def test_wait_ends_only_when_all_instances_that_were_asked_for_have_it(fleet: Fleet) -> None:
    fleet.request(0, 1)
    for each in fleet.instances[:2]:
        fleet.seen(each.log, instance=each.log.stem)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            fleet.request(2)
            fleet.seen(fleet.instances[2].log, instance="web-2")

    with fleet.shop.open() as repo:
        made = watch.wait(fleet.workspace(repo), [], 60, instances=3, pause=pause)
        assert (made.exit_code, len(pauses)) == (0, 2)
        late = watch.wait(fleet.workspace(repo), [], 0, instances=4)
        assert late.exit_code == 4
        assert "3 of 3 instances" in late.notes[-1]


def test_an_instance_that_loaded_nothing_is_unknown_and_one_that_is_silent_is_gone(fleet: Fleet) -> None:
    fleet.request(0)
    fleet.seen(fleet.instances[0].log)
    fleet.instances[1].say("recsys service starting")
    fleet.seen(fleet.instances[1].log, instance="web-1")
    assert fleet.counts() == (1, 0, 2)
    assert "1 unknown" in "\n".join(status_text.lines_of(fleet.status()))
    with fleet.shop.open() as repo:
        metrics = status_text.render_prometheus(status.status(fleet.workspace(repo), []).value)
    for state in ("current", "unknown"):
        assert f'pointsman_target_instances{{ring="",state="{state}",target="grocer/home"}} 1.0' in metrics
    fleet.now += 901
    assert fleet.counts() == (0, 0, 0)
    fleet.now += FORGOTTEN
    assert fleet.counts() is None
    fleet.lines(fleet.load(), instance="web-9")
    assert [each.name for each in fleet.ledger.iterdir()] == ["web-9.json"]


def test_envelopes_and_prefixes_of_log_shippers_are_opened(fleet: Fleet) -> None:
    inner = json.dumps(fleet.load())
    journald = {"MESSAGE": inner, "_HOSTNAME": "host-1", "__REALTIME_TIMESTAMP": str(int(fleet.now * 1e6))}
    fields = (("line", "MESSAGE"), ("instance", "_HOSTNAME"), ("time", "__REALTIME_TIMESTAMP"))
    assert [each.instance for each in fleet.lines(journald, fields=fields).value.instances] == ["host-1"]
    loki = {"line": inner, "labels": {"pod": "pod-1"}}
    made = fleet.lines(loki, fields=(("line", "line"), ("instance", "labels.pod")))
    assert [each.instance for each in made.value.instances] == ["pod-1"]
    made = fleet.lines(b"[pod/recsys-7d9f-x2/api] " + inner.encode())
    assert [each.instance for each in made.value.instances] == ["recsys-7d9f-x2"]
    made = fleet.lines({"message": inner, "kubernetes": {"pod.name": "pod-2"}},
                       fields=(("line", "message"), ("instance", "kubernetes.pod.name")))  # fmt: skip
    assert [each.instance for each in made.value.instances] == ["pod-2"]


HOSTILE = [
    b"", b"\x00\xff\xfe", b"null", b"[]", b'"text"', b"{", b'{"a":' * 5000, b"[" * 60000, b"9" * 60000,
    b"x" * (MOST + 1), b'{"msg":"artifact manifest loaded"}', b'{"ts":1e999,"msg":7}', b'{"ts":NaN}', b'{"ts":-5}',
    b'{"ts":"' + b"9" * 6000 + b'"}', b'{"ts":' + b"9" * 4000 + b"}", b'{"ts":[1]}', b'{"msg":{"a":[]}}',
    b"2026-03-01T00:00:00Z\tINFO\tartifact manifest loaded\t{}", b'\x1b[31m{"msg":1}',
]  # fmt: skip


def test_hostile_lines_are_counted_and_harm_no_good_one(fleet: Fleet) -> None:
    bad = [
        fleet.load(tenant="../../etc"), fleet.load(surface="a/b"), fleet.load(hash="https://u:secret@h/"),
        fleet.load(hash=HASH.upper()), fleet.load(tenant=7), fleet.load(tenant="registry"),
        fleet.load(surface="x" * 500),
    ]  # fmt: skip
    made = fleet.lines(*HOSTILE, *bad, fleet.load(ts=fleet.now + 10**9))
    (only,) = made.value.instances
    assert list(only.targets) == ["grocer/home"]
    assert datetime.fromisoformat(only.last).timestamp() <= fleet.now, "a clock ahead is not believed"
    assert sum(made.value.skipped.values()) >= len(bad) + 12
    assert "secret" not in json.dumps(made.document) + "".join(made.notes)
    assert {each.name for each in fleet.ledger.iterdir()} == {"web-0.json"}


def test_a_name_of_an_instance_from_a_line_is_held_against_the_grammar(fleet: Fleet) -> None:
    names = ["../x", "a/b", "", ".", "x" * 200, 7, None, {}, "good"]
    made = fleet.lines(*({**fleet.load(), "pod": name} for name in names), fields=(("instance", "pod"),))
    assert [each.instance for each in made.value.instances] == ["good"]


def test_targets_of_one_instance_are_bounded(fleet: Fleet) -> None:
    made = fleet.lines(*(fleet.load(surface=f"s{each}") for each in range(MOST_TARGETS + 3)))
    assert len(made.value.instances[0].targets) == MOST_TARGETS
    assert made.value.skipped == {"of too many targets": 3}


def test_older_lines_change_nothing_that_later_ones_said(fleet: Fleet) -> None:
    fleet.lines(fleet.load())
    made = fleet.lines(fleet.load(ts=fleet.now - 100, hash="cd" * 32), fleet.load(ts=fleet.now - FORGOTTEN - 1))
    assert made.value.instances[0].targets["grocer/home"].sha256 == HASH
    assert made.value.skipped == {"older than 7 days": 1}


def test_what_stands_in_the_ledger_and_is_none_of_ours_stays_and_harms_nothing(fleet: Fleet) -> None:
    fleet.lines(fleet.load())
    for name, data in (
        ("a.json", b"{"),
        ("b.json", b"[]"),
        ("web-0x.json", (fleet.ledger / "web-0.json").read_bytes()),
    ):
        (fleet.ledger / name).write_bytes(data)
    (fleet.ledger / "c.json").mkdir()
    assert fleet.counts() == (0, 1, 1)
    fleet.lines(fleet.load())
    assert len(list(fleet.ledger.iterdir())) == 5


def test_a_file_that_is_followed_may_be_moved_away(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_PAUSE", 0)
    log = fleet.shop.root / "a.log"
    log.write_text(json.dumps(fleet.load()) + "\n")

    def rotate() -> None:
        with log.open("a") as late:
            late.write(json.dumps(fleet.load(surface="late")) + "\n")
        log.rename(fleet.shop.root / "a.log.1")
        log.write_text(json.dumps(fleet.load(surface="cart")) + "\n")

    looks = itertools.count()

    def stopped() -> bool:
        look = next(looks)
        if look == 2:
            rotate()
        return look == 8

    with fleet.shop.open() as repo:
        request = seen.Request((str(log),), follow=True, instance="web-0")
        made = seen.seen(fleet.workspace(repo), request, stopped=stopped)
    assert sorted(made.value.instances[0].targets) == ["grocer/cart", "grocer/home", "grocer/late"]


def test_nothing_is_written_where_sync_never_was_and_the_minute_comes_again(kept: Kept, tmp_path: Path) -> None:
    fleet = Fleet(kept.fresh(), 1)
    (fleet.ledger.parent / "sync.json").rename(tmp_path / "sync.json")
    fleet.request()
    with pytest.raises(Unreachable, match="sync has never written there"):
        fleet.read()
    assert not fleet.ledger.exists()
    told: list[str] = []
    minutes = iter(range(0, 6000, 61))
    with fleet.shop.open() as repo:
        request = seen.Request((str(fleet.instances[0].log),), instance="web-0")
        with pytest.raises(Unreachable):
            seen.seen(fleet.workspace(repo), request, missed=told.append, clock=lambda: next(minutes))
    assert told
    assert all("it is tried again" in each for each in told)


@pytest.mark.parametrize("name", ["nowhere.log", ""])
def test_a_file_that_cannot_be_read_is_named(fleet: Fleet, name: str) -> None:
    with pytest.raises(Problem, match=r"No such file|directory"):
        fleet.seen(fleet.shop.root / name)


@pytest.mark.parametrize("given", [("pod", "x"), ("line", ""), ("line", "a..b")])
def test_a_wrong_field_is_told(given: tuple[str, str]) -> None:
    with pytest.raises(Problem, match="--field"):
        read_form((given,))


def test_a_process_that_reads_a_pipe_keeps_what_it_heard_when_the_pipe_ends(fleet: Fleet) -> None:
    command_line = [sys.executable, "-m", "pointsman", "-C", str(fleet.shop.desk), "seen", "--follow", "--json"]
    with subprocess.Popen(command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(fleet.load(ts=fleet.now - 60))}\nno JSON\n")
        process.stdin.close()
        told = json.loads(process.stdout.read())
    validate("seen", told)
    assert process.returncode == 0
    assert told["skipped"] == {"no JSON object": 1}
    (only,) = fleet.ledger.iterdir()
    assert only.name == f"{socket.gethostname()}.json"

"""Seen: what instances have loaded, from their logs; status and its metrics say it, and hostile lines harm nobody."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from loader import Instance
from output_schemas import validate
from rings import HOUR
from rings import shipped as shop_with_rings
from shop import GROCER, Kept, Shop, popularity

from pointsman.cli import seen as command
from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.report import status as status_text
from pointsman.report import status_table
from pointsman.report.target_state import Instances, RingInstances
from pointsman.serving import instances
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


@pytest.mark.slow
def test_status_says_nothing_of_instances_where_none_was_ever_seen(fleet: Fleet) -> None:
    found = fleet.status()
    assert found.instances is None
    assert "instances" not in "\n".join(status_text.lines_of(found))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_targets_of_one_instance_are_bounded(fleet: Fleet) -> None:
    made = fleet.lines(*(fleet.load(surface=f"s{each}") for each in range(MOST_TARGETS + 3)))
    assert len(made.value.instances[0].targets) == MOST_TARGETS
    assert made.value.skipped == {"of too many targets": 3}


def test_instances_of_a_place_are_bounded_and_so_is_what_is_read_of_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instances.MOST_INSTANCES == 1000
    for module in (seen, instances):
        monkeypatch.setattr(module, "MOST_INSTANCES", 3)
    made = fleet.lines(*({**fleet.load(), "pod": f"p{each}"} for each in range(5)), fields=(("instance", "pod"),))
    assert [each.instance for each in made.value.instances] == ["p0", "p1", "p2"]
    assert made.value.skipped == {"of more than 3 instances": 2}
    for each in ("p7", "p8"):  # other processes may write of others
        fleet.lines(fleet.load(), instance=each)
    assert fleet.counts() == (0, 3, 3)


@pytest.mark.slow
def test_of_several_places_the_one_where_the_instances_read_is_named(tmp_path: Path) -> None:
    place = '[[serving]]\nname = "{0}"\nmanifest = "file://{1}/{0}/{{tenant}}/{{surface}}/manifest.json"\n'
    shop = Shop(tmp_path, place.format("us", tmp_path) + place.format("eu", tmp_path))
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    shop.sync()
    fleet = Fleet(shop, 0)
    log = tmp_path / "a.log"
    log.write_text(json.dumps(fleet.load()) + "\n")
    with shop.open() as repo:
        for name in ("", "us-east"):
            with pytest.raises(Problem, match=r"--place: say where these instances read .*: the places are us, eu"):
                seen.seen(fleet.workspace(repo), seen.Request((str(log),), instance="web-0", place=name))
        seen.seen(fleet.workspace(repo), seen.Request((str(log),), instance="web-0", place="eu"))
    assert [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("web-0.json")] == ["eu"]
    assert fleet.counts() == (0, 1, 1)


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


def test_a_named_pipe_that_nobody_writes_to_yet_holds_up_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_PAUSE", 0)
    pipe, log = fleet.shop.root / "pipe", fleet.shop.root / "a.log"
    os.mkfifo(pipe)
    log.write_text(json.dumps(fleet.load()) + "\n")
    looks = itertools.count()
    made: list[Outcome[Any]] = []

    def read() -> None:
        with fleet.shop.open() as repo:
            request = seen.Request((str(pipe), str(log)), follow=True, instance="web-0")
            made.append(seen.seen(fleet.workspace(repo), request, stopped=lambda: next(looks) == 5))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(60)
    assert not reading.is_alive()
    assert made[0].value.lines == 1


@pytest.mark.slow
def test_a_named_pipe_is_read_and_a_process_that_is_told_to_stop_keeps_what_it_heard(fleet: Fleet) -> None:
    pipe = fleet.shop.root / "pipe"
    os.mkfifo(pipe)
    words = ["-C", str(fleet.shop.desk), "seen", "--follow", str(pipe), "--instance", "web-7", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "pointsman", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with pipe.open("w") as writing:
            print(json.dumps(fleet.load(ts=fleet.now - 60)), file=writing, flush=True)
            while fcntl.ioctl(writing, termios.FIONREAD, b"\0" * 4) != b"\0" * 4:  # until it is read
                assert process.poll() is None
            process.terminate()
            out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    assert [each["instance"] for each in json.loads(out)["instances"]] == ["web-7"]
    assert [each.name for each in fleet.ledger.iterdir()] == ["web-7.json"]


KILLED = """
import itertools, os, signal, sys
from pointsman.cli.main import main
from pointsman.store.directory import FileStore
replace, count = FileStore.replace, itertools.count()
def dies(store, key, data, *, was):
    mine = next(count) == {step}
    if mine and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(store, key, data, was=was)
    if mine:
        os.kill(os.getpid(), signal.SIGKILL)
FileStore.replace = dies
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "step, after",
    [(0, False), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((0, True), (1, False), (1, True)))],
)
def test_killed_at_any_write_what_is_kept_is_whole_and_reading_again_finishes(
    fleet: Fleet, step: int, after: bool
) -> None:
    fleet.lines({**fleet.load(ts=fleet.now - 120), "pod": "web-0"}, fields=(("instance", "pod"),))
    before = (fleet.ledger / "web-0.json").read_bytes()
    log = fleet.shop.root / "lines.log"
    log.write_text("".join(json.dumps({**fleet.load(ts=fleet.now - 60, hash="cd" * 32), "pod": each}) + "\n"
                           for each in ("web-0", "web-1")))  # fmt: skip
    words = ["-C", str(fleet.shop.desk), "seen", str(log), "--field", "instance=pod"]
    program = KILLED.format(step=step, after=after)
    assert subprocess.run([sys.executable, "-c", program, *words], check=False).returncode == -signal.SIGKILL
    has = {path.name: path.read_bytes() for path in fleet.ledger.iterdir() if not path.name.startswith(".")}
    assert (has["web-0.json"] == before) == (step == 0 and not after)
    assert ("web-1.json" in has) == (step == 1 and after)
    assert all(json.loads(data)["v"] == 1 for data in has.values())
    assert fleet.counts() is not None
    subprocess.run([sys.executable, "-m", "pointsman", *words], check=True, capture_output=True)
    assert fleet.counts() == (0, 2, 2)
    told = [json.loads(path.read_bytes()) for path in sorted(fleet.ledger.glob("web-*.json"))]
    assert [each["targets"]["grocer/home"]["sha256"] for each in told] == ["cd" * 32] * 2


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


@pytest.mark.slow
def test_instances_of_a_ring_are_held_against_what_that_ring_was_given(tmp_path: Path) -> None:
    shop = shop_with_rings(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.pass_over(later=60)

    def loads(ring: str, data: bytes | None) -> None:
        assert data is not None
        told = {"msg": "artifact manifest loaded", "ts": shop.now, "tenant": "grocer", "surface": "home"}
        log = tmp_path / "log"
        log.write_text(json.dumps({**told, "hash": hashlib.sha256(data).hexdigest()}))
        with open_repository(str(shop.desk)) as repo:
            request = seen.Request((str(log),), instance=f"{ring}-0", place=ring)
            (heard,) = seen.seen(shop.workspace(repo), request).document["instances"]
        assert heard["ring"] == ring

    for ring in ("canary", "prod"):
        loads(ring, shop.serves(ring))
    assert shop.serves("canary") != shop.serves("prod")
    found = shop.look(GROCER).value
    (target,) = found.targets
    assert target.instances == Instances(
        2, 0, 2, [], [RingInstances("canary", 1, 0, 1), RingInstances("prod", 1, 0, 1)]
    )
    assert 'target_instances{ring="prod",state="current",target="grocer/home"} 1.0' in status_text.render_prometheus(
        found
    )
    loads("prod", shop.serves("canary"))
    shop.now += HOUR - 60
    loads("canary", shop.serves("canary"))
    loads("prod", shop.serves("canary"))
    (target,) = shop.look(GROCER).value.targets
    assert [each.seconds for each in target.instances.late] == [HOUR], "since prod was given what it has"

"""After a pointer was written: whoever is named is called at least once and never in the way."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop, cooc, popularity

from pointsman.outcome import Outcome
from pointsman.serving import calls, notify
from pointsman.serving.cloud_events import cloud_event
from pointsman.state.place import Place


@dataclass
class Receiver:
    """Any server: what came in, and what it answers next (200 without any)."""

    port: int = 0
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sent_to(self, path: str) -> list[Any]:
        return [document for where, _, document in self.got if where == path]


@pytest.fixture
def receiver() -> Generator[Receiver]:
    mine = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            mine.got.append((self.path, dict(self.headers), json.loads(data)))
            self.send_response(mine.answers.pop(0) if mine.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mine.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield mine
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_shop(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Shop]:
    monkeypatch.setattr(calls, "_PAUSE_SECONDS", 0)

    def build(settings: str) -> Shop:
        shop = Shop(tmp_path / "shop", settings.replace("URL", receiver.url))
        shop.publish(popularity(tmp_path / "p1.json", 10), cooc(tmp_path / "c1.json", 5), merge=True)
        return shop

    return build


INVALIDATE = '[serving]\ninvalidate = "URL/v1/{tenant}/invalidate"\n'
WEBHOOK = '[notify]\nwebhook = "URL/hook"\n'


def pointer(shop: Shop) -> Path:
    return shop.store / "registry" / "current" / str(GROCER) / "manifest.json"


def state(shop: Shop) -> Any:
    return json.loads((shop.store / "registry" / "current" / notify.KEY).read_text())


def failures(outcome: Outcome[Any]) -> list[str]:
    return [call["says"] for call in outcome.document["calls"] if not call["ok"]]


@pytest.mark.slow
def test_a_cache_that_fails_blocks_no_pointer_is_reported_and_is_told_by_the_next_sync(
    open_shop: Callable[[str], Shop], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(INVALIDATE)
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, "Authorization: Bearer s3cret")
    receiver.answers = [500, 503, 429]
    outcome = shop.sync()
    assert outcome.exit_code == 0
    assert pointer(shop).exists()
    assert failures(outcome) == ["HTTP 429"]
    assert outcome.notes == (f"invalidate of grocer/home at {receiver.url}/v1/grocer/invalidate failed: HTTP 429",)
    assert len(receiver.got) == 3
    receiver.answers = [401]
    assert failures(shop.sync()) == ["HTTP 401"]
    assert len(receiver.got) == 4  # trying again would not help
    assert [call["ok"] for call in shop.sync().document["calls"]] == [True]
    assert shop.sync().document["calls"] == []


@pytest.mark.slow
def test_a_sync_that_dies_after_the_pointer_leaves_the_call_to_the_next(
    open_shop: Callable[[str], Shop], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(INVALIDATE + WEBHOOK)

    def die(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notify.Notices, "deliver", die)
        with pytest.raises(KeyboardInterrupt):
            shop.sync()
    assert pointer(shop).exists()
    assert receiver.got == []
    shop.sync()
    assert len(receiver.sent_to("/v1/grocer/invalidate")) == 1
    assert [event["event"] for event in receiver.sent_to("/hook")] == ["ship"]


def test_a_host_that_does_not_answer_costs_a_sentence_without_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, "Authorization: Bearer s3cret")
    pauses: list[float] = []
    made = calls.Calls(sleep=pauses.append)
    wrong = made.post("http://127.0.0.1:1/x", {}, calls.INVALIDATE_HEADERS)
    assert "refused" in wrong
    assert "s3cret" not in wrong
    assert len(pauses) == 2
    monkeypatch.setenv(calls.INVALIDATE_HEADERS, "Bearer s3cret")
    wrong = made.post("http://127.0.0.1:1/x", {}, calls.INVALIDATE_HEADERS)
    assert wrong == "POINTSMAN_INVALIDATE_HEADERS has a line that is not a header: write each line as Name: value"


def test_the_calls_of_a_run_share_one_budget() -> None:
    now = [0.0]
    made = calls.Calls(clock=lambda: now[0], sleep=lambda _: None)
    now[0] = 1000
    assert "no time is left" in made.post("http://127.0.0.1:1/x", {}, calls.NOTIFY_HEADERS)
    assert "no time is left" in made.run("true", {})


@pytest.mark.slow
def test_every_ship_and_rollback_since_what_is_served_is_told_once_oldest_first(
    open_shop: Callable[[str], Shop], receiver: Receiver, tmp_path: Path
) -> None:
    shop = open_shop(WEBHOOK)
    shop.sync()
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True, run="https://ci.example/2")
    shipped = shop.main
    shop.publish(popularity(tmp_path / "p3.json", 12, day=3), merge=True)
    shop.roll_back(now=True, reason="too few")
    shop.sync()
    shop.sync()
    first, ship, bad, back = receiver.sent_to("/hook")
    assert [each["event"] for each in (first, ship, bad, back)] == ["ship", "ship", "ship", "rollback"]
    assert (ship["commit"], ship["run"], ship["target"]) == (shipped, "https://ci.example/2", "grocer/home")
    assert (back["commit"], back["reason"]) == (shop.main, "too few")
    assert back["changes"]["popularity"] == bad["changes"]["popularity"][::-1]
    assert set(ship["changes"]) == {"popularity"}


@pytest.mark.slow
def test_a_refusal_is_told_once_as_long_as_it_lasts_and_again_when_it_comes_back(
    open_shop: Callable[[str], Shop], receiver: Receiver
) -> None:
    shop = open_shop(WEBHOOK)
    shop.sync()
    receiver.got.clear()
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    good = path.read_text()
    for count in (1, 2):
        path.write_text(good.replace('"updated_at": "2', f'"updated_at": "{count + 2}'))
        bad = shop.push("by hand")
        for _ in range(2):
            assert shop.sync().exit_code == 5
        events = receiver.sent_to("/hook")
        assert [(event["event"], event["commit"]) for event in events][-1] == ("refusal", bad)
        assert len(events) == count
        assert events[-1]["faults"][0]["rule"] == "unvouched-manifest"


@pytest.mark.slow
def test_a_drift_is_told_with_its_difference_once_while_it_is_kept_and_when_it_was_healed(
    open_shop: Callable[[str], Shop], receiver: Receiver
) -> None:
    shop = open_shop(WEBHOOK)
    shop.sync()
    receiver.got.clear()
    manifest = json.loads(pointer(shop).read_text())
    mine = manifest["current"]["popularity"][-69:-5]
    pointer(shop).write_text(pointer(shop).read_text().replace(mine, "f" * 64))
    for _ in range(3):
        (each,) = shop.sync(heal=False).document["targets"]
        assert each["outcome"] == "kept"
    (event,) = receiver.sent_to("/hook")
    assert (event["event"], event["changes"]) == ("drift", {"popularity": [mine, "f" * 64]})
    assert each["drift"]["changes"] == event["changes"]
    (each,) = shop.sync().document["targets"]
    assert (each["outcome"], each["drift"]["changes"]) == ("healed", event["changes"])
    shop.sync()
    assert [event["event"] for event in receiver.sent_to("/hook")] == ["drift", "drift"]


@pytest.mark.slow
def test_a_drift_before_a_rollback_is_told_in_its_place_and_an_earlier_state_of_main_is_none(
    open_shop: Callable[[str], Shop], receiver: Receiver, tmp_path: Path
) -> None:
    shop = open_shop(WEBHOOK)
    shop.sync()
    first = pointer(shop).read_bytes()
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    shipped = shop.main
    shop.sync()
    receiver.got.clear()
    pointer(shop).write_bytes(first.replace(b"cooc", b"coop"))
    shop.roll_back(now=True, reason="too few")
    shop.sync()
    (drift,) = receiver.sent_to("/hook")
    assert (drift["event"], drift["commit"], drift["reason"]) == ("drift", shop.main, "too few")
    receiver.got.clear()
    shop.publish(popularity(tmp_path / "p3.json", 12, day=3), merge=True)
    shop.sync()
    pointer(shop).write_bytes(first)
    shop.sync()
    assert [(each["event"], each["commit"]) for each in receiver.sent_to("/hook")] == [("ship", shop.main)] * 2
    assert shipped != shop.main


@contextmanager
def command(tmp_path: Path, body: str) -> Iterator[str]:
    script = tmp_path / "hook with spaces.py"
    script.write_text(body)
    yield f"'{sys.executable}' '{script}' one"


def test_a_command_gets_the_document_on_stdin_and_no_credentials(
    open_shop: Callable[[str], Shop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    monkeypatch.setenv("POINTSMAN_NOTIFY_ROOM", "shop")
    out = tmp_path / "out.json"
    seen = "json.dumps([json.load(sys.stdin), dict(os.environ), sys.argv[1:]])"
    body = f"import json, os, sys\nopen({str(out)!r}, 'w').write({seen})\n"
    with command(tmp_path, body) as line:
        outcome = open_shop(f'[notify]\ncommand = "{line}"\n').sync()
    assert failures(outcome) == []
    document, environment, arguments = json.loads(out.read_text())
    assert (document["event"], arguments) == ("ship", ["one"])
    assert environment["POINTSMAN_NOTIFY_ROOM"] == "shop"
    assert "s3cret" not in environment.values()


@pytest.mark.slow
def test_a_command_that_fails_hangs_or_is_not_there_is_reported_and_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = calls.Calls()
    with command(tmp_path, "import sys\nsys.exit('no \\x1b[31mroom')") as line:
        assert made.run(line, {}) == "exit code 1: no \\u001b[31mroom"
    assert "No such file" in made.run("/nowhere/at/all", {})
    monkeypatch.setattr(calls, "_CALL_SECONDS", 0.5)
    with command(tmp_path, "import time\ntime.sleep(600)") as line:
        assert "was killed" in made.run(line, {})


@pytest.mark.slow
def test_without_anyone_to_call_nothing_is_written_beside_the_fence(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    assert shop.sync().document["calls"] == []
    assert not (shop.store / "registry" / "current" / notify.KEY).exists()


@pytest.mark.slow
def test_what_stands_there_and_is_of_no_use_is_written_anew(
    open_shop: Callable[[str], Shop], receiver: Receiver
) -> None:
    shop = open_shop(INVALIDATE)
    path = shop.store / "registry" / "current" / notify.KEY
    path.parent.mkdir(parents=True)
    for junk in ("junk", '{"owed": 3}', '{"owed": {"grocer/home": {}}, "told": {}}'):
        path.write_text(junk)
        pointer(shop).unlink(missing_ok=True)
        shop.sync()
    assert len(receiver.got) == 3
    assert json.loads(path.read_text())["v"] == 1


@pytest.mark.slow
def test_how_long_after_its_commit_a_pointer_was_visible_is_told(
    open_shop: Callable[[str], Shop], tmp_path: Path
) -> None:
    shop = open_shop("")
    (each,) = shop.sync().document["targets"]
    assert 0 <= each["visible_after_seconds"] < 600
    (each,) = shop.sync().document["targets"]
    assert "visible_after_seconds" not in each


# cloud events


@pytest.mark.slow
def test_messages_come_as_cloud_events_with_the_types_of_cdevents(
    open_shop: Callable[[str], Shop], receiver: Receiver, tmp_path: Path
) -> None:
    out = tmp_path / "told"
    command = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"a\").write(sys.stdin.read())' {out}"
    shop = open_shop(f'{WEBHOOK}format = "cloudevents"\ncommand = {json.dumps(command)}\n')
    shop.sync()
    shop.publish(popularity(tmp_path / "p2.json", 11, day=2), merge=True)
    shop.sync()
    shop.roll_back(GROCER, now=True, reason="bad")
    receiver.answers = [500, 500, 500]
    assert failures(shop.sync()) == ["HTTP 500"]
    shop.sync()
    pointer(shop).write_text("{}")
    shop.sync(heal=False)
    kinds = {headers["Content-Type"] for _, headers, _ in receiver.got}
    assert kinds == {"application/cloudevents+json"}
    events = receiver.sent_to("/hook")
    assert [each["type"] for each in events] == [
        "dev.cdevents.service.deployed.0.3.0",
        "dev.cdevents.service.upgraded.0.3.0",
        *["dev.cdevents.service.rolledback.0.3.0"] * 4,
        "dev.cdevents.incident.detected.0.3.0",
    ]
    assert len({each["id"] for each in events}) == 4, "what comes once more has the same id"
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert [each["id"] for each in told] == list(dict.fromkeys(each["id"] for each in events))
    for each in events:
        data, context = each["data"], each["data"]["context"]
        assert each["specversion"] == "1.0"
        assert (context["id"], context["source"], context["type"]) == (each["id"], each["source"], each["type"])
        assert (context["timestamp"], data["subject"]["id"]) == (each["time"], each["subject"])
        assert each["source"] == f"file://{shop.store}/registry/current"
        assert data["customData"]["target"] == "grocer/home"
        assert data["subject"]["content"]["environment"] == {"id": "serving", "source": each["source"]}
    rolled_back, drifted = events[-2]["data"], events[-1]["data"]
    assert rolled_back["subject"]["content"]["artifactId"] == f"pkg:generic/grocer/home@{shop.main}"
    assert rolled_back["customData"]["reason"] == "bad"
    assert drifted["subject"]["content"]["service"]["id"] == "grocer/home"
    assert "main never had" in drifted["subject"]["content"]["description"]


def test_a_claim_and_its_end_are_one_incident_and_a_removal_has_no_artifact() -> None:
    place = Place("eu", "s3://eu/a b/{tenant}/{surface}/m.json")
    claim = {"at": "2026-03-01T00:00:00Z", "to": "ab" * 32, "by": "ann", "reason": "bad feed", "says": "main moved on"}
    event = {"event": "claim", "target": "grocer/home", "commit": "c" * 40, "faults": [], "claim": claim}
    begun, ended = cloud_event(event, place), cloud_event({**event, "event": "claim-end"}, place)
    assert begun["subject"] == ended["subject"]
    assert begun["id"] != ended["id"]
    assert begun["source"] == "s3://eu/a%20b"
    assert ended["type"] == "dev.cdevents.incident.resolved.0.3.0"
    assert "ann: bad feed" in begun["data"]["subject"]["content"]["description"]
    removed = cloud_event({"event": "removal", "target": "grocer/home", "commit": "c" * 40, "faults": []}, place)
    assert removed["data"]["subject"]["content"] == {"environment": {"id": "eu", "source": "s3://eu/a%20b"}}
    fault = {"rule": "blob-missing", "path": "p", "says": "it is gone"}
    refused = {"event": "refusal", "target": "grocer/home", "commit": "c" * 40, "faults": [fault]}
    assert "it is gone" in cloud_event(refused, place)["data"]["subject"]["content"]["description"]


@pytest.mark.parametrize("event", [{}, {"event": "news", "target": 7, "claim": [], "faults": "x"}, {"event": "drift"}])
def test_a_stored_message_that_nobody_knows_becomes_some_cloud_event(event: dict[str, Any]) -> None:
    made = cloud_event(event, Place("", "file:///s/{tenant}/{surface}.json"))
    assert made["type"] == "dev.cdevents.incident.detected.0.3.0"
    assert made["data"]["customData"] == event

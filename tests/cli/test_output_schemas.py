"""Every `--json` document is what its schema says, and the schema says all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator
from output_schemas import PACKAGE, SCHEMAS, validate
from shop import git

from pointsman.cli.main import cli, main

STAGING = PACKAGE / "demo_data" / "staging"
DAY_1, DAY_2, DAY_3 = "2026-03-01_2026-03-02", "2026-03-02_2026-03-03", "2026-03-03_2026-03-04"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command line, compare its exit code, and return its document, checked against the schema of that name."""

    def say(schema: str, *words: str, ends: int = 0) -> Any:
        capsys.readouterr()
        code = main([*words, "--json"])
        said = capsys.readouterr()
        assert code == ends, said.err
        document = json.loads(said.out)
        validate(schema, document)
        return document

    return say


def names(group: click.Group, prefix: str = "") -> set[str]:
    found = set()
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found |= names(command, f"{name}-") if isinstance(command, click.Group) else {f"{prefix}{name}"}
    return found


def test_there_is_a_schema_for_each_command_and_for_each_kind_of_trouble() -> None:
    files = {file.name.removesuffix(".schema.json") for file in SCHEMAS.iterdir()}
    assert files == names(cli) | {"approve-list", "hold-many", "pr-merge-many", "problem", "refused", "release-many"}


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(SCHEMAS.iterdir()), ids=lambda file: str(file.name).partition(".")[0])
def test_every_schema_is_one_and_bites(file: Path) -> None:
    schema = json.loads(file.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["required"]
    assert not Draft202012Validator(schema).is_valid({})


@pytest.mark.slow
def test_every_document_of_the_whole_loop_fits_its_schema(say: Callable[..., Any], tmp_path: Path) -> None:
    shop = ("-C", str(tmp_path / "shop"))
    say("init", "init", str(tmp_path / "shop"), "--set", 'policy."grocer/home".items_drop=0.5')
    assert all(check["ok"] for check in say("doctor", *shop, "doctor")["checks"])
    assert say("config", *shop, "config")["settings"][0]["from"] == "file"
    assert say("upgrade", *shop, "upgrade")["files"] == []
    say("pr-list", *shop, "pr", "list")
    say("status", *shop, "status")
    say("log", *shop, "log")
    say("log", *shop, "log", "--explain", "main")
    say("sync", *shop, "sync")
    assert say("seen", *shop, "seen", __file__)["instances"] == []
    day_1 = ("publish", str(STAGING), "--window", DAY_1)
    assert say("publish", *shop, *day_1, "--dry-run")["targets"][0]["outcome"] == "dry-run"
    assert say("publish", *shop, *day_1, "--run", "https://ci.example/1")["targets"][0]["outcome"] == "opened"
    assert say("publish", *shop, *day_1)["targets"][0]["outcome"] == "unchanged"
    assert len(say("pr-list", *shop, "pr", "list")["pull_requests"]) == 1
    say("pr-show", *shop, "pr", "show", "grocer/home")
    assert say("review", *shop, "review", "grocer/home")["targets"][0]["kind"] == "ship"
    say("status", *shop, "status")
    say("pr-merge", *shop, "pr", "merge", "grocer/home")
    assert say("status", *shop, "status")["targets"][0]["serving"] == "absent"
    assert say("sync", *shop, "sync")["targets"][0]["outcome"] == "written"
    assert say("sync", *shop, "sync")["targets"][0]["outcome"] == "unchanged"
    assert say("publish", *shop, *day_1)["targets"][0]["outcome"] == "unchanged"
    say("publish", *shop, "publish", str(STAGING), "--window", DAY_2, "--merge")
    assert say("status", *shop, "status", "grocer/home")["targets"][0]["serving"] == "behind"
    say("sync", *shop, "sync")
    assert say("verify", *shop, "verify", "--all", "--sample", "3")["blobs"] == 3
    assert say("gc", *shop, "gc")["orphans"] == []
    assert say("site", *shop, "site", str(tmp_path / "site"))["pages"] == 3

    day_3 = ("publish", str(STAGING), "--window", DAY_3)
    broken = ("items-drop", "kept-low", "size-jump")
    accepted = (*day_3, *(word for rule in broken for word in ("--accept", rule)), "--reason", "a sale")
    assert say("refused", *shop, *day_3, ends=1)["faults"][0]["rule"] == "items-drop"
    say("publish", *shop, *accepted)
    told = [fault for fault in say("pr-show", *shop, "pr", "show", "grocer/home")["faults"] if fault["accepted"]]
    assert told
    assert not any("--accept" in fault["says"] for fault in told), "what is accepted needs no advice"
    assert len(say("status", *shop, "status")["targets"][0]["pull_requests"]) == 1
    shipped = say("log", *shop, "log", "grocer/home", "--records")["events"]
    say("log", *shop, "log", "--explain", shipped[0]["commit"])
    assert say("at", *shop, "at", shipped[0]["commit"], "grocer/home")["until"] is None
    assert say("show", *shop, "show", shipped[0]["changes"]["popularity"][1])["blob"] == "present"
    say("pr-close", *shop, "pr", "close", "grocer/home")
    say("publish", *shop, *accepted, "--merge")
    say("rollback", *shop, "rollback", "grocer/home")
    say("rollback", *shop, "rollback", "grocer/home")
    assert say("review", *shop, "review", "grocer/home")["targets"][0]["kind"] == "restore"
    assert say("review", *shop, "review", "grocer/home", "--base", "main~1")["targets"][0]["kind"] == "compared"
    version = say("status", *shop, "status")["targets"][0]["current"]["cooc"]
    say("get", *shop, "get", version[:12], "-o", str(tmp_path / "cooc.json"))
    assert hashlib.sha256((tmp_path / "cooc.json").read_bytes()).hexdigest() == version
    say("pr-merge", *shop, "pr", "merge", "grocer/home")
    assert say("refused", *shop, *accepted, ends=1)["faults"][0]["rule"] == "rolled-back"
    ship = ("ship", "grocer/home", f"cooc@{version[:12]}", "--reship", *accepted[4:])
    assert say("ship", *shop, *ship, "--dry-run")["versions"] == {"cooc": version}
    held = ("hold", "grocer/home", "--until", "2d", "--reason", "a sale")
    assert say("hold", *shop, *held)["outcome"] == "opened"
    say("pr-list", *shop, "pr", "list")
    assert (
        say("review", *shop, "review", say("hold", *shop, *held)["pull_request"]["id"])["holds"][0]["target"] != "all"
    )
    assert say("hold", *shop, *held, "--now")["outcome"] == "merged"
    assert say("release", *shop, "release", "grocer/home", "--now", "--reason", "over")["outcome"] == "merged"
    assert say("release", *shop, "release", "all")["outcome"] == "unchanged"
    assert say("hold-many", *shop, "hold", "grocer/*", *held[2:])["targets"][0]["outcome"] == "opened"
    assert say("release-many", *shop, "release", "grocer/home", "all")["targets"][0]["outcome"] == "unchanged"
    assert say("pr-merge-many", *shop, "pr", "merge", "grocer/*", "none/home", ends=5)["pull_requests"][0]["commit"]
    over = say("release-many", *shop, "release", "*/*", "--now", "--reason", "over")
    assert over["targets"][0]["outcome"] == "merged"
    say("rollback", *shop, "rollback", "grocer/home", "--to", "main", "--now", "--reason", "no change")
    say("check", *shop, "check")
    say("check", *shop, "check", "--base", "main~1", "--head", "main")
    say("check", *shop, "check", "--staged")

    pointer = tmp_path / "shop/.pointsman/store/registry/current/grocer/home/manifest.json"
    pointer.write_text("{}")
    assert say("status", *shop, "status")["targets"][0]["serving"] == "drifted"
    assert say("sync", *shop, "sync")["targets"][0]["outcome"] == "healed"
    kinds = {event["kind"] for event in say("log", *shop, "log", "--records")["events"]}
    assert kinds == {"ship", "restore", "record", "hold", "release"}


@pytest.mark.slow
def test_faults_of_a_check_fit_its_schema(say: Callable[..., Any], tmp_path: Path) -> None:
    shop = ("-C", str(tmp_path / "shop"))
    say("init", "init", str(tmp_path / "shop"))
    say("publish", *shop, "publish", str(STAGING), "--window", DAY_1, "--merge")
    for blob in (tmp_path / "shop/.pointsman/store").rglob("popularity/*.json"):
        blob.unlink()
    assert say("check", *shop, "check", ends=1)["faults"][0]["rule"] == "blob-missing"
    assert say("check", *shop, "check", "--offline")["faults"] == []
    refused = say("sync", *shop, "sync", ends=5)["targets"][0]
    assert refused["outcome"] == "refused"
    assert refused["faults"]
    assert say("audit", *shop, "audit")["faults"] == []
    (tmp_path / "shop/manifests/grocer/home/manifest.json").write_text("{}")
    git(tmp_path / "shop", "commit", "-qam", "by hand")
    assert say("audit", *shop, "audit", ends=1)["faults"][0]["rule"] == "schema"


@pytest.mark.slow
def test_a_finding_and_what_is_retired_of_it_fit_their_schemas(say: Callable[..., Any], tmp_path: Path) -> None:
    shop = ("-C", str(tmp_path / "shop"))
    say("init", "init", str(tmp_path / "shop"))
    say("publish", *shop, "publish", str(STAGING / "grocer"), "--window", DAY_1, "--merge")
    say("publish", *shop, "publish", str(STAGING / "grocer"), "--window", DAY_2, "--merge", "--accept", "kept-low",
        "--reason", "another day")  # fmt: skip
    blob = next((tmp_path / "shop/.pointsman/store/grocer/home/implicit").iterdir())
    user = json.loads(blob.read_bytes())["users"][0]["user_id"]
    (tmp_path / "ids").write_text(f"{user}\n")
    found = say("find", *shop, "find", "--from", str(tmp_path / "ids"))["found"]
    assert {each["id"] for each in found} == {user}
    targets = say("retire", *shop, "retire", "--holding", str(tmp_path / "ids"), "--erase", ends=5)["targets"]
    assert {each["outcome"] for each in targets} == {"opened", "refused"}


@pytest.mark.slow
def test_what_gc_tells_fits_its_schema(say: Callable[..., Any], tmp_path: Path) -> None:
    shop = ("-C", str(tmp_path / "shop"))
    say("init", "init", str(tmp_path / "shop"))
    say("publish", *shop, "publish", str(STAGING), "--window", DAY_1, "--record-only")
    store = tmp_path / "shop/.pointsman/store"
    kinds = ("popularity", "cooc")
    orphans = [store / f"grocer/home/{kind}/{'ab' * 32}.json" for kind in kinds]
    for orphan in orphans:
        orphan.write_bytes(b"x")
    record = store / f"registry/records/grocer/home/cooc/{'ab' * 32}.json"
    assert len(say("gc", *shop, "gc", "--grace", "0s")["orphans"]) == 2
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert len(say("gc", *shop, "gc", "--grace", "0s", "--delete")["kept"]) == 2
    for number in range(20):
        (orphans[0].parent / f"{number:064x}.json").write_bytes(b"x")
    assert say("gc", *shop, "gc", "--grace", "0s", "--delete", ends=1)["faults"][0]["rule"] == "max-share"


def test_hash_documents_fit_their_schema(say: Callable[..., Any], tmp_path: Path) -> None:
    assert len(say("hash", "hash", str(STAGING))["artifacts"]) == 5
    (tmp_path / "bad.json").write_text("[")
    assert say("hash", "hash", str(tmp_path / "bad.json"), ends=1)["faults"]


def test_the_script_of_a_completion_fits_its_schema(say: Callable[..., Any]) -> None:
    assert "complete" in say("completion", "completion", "bash")["script"]


@pytest.mark.slow
def test_the_demo_s_document_fits_its_schema_and_stands_alone_on_stdout(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    say("demo", "demo", str(tmp_path / "demo"))


def test_problems_fit_their_schema(say: Callable[..., Any], tmp_path: Path) -> None:
    say("problem", "-C", str(tmp_path), "status", ends=2)
    say("problem", "pubilsh", ends=2)
    say("problem", "-C", "file:///nowhere/at/all", "status", ends=3)

"""What rules say: one sentence for all types of a target, and advice that fits what is merged and what is not."""

from __future__ import annotations

import pytest
from msgspec import structs

from pointsman.errors import Fault
from pointsman.rules.evidence import Checkpoint, Document, Evidence, Kind, TargetChange
from pointsman.rules.table import RULES
from pointsman.settings import Settings
from pointsman.state.documents import Hold, Manifest
from pointsman.state.message import Said
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE, Change, Entry, Oid

TARGET = Target("grocer", "home")
COOC, POPULARITY = "a" * 64, "b" * 64
CURRENT = {
    slot: f"file:///store/grocer/home/{slot}/{version}.json"
    for slot, version in (("cooc", COOC), ("popularity", POPULARITY))
}
SAID = Said(TARGET, manifest="c" * 64, supersedes="d" * 40)
CHANGE = TargetChange(
    TARGET,
    Kind.SHIP,
    None,
    Manifest("grocer", "home", CURRENT, "2026-03-01T00:00:00.000000Z"),
    SAID,
    Oid("e" * 40),
    records=dict.fromkeys(CURRENT),
    taken_out=frozenset(CURRENT),
    retired=frozenset(CURRENT),
    unsaid=("cooc",),
    holds={"holds/all.json": None, "holds/grocer/home.json": Hold("grocer/home", "2999-01-01T00:00:00Z", "closed")},
)
BACK = "; if it is on main already, run pointsman rollback grocer/home first"


def said(rule: str, checkpoint: Checkpoint, change: TargetChange = CHANGE) -> list[str]:
    [found] = [each for each in RULES if each.name == rule]
    return [fault.says for fault in found.judge(Evidence(checkpoint, Settings(""), targets=[change]))]


@pytest.mark.parametrize("rule", ["rolled-back", "record-not-landed", "retired"])
def test_what_is_wrong_with_several_types_is_said_once(rule: str) -> None:
    [says] = said(rule, Checkpoint.CHANGE)
    assert f"cooc {COOC[:12]}, popularity {POPULARITY[:12]}" in says


@pytest.mark.parametrize(
    "rule", ["rolled-back", "record-not-landed", "retired", "on-hold", "stale-base", "unvouched-manifest"]
)
def test_a_way_back_is_told_only_of_what_may_be_merged(rule: str) -> None:
    for checkpoint in Checkpoint:
        merged = checkpoint in (Checkpoint.SYNC, Checkpoint.AUDIT, Checkpoint.TREE)
        told = said(rule, checkpoint)
        assert told
        assert {BACK in says for says in told} == {merged}, checkpoint


@pytest.mark.parametrize(
    "rule, mode, tenant",
    [
        ("not-a-plain-file", "120000", "grocer"),
        ("wrong-place", PLAIN_FILE, "baker"),
        ("foreign-uri", PLAIN_FILE, "grocer"),
    ],
)
def test_so_it_is_of_a_document(rule: str, mode: str, tenant: str) -> None:
    manifest = Manifest(tenant, "home", {"cooc": "file:///elsewhere"}, "2026-03-01T00:00:00.000000Z")
    change = Change(TARGET.manifest_path, None, Entry(mode, Oid("f" * 40)))
    document = Document(TARGET.manifest_path, "manifest", change, value=manifest)
    [found] = [each for each in RULES if each.name == rule]
    for checkpoint in Checkpoint:
        [fault] = found.judge(Evidence(checkpoint, Settings("file:///store"), [document]))
        assert fault.says.endswith(BACK) == (checkpoint not in (Checkpoint.STAGED, Checkpoint.CHANGE)), checkpoint


@pytest.mark.parametrize("rule", ["bad-json", "schema"])
def test_so_it_is_of_a_manifest_that_cannot_be_read_and_of_no_other_document(rule: str) -> None:
    [found] = [each for each in RULES if each.name == rule]
    for path, kind in ((TARGET.manifest_path, "manifest"), (TARGET.hold_path, "hold")):
        broken = Document(path, kind, Change(path, None, None), faults=(Fault(path, rule, "it is wrong"),))
        for checkpoint in Checkpoint:
            [fault] = found.judge(Evidence(checkpoint, Settings(""), [broken]))
            merged = kind == "manifest" and checkpoint not in (Checkpoint.STAGED, Checkpoint.CHANGE)
            assert fault.says == f"it is wrong{BACK if merged else ''}", (kind, checkpoint)


def test_of_one_type_it_is_said_in_the_singular() -> None:
    manifest = Manifest("grocer", "home", {"cooc": CURRENT["cooc"]}, "2026-03-01T00:00:00.000000Z")
    one = TargetChange(TARGET, Kind.SHIP, None, manifest, SAID, None, taken_out=frozenset(["cooc"]))
    [says] = said("rolled-back", Checkpoint.CHANGE, one)
    assert says.startswith(f"cooc {COOC[:12]} was rolled back: if it is good after all, ")


def test_what_is_current_is_not_rolled_back_because_of_what_is_only_proposed() -> None:
    edit = TargetChange(TARGET, Kind.EDIT, None, CHANGE.after, None, None)
    for checkpoint in Checkpoint:
        [says] = said("unvouched-manifest", checkpoint, edit)
        merged = checkpoint not in (Checkpoint.STAGED, Checkpoint.CHANGE)
        assert says.endswith("use pointsman publish --reship" if merged else ": take this back, and publish again")
        assert ("pointsman rollback grocer/home puts back what was good" in says) == merged


def test_a_record_that_cannot_be_read_is_not_called_missing() -> None:
    broken, lacking = said(
        "record-not-landed", Checkpoint.TREE, structs.replace(CHANGE, unreadable=frozenset({"cooc"}))
    )
    assert broken.startswith(f"what stands for the record of cooc {COOC[:12]} cannot be read, and publishing again")
    assert lacking.startswith(f"main has no record of popularity {POPULARITY[:12]} ")

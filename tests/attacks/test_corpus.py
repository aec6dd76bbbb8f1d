"""The corpus: every hostile change is stopped by the rule it names at each of that rule's gates; its neighbours pass.

With REQUIRE_ALL=1 or POINTSMAN_ROUNDS every case is played at every gate. Every day the first case of each rule and a
fixed sixteenth of the others are judged as pull requests.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import SLOW

from attacks import builders, corpus
from attacks.corpus import Case, Work
from attacks.gates import ROWS, Stage, without
from attacks.plain_git import EXECUTABLE, make_repository
from attacks.states import manifest_path
from pointsman.rules.evidence import Checkpoint
from pointsman.rules.table import BY_NAME, RULES
from pointsman.state.paths import DOCUMENTS, path_kind

ATTACKS = [*corpus.attacks(), *builders.ATTACKS]
INNOCENTS = [*corpus.innocents(), *builders.INNOCENTS]
# What sync refuses by itself, too: bytes of no plain file, URIs of no store of its own.
SECOND_WALL = ("not-a-plain-file", "foreign-uri")
GATES = {"PC": Checkpoint.STAGED, "PR": Checkpoint.CHANGE, "SY": Checkpoint.SYNC, "AU": Checkpoint.AUDIT}


def _named(case: Case) -> str:
    return f"{case.rule or 'innocent'}: {case.name}"


def _gates(case: Case) -> list[str]:
    """The gates of the rule's row; with PR come the merge, and the pull request with that rule switched off."""
    row = ROWS[case.rule].split()
    return [gate for gate in [*row, *(["merge", "off"] if "PR" in row else [])] if gate not in case.not_at]


def _marked(case: Case) -> list[pytest.MarkDecorator]:
    """Slow, but for the first case of each rule and a fixed sixteenth."""
    lot = int.from_bytes(hashlib.sha256(_named(case).encode()).digest()[:4]) % 16
    return [] if lot == 0 or FIRST.get(case.rule) == case else [pytest.mark.slow]


FIRST = {case.rule: case for case in reversed([*ATTACKS, *INNOCENTS])}
# Where slow tests are skipped, these are not even collected: they are thousands.
BEYOND = [(case, gate) for case in ATTACKS for gate in _gates(case)] if SLOW else []
EVERYWHERE = [case for case in INNOCENTS if SLOW or FIRST[case.rule] == case]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=_named(case), marks=_marked(case)) for case in ATTACKS if "PR" in _gates(case)],
)
def test_an_attack_is_stopped_as_a_pull_request_by_its_rule_and_by_no_other(stage: Stage, case: Case) -> None:
    work = stage.work(case)
    with stage.store(case):
        assert stage.judged(case, work).rules == {case.rule} | case.also


@pytest.mark.slow
@pytest.mark.parametrize(
    "case,gate",
    [pytest.param(case, gate, id=f"{gate} {_named(case)}") for case, gate in BEYOND],
)
def test_an_attack_is_stopped_at_every_gate_of_its_rule(stage: Stage, case: Case, gate: str) -> None:
    work = stage.work(case)
    with stage.store(case):
        if gate == "PR":
            assert stage.pull(case, work).rules == {case.rule} | case.also
        elif gate == "off":
            assert stage.pull(case, work, **without(case.rule)).rules == case.also
        elif gate == "merge":
            seen, main = stage.merge(case, work)
            assert case.rule in seen.rules
            assert main == work.state.tip
        elif gate == "PC":
            assert case.rule in stage.staged(case, work).rules
            assert case.rule not in stage.staged(case, work, **without(case.rule)).rules
        elif gate == "AU":
            main = work.mended() if case.mended else work.squashed()
            assert case.rule in stage.audit(case, work, main).rules
            assert case.rule not in stage.audit(case, work, main, **without(case.rule)).rules
        else:
            main = work.squashed()
            seen = stage.sync(case, work, main, prune=True)
            assert seen.changed == set()
            if case.mended:
                assert not seen.passed
            elif work.manifests or work.main:
                assert case.rule in seen.rules
                assert not seen.passed
                if case.rule not in SECOND_WALL:
                    assert case.rule not in stage.sync(case, work, main, **without(case.rule)).rules


@pytest.mark.parametrize("case", [pytest.param(case, id=_named(case), marks=_marked(case)) for case in INNOCENTS])
def test_an_innocent_change_passes_as_a_pull_request(stage: Stage, case: Case) -> None:
    work = stage.work(case)
    with stage.store(case):
        assert stage.judged(case, work).rules == set()


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=_named(case)) for case in EVERYWHERE],
)
def test_an_innocent_change_passes_every_gate_and_is_served(stage: Stage, case: Case) -> None:
    work = stage.work(case)
    with stage.store(case):
        assert stage.pull(case, work).rules == set()
        if "PC" not in case.not_at:
            assert stage.staged(case, work).rules == set()
        seen, main = stage.merge(case, work)
        assert seen.rules == set()
        seen = stage.sync(case, work, main)
        assert seen.passed
        assert seen.changed == {target for target in work.manifests if manifest_path(target) in work.files}
        if "AU" not in case.not_at:
            assert stage.audit(case, work, main).rules == set()


def test_the_check_of_a_hostile_pull_request_runs_none_of_its_code(stage: Stage, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    code = f"open({str(evil)!r}, 'w').close()\n"
    work = Work(stage.ground.state("shipped-twice"))
    work.ship(popularity=3)
    names = ("pointsman/__init__.py", "tool/pointsman/__init__.py", "sitecustomize.py", "usercustomize.py", "json.py")
    for name in (*names, "git.py", "tomllib.py", "conftest.py", "setup.py"):
        work.put(name, code.encode())
    for name in ("git", "hooks/pre-commit", ".githooks/post-checkout", ".husky/pre-commit"):
        work.put(name, f"#!/bin/sh\ntouch {evil}\n".encode(), EXECUTABLE)
    work.put(".gitattributes", b"* filter=evil diff=evil merge=evil export-subst ident\n")
    work.put(".pre-commit-config.yaml", b"repos: []\n")
    work.put(".envrc", f"touch {evil}\n".encode())
    work.commit("ship\n\n{{vouch}}")
    checkout = tmp_path / "checkout"
    refs = {"refs/heads/main": work.state.tip, "HEAD": work.head}
    make_repository(checkout, refs, borrows=work.state.objects.directory, bare=False)
    for path, leaf in work.files.items():
        file = checkout / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(work.state.content(leaf) or b"")
        file.chmod(0o755 if leaf.mode == EXECUTABLE else 0o644)
    command = [str(Path(sys.executable).parent / "pointsman"), "--json", "check", "--base", "main", "--head", "HEAD"]
    ran = subprocess.run(command, cwd=checkout, capture_output=True, check=False)
    assert {fault["rule"] for fault in json.loads(ran.stdout)["faults"]} == {"mixed-change"}
    assert ran.returncode == 1
    assert not evil.exists()


def test_the_corpus_is_as_large_as_promised_and_forgets_no_rule() -> None:
    assert len(ATTACKS) >= 150
    assert len(INNOCENTS) >= 150
    for cases in (ATTACKS, INNOCENTS):
        assert [name for name, count in Counter(map(_named, cases)).items() if count > 1] == []
    alone = {case.rule for case in ATTACKS if not case.also}
    assert {rule.name for rule in RULES} - alone == set()


@pytest.mark.slow
def test_the_corpus_touches_every_kind_of_path(stage: Stage) -> None:
    shapes = [case for case in ATTACKS if case.rule in ("bad-path", "not-a-plain-file", "mixed-change")]
    for cases, bad in ((shapes, {"bad"}), (INNOCENTS, set())):
        works = [stage.work(case) for case in cases]
        touched = {path for work in works for path in {*work.files, *work.state.files} if work.touches(path)}
        signed = {"approval", "evidence"}  # a case cannot hold a key: tests/verbs play these
        assert {path_kind(path) for path in touched} - signed == {
            *DOCUMENTS,
            "schema",
            "readme",
            "other",
        } - signed | bad


def test_the_engine_has_every_rule_at_the_gates_of_the_contract() -> None:
    assert set(ROWS) >= {rule.name for rule in RULES}
    missing = {
        (name, gate)
        for name, row in ROWS.items()
        for gate in row.split()
        if name in BY_NAME and GATES[gate] not in BY_NAME[name].at
    }
    assert missing == set()

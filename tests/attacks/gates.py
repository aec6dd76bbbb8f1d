"""The gates, as the contract has them, each played through the real verb on a repository of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attacks.corpus import Case, Work
from attacks.plain_git import make_repository, set_ref
from attacks.states import Artifact, Ground, State
from pointsman.errors import MovedFirst, Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.guardrails.table import GUARDRAILS
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.rules.rule import Rule
from pointsman.rules.table import RULES
from pointsman.state.objects import Oid
from pointsman.verbs import audit, check, pr, sync
from pointsman.workspace import Workspace

# Rule → the gates at which it decides: PC `check --staged`, PR `check --base --head` and `pr merge`, SY `sync`,
# AU `audit`.
ROWS: Mapping[str, str] = {
    "bad-path": "PC PR SY AU",
    "case-collision": "PC PR AU",
    "not-a-plain-file": "PC PR SY AU",
    "mixed-change": "PR AU",
    "too-large": "PC PR",
    "bad-json": "PC PR SY AU",
    "schema": "PC PR SY AU",
    "schema-changed": "PC PR AU",
    "not-formatted": "PC PR",
    "wrong-place": "PC PR SY AU",
    "foreign-uri": "PC PR SY AU",
    "record-not-landed": "PR SY AU",
    "blob-missing": "PR SY",
    "blob-altered": "PR",
    "record-changed": "PC PR AU",
    "stale-base": "PR SY AU",
    "unvouched-manifest": "PR SY AU",
    "rolled-back": "PR SY AU",
    "manifest-removed": "PR SY AU",
    "still-needed": "PR AU",
    "on-hold": "PR SY",
    "retired": "PR SY",
    "rewritten-history": "SY AU",
    "unapproved": "PR SY AU",
    "evidence-missing": "PR SY AU",
    "unsigned": "AU",
    **dict.fromkeys(GUARDRAILS, "PR"),
}
BRANCH = "ship/grocer/home/0123456789ab"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a gate said: the rules with the paths they were broken at, and whether it let the change through."""

    rules: frozenset[str]
    passed: bool
    changed: frozenset[str] = frozenset()  # targets of which serving holds other bytes than before


class Stage:
    """Plays cases; repositories and serving are made anew for each."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._open: dict[str, Repository] = {}
        self._gates: dict[str, Gate] = {}
        self._ways = contextlib.ExitStack()
        self._serving = ground.store / "registry"
        self._fence = self._serving / "current" / ".pointsman" / "sync.json"

    def close(self) -> None:
        self._ways.close()

    def work(self, case: Case) -> Work:
        return case.work(self.ground.state(case.start))

    # gates

    def staged(self, case: Case, work: Work, **more: Any) -> Seen:
        with self._sandbox(case, work, main=work.state.tip, bare=False) as repo:
            tree = work.state.objects.contents[work.head].decode(errors="replace")[5:45]
            subprocess.run(["git", "read-tree", tree], cwd=repo.worktree, check=True, capture_output=True)
            return _seen(check.check(Workspace(repo, **more), staged=True).document["faults"])

    def judged(self, case: Case, work: Work) -> Seen:
        """What the gate's judge says of the branch: `check` and `pr merge` without their ways to main and branch."""
        if case.prepare is not None or case.head or case.asks:
            return self.pull(case, work)
        name = work.state.root.name
        if name not in self._gates:
            self._gates[name] = Gate(self._shared(work.state))
        verdict = self._gates[name].judge_change(Oid(work.state.tip), Oid(work.head))
        rules = frozenset(fault.rule for fault in verdict.faults)
        return Seen(rules, passed=not rules)

    def pull(self, case: Case, work: Work, **more: Any) -> Seen:
        """`check --base main --head <branch>`."""
        if case.prepare is None and not case.head:
            repo = self._shared(work.state)
            set_ref(repo.git_dir, f"refs/heads/{BRANCH}", work.head)
            return _seen(check.check(Workspace(repo, **more), base="main", head=BRANCH).document["faults"])
        with self._sandbox(case, work, main=work.state.tip, bare=case.asks != "HEAD") as repo:
            if case.asks == "HEAD":
                set_ref(repo.git_dir, "HEAD", work.head)
            head = {"": case.head or BRANCH, "id": work.head, "HEAD": None}[case.asks]
            seen = _seen(check.check(Workspace(repo, **more), base="main", head=head).document["faults"])
            assert not (repo.git_dir / "evil").exists(), "a command of the repository was run"
            return seen

    def merge(self, case: Case, work: Work) -> tuple[Seen, str]:
        """`pr merge`; what it says, and where main is afterwards."""
        with self._sandbox(case, work, main=work.state.tip) as repo:
            try:
                pr.merge(Workspace(repo), case.head or BRANCH)
                seen = Seen(frozenset(), passed=True)
            except Refused as error:
                seen = Seen(frozenset(fault.rule for fault in error.faults), passed=False)
            except MovedFirst:
                seen = Seen(frozenset({"stale-base"}), passed=False)
            main = (repo.git_dir / "refs/heads/main").read_text().strip()
            objects = repo.git_dir / "objects"
            for path in objects.glob("??/*"):
                there = work.state.objects.directory / path.parent.name / path.name
                if not there.exists():
                    there.parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, there)
            for path in objects.glob("pack/*.pack"):  # hundreds of cases share that directory
                env = {**os.environ, "GIT_OBJECT_DIRECTORY": str(work.state.objects.directory)}
                unpack = ["git", "--git-dir", str(repo.git_dir), "-c", "core.fsync=none", "unpack-objects", "-q"]
                subprocess.run(unpack, input=path.read_bytes(), env=env, check=True, capture_output=True)
            return seen, main

    def sync(self, case: Case, work: Work, main: str, *, rules: Sequence[Rule] = RULES, **more: Any) -> Seen:
        """A push to main, whatever the gate said of it, and then `sync`."""
        before = _manifests(work.state)
        with self._sandbox(case, work, main=main) as repo, self._served(work.state, before):
            try:
                outcome = sync.sync(Workspace(repo, rules=rules), sync.Orders(**more))
                faults = [fault["rule"] for each in outcome.document["targets"] for fault in each["faults"]]
                stopped = outcome.exit_code != 0
            except Refused as error:
                faults, stopped = [fault.rule for fault in error.faults], True
            except Problem:
                faults, stopped = [], True
            after = self.serving()
        changed = {target for target in {*before, *after} if before.get(target) != after.get(target)}
        return Seen(frozenset(faults), passed=not stopped, changed=frozenset(changed - case.served))

    def audit(self, case: Case, work: Work, main: str, **more: Any) -> Seen:
        """A push to main, and then `audit`, where main was synced before the push."""
        with self._sandbox(case, work, main=main) as repo, self._served(work.state, _manifests(work.state)):
            outcome = audit.audit(Workspace(repo, **more))
            seen = _seen(outcome.document["faults"])
            assert seen.passed == (outcome.exit_code == 0)
            return seen

    def serving(self) -> dict[str, bytes | None]:
        there = self._serving / "current"
        return {str(path.parent.relative_to(there)): path.read_bytes() for path in there.glob("*/*/manifest.json")}

    # their surroundings

    def _shared(self, state: State) -> Repository:
        name = state.root.name
        if name not in self._open:
            self._open[name] = self._ways.enter_context(open_repository(str(state.root)))
        return self._open[name]

    @contextlib.contextmanager
    def _sandbox(self, case: Case, work: Work, *, main: str, bare: bool = True) -> Iterator[Repository]:
        directory = self.ground.root / "sandbox"
        refs = {"refs/heads/main": main, f"refs/heads/{case.head or BRANCH}": work.head}
        git_dir = make_repository(directory, refs, borrows=work.state.objects.directory, bare=bare)
        if not bare:
            set_ref(git_dir, "HEAD", work.fork)
        if case.prepare is not None:
            case.prepare(work, git_dir)
        try:
            with open_repository(str(directory)) as repo:
                yield repo
        finally:
            shutil.rmtree(directory)

    @contextlib.contextmanager
    def _served(self, state: State, before: Mapping[str, bytes | None]) -> Iterator[None]:
        for target, data in before.items():
            path = self._serving / "current" / target / "manifest.json"
            path.parent.mkdir(parents=True)
            path.write_bytes(data or b"")
        self._fence.parent.mkdir(parents=True)
        self._fence.write_text(json.dumps({"v": 1, "commit": state.tip}))
        try:
            yield
        finally:
            shutil.rmtree(self._serving)

    @contextlib.contextmanager
    def store(self, case: Case) -> Iterator[None]:
        """The store as the case has it, and as it was again afterwards."""
        kept = {}
        for happened in case.store:
            name = happened["blob"]
            path = self.ground.store / Artifact.named(name).key
            kept[path] = path.read_bytes()
            path.unlink()
            if "text" in happened:
                path.write_text(happened["text"])
            elif "swap" in happened:
                old, new = happened["swap"]
                path.write_bytes(kept[path].replace(old.encode(), new.encode(), 1))
            elif happened.get("directory"):
                path.mkdir()
        try:
            yield
        finally:
            for path, data in kept.items():
                if path.is_dir():
                    path.rmdir()
                path.write_bytes(data)


def _manifests(state: State) -> dict[str, bytes | None]:
    """Target → the manifest of main."""
    return {
        path.split("/", 1)[1].removesuffix("/manifest.json"): state.content(leaf)
        for path, leaf in state.files.items()
        if path.startswith("manifests/") and path.endswith("/manifest.json")
    }


def _seen(faults: list[Mapping[str, Any]]) -> Seen:
    rules = frozenset(fault["rule"] for fault in faults if not fault.get("accepted"))
    return Seen(rules, passed=not rules)


def without(rule: str) -> dict[str, Any]:
    """The engine with one rule switched off."""
    return {"rules": tuple(each for each in RULES if each.name != rule)}

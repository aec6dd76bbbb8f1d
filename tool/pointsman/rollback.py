"""Rollback: an earlier manifest of a target, byte for byte, after proving that all it points to is still there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pointsman import pulls
from pointsman.documents import Manifest, read_manifest
from pointsman.errors import MovedFirst, Problem, Refused
from pointsman.gate import Gatekeeper
from pointsman.message import Said, check_value, compose
from pointsman.moments import Moments
from pointsman.names import Target
from pointsman.origin import MAIN, Move
from pointsman.outcome import Outcome
from pointsman.plumbing import Entry, Oid
from pointsman.repo import Repository
from pointsman.snapshot import Chain, Snapshot, versions_in

_TRIES = 12


@dataclass(frozen=True, slots=True)
class Request:
    """Which targets to put back, to what, and how."""

    targets: tuple[Target, ...]
    to: str | None = None
    now: bool = False
    reason: str = ""
    accept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier state of a manifest: its tree entry and the commit that made it."""

    entry: Entry
    commit: Oid


def roll_back(repo: Repository, request: Request) -> Outcome:
    """Restore an earlier manifest of each target, by a pull request or, with `now`, on main: all of them or none."""
    if not request.targets:
        raise Problem("name the target to roll back, such as grocer/home")
    if request.reason:
        check_value(request.reason, "--reason")
    if request.accept and not request.reason:
        raise Problem("--accept needs --reason: say why the guardrail may be broken")
    if request.now and not request.reason:
        raise Problem("--now goes to main without a review: it needs --reason, which git log will show")
    for again in range(_TRIES):
        try:
            repo.refresh()
            return Outcome({"targets": _roll_back(repo, request)})
        except MovedFirst:
            if again == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _roll_back(repo: Repository, request: Request) -> list[dict[str, Any]]:
    main = repo.main
    gate = Gatekeeper(repo)
    plans = [(target, earlier(gate, target, request.to)) for target in dict.fromkeys(request.targets)]
    for target, state in plans:
        _prove(gate, repo, target, state)
    documents: list[dict[str, Any]] = []
    moves: list[Move] = []
    opened: list[tuple[int, str, Oid]] = []
    tip = main
    for target, state in plans:
        before = Snapshot(repo, tip).entry(target.manifest_path)
        document = {"target": str(target), "from": _sha256(repo, before), "to": _sha256(repo, state.entry)}
        if before == state.entry:
            documents.append({**document, "outcome": "unchanged", "pull_request": None, "commit": None})
            continue
        last = gate.facts.chain(main, target.manifest_path).at(0)
        said = Said(target, supersedes=last.oid if last else "none", now=request.now)
        said.accepts = dict.fromkeys(request.accept, request.reason)
        subject = f"rollback: {target} to {state.commit[:12]}{_slots(repo, state)}"
        what = f"{target} {state.entry.oid} {said.supersedes}"
        branch = f"rollback/{target}/{hashlib.sha256(what.encode()).hexdigest()[:12]}"
        ref = f"refs/heads/{branch}"
        if not request.now and (there := repo.heads.get(ref)) is not None:
            pull = pulls.show_on_forge(repo, branch, there)
            documents.append(
                {**document, "outcome": "unchanged", "pull_request": pulls.document(pull), "commit": there}
            )
            continue
        base = tip if request.now else main
        tree = repo.tree_with(repo.tree_of(base), {target.manifest_path: state.entry})
        commit = repo.commit(tree, [base], compose(subject, [said], reason=request.reason))
        verdict = gate.change(base, commit, notes=False)
        if verdict.faults:
            raise Refused(verdict.faults)
        if request.now:
            tip = commit
            documents.append({**document, "outcome": "merged", "pull_request": None, "commit": commit})
        else:
            moves.append(Move(ref, commit, None))
            opened.append((len(documents), branch, commit))
            documents.append({**document, "outcome": "opened", "pull_request": None, "commit": commit})
    if tip != main:
        moves.append(Move(MAIN, tip, main))
    if moves:
        repo.move(moves)
    for place, branch, commit in opened:
        documents[place]["pull_request"] = pulls.document(pulls.show_on_forge(repo, branch, commit))
    return documents


def _prove(gate: Gatekeeper, repo: Repository, target: Target, earlier: Earlier) -> None:
    """Refused unless every record is on main and every blob of the earlier manifest hashes to its version."""
    data = repo.content(earlier.entry)
    manifest = read_manifest(data, target.manifest_path) if data is not None else None
    if not isinstance(manifest, Manifest):
        raise Problem(f"{target}: the manifest of {earlier.commit[:12]} cannot be read: choose another with --to")
    faults = gate.standing(repo.main, target, manifest)
    if faults:
        raise Refused(faults)


def earlier(gate: Gatekeeper, target: Target, to: str | None) -> Earlier:
    """The state of a target that `to` (a commit, a version or a time) names; without it that before the last ship."""
    repo = gate.repo
    chain = gate.facts.chain(repo.main, target.manifest_path)
    if chain.at(0) is None:
        raise Problem(f"{target} was never shipped: there is nothing to roll back")
    if to is None:
        return _before_last_ship(gate, chain, target)
    if re.fullmatch(r"[0-9a-f]{7,64}", to):
        states = [(place, commit) for place, commit in chain.since(0) if _has(repo, chain.step(commit)[1], to)]
        if states:
            versions = {
                v for _, commit in states for v in versions_in(repo, chain.step(commit)[1]).values() if v.startswith(to)
            }
            if len(versions) > 1:
                raise Problem(f"{to} begins several versions of {target}: give more digits")
            return _state(chain, target, states[0][0])
        if len(to) > 40:
            raise Problem(f"{target} never pointed to version {to[:12]}: pointsman log {target} shows what it had")
    commit = Moments(repo, repo.main).commit_at(to)
    entry = Snapshot(repo, commit).entry(target.manifest_path)
    if entry is None:
        raise Problem(f"{target} was not shipped yet at {to}: pointsman log {target} shows what it had")
    return Earlier(entry, commit)


def _before_last_ship(gate: Gatekeeper, chain: Chain, target: Target) -> Earlier:
    if not gate.good(chain, 0):  # a hand edit or worse is on top: what it left was never good, what it covered was
        for place, commit in chain.since(1):
            if chain.step(commit)[1] is not None and gate.good(chain, place):
                return _state(chain, target, place)
    for place, commit in chain.since(0):
        if gate.is_ship(chain, commit):
            if chain.step(commit)[0] is None:
                raise Problem(
                    f"{target} was first shipped by {commit.oid[:12]}, there is nothing earlier to restore: "
                    f"to take it out of serving, git revert {commit.oid[:12]}"
                )
            return _state(chain, target, place + 1)
    raise Problem(f"no ship of {target} is on main: say with --to what to restore")


def _state(chain: Chain, target: Target, place: int) -> Earlier:
    commit = chain.at(place)
    entry = chain.step(commit)[1] if commit is not None else None
    if commit is None or entry is None:
        raise Problem(f"{target} had no manifest then: pointsman log {target} shows what it had")
    return Earlier(entry, commit.oid)


def _has(repo: Repository, entry: Entry | None, prefix: str) -> bool:
    return any(version.startswith(prefix) for version in versions_in(repo, entry).values())


def _slots(repo: Repository, earlier: Earlier) -> str:
    return ": " + ", ".join(f"{slot} {version[:12]}" for slot, version in versions_in(repo, earlier.entry).items())


def _sha256(repo: Repository, entry: Entry | None) -> str | None:
    data = repo.content(entry)
    return hashlib.sha256(data).hexdigest() if data is not None else None


def render(document: Mapping[str, Any]) -> str:
    """One line per target and what to do next."""
    lines = []
    for each in document["targets"]:
        pull = each["pull_request"]
        match each["outcome"]:
            case "merged":
                lines.append(f"{each['target']}: rolled back on main as {each['commit'][:12]}; next: pointsman sync")
            case "opened":
                lines.append(f"{each['target']}: opened {pull['branch']}; next: pointsman pr merge {pull['id']}")
            case _ if pull is not None:
                lines.append(
                    f"{each['target']}: unchanged, {pull['branch']} is open; next: pointsman pr merge {pull['id']}"
                )
            case _:
                lines.append(f"{each['target']}: unchanged, main has this manifest already")
    return "\n".join(lines)

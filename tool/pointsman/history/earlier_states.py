"""Earlier states of a target: what a rollback puts back, found by a commit, a version, a time, a ship or a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pointsman.errors import Problem
from pointsman.gate.gate import Gate
from pointsman.history.targets import current_targets, nearest
from pointsman.history.times import CommitTimes
from pointsman.history.versions import alike
from pointsman.repo.chain import Chain, versions_in
from pointsman.repo.snapshot import Snapshot
from pointsman.state.message import parse
from pointsman.state.names import Target
from pointsman.state.objects import Commit, Entry, Oid
from pointsman.state.paths import path_kind, target_of

_HEX = re.compile(r"[0-9a-f]{7,64}")
_COMMIT_DIGITS = 40
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class EarlierState:
    """An earlier state of a manifest: its tree entry and the commit that made it.

    `slots`: the types to take from it, where the others stay as they are now; without any, all of it is meant.
    """

    entry: Entry
    commit: Oid
    slots: tuple[str, ...] = ()


class NoEarlierState(Problem):
    """There is no such earlier state of a target; of others there may be."""


@dataclass(frozen=True)
class EarlierStates:
    """The earlier states of the targets of main."""

    gate: Gate
    _runs: dict[str, dict[Target, list[Oid]]] = field(default_factory=dict)

    @cached_property
    def moments(self) -> CommitTimes:
        return CommitTimes(self.gate.repo, self.gate.repo.main)

    def state(self, target: Target, to: str | None) -> EarlierState:
        """The state that `to` (a commit, a version or a time) names; without it that before the last ship."""
        chain = self._chain(target)
        if to is None:
            return self._before_last_ship(chain, target)
        if _HEX.fullmatch(to) and (found := self._by_version(chain, target, to)) is not None:
            return found
        return self._at(chain, target, to)

    def slot(self, target: Target, slot: str, to: str | None) -> EarlierState:
        """A state whose version of one type is to be put back: what `to` names, or that before its last ship."""
        chain = self._chain(target)
        if to is not None:
            if _HEX.fullmatch(to) and (found := self._by_version(chain, target, to, slot)) is not None:
                return EarlierState(found.entry, found.commit, (slot,))
            found = self._at(chain, target, to)
            if slot not in self._versions(found.entry):
                raise NoEarlierState(f"{target} had no {slot} at {to}: pointsman log {target} shows what it had")
            return EarlierState(found.entry, found.commit, (slot,))
        ever = False
        for place, commit in chain.since(0):
            old, new = map(self._versions, chain.step(commit))
            ever = ever or slot in new
            if old.get(slot) == new.get(slot) or not self.gate.is_ship(chain, commit):
                continue
            if slot not in old:
                says = f"to take it out, pointsman publish --drop {target}:{slot}"
                raise NoEarlierState(
                    f"{slot} of {target} was first shipped by {commit.oid[:12]}, there is nothing earlier: {says}"
                )
            found = _state(chain, target, place + 1)
            return EarlierState(found.entry, found.commit, (slot,))
        if ever:
            raise NoEarlierState(f"no ship of {slot} of {target} is on main: say with --to what to restore")
        raise NoEarlierState(f"{target} never had a {slot}{nearest(slot, sorted(self._slots(chain)))}")

    def shipped_by(self, run: str) -> list[Target]:
        """The targets that a pipeline run shipped; Problem, with the nearest runs, if it shipped none."""
        repo = self.gate.repo
        repo.deepen_to_first()
        ships: dict[Target, list[Oid]] = {}
        entries: list[Entry | None] = []
        for commit in self._saying(f"Run: {run}"):
            if parse(repo.words(commit)).run == run:
                for change in commit.changes:
                    if path_kind(change.path) == "manifest":
                        ships.setdefault(target_of(change.path), []).append(commit.oid)
                        entries += [change.old, change.new]
        if not ships:
            shipping = repo.git.first_parents(repo.main, "manifests", saying="Run: ")
            runs = dict.fromkeys(parse(commit.message).run for commit in shipping)
            raise Problem(f"no ship on main is of the run {run}{nearest(run, [each for each in runs if each])}")
        repo.fetch_ahead(entries)
        self._runs[run] = ships
        return sorted(ships)

    def _saying(self, line: str) -> list[Commit]:
        """The commits of main that have this in their message; a merge speaks for the side that it brought in."""
        git, main = self.gate.repo.git, self.gate.repo.main
        found = list(git.first_parents(main, saying=line))
        beside = set(git.saying(main, line)) - {commit.oid for commit in found}
        return list(git.first_parents(main, "manifests")) if beside else found

    def tops(self, targets: Iterable[Target]) -> Iterator[Entry | None]:
        """What the last commits of targets left, and what was there before: what is read to find what to put back."""
        for target in targets:
            chain = self.gate.facts.chain(self.gate.repo.main, target.manifest_path)
            last = chain.at(0)
            yield from chain.step(last) if last is not None else ()

    def before_run(self, target: Target, run: str, slot: str | None = None) -> EarlierState | None:
        """What stood before a run shipped a target; None if nothing that it shipped is current any more.

        Where later ships changed other types, only those of the run are meant; with `slot`, that one alone.
        `shipped_by` comes first.
        """
        chain = self._chain(target)
        mine = sorted(map(chain.place, self._runs[run].get(target, ())))
        commits = ((place, chain.at(place)) for place in mine)
        places = [place for place, commit in commits if commit is not None and self.gate.is_ship(chain, commit)]
        if not places:
            return None
        first = chain.at(places[-1])
        assert first is not None
        before = chain.step(first)[0]
        on_main = Snapshot(self.gate.repo, self.gate.repo.main).entry(target.manifest_path)
        if on_main is None:
            return None
        old, now = self._versions(before), self._versions(on_main)
        slots = {
            each
            for place in places
            for each, left in self._left(chain, place).items()
            if now.get(each) == left and old.get(each) != left and slot in (None, each)
        }
        if not slots:
            return None
        if before is None:
            raise NoEarlierState(
                f"{target} was first shipped by this run, there is nothing earlier to restore: to take it out of "
                f"serving, git revert {first.oid[:12]}"
            )
        commit = chain.at(places[-1] + 1)
        assert commit is not None
        wanted = {each: version for each, version in now.items() if each not in slots}
        wanted |= {each: old[each] for each in slots if each in old}
        if wanted == old and slot is None:
            return EarlierState(before, commit.oid)
        if new := sorted(slots - set(old)):
            says = f"to take it out, pointsman publish --drop {target}:{new[0]}"
            raise NoEarlierState(
                f"{new[0]} of {target} was first shipped by this run, and others were shipped since: {says}"
            )
        return EarlierState(before, commit.oid, tuple(sorted(slots)))

    def _left(self, chain: Chain, place: int) -> dict[str, str | None]:
        """Slot → the version that a commit left there (None: it took the slot out), for each that it changed."""
        commit = chain.at(place)
        assert commit is not None
        old, new = map(self._versions, chain.step(commit))
        return {slot: new.get(slot) for slot in {*old, *new} if old.get(slot) != new.get(slot)}

    def _chain(self, target: Target) -> Chain:
        repo = self.gate.repo
        chain = self.gate.facts.chain(repo.main, target.manifest_path)
        if chain.at(0) is None:
            known = current_targets(Snapshot(repo, repo.main))
            raise Problem(f"{target} was never shipped, there is nothing to roll back{nearest(str(target), known)}")
        return chain

    def _versions(self, entry: Entry | None) -> Mapping[str, str]:
        return versions_in(self.gate.repo, entry)

    def _slots(self, chain: Chain) -> set[str]:
        return {slot for _, commit in chain.since(0) for slot in self._versions(chain.step(commit)[1])}

    def _at(self, chain: Chain, target: Target, to: str) -> EarlierState:
        try:
            commit = self.moments.commit_at(to)
        except Problem as problem:
            if not _HEX.fullmatch(to):
                raise
            raise Problem(
                f"{to} is no commit of main, nor a version that {target} had{self._near(chain, to)}"
            ) from problem
        entry = Snapshot(self.gate.repo, commit).entry(target.manifest_path)
        if entry is None:
            raise NoEarlierState(f"{target} was not shipped yet at {to}: pointsman log {target} shows what it had")
        return EarlierState(entry, commit)

    def _by_version(self, chain: Chain, target: Target, prefix: str, slot: str | None = None) -> EarlierState | None:
        """The last state that had a version of these first digits; None if none had, and it may be a commit."""
        found: dict[str, int] = {}
        for place, commit in chain.since(0):
            for of, version in self._versions(chain.step(commit)[1]).items():
                if version.startswith(prefix) and slot in (None, of):
                    found.setdefault(version, place)
        if len(found) > 1:
            some = ", ".join(version[: len(prefix) + 4] for version in sorted(found)[:_SHOWN])
            raise Problem(f"{prefix} begins several versions of {target} ({some}): give more digits")
        if found:
            return _state(chain, target, next(iter(found.values())))
        if len(prefix) > _COMMIT_DIGITS:
            raise Problem(f"{target} never pointed to version {prefix[:12]}{self._near(chain, prefix, slot)}")
        return None

    def _near(self, chain: Chain, prefix: str, slot: str | None = None) -> str:
        every: dict[str, str] = {}
        for _, commit in chain.since(0):
            for of, version in self._versions(chain.step(commit)[1]).items():
                if slot in (None, of):
                    every.setdefault(f"{of} {version[:12]}", version)
        near = sorted(every, key=lambda each: -alike(prefix, every[each]))[:_SHOWN]
        return f"; the nearest that it had are {', '.join(near)}" if near else ""

    def _before_last_ship(self, chain: Chain, target: Target) -> EarlierState:
        if not self.gate.good(
            chain, 0
        ):  # a hand edit or worse is on top: what it left was never good, what it covered was
            for place, commit in chain.since(1):
                if chain.step(commit)[1] is not None and self.gate.good(chain, place):
                    return _state(chain, target, place)
        for place, commit in chain.since(0):
            if self.gate.is_ship(chain, commit):
                if chain.step(commit)[0] is None:
                    raise NoEarlierState(
                        f"{target} was first shipped by {commit.oid[:12]}, there is nothing earlier to restore: "
                        f"to take it out of serving, git revert {commit.oid[:12]}"
                    )
                return _state(chain, target, place + 1)
        raise NoEarlierState(f"no ship of {target} is on main: say with --to what to restore")


def earlier(gate: Gate, target: Target, to: str | None) -> EarlierState:
    """The state of a target that `to` (a commit, a version or a time) names; without it that before the last ship."""
    return EarlierStates(gate).state(target, to)


def _state(chain: Chain, target: Target, place: int) -> EarlierState:
    commit = chain.at(place)
    entry = chain.step(commit)[1] if commit is not None else None
    if commit is None or entry is None:
        raise NoEarlierState(f"{target} had no manifest then: pointsman log {target} shows what it had")
    return EarlierState(entry, commit.oid)

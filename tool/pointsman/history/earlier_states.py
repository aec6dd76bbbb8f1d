"""Earlier states of a target: what a rollback puts back, found by a commit, a version, a time, a ship or a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.gate.gate import Gate
from pointsman.gate.lineage import Lineage, Step
from pointsman.history.targets import current_targets
from pointsman.history.times import CommitTimes
from pointsman.history.versions import alike
from pointsman.patterns import pattern
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.state.message import parse
from pointsman.state.names import Target, short
from pointsman.state.objects import Commit, Entry, Oid
from pointsman.state.paths import path_kind, target_of
from pointsman.state.suggest import ask, did_you_mean

_HEX = pattern(r"[0-9a-f]{7,64}")
_COMMIT_DIGITS = 40
_NAMES_SHOWN = 3


class EarlierState(Struct, frozen=True):
    """An earlier state of a manifest: its tree entry and the commit that made it.

    `slots`: the types to take from it; the other types stay as they are now. Empty: all of it.
    """

    entry: Entry
    commit: Oid
    slots: tuple[str, ...] = ()


class NoEarlierState(Problem):
    """One target has no such earlier state. Other targets may have one."""


class NeverGood(NoEarlierState):
    """The target has a manifest, and no commit that made one kept the rules: nothing is to be put back."""


class EarlierStates:
    """The earlier states of the targets of main."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._runs: dict[str, dict[Target, list[Oid]]] = {}

    @cached_property
    def times(self) -> CommitTimes:
        return CommitTimes(self.gate.repo, self.gate.repo.main)

    def state(self, target: Target, to: str | None) -> EarlierState:
        """The state that `to` (a commit, a version or a time) names; default: the one before the last ship."""
        lineage = self._lineage(target)
        if to is None:
            return self._before_last_ship(lineage, target)
        if _HEX.fullmatch(to) and (found := self._by_version(lineage, target, to)) is not None:
            return found
        return self._at(lineage, target, to)

    def slot(self, target: Target, slot: str, to: str | None) -> EarlierState:
        """The state to put one type back from: the one that `to` names; default: before the last ship of the type."""
        lineage = self._lineage(target)
        if to is not None:
            if _HEX.fullmatch(to) and (found := self._by_version(lineage, target, to, slot)) is not None:
                return EarlierState(found.entry, found.commit, (slot,))
            found = self._at(lineage, target, to)
            if slot not in self._versions(found.entry):
                raise NoEarlierState(f"{target} had no {slot} at {to}{self._name_one(lineage, target, slot)}")
            return EarlierState(found.entry, found.commit, (slot,))
        ever = False
        for step in lineage:
            old, new = step.versions_before, step.versions
            ever = ever or slot in new
            if old.get(slot) == new.get(slot) or not step.is_ship:
                continue
            now = lineage.last.versions.get(slot) if lineage.last is not None else None
            if now is None and new.get(slot) is not None:  # a rollback took it out already
                raise NoEarlierState(f"{target} has no {slot} any more{self._name_one(lineage, target, slot)}")
            if slot not in old:
                says = f"to take it out, run pointsman publish --drop {target}:{slot}"
                by = short(step.commit.oid)
                raise NoEarlierState(f"{slot} of {target} was first shipped by {by}, there is nothing earlier: {says}")
            found = _state(target, step.older)
            if now != new.get(slot) and any(each.versions.get(slot) == now for each in lineage.since(step.place + 1)):
                found = _state(target, lineage.last)  # a rollback went back already: forward is for --to
            return EarlierState(found.entry, found.commit, (slot,))
        if ever:
            raise NoEarlierState(f"no ship of {slot} of {target} is on main: name the state to restore with --to")
        raise NoEarlierState(
            f"{target} never had a {slot}{did_you_mean(slot, sorted(self._slots(lineage)), most=_NAMES_SHOWN)}"
        )

    def _name_one(self, lineage: Lineage, target: Target, slot: str) -> str:
        """What to do to put a version of a type back where the state that was asked for has none."""
        had = dict.fromkeys(step.versions[slot] for step in lineage if slot in step.versions)
        if not had:
            return f", and never had one{did_you_mean(slot, sorted(self._slots(lineage)), most=_NAMES_SHOWN)}"
        newest, *others = (short(version) for version in had)
        also = f"; it also had {', '.join(others[:_NAMES_SHOWN])}" if others else ""
        back = f"pointsman rollback {target} --type {slot} --to {newest}"
        return f": to put back the last one that it had, run {back}{also}"

    def shipped_by(self, run: str) -> list[Target]:
        """The targets that a pipeline run shipped. Problem if it shipped none; it names the nearest runs."""
        repo = self.gate.repo
        repo.deepen_to_first()
        ships: dict[Target, list[Oid]] = {}
        entries: list[Entry | None] = []
        for commit in self._saying(run):
            if parse(repo.words(commit)).run == run:
                for change in commit.changes:
                    if path_kind(change.path) == "manifest":
                        ships.setdefault(target_of(change.path), []).append(commit.oid)
                        entries += [change.old, change.new]
        if not ships:
            shipping = repo.git.first_parents(repo.main, "manifests", saying="Run:")
            runs = dict.fromkeys(parse(commit.message).run for commit in shipping)
            near = did_you_mean(run, [each for each in runs if each], most=_NAMES_SHOWN)
            raise Problem(f"no ship on main is from the run {run}{near}")
        repo.fetch_ahead(entries)
        self._runs[run] = ships
        return sorted(ships)

    def _saying(self, text: str) -> list[Commit]:
        """The commits of main that may say this: if a merge brought it in, all that changed manifests."""
        git, main = self.gate.repo.git, self.gate.repo.main
        found = list(git.first_parents(main, saying=text))
        beside = set(git.saying(main, text)) - {commit.oid for commit in found}
        return list(git.first_parents(main, "manifests")) if beside else found

    def tops(self, targets: Iterable[Target]) -> Iterator[Entry | None]:
        """The manifests before and after the last commit of each target, to fetch them together."""
        for target in targets:
            last = self.gate.lineage(self.gate.repo.main, target).last
            yield from (last.before, last.after) if last is not None else ()

    def before_run(self, target: Target, run: str, slot: str | None = None) -> EarlierState | None:
        """The state before a run shipped a target; None if nothing that the run shipped is current any more.

        If later ships changed other types, only the types of the run go back; with `slot`, only that one.
        Call `shipped_by` before.
        """
        lineage = self._lineage(target)
        mine = sorted(map(lineage.of, self._runs[run].get(target, ())), key=lambda step: step.place)
        ships = [step for step in mine if step.is_ship]
        if not ships:
            return None
        first = ships[-1]
        before = first.before
        on_main = Snapshot(self.gate.repo, self.gate.repo.main).entry(target.manifest_path)
        if on_main is None:
            return None
        old, now = self._versions(before), self._versions(on_main)
        slots = {
            each
            for step in ships
            for each, version in _changed_slots(step).items()
            if now.get(each) == version and old.get(each) != version and slot in (None, each)
        }
        if not slots:
            return None
        if before is None:
            raise NoEarlierState(
                f"{target} was first shipped by this run, there is nothing earlier to restore: to take it out of "
                f"serving, run {_revert(first.commit.oid)}"
            )
        assert first.older is not None
        commit = first.older.commit.oid
        wanted = {each: version for each, version in now.items() if each not in slots}
        wanted |= {each: old[each] for each in slots if each in old}
        if wanted == old and slot is None:
            return EarlierState(before, commit)
        if new := sorted(slots - set(old)):
            says = f"to take it out, run pointsman publish --drop {target}:{new[0]}"
            raise NoEarlierState(
                f"{new[0]} of {target} was first shipped by this run, and other types were shipped since: {says}"
            )
        return EarlierState(before, commit, tuple(sorted(slots)))

    def _lineage(self, target: Target) -> Lineage:
        repo = self.gate.repo
        lineage = self.gate.lineage(repo.main, target)
        if lineage.last is None:
            known = current_targets(Snapshot(repo, repo.main))
            near = did_you_mean(str(target), known, most=_NAMES_SHOWN)
            raise Problem(f"{target} was never shipped, there is nothing to roll back{near}")
        return lineage

    def _versions(self, entry: Entry | None) -> Mapping[str, str]:
        return versions_in(self.gate.repo, entry)

    def _slots(self, lineage: Lineage) -> set[str]:
        return {slot for step in lineage for slot in step.versions}

    def _at(self, lineage: Lineage, target: Target, to: str) -> EarlierState:
        try:
            commit = self.times.commit_at(to, int(self.gate.now()))
        except Problem as problem:
            if not _HEX.fullmatch(to):
                raise
            raise Problem(
                f"{to} is neither a commit of main nor a version that {target} had{self._near(lineage, to)}"
            ) from problem
        entry = Snapshot(self.gate.repo, commit).entry(target.manifest_path)
        if entry is None:
            raise NoEarlierState(f"{target} was not shipped yet at {to}: pointsman log {target} shows what it had")
        return EarlierState(entry, commit)

    def _by_version(
        self, lineage: Lineage, target: Target, prefix: str, slot: str | None = None
    ) -> EarlierState | None:
        """The last state with a version that begins with these digits; None if there is none: it may be a commit."""
        found: dict[str, Step] = {}
        for step in lineage:
            for of, version in step.versions.items():
                if version.startswith(prefix) and slot in (None, of):
                    found.setdefault(version, step)
        if len(found) > 1:
            some = ", ".join(version[: len(prefix) + 4] for version in sorted(found)[:_NAMES_SHOWN])
            raise Problem(f"several versions of {target} begin with {prefix} ({some}): give more digits")
        if found:
            return _state(target, next(iter(found.values())))
        if len(prefix) > _COMMIT_DIGITS:
            raise Problem(f"{target} never pointed to version {short(prefix)}{self._near(lineage, prefix, slot)}")
        return None

    def _near(self, lineage: Lineage, prefix: str, slot: str | None = None) -> str:
        every: dict[str, str] = {}
        for step in lineage:
            for of, version in step.versions.items():
                if slot in (None, of):
                    every.setdefault(f"{of} {short(version)}", version)
        near = sorted(every, key=lambda each: -alike(prefix, every[each]))[:_NAMES_SHOWN]
        return ask(near)

    def _before_last_ship(self, lineage: Lineage, target: Target) -> EarlierState:
        last = lineage.last
        assert last is not None
        if not last.is_good:
            # The newest state is not good, for example an edit by hand. The good one below it is the one to restore.
            for step in lineage.since(1):
                if step.after is not None and step.is_good:
                    return _state(target, step)
            if last.after is not None:
                raise NeverGood(f"{target} never had a manifest in good order: there is nothing to restore")
        for step in lineage:
            if step.is_ship:
                if step.before is None:
                    raise NoEarlierState(
                        f"{target} was first shipped by {short(step.commit.oid)}, there is nothing earlier to restore: "
                        f"to take it out of serving, run {_revert(step.commit.oid)}"
                    )
                if step is not last and any(lineage.leaving(last.after, step.place + 1)):
                    return _state(target, last)  # a rollback went back already: forward is for --to
                return _state(target, step.older)
        raise NoEarlierState(f"no ship of {target} is on main: name the state to restore with --to")


def earlier(gate: Gate, target: Target, to: str | None) -> EarlierState:
    """The state of a target that `to` (a commit, a version or a time) names; default: before the last ship."""
    return EarlierStates(gate).state(target, to)


def _revert(commit: Oid) -> str:
    """The command that undoes a commit of main. No command moves the main of a clone, so it has to be pulled first."""
    return f"git pull --rebase && git revert --no-edit {short(commit)} && git push"


def _changed_slots(step: Step) -> dict[str, str | None]:
    """Slot → version after a commit (None: dropped), for each slot that the commit changed."""
    old, new = step.versions_before, step.versions
    return {slot: new.get(slot) for slot in {*old, *new} if old.get(slot) != new.get(slot)}


def _state(target: Target, step: Step | None) -> EarlierState:
    if step is None or step.after is None:
        raise NoEarlierState(f"{target} had no manifest then: pointsman log {target} shows what it had")
    return EarlierState(step.after, step.commit.oid)

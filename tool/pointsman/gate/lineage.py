"""The lineage of a target: the commits of main that changed its manifest, newest first, and what each of them did."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, Protocol

from pointsman.errors import Fault
from pointsman.gate.documents import Documents
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.settings import Settings
from pointsman.state.message import Message, Said, is_restore, parse, vouching
from pointsman.state.names import Target
from pointsman.state.objects import PLAIN_FILE, Commit, Entry, Oid, object_id
from pointsman.state.ring import NOT_SOAKED

_MESSAGES_CACHED = 4096


class Judge(Protocol):
    """Says which rules a step broke, and which settings count. The gate is one."""

    def settings(self, head: Snapshot) -> Settings:
        """The settings that count at a commit, where a change of them needs approvals."""

    def own_faults(self, step: Step) -> tuple[Fault, ...]:
        """The faults of this commit alone."""

    def faults_below(self, step: Step) -> tuple[Fault, ...]:
        """If it is a ship: the faults of the commit that it was built on."""


class Step:
    """One commit of a lineage. Its facts are read when they are first asked for, and once."""

    def __init__(self, lineage: Lineage, place: int, commit: Commit) -> None:
        self.lineage = lineage
        self.place = place  # 0 for the newest step, 1 for the one before it
        self.commit = commit
        change = next(change for change in commit.changes if change.path == lineage.path)
        self.before: Entry | None = change.old
        self.after: Entry | None = change.new

    @property
    def oid(self) -> Oid:
        """The commit's id."""
        return self.commit.oid

    @property
    def skips_rings(self) -> bool:
        """Whether it is a ship whose message accepts that it goes to every ring at once."""
        said = self.said
        return said is not None and self.is_ship and NOT_SOAKED in said.accepts

    @property
    def older(self) -> Step | None:
        """The step that this one replaced, None for the first."""
        return self.lineage.at(self.place + 1)

    @cached_property
    def versions_before(self) -> Mapping[str, str]:
        """Artifact type → version, before this commit. Empty if there was no manifest or it cannot be read."""
        return versions_in(self.lineage.repo, self.before)

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Artifact type → version, after this commit."""
        return versions_in(self.lineage.repo, self.after)

    @property
    def message(self) -> Message:
        """The parsed message of the commit."""
        return self.lineage.past.message(self.commit)

    @cached_property
    def said(self) -> Said | None:
        """What the message says about the bytes that it vouches for; None if it does not vouch for them."""
        data = self.lineage.repo.content(self.after)
        return vouching(self.message, self.lineage.target, data) if data is not None else None

    @property
    def is_ship(self) -> bool:
        """Whether it vouches for new bytes and is no restore."""
        said = self.said
        # Without a Restores: line nothing has to be compared, and no manifest to be read.
        return said is not None and not (said.restores and is_restore(said, self.versions_before, self.versions))

    @property
    def kind(self) -> Literal["ship", "restore", "removal", "edit"]:
        """What it did. Bytes that nobody vouches for are a restore if the target ever had them, as after a revert."""
        if self.after is None:
            return "removal"
        if self.said is not None:
            return "ship" if self.is_ship else "restore"
        return "restore" if any(self.lineage.leaving(self.after, self.place + 1)) else "edit"

    @property
    def is_accepted_removal(self) -> bool:
        """Whether it deleted the manifest and accepts that in its message."""
        return self.after is None and "manifest-removed" in self.message.accepts(self.lineage.target)

    @property
    def is_trusted(self) -> bool:
        """Whether it made the manifest that is on the commit `[audit] since`. It counts as good, whatever it broke."""
        return self.lineage.is_within_since(self.commit.oid) and self.place == len(self.lineage.newer_than_since or ())

    @property
    def own_faults(self) -> tuple[Fault, ...]:
        """The rules that it broke itself, judged as sync does, without the store."""
        return self.lineage.past.judge.own_faults(self)

    @property
    def faults_below(self) -> tuple[Fault, ...]:
        """If it is a ship: the rules that the step before it broke. A ship may not hide them."""
        return self.lineage.past.judge.faults_below(self)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Both. A ship answers for the step before it, and no further: else judging one step would judge them all."""
        return (*self.own_faults, *self.faults_below)

    @property
    def is_good(self) -> bool:
        """Whether it broke no rule, so that a restore may go back to it."""
        return not self.faults


class Lineage:
    """The steps of one target up to `tip`, read only as far as they are asked for."""

    def __init__(self, past: Past, tip: Oid | None, target: Target) -> None:
        self.past = past
        self.repo = past.repo
        self.tip = tip
        self.target = target
        self.path = target.manifest_path
        self._coming: Iterator[Commit] = self.repo.history(tip, self.path) if tip is not None else iter(())
        self._read: list[Step] = []
        self._places: dict[Oid, int] = {}
        self._leaving: dict[Entry | None, list[int]] = {}  # what a step left → the places of those read that left it
        self._vouched: dict[int, bool] = {}  # place → whether that step or an older one vouches for what it left

    def __iter__(self) -> Iterator[Step]:
        return self.since(0)

    @property
    def last(self) -> Step | None:
        """The newest step, None if the target was never shipped."""
        return self.at(0)

    def at(self, place: int) -> Step | None:
        """The step at a place, 0 for the newest; None if there are not so many."""
        while len(self._read) <= place:
            commit = next(self._coming, None)
            if commit is None:
                return None
            if any(change.path == self.path for change in commit.changes):  # a change of a path below it does not count
                self._places[commit.oid] = len(self._read)
                step = Step(self, len(self._read), commit)
                self._leaving.setdefault(step.after, []).append(step.place)
                self._read.append(step)
        return self._read[place]

    def leaving(self, entry: Entry | None, place: int) -> Iterator[Step]:
        """The steps from a place back to the oldest that left this. Whoever asks, no other step is looked at twice."""
        places = self._leaving.setdefault(entry, [])
        count = bisect_left(places, place)
        while count < len(places) or self.at(len(self._read)) is not None:
            if count < len(places):
                yield self._read[places[count]]
                count += 1

    def is_vouched(self, entry: Entry, place: int) -> bool:
        """Whether a good step from a place back to the oldest left this and vouches for it, or is trusted.

        A commit that vouches for nothing does not count: if it was a restore, an older step has the same bytes.
        """
        found, passed = False, []
        for step in self.leaving(entry, place):
            if (known := self._vouched.get(step.place)) is not None:
                found = known
                break
            passed.append(step.place)
            if found := (step.said is not None or step.is_trusted) and step.is_good:
                break
        self._vouched.update(dict.fromkeys(passed, found))
        return found

    def of(self, commit: Oid) -> Step:
        """The step of a commit. KeyError if that did not change the manifest."""
        while commit not in self._places and self.at(len(self._read)) is not None:
            pass
        return self._read[self._places[commit]]

    def has(self, commit: Oid) -> bool:
        """Whether a commit changed the manifest."""
        try:
            self.of(commit)
        except KeyError:
            return False
        return True

    def having(self, data: bytes) -> Step | None:
        """The newest step that left these bytes; None if main never had them."""
        left = Entry(PLAIN_FILE, object_id("blob", data, len(self.tip or "")))
        return next(self.leaving(left, 0), None)

    def since(self, place: int) -> Iterator[Step]:
        """The steps from a place back to the oldest."""
        while (step := self.at(place)) is not None:
            yield step
            place += 1

    def is_within_since(self, commit: Oid) -> bool:
        """Whether a commit of the lineage is `[audit] since` or older."""
        return self.newer_than_since is not None and commit not in self.newer_than_since

    @cached_property
    def newer_than_since(self) -> frozenset[Oid] | None:
        """The commits that are newer than `[audit] since`; None if there is no such commit."""
        if self.tip is None or (since := self.past.since(self.tip)) is None:
            return None
        commits = self.repo.history(self.tip, self.path, no_older_than=since)
        return frozenset(each.oid for each in commits if any(change.path == self.path for change in each.changes))


class Past:
    """The lineages of one repository, each read once. `judge` is needed only to ask for faults."""

    def __init__(self, repo: Repository, documents: Documents, judge: Judge | None = None) -> None:
        self.repo = repo
        self._documents = documents
        self._judge = judge
        self._lineages: dict[tuple[Oid | None, Target], Lineage] = {}
        self._sinces: dict[Oid, Oid | None] = {}
        self._messages: dict[Oid, Message] = {}  # one commit is often asked about many targets

    @property
    def judge(self) -> Judge:
        assert self._judge is not None
        return self._judge

    def lineage(self, tip: Oid | None, target: Target) -> Lineage:
        """The steps of a target's manifest up to `tip`."""
        return self._lineages.setdefault((tip, target), Lineage(self, tip, target))

    def message(self, commit: Commit) -> Message:
        """The message of a commit of main. Parsed once."""
        if commit.oid not in self._messages:
            if len(self._messages) >= _MESSAGES_CACHED:
                del self._messages[next(iter(self._messages))]
            self._messages[commit.oid] = parse(self.repo.words(commit))
        return self._messages[commit.oid]

    def since(self, tip: Oid) -> Oid | None:
        """The commit that `[audit] since` names; None if it is not in the history of `tip`."""
        if tip not in self._sinces:
            settings = (self._judge or self._documents).settings(Snapshot(self.repo, tip))
            since = Oid(settings.audit_since)
            self._sinces[tip] = since if since and self.repo.grew_from(since, tip) else None
        return self._sinces[tip]

    def forget(self) -> None:
        """Read all anew: other settings count now, and so another `[audit] since`."""
        self._lineages.clear()
        self._sinces.clear()

    def since_recorded(self, base: Oid, target: Target, records: Sequence[str]) -> Iterator[Step]:
        """The steps from `base` back to the commit that added the oldest of these records (paths).

        No older commit can have pointed to their versions, because a record comes before every manifest.
        """
        for step in self.lineage(base, target):
            before = Snapshot(self.repo, step.commit.parents[0] if step.commit.parents else None)
            if not any(before.entry(path) for path in records):
                return
            yield step

    def taken_out(self, base: Oid, target: Target, versions: Mapping[str, str], *, tip: Oid | None = None) -> set[str]:
        """The slots whose version a restore took out, and no later commit up to `base` put back.

        `tip`: the descendant of `base` whose settings have `[audit] since`; default: `base` itself.
        """
        there = Snapshot(self.repo, base)
        open_slots = {slot for slot, version in versions.items() if there.entry(target.record_path(slot, version))}
        records = [target.record_path(slot, versions[slot]) for slot in sorted(open_slots)]
        out: set[str] = set()
        whole = self.lineage(tip or base, target)
        for step in self.since_recorded(base, target, records):
            said = step.said
            restores = not step.is_ship and not step.is_accepted_removal
            if said is None and restores and whole.is_within_since(step.commit.oid):
                # Up to `[audit] since` no message vouches for anything: a commit counts as a restore if it went back.
                place = whole.of(step.commit.oid).place
                restores = step.after is None or any(whole.leaving(step.after, place + 1))
            for slot in sorted(open_slots):
                version = versions[slot]
                if restores and step.versions_before.get(slot) == version != step.versions.get(slot):
                    out.add(slot)
                elif not (restores and step.versions.get(slot) == version) and not (
                    said and (slot, version) in said.reships
                ):
                    continue
                open_slots.discard(slot)
            if not open_slots:
                break
        return out

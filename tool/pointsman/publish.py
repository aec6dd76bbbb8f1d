"""Publish: blobs into the store, records onto main, then a ship pull request that changes nothing but manifests.

The order is the safety: a blob is durable before its record is on main, the record before a manifest can point to it.
Every step is create-only or a compare-and-swap, so that dying anywhere leaves serving as it was, and running again
finishes the job.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pointsman import __version__, pulls
from pointsman.artifact import window_instant
from pointsman.documents import Manifest, Record, later_moment, moment
from pointsman.errors import Fault, MovedFirst, Problem, Refused
from pointsman.gate import Gatekeeper
from pointsman.message import Said, check_value, compose, parse
from pointsman.names import Target
from pointsman.origin import MAIN, Move
from pointsman.outcome import Outcome, told
from pointsman.plumbing import Oid
from pointsman.policy import GUARDRAILS
from pointsman.pulls import Pull
from pointsman.repo import Repository
from pointsman.settings import Settings
from pointsman.snapshot import Snapshot
from pointsman.sources import Source, load_types, read_sources
from pointsman.store import open_store
from pointsman.stored import Store, ask_all

_TRIES = 12


@dataclass(frozen=True, slots=True)
class Request:
    """What to publish: files and directories, and slots to take out."""

    paths: tuple[str, ...] = ()
    run: str = ""
    window: str | None = None
    drops: tuple[tuple[Target, str], ...] = ()
    merge: bool = False
    reship: bool = False
    accept: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False


@dataclass(slots=True)
class Want:
    """What one target shall have: type → record, and the types to drop."""

    target: Target
    records: dict[str, Record] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Ship:
    """The next manifests of one pull request, built on `main`, with the message that vouches for them."""

    main: Oid
    manifests: Mapping[Target, Manifest]
    said: tuple[Said, ...]
    message: str
    branch: str

    @property
    def files(self) -> dict[str, bytes]:
        return {target.manifest_path: manifest.render() for target, manifest in self.manifests.items()}


def publish(repo: Repository, request: Request, progress: Callable[[str], None] = lambda line: None) -> Outcome:
    """Publish artifacts and open (or merge) a ship pull request for each target; Refused with nothing written."""
    _check_request(request)
    main = repo.refresh()
    settings = Snapshot(repo, main).settings()
    types = load_types(Snapshot(repo, main))
    sources, faults, notes = read_sources(request.paths, request.window, types, settings.artifact_bytes)
    if faults:
        raise Refused(faults)
    if not sources and not request.drops:
        raise Problem("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    wants = _wants(repo, request, sources, settings)
    progress(f"read {len(sources)} artifacts for {len(wants)} targets")
    publisher = _Publisher(repo, request, settings, progress)
    groups = [wants] if settings.group == "run" else [[want] for want in wants]
    publisher.judge(groups)
    if request.dry_run:
        blobs: list[str | None] = [None] * len(sources)
        outcomes = [each for group in groups for each in publisher.preview(group)]
    else:
        blobs = [*publisher.store_blobs(sources)]
        publisher.land_records(wants)
        publisher.look_again(sources)
        outcomes = [each for group in groups for each in publisher.ship(group)]
    artifacts = [
        {
            "path": source.path,
            "target": str(source.target),
            "type": source.artifact.type,
            "version": source.artifact.version,
            "uri": settings.uri(source.target, source.artifact.type, source.artifact.version),
            "blob": blob,
        }
        for source, blob in zip(sources, blobs, strict=True)
    ]
    codes = {1 if each["outcome"] == "refused" else 4 if "says" in each else 0 for each in outcomes}
    code = codes.pop() if len(codes) == 1 else 5 if 0 in codes else max(codes)
    return Outcome({"artifacts": artifacts, "targets": outcomes}, code, (*notes, *publisher.notes))


def _check_request(request: Request) -> None:
    if request.run:
        check_value(request.run, "--run")
    if request.reason:
        check_value(request.reason, "--reason")
    if request.accept and not request.reason:
        raise Problem("--accept needs --reason: say why the guardrail may be broken, the reviewer will read it")
    for rule in request.accept:
        if rule not in GUARDRAILS:
            import difflib

            near = difflib.get_close_matches(rule, list(GUARDRAILS), n=1, cutoff=0)
            raise Problem(f"no guardrail is called {rule!r}" + (f": did you mean {near[0]}?" if near else ""))


def _wants(repo: Repository, request: Request, sources: Sequence[Source], settings: Settings) -> list[Want]:
    wants: dict[Target, Want] = {}
    now, base = moment(datetime.now(UTC)), Snapshot(repo, repo.main)
    for source in sources:
        want = wants.setdefault(source.target, Want(source.target))
        want.records[source.artifact.type] = _record(source, settings, request.run, now)
    gate = Gatekeeper(repo)
    for target, slot in request.drops:
        current = gate.facts.manifest(base, target)
        if current is None or (slot not in current.current and slot not in _dropped(repo, target)):
            known = ", ".join(current.current) if current else "it was never shipped"
            raise Problem(f"{target} has no {slot} to drop: {known}")
        want = wants.setdefault(target, Want(target))
        if slot in want.records:
            raise Problem(f"{target} {slot} is to be published and dropped at once: leave one out")
        want.drops.add(slot)
    return [wants[target] for target in sorted(wants)]


def _dropped(repo: Repository, target: Target) -> set[str]:
    """Slots that earlier ships of a target have dropped: dropping them again is nothing to complain about."""
    history = repo.history(repo.main, target.manifest_path)
    return {
        slot
        for commit in history
        for said in parse(commit.message).said
        if said.target == target
        for slot in said.drops
    }


def _record(source: Source, settings: Settings, run: str, now: str) -> Record:
    read = source.artifact
    return Record(
        tenant=read.tenant,
        surface=read.surface,
        segment=read.segment,
        type=read.type,
        version=read.version,
        window_start=read.window_start,
        window_end=read.window_end,
        uri=settings.uri(source.target, read.type, read.version),
        size=source.size,
        built_at=read.built_at,
        source_hash=read.source_hash,
        summary=read.summary,
        recorded_at=now,
        run=run,
        commit=os.environ.get("GITHUB_SHA", ""),
        tool=f"pointsman {__version__}",
    )


class _Publisher:
    """The steps of one publish, in the order in which they are run."""

    def __init__(self, repo: Repository, request: Request, settings: Settings, progress: Callable[[str], None]) -> None:
        self.repo = repo
        self.request = request
        self.settings = settings
        self.progress = progress
        self.store: Store = open_store(settings.store, settings.access)
        self._judged: dict[tuple[Target, ...], tuple[str, ...]] = {}  # targets → the commits judged against
        self.notes: list[str] = []
        self._accepted: dict[Target, dict[str, str]] = {}

    # before anything is written

    def judge(self, groups: Sequence[Sequence[Want]]) -> None:
        """Refused with every fault of every manifest that would result."""
        faults: list[Fault] = []
        for group in groups:
            try:
                self._next(group)
            except Refused as error:
                faults += error.faults
        if faults:
            raise Refused(faults)

    def preview(self, group: Sequence[Want]) -> list[dict[str, Any]]:
        ship = self._next(group)
        if ship is None:
            return [self._told(want.target, "unchanged") for want in group]
        return [
            self._told(want.target, "dry-run" if want.target in ship.manifests else "unchanged", ship) for want in group
        ]

    # blobs and records

    def store_blobs(self, sources: Sequence[Source]) -> list[str]:
        """Put each blob, create-only, and prove what is stored by its own bytes, whoever put it there."""
        keys = [_key(source) for source in sources]
        stands = list(ask_all(self.store.digest, keys, at_once=self.store.at_once))
        wrong = [
            _altered(f"{self.store.url}/{key}")
            for key, source, there in zip(keys, sources, stands, strict=True)
            if there is not None and there[1] != source.artifact.version
        ]
        if wrong:
            raise Refused(wrong)
        puts = [(source, there is not None) for source, there in zip(sources, stands, strict=True)]
        outcomes = []
        for key, created in zip(keys, ask_all(self._put, puts, at_once=self.store.at_once), strict=True):
            outcomes.append("created" if created else "present")
            self.progress(f"{outcomes[-1]} {self.store.url}/{key}")
        return outcomes

    def _put(self, put: tuple[Source, bool]) -> bool:
        """Put a blob, unless it is proven to stand there, and read back what does. Whether this put it there."""
        source, proven = put
        key = _key(source)
        if proven and self.store.keep(key):
            return False
        created = self.store.create(key, source.payload())
        stands = self.store.digest(key)
        if stands is None or stands[1] != source.artifact.version:
            raise Refused([_altered(f"{self.store.url}/{key}")])
        return created

    def land_records(self, wants: Sequence[Want]) -> None:
        """One commit on main that adds the records main does not have; known versions are left as they are."""
        for again in range(_TRIES):
            main = self.repo.main
            base = Snapshot(self.repo, main)
            records = [record for want in wants for record in want.records.values()]
            new = {record.path: record.render() for record in records if base.entry(record.path) is None}
            if not new:
                return
            missing = [record for record in records if record.path in new]
            tree = self.repo.tree_with(self.repo.tree_of(main), new)
            subject = f"record: {_summary([(record.target, record.type, record.version) for record in missing])}"
            commit = self.repo.commit(tree, [main], compose(subject, (), run=self.request.run))
            try:
                self.repo.move([Move(MAIN, commit, main)])
                self.progress(f"recorded {len(missing)} versions in {commit[:12]}")
                return
            except MovedFirst:
                _pause(again)
                self.repo.refresh()
        raise MovedFirst("main moved at every try to land the records: run the command again")

    def look_again(self, sources: Sequence[Source]) -> None:
        """The record is on main now and keeps its blob; what was taken away before that is put again."""
        keys = [_key(source) for source in sources]
        sizes = list(ask_all(self.store.size, keys, at_once=self.store.at_once))
        for source, size in zip(sources, sizes, strict=True):
            if size != source.size:
                self._put((source, False))

    # the pull request

    def ship(self, group: Sequence[Want]) -> list[dict[str, Any]]:
        """Open, adopt or rebuild the pull request of a group of targets, and merge it if asked."""
        for again in range(_TRIES):
            try:
                ship = self._next(group)
                if ship is None:
                    self._close_landed({want.target for want in group})
                    return [self._told(want.target, "unchanged") for want in group]
                pull, outcome = self._open(ship)
                outcome = self._supersede(pull, ship) or outcome
                commit = None
                if self.request.merge and outcome != "superseded":
                    commit, outcome = pulls.merge_pull(self.repo, pull), "merged"
            except MovedFirst as error:
                if again == _TRIES - 1:
                    return [
                        self._told(want.target, "opened", says=f"{error}; run: pointsman publish … again")
                        for want in group
                    ]
                _pause(again)
                self.repo.refresh()
                continue
            except Refused as error:
                return [self._told(want.target, "refused", faults=error.faults) for want in group]
            self.progress(f"{outcome} {pull.branch}")
            return [
                self._told(want.target, outcome if want.target in ship.manifests else "unchanged", ship, pull, commit)
                for want in group
            ]
        raise AssertionError("unreachable")

    def _next(self, group: Sequence[Want]) -> Ship | None:
        """The manifests that main needs next, judged; None if it has them already. Refused if they may not be."""
        main = self.repo.main
        gate, base = Gatekeeper(self.repo), Snapshot(self.repo, main)
        manifests: dict[Target, Manifest] = {}
        said: list[Said] = []
        for want in group:
            last = gate.facts.chain(main, want.target.manifest_path).at(0)
            before = gate.facts.manifest(base, want.target)
            if before is None and base.entry(want.target.manifest_path) is not None:
                raise Refused(gate.made(main, want.target) or [_unreadable(want.target)])
            current = dict(before.current) if before else {}
            uris = {slot: self.settings.uri(want.target, slot, record.version) for slot, record in want.records.items()}
            after = {slot: uri for slot, uri in {**current, **uris}.items() if slot not in want.drops}
            if after == current:
                if before is not None and (faults := gate.made(main, want.target)):
                    raise Refused(faults)  # main has these versions, but in a manifest that sync will not serve
                continue
            if not after:
                raise Problem(
                    f"{want.target} would have nothing left: to stop serving it, remove its manifest by a commit"
                )
            manifest = Manifest(
                want.target.tenant,
                want.target.surface,
                after,
                later_moment(datetime.now(UTC), before.updated_at if before else None),
            )
            manifests[want.target] = manifest
            changed = {slot: record.version for slot, record in want.records.items() if current.get(slot) != uris[slot]}
            mine = Said(
                want.target, hashlib.sha256(manifest.render()).hexdigest(), last.oid if last else "none", changed
            )
            mine.drops = {slot for slot in want.drops if slot in current}
            if self.request.reship:
                mine.reships = {(slot, changed[slot]) for slot in gate.facts.taken_out(main, want.target, changed)}
            said.append(mine)
        if not manifests:
            return None
        targets, replaced = tuple(manifests), tuple(str(each.supersedes) for each in said)
        if self._judged.get(targets) != replaced:
            self._judge(gate, self._compose(main, manifests, said), group)
            self._judged[targets] = replaced
        for each in said:
            each.accepts = self._accepted.get(each.target, {})
        return self._compose(main, manifests, said)

    def _judge(self, gate: Gatekeeper, ship: Ship, group: Sequence[Want]) -> None:
        """Refused by the gate, but for guardrails that the request accepts: these leave an Accept: line."""
        records = {record.path: record.render() for want in group for record in want.records.values()}
        base = Snapshot(self.repo, ship.main)
        records = {path: data for path, data in records.items() if base.entry(path) is None}
        verdict = gate.proposed(ship.main, records, ship.files, ship.message)
        stopping = [fault for fault in verdict.faults if fault.rule not in self.request.accept]
        if stopping:
            raise Refused(stopping)
        for target in ship.manifests:
            broken = {fault.rule for fault in verdict.faults if fault.path == target.manifest_path}
            self._accepted[target] = dict.fromkeys(sorted(broken), self.request.reason)

    def _compose(self, main: Oid, manifests: Mapping[Target, Manifest], said: Sequence[Said]) -> Ship:
        slots = [(each.target, slot, version) for each in said for slot, version in sorted(each.records.items())]
        gone = [f"without {slot}" for each in said for slot in sorted(each.drops)]
        subject = f"ship: {_summary(slots, gone, [each.target for each in said])}"
        reason = self.request.reason if any(each.accepts or each.reships for each in said) else ""
        names = "\n".join(f"{each.target}\n" + "\n".join(each.rebuildable) for each in said)
        place = f"{said[0].target}" if self.settings.group == "target" else "run"
        branch = f"ship/{place}/{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        return Ship(main, manifests, tuple(said), compose(subject, said, run=self.request.run, reason=reason), branch)

    def _open(self, ship: Ship) -> tuple[Pull, str]:
        ref = f"refs/heads/{ship.branch}"
        was = self.repo.heads.get(ref)
        if was is not None:
            pull = pulls.read_pull(self.repo, ship.branch, was)
            replaces = {said.target: said.supersedes for said in pull.message.said}
            if replaces == {said.target: said.supersedes for said in ship.said}:
                return pull, "unchanged"
        tree = self.repo.tree_with(self.repo.tree_of(ship.main), dict(ship.files))
        commit = self.repo.commit(tree, [ship.main], ship.message)
        self.repo.move([Move(ref, commit, was)])
        return pulls.read_pull(self.repo, ship.branch, commit), "opened" if was is None else "updated"

    def _close_landed(self, targets: set[Target]) -> None:
        """Finish a merge whose git was killed after it moved main and before it took the branch away."""
        for pull in pulls.open_pulls(self.repo):
            if targets & set(pull.targets) and pulls.landed_as(self.repo, self.repo.main, pull) is not None:
                pulls.close_pull(self.repo, pull)
                self.progress(f"closed {pull.branch}, which main has")

    def _supersede(self, mine: Pull, ship: Ship) -> str | None:
        """Close lower pull requests that ours covers, or ours where a higher one covers it: the order is total."""
        rank = self._rank(mine)
        for other in pulls.open_pulls(self.repo):
            if (
                other.branch == mine.branch
                or not other.branch.startswith("ship/")
                or not set(other.targets) & set(mine.targets)
            ):
                continue
            if _covers(mine, other) and self._rank(other) < rank:
                self.repo.move([Move(other.ref, None, other.head)])
                self.notes.append(f"closed {other.branch}: {mine.branch} supersedes it")
            elif _covers(other, mine) and self._rank(other) > rank:
                self.repo.move([Move(mine.ref, None, mine.head)])
                self.notes.append(f"closed {mine.branch}: {other.branch}, which is open, has a newer window")
                return "superseded"
        return None

    def _rank(self, pull: Pull) -> tuple[tuple[int, int], str, str]:
        """(newest window end, newest updated_at, branch): the order in which pull requests of one target supersede."""
        gate, head = Gatekeeper(self.repo), Snapshot(self.repo, pull.head)
        base = Snapshot(self.repo, self.repo.main)
        ends, updated = [(0, 0)], [""]
        for said in pull.message.said:
            records = (gate.facts.record(base, said.target, slot, version) for slot, version in said.records.items())
            ends += [window_instant(record.window_end) or (0, 0) for record in records if record is not None]
            manifest = gate.facts.manifest(head, said.target)
            updated.append(manifest.updated_at if manifest else "")
        return max(ends), max(updated), pull.branch

    # what is said of it

    def _told(
        self,
        target: Target,
        outcome: str,
        ship: Ship | None = None,
        pull: Pull | None = None,
        commit: Oid | None = None,
        *,
        faults: Sequence[Fault] = (),
        says: str = "",
    ) -> dict[str, Any]:
        data = ship.files.get(target.manifest_path) if ship is not None else None
        if pull is not None and outcome != "merged":
            data = Snapshot(self.repo, pull.head).read(target.manifest_path)
        if data is None:
            data = Snapshot(self.repo, self.repo.main).read(target.manifest_path)
        document: dict[str, Any] = {
            "target": str(target),
            "outcome": outcome,
            "pull_request": pulls.document(pull) if pull is not None else None,
            "manifest_sha256": hashlib.sha256(data).hexdigest() if data is not None else None,
            "commit": commit or (pull.head if pull is not None else self.repo.main if outcome == "unchanged" else None),
        }
        if faults:
            document["faults"] = [told(fault) for fault in faults]
        if says:
            document["says"] = says
        return document


def _covers(one: Pull, other: Pull) -> bool:
    """Whether every target and type that `other` changes is one that `one` changes."""
    mine, theirs = (
        {(said.target, slot, slot in said.drops) for said in each.message.said for slot in {*said.records, *said.drops}}
        for each in (one, other)
    )
    return bool(theirs) and theirs <= mine


def _summary(slots: Sequence[tuple[Target, str, str]], gone: Sequence[str] = (), targets: Sequence[Target] = ()) -> str:
    """One line: the target and its slots, or how many targets where it would not fit."""
    every = list(dict.fromkeys([*(target for target, _, _ in slots), *targets]))
    if len(every) > 1:
        return f"{len(every)} targets, {', '.join(map(str, every[:3]))}{' …' if len(every) > 3 else ''}"
    return f"{every[0]} " + ", ".join([*(f"{slot} {version[:12]}" for _, slot, version in slots), *gone])


def _key(source: Source) -> str:
    return source.target.blob_key(source.artifact.type, source.artifact.version)


def _altered(uri: str) -> Fault:
    says = "the bytes stored here are not those of this version: the store was altered; move them away, run again"
    return Fault(uri, "blob-altered", says)


def _unreadable(target: Target) -> Fault:
    says = "the manifest on main cannot be read: revert the commit that made it so"
    return Fault(target.manifest_path, "schema", says)


def _pause(again: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2 ** min(again, 6)))


def render(document: Mapping[str, Any]) -> str:
    """One line per artifact and per target, and what to do next."""
    lines = []
    for each in document["artifacts"]:
        blob = {"created": "stored", "present": "already stored", None: "not stored (dry run)"}[each["blob"]]
        lines.append(f"{each['target']}  {each['type']}  {each['version'][:12]}  {blob}")
    for each in document["targets"]:
        pull = each["pull_request"]
        match each["outcome"]:
            case _ if "says" in each:
                lines.append(f"{each['target']}: {each['says']}")
            case "opened" | "updated" as outcome:
                lines.append(f"{each['target']}: {outcome} {pull['branch']}; next: pointsman pr merge {pull['id']}")
            case "unchanged" if pull is not None:
                lines.append(
                    f"{each['target']}: unchanged, {pull['branch']} is open; next: pointsman pr merge {pull['id']}"
                )
            case "unchanged":
                lines.append(f"{each['target']}: unchanged, this is what main has")
            case "merged":
                lines.append(f"{each['target']}: merged as {each['commit'][:12]}; next: pointsman sync")
            case "superseded":
                lines.append(f"{each['target']}: superseded by a newer open pull request")
            case "dry-run":
                lines.append(f"{each['target']}: would be shipped (dry run, nothing written)")
            case "refused":
                lines += [f"{fault['path']}: {fault['rule']}: {fault['says']}" for fault in each["faults"]]
    return "\n".join(lines)

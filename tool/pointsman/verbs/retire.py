"""Retire: pull requests of tombstones, which take versions out of use, and let gc take their bytes later.

A pull request has at most 1,000 tombstones; of more there are several. One that waits is left as it is, and what it
retires is not asked for again: so running the command again opens nothing new.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Fault, Problem, Refused
from pointsman.forge.base import BODY_LIMIT, Opened, Page
from pointsman.gate import blob_cache
from pointsman.history.versions import Recorded
from pointsman.outcome import Outcome
from pointsman.repo.origin import RETIRE_BRANCHES
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.report.markdown import fenced, plain
from pointsman.shipping import pulls
from pointsman.shipping.merge import merge_pull
from pointsman.state.documents import Tombstone, read_tombstone
from pointsman.state.message import compose
from pointsman.state.names import Target, short
from pointsman.state.objects import Entry, Oid
from pointsman.values import ArtifactType, Count, PullRequest, TargetName, ToldFault, Version, told
from pointsman.verbs.find import FoundVersion, NotRead
from pointsman.verbs.retire_plan import Chosen, Request, choose
from pointsman.workspace import Workspace

_MOST = 1000  # tombstones of a pull request: more than that nobody reviews
_FENCE = 100  # characters around a list of versions that is cut
_NAMED = 3  # versions, or targets, in a subject

RetireOutcome = Annotated[
    Literal["opened", "merged", "unchanged", "refused", "dry-run"],
    "unchanged: they are retired already, or pull_request, which is open, retires them",
]


class RetiredVersion(Struct, frozen=True):
    """One version."""

    type: ArtifactType
    version: Version


class RetiredTarget(Struct, frozen=True, kw_only=True):
    """What became of some versions of one target. A target is there once for each pull request and outcome."""

    target: TargetName
    versions: Sequence[RetiredVersion]
    outcome: RetireOutcome
    pull_request: PullRequest | None
    faults: Annotated[Sequence[ToldFault], "why they cannot be retired"]
    instead: Annotated[Sequence[str], "of what is current: the commands that make something else current"] = ()


class Retired(Struct, frozen=True):
    """What was retired, and what of a finding cannot be retired."""

    targets: Sequence[RetiredTarget]
    erase: bool
    kept: Annotated[Count, "as old as asked for, but of the newest, or needed by a rollback"]
    elsewhere: Annotated[Sequence[FoundVersion], "what holds an id and is in the trash, or has no record"]
    unread: Annotated[Sequence[NotRead], "what could not be looked into"]


class _Waiting(Struct, frozen=True):
    """An open pull request that has a tombstone."""

    branch: str
    head: Oid


def retire(workspace: Workspace, request: Request) -> Outcome[Retired]:
    """Open pull requests of the tombstones that are missing. Exit 5 if some versions cannot be retired, 1 if none can.

    With `merge`, merge them, too. What is erased goes out of the cache at once.
    """
    repo = workspace.repo
    head = Snapshot(repo, repo.refresh())
    chosen = choose(workspace, head, request)
    made = until_settled(repo, lambda: _Retiring(workspace, request, chosen).run())
    if request.erase and not request.dry_run:
        for each in chosen.slots:
            blob_cache.forget(each.version)
        blob_cache.drop_unfinished()
    if not request.merge or request.dry_run:
        return Outcome(made, _exit_code(made))
    wider = _wider(workspace, made.targets)
    made = replace(made, targets=_merged(workspace, made.targets, wider))
    return Outcome(made, _exit_code(made) or (5 if wider else 0), tuple(wider.values()))


def _exit_code(made: Retired) -> int:
    refused = [each.outcome == "refused" for each in made.targets]
    if not any(refused):
        return 5 if made.unread else 0
    return 1 if all(refused) else 5


def _wider(workspace: Workspace, targets: Sequence[RetiredTarget]) -> dict[str, str]:
    """The branches that retire more than was asked for, and what to do about each: nobody who names one means all."""
    repo, asked = workspace.repo, dict[str, set[str]]()
    main = Snapshot(repo, repo.main)
    for each in targets:
        if each.pull_request is not None:
            target, paths = Target.parse(each.target), asked.setdefault(each.pull_request.branch, set())
            paths.update(target.tombstone_path(one.type, one.version) for one in each.versions)
    found = {}
    for branch, paths in asked.items():
        head = repo.heads[f"refs/heads/{branch}"]
        fork = repo.merge_base(repo.main, head)
        changes = repo.differences(fork, head) if fork is not None else ()
        if more := [one for one in changes if one.path not in paths and main.entry(one.path) != one.new]:
            found[branch] = (
                f"{branch} retires {len(more)} more that were not named, so it was not merged: "
                f"pointsman pr merge {branch} merges all of it"
            )
    return found


def _merged(workspace: Workspace, targets: Sequence[RetiredTarget], left: Collection[str]) -> list[RetiredTarget]:
    """Merge all pull requests but those `left`."""
    mine = [each.pull_request.branch for each in targets if each.pull_request is not None]
    for branch in dict.fromkeys(branch for branch in mine if branch not in left):
        merge_pull(workspace, pulls.find(workspace, branch))
        workspace.repo.refresh()
    for branch in _left_behind(workspace):
        with contextlib.suppress(pulls.NoneOpen):  # only the branch is left, and a forge deletes that by itself
            merge_pull(workspace, pulls.find(workspace, branch))
    return [
        replace(each, outcome="merged", pull_request=None)
        if each.pull_request is not None and each.pull_request.branch not in left
        else each
        for each in targets
    ]


def _left_behind(workspace: Workspace) -> list[str]:
    """The branches whose tombstones main has, all of them: a merge that was killed did not delete them."""
    repo = workspace.repo
    main = Snapshot(repo, repo.main)
    found = []
    for ref in repo.heads.below(RETIRE_BRANCHES.rstrip("/")):
        fork = repo.merge_base(repo.main, repo.heads[ref])
        changes = repo.differences(fork, repo.heads[ref]) if fork is not None else None
        if changes is not None and all(main.entry(change.path) == change.new for change in changes):
            found.append(ref.removeprefix("refs/heads/"))
    return found


class _Retiring:
    """One try, against main as it is now."""

    def __init__(self, workspace: Workspace, request: Request, chosen: Chosen) -> None:
        self._workspace = workspace
        self._repo = workspace.repo
        self._request = request
        self._chosen = chosen
        self._main = workspace.repo.main
        self._head = Snapshot(self._repo, self._main)
        self._slots = {self._tombstone(each).path: each for each in chosen.slots}
        self._overtaken: dict[str, Oid] = {}  # branch, as a ref → its head

    def run(self) -> Retired:
        """Open what is missing."""
        landed = dict.fromkeys(path for path in self._slots if self._has(self._landed(path)))
        waiting = {path: found for path, found in self._waiting().items() if path not in landed}
        fresh = [path for path in self._slots if path not in waiting and path not in landed]
        faults = self._faults(fresh)
        kept = self._chosen.kept
        if self._request.targets:  # whoever names no version asks for those that can be
            needed = {path for path, each in faults.items() if {fault.rule for fault in each} == {"still-needed"}}
            kept += len(needed)
            faults = {path: each for path, each in faults.items() if path not in needed}
            fresh = [path for path in fresh if path not in needed]
        going = [path for path in fresh if path not in faults]
        targets = [*self._told(landed, "unchanged", None), *self._told_waiting(waiting)]
        for start in range(0, len(going), _MOST):
            targets += self._open(going[start : start + _MOST])
        targets += self._refused(faults)
        targets.sort(key=lambda each: (each.target, each.outcome == "refused"))
        return Retired(targets, self._request.erase, kept, self._chosen.elsewhere, self._chosen.unread)

    def _tombstone(self, each: Recorded) -> Tombstone:
        target, request = each.target, self._request
        return Tombstone(target.tenant, target.surface, each.slot, each.version, request.why, request.erase)

    def _landed(self, path: str) -> Tombstone | None:
        return self._read(self._head.entry(path), path)

    def _has(self, found: Tombstone | None) -> bool:
        """Whether a tombstone does what is asked for."""
        return found is not None and (bool(found.erase) or not self._request.erase)

    def _waiting(self) -> dict[str, _Waiting]:
        """Path → the open pull request with a tombstone there that does what is asked for, and can be merged.

        Main has another tombstone by now where one was overtaken: that one is built again.
        """
        found: dict[str, _Waiting] = {}
        for ref in self._repo.heads.below(RETIRE_BRANCHES.rstrip("/")):
            head = self._repo.heads[ref]
            fork = self._repo.merge_base(self._main, head)
            changes = self._repo.differences(fork, head) if fork is not None else []
            read = {each.path: self._read(each.new, each.path) for each in changes if each.path in self._slots}
            does = [path for path, tombstone in read.items() if self._has(tombstone)]
            if does and any(self._head.entry(each.path) not in (each.old, each.new) for each in changes):
                self._overtaken[ref] = head
                continue
            found.update((path, _Waiting(ref.removeprefix("refs/heads/"), head)) for path in does)
        return found

    def _read(self, entry: Entry | None, path: str) -> Tombstone | None:
        data = self._repo.content(entry)
        found = read_tombstone(data, path) if data is not None else None
        return found if isinstance(found, Tombstone) else None

    def _faults(self, paths: Sequence[str]) -> dict[str, list[Fault]]:
        """Path → what the rules say of its tombstone. Refused if they say anything of another path."""
        if not paths:
            return {}
        faults = self._workspace.gate.judge_change(self._main, self._commit(paths), notes=False).faults
        if other := [fault for fault in faults if fault.path not in self._slots]:
            raise Refused(other)
        found: dict[str, list[Fault]] = {}
        for fault in faults:
            found.setdefault(fault.path, []).append(fault)
        return found

    def _commit(self, paths: Sequence[str]) -> Oid:
        slots = [self._slots[path] for path in paths]
        files = {path: self._tombstone(slot).render() for path, slot in zip(paths, slots, strict=True)}
        verb = "erase" if self._request.erase else "retire"
        message = compose(f"{verb}: {_subject(slots)}", (), reason=self._request.why)
        return self._repo.commit(self._repo.tree_with(self._repo.tree_of(self._main), files), [self._main], message)

    def _open(self, paths: Sequence[str]) -> list[RetiredTarget]:
        if self._request.dry_run:
            return self._told(paths, "dry-run", None)
        branch = _branch(paths, erase=self._request.erase)
        ref = f"refs/heads/{branch}"
        was = self._repo.heads.get(ref)
        if was != self._overtaken.get(ref):
            raise Problem(f"{branch} was not pushed by a retire: find out who did it, delete it and run this again")
        commit = self._commit(paths)
        pulls.replace_head(self._workspace, branch, commit, was)
        return self._told(paths, "opened", self._shown(branch, commit, paths))

    def _told_waiting(self, waiting: Mapping[str, _Waiting]) -> Iterator[RetiredTarget]:
        by_branch: dict[tuple[str, Oid], list[str]] = {}
        for path, found in waiting.items():
            by_branch.setdefault((found.branch, found.head), []).append(path)
        for (branch, head), paths in by_branch.items():
            shown = PullRequest(branch.rpartition("/")[2], None, branch)
            if not self._request.dry_run:
                shown = self._shown(branch, head, paths)
            yield from self._told(paths, "unchanged", shown)

    def _shown(self, branch: str, head: Oid, paths: Sequence[str]) -> PullRequest:
        """The pull request of a branch on the forge, opened if it is not there yet."""
        title = self._repo.messages(self._main, head).strip("\n").partition("\n")[0]
        page = Page(title, lambda: self._body(paths), ("erase" if self._request.erase else "retire",))
        opened: Opened = self._workspace.forge.open(branch, head, page)
        pulls.tell_reopened(self._workspace, opened)
        return PullRequest(opened.id, opened.url, branch)

    def _body(self, paths: Sequence[str]) -> str:
        settings = self._head.settings()
        slots = (self._slots[path] for path in paths)
        lines = "\n".join(f"{each.target} {each.slot} {each.version}" for each in slots)
        says = "These versions are taken out of use: no manifest may point to them any more."
        back = (
            "Nothing takes this back."
            if self._request.erase
            else f"Until the bytes are gone, `git revert` takes this back, which is {settings.wait_days} days at least."
        )
        why = f"Why: {plain(self._request.why)}"
        body = f"{says} `pointsman gc --delete` takes their bytes later. {back}\n\n{why}\n\n"
        room = BODY_LIMIT - len(body) - _FENCE
        if len(lines) > room:
            lines = lines[:room].rpartition("\n")[0] + "\n… and more: see the files"
        return body + fenced(lines)

    def _told(self, paths: Iterable[str], outcome: RetireOutcome, shown: PullRequest | None) -> list[RetiredTarget]:
        by_target: dict[Target, list[RetiredVersion]] = {}
        for path in paths:
            slot = self._slots[path]
            by_target.setdefault(slot.target, []).append(RetiredVersion(slot.slot, slot.version))
        return [
            RetiredTarget(
                target=str(target),
                versions=versions,
                outcome=outcome,
                pull_request=shown,
                faults=[],
            )
            for target, versions in by_target.items()
        ]

    def _refused(self, faults: Mapping[str, Sequence[Fault]]) -> Iterator[RetiredTarget]:
        by_target: dict[str, list[str]] = {}
        for path in faults:
            by_target.setdefault(str(self._slots[path].target), []).append(path)
        for each in self._told(faults, "refused", None):
            mine = by_target[each.target]
            why = [told(fault) for path in mine for fault in faults[path]]
            yield replace(each, faults=why, instead=[way for path in mine for way in self._instead(self._slots[path])])

    def _instead(self, slot: Recorded) -> list[str]:
        """How to make something else current; empty if the version is not."""
        lineage = self._workspace.gate.lineage(self._main, slot.target)
        states = (step.versions for step in lineage)
        if next(states, {}).get(slot.slot) != slot.version:
            return []
        for versions in states:
            other = versions.get(slot.slot, slot.version)
            grave = slot.target.tombstone_path(slot.slot, other)
            if grave not in self._slots and self._head.entry(grave) is None:
                back = f"pointsman rollback {slot.target} --type {slot.slot} --to {short(other)}"
                return [f"{back} --reason TEXT", f"pointsman publish --drop {slot.target}:{slot.slot}"]
        return [f"pointsman publish --drop {slot.target}:{slot.slot}"]


def _subject(slots: Sequence[Recorded]) -> str:
    targets = list(dict.fromkeys(each.target for each in slots))
    if len(targets) == 1 and len(slots) <= _NAMED:
        return f"{targets[0]} " + ", ".join(f"{each.slot} {short(each.version)}" for each in slots)
    some = ", ".join(map(str, targets[:_NAMED])) + (" …" if len(targets) > _NAMED else "")
    return f"{len(slots)} versions of {some}"


def _branch(paths: Iterable[str], *, erase: bool) -> str:
    lines = "\n".join([*sorted(paths), "erase" if erase else ""])
    return f"retire/{short(hashlib.sha256(lines.encode()).hexdigest())}"

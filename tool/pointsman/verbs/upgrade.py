"""`upgrade`: the files that a newer version generates, on a branch of the origin, in a commit with nothing else in it.

A file is replaced only if its bytes are those that the version before wrote. No text is merged.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Struct

from pointsman import __version__
from pointsman.errors import Problem
from pointsman.forge.cloud import cloud_in
from pointsman.forge.generated import EXTRAS, FIRST_MESSAGE, LOCK_PATH, TOOL, Lock, extras_among, generated, read_lock
from pointsman.outcome import Outcome
from pointsman.patterns import pattern
from pointsman.repo.moves import Move
from pointsman.repo.origin import UPGRADE_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import short
from pointsman.state.objects import PLAIN_FILE, Entry, Oid, object_id
from pointsman.values import CommitId
from pointsman.workspace import Workspace

_INSTEAD = "workflows are among its files: push as one who may change them"
_VERSION_FILE = f"{TOOL}__init__.py"
_SHIP_FILE = ".github/workflows/ship.yml"
_VERSION = pattern(rb'^__version__ = "([0-9][0-9A-Za-z.+-]{0,40})"$', re.MULTILINE)
_LONGEST = 2000  # lines of a file that are compared

Outcomes = Literal["replaced", "added", "deleted", "kept"]


class UpgradedFile(Struct, frozen=True):
    """What became of one generated file."""

    path: str
    outcome: Annotated[Outcomes, "kept: it was changed here, and the new version changes it, too; exit 5"]
    changed_here: Annotated[str | None, "of a kept file: what was changed here, as a diff; null: not known"] = None
    changed_there: Annotated[str | None, "of a kept file: what the new version changes, as a diff"] = None


class Upgraded(Struct, frozen=True):
    """What an upgrade changes. Nothing to do: no file and no commit."""

    from_: Annotated[str | None, "the version before; null: not known"]
    to: Annotated[str, "the version of the tool that ran"]
    files: Annotated[list[UpgradedFile], "generated files that differ, by path"]
    branch: Annotated[str | None, "where the commit is, on the origin; null if there is none"]
    commit: CommitId | None
    next: Annotated[str | None, "what to do with the branch"]


class _Plan(Struct, frozen=True):
    """What a commit of main needs: `files` are the paths to write or to delete."""

    before: str | None
    told: list[UpgradedFile]
    files: Mapping[str, bytes | Entry | None]


def upgrade(workspace: Workspace, *, dry_run: bool = False) -> Outcome[Upgraded]:
    """Bring what an earlier version generated up to this one, on the branch upgrade/<version> of the origin.

    Exit 5 if files were kept. Main and every worktree stay as they are.
    """
    repo = workspace.repo
    repo.skips_tables = True
    repo.refresh()
    repo.deepen_to_first()
    return until_settled(repo, lambda: _upgrade(workspace, dry_run))


def _upgrade(workspace: Workspace, dry_run: bool) -> Outcome[Upgraded]:
    repo = workspace.repo
    plan = _plan(repo, repo.main)
    exit_code = 5 if any(file.outcome == "kept" for file in plan.told) else 0
    if not plan.files or dry_run:
        return Outcome(Upgraded(plan.before, __version__, plan.told, None, None, None), exit_code)
    branch = f"{UPGRADE_BRANCHES}{__version__}"
    there = repo.heads.get(branch)
    tree = repo.tree_with(repo.tree_of(repo.main), plan.files)
    if there is not None:
        found = repo.git.commit_at(there)
        base = found.parents[0] if found is not None and len(found.parents) == 1 else None
        if base is None or _tree_on(repo, base) != repo.tree_of(there):
            raise Problem(
                f"{_name(branch)} on the origin ({short(there)}) has other changes in it: merge it, "
                f"or run: git push origin --delete {_name(branch)}"
            )
        if base == repo.main:
            return _outcome(repo, plan, branch, there, exit_code)
    commit = repo.commit(tree, [repo.main], _message(plan))
    repo.move([Move(branch, commit, there)], _INSTEAD)
    return _outcome(repo, plan, branch, commit, exit_code)


def _outcome(repo: Repository, plan: _Plan, branch: str, commit: Oid, exit_code: int) -> Outcome[Upgraded]:
    name = _name(branch)
    if Snapshot(repo, repo.main).settings().forge != "local":
        then = f"open the pull request of {name}, as a person or an App that may change workflows"
    elif repo.remote is None:
        then = f"git merge --ff-only {name}"
    else:
        then = f"git fetch origin && git push origin origin/{name}:main"
    return Outcome(Upgraded(plan.before, __version__, plan.told, name, commit, then), exit_code)


def _name(branch: str) -> str:
    return branch.removeprefix("refs/heads/")


def _tree_on(repo: Repository, base: Oid) -> Oid | None:
    """The tree of the commit that this version makes on another commit; None if it makes none."""
    try:
        plan = _plan(repo, base)
    except Problem:
        return None
    return repo.tree_with(repo.tree_of(base), plan.files) if plan.files else None


def _plan(repo: Repository, main: Oid) -> _Plan:
    """What this version changes of a commit of main, decided path by path from what the version before wrote."""
    head = Snapshot(repo, main)
    lock = head.read(LOCK_PATH)
    settings = head.settings()
    before = read_lock(lock, settings.allowed_signers) if lock is not None else _first(repo, main)
    if before is not None and _number(before.version) > _number(__version__):
        raise Problem(f"pointsman {before.version} wrote these files, and this is {__version__}: install a newer one")
    old = before.files if before is not None else {}
    cloud = before.cloud if before is not None else None
    new = generated(settings.forge, extras_among(old), cloud)
    files: dict[str, bytes | Entry | None] = {}
    told = []
    for path in sorted({*new, *old}):
        here, want, was = head.entry(path), new.get(path), old.get(path)
        now = Entry(PLAIN_FILE, object_id("blob", want, len(main))) if want is not None else None
        wrote = Entry(PLAIN_FILE, was) if was is not None else None
        if here == now:
            continue
        if here == wrote:
            files[path] = want
            told.append(UpgradedFile(path, _outcome_of(here, now)))
        elif now != wrote:
            told.append(_kept(repo, path, here, wrote, want))
    locked = Lock.of(new, len(main), cloud).render()
    if locked != lock:
        files[LOCK_PATH] = locked
        told.append(UpgradedFile(LOCK_PATH, "replaced" if lock is not None else "added"))
    return _Plan(before.version if before is not None else None, sorted(told, key=lambda file: file.path), files)


def _outcome_of(here: Entry | None, now: Entry | None) -> Outcomes:
    if here is None:
        return "added"
    return "deleted" if now is None else "replaced"


def _first(repo: Repository, main: Oid) -> Lock | None:
    """What `init` wrote, by main's first commit; None if that is not one of `init`.

    Only the tool is deleted by it: other files there may be somebody's own.
    """
    root = Oid(repo.git.ask("rev-list", "--first-parent", "--max-parents=0", main).split()[-1])
    found = repo.git.commit_at(root)
    if found is None or found.message != FIRST_MESSAGE:
        return None
    head = Snapshot(repo, root)
    cloud = cloud_in(head.read(_SHIP_FILE) or b"")
    known = generated(Snapshot(repo, main).settings().forge, EXTRAS, cloud)
    empty = object_id("tree", b"", len(main))
    files = {
        change.path: change.new.oid
        for change in repo.git.differences(empty, root)
        if change.new is not None and (change.path in known or change.path.startswith(TOOL))
    }
    version = _VERSION.search(head.read(_VERSION_FILE) or b"")
    return Lock(version[1].decode() if version is not None else "0", files, cloud)


def _number(version: str) -> tuple[int, ...]:
    """A version to compare by: its leading numbers."""
    found = re.match(r"\d{1,6}(\.\d{1,6})*", version)
    return tuple(map(int, found[0].split("."))) if found is not None else ()


def _message(plan: _Plan) -> str:
    kept = [f"Kept, because it was changed here: {file.path}" for file in plan.told if file.outcome == "kept"]
    since = f" from {plan.before}" if plan.before not in (None, __version__) else ""
    says = f"Upgrade pointsman{since} to {__version__}\n"
    return says + ("\n" + "\n".join(kept) + "\n" if kept else "")


def _kept(repo: Repository, path: str, here: Entry | None, wrote: Entry | None, want: bytes | None) -> UpgradedFile:
    ours, before = _text(repo, here), _text(repo, wrote)
    if wrote is not None and before is None:  # a version that was kept out wrote it
        return UpgradedFile(path, "kept", None, _diff(path, ours or [], _lines(want)))
    return UpgradedFile(path, "kept", _diff(path, before or [], ours or []), _diff(path, before or [], _lines(want)))


def _text(repo: Repository, entry: Entry | None) -> list[str] | None:
    found = repo.git.object(entry.oid) if entry is not None else None
    return _lines(found[1]) if found is not None and found[0] == "blob" else None


def _lines(data: bytes | None) -> list[str]:
    return data.decode(errors="replace").splitlines() if data is not None else []


def _diff(path: str, old: list[str], new: list[str]) -> str:
    return "\n".join(_compared(path, old, new))


def _compared(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    if max(len(old), len(new)) > _LONGEST:
        return iter([f"--- {path}", f"+++ {path}", f"@@ more than {_LONGEST} lines: compare them with git diff @@"])
    return difflib.unified_diff(old, new, path, path, lineterm="")

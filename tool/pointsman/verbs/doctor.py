"""`doctor`: can the stores and the forge do what everything else relies on? It tries, and cleans up.

The one thing that nobody sees until it has gone wrong is a store that takes a conditional write and ignores the
condition. So several writers race for one key, and one of them must win.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Annotated

from pointsman.errors import Blocked, MovedFirst, Problem, Unreachable
from pointsman.forge.open import KINDS
from pointsman.gate.unmounted import serves_from_store, unmounted
from pointsman.history.targets import current_targets
from pointsman.history.times import furthest_clock
from pointsman.outcome import Outcome
from pointsman.repo.commit_graph import WRITE, has_path_filters
from pointsman.repo.origin import MAIN
from pointsman.repo.process import require_git
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.retention.condition import condition
from pointsman.serving import glass
from pointsman.settings import Settings
from pointsman.state.consent import NAMESPACE
from pointsman.state.names import short
from pointsman.store.base import Held, NoConditions, Store
from pointsman.store.open import open_store
from pointsman.store.parallel import ask_all
from pointsman.struct import struct
from pointsman.trust.allowed_signers import persons, read_signers
from pointsman.trust.keygen import is_installed
from pointsman.workspace import Workspace

SCRATCH = ".pointsman/doctor"
_LONG = 10_000  # commits: below, git log of one path takes less than 0.1 s anyway
_SKEW = 300  # seconds; S3 refuses requests that are 900 off
_RACERS = 4  # some stores let those who lose wait for seconds
_COPY = "-moved"
_REFUSED = (
    "The credentials that doctor runs with may not do it. That is right for an identity that needs it not "
    "(docs/gc.md, Rights); else allow it. What doctor wrote there may stay"
)
_IGNORES = "the store ignores {} and lets writers overwrite each other: use another store, or another gateway to it"


@dataclass(frozen=True, slots=True)
class _Finding(Exception):
    """What is wrong with a store, in a sentence."""

    says: str


@struct(frozen=True)
class Check:
    """One thing that was tried."""

    name: str
    ok: bool
    says: Annotated[str, "what is wrong and what to do, or that it works"]


@struct(frozen=True)
class Examined:
    """All that was tried."""

    checks: Sequence[Check]


def doctor(workspace: Workspace) -> Outcome[Examined]:
    """Try the stores of the settings on main. Exit 1 if one cannot be relied on, 3 if one cannot be reached."""
    repo, progress = workspace.repo, workspace.progress
    checks = [Check("git", True, require_git())]
    where = repo.remote or str(repo.git_dir)
    unreachable = False
    try:
        repo.refresh()
    except Unreachable as error:  # the stores may answer all the same: they are those of main as it was last seen
        last = repo.last_main()
        if last is None:
            return Outcome(Examined([*checks, Check("origin", False, str(error))]), error.exit_code)
        repo.heads[MAIN] = last
        unreachable = True
        says = f"{error}; all else is tried with the settings of {short(last)}, where main was last seen"
        checks.append(Check("origin", False, says))
    settings = Snapshot(repo, repo.main).settings()
    if not unreachable:
        pulls = KINDS[settings.forge].pulls
        checks.append(Check("origin", True, f"{where} answers; ship pull requests are {pulls}"))
    checks += [*_history(repo), *_signing(Snapshot(repo, repo.main), settings)]
    progress("asking the forge how it is set up")
    try:
        for name, wrong in workspace.forge.protection():
            checks.append(Check(f"forge {name}", not wrong, wrong or "set up as it should be"))
    except Problem as error:
        checks.append(Check("forge reached", False, str(error)))
        unreachable |= isinstance(error, Unreachable)
    stores = {"store": (settings.store, settings.access)}
    for place in settings.serving:
        of = f" {place.name}" if place.name else ""
        if not serves_from_store(settings, place) or place.access != settings.access:
            stores[f"serving{of}"] = (place.root, place.access)
        if place.store:
            stores[f"store{of}"] = (place.store, place.access)
    if says := unmounted(workspace.gate.documents, Snapshot(repo, repo.main)):  # trying it would make it anew
        checks.append(Check("store mounted", False, says))
        unreachable = True
        del stores["store"]
    for role, (url, access) in stores.items():
        progress(f"trying {url}")
        store = open_store(url, access)
        try:
            for name, wrong, refused in _examine(store):
                checks.append(Check(f"{role} {name}", not wrong, wrong or f"{url} does it"))
                unreachable |= refused
        except Unreachable as error:
            checks.append(Check(f"{role} reached", False, str(error)))
            unreachable = True
            if not isinstance(error, Blocked):  # nothing else would be answered
                continue
        if role == "store" and checks[-1].name != "store conditional writes":  # it comes last if nothing can be done
            told = condition(store, repo, settings.trash_days, workspace.now)
            checks += [Check(f"store {name}", ok, says) for name, ok, says in told]
    if not unreachable and all(check.ok for check in checks if check.name.startswith(("store ", "serving "))):
        head = Snapshot(repo, repo.main)
        path = settings.allowed_signers
        signers = (head.read(path) or b"").decode(errors="replace") if path else ""
        progress("looking at what sync left for break-glass")
        try:
            told = glass.ready(settings.serving, current_targets(head), signers, repo.signing_key, workspace.now)
            checks += [Check(name, ok, says) for name, ok, says in told]
        except Unreachable as error:
            checks.append(Check("break-glass", False, str(error)))
            unreachable = True
    failed = any(not check.ok for check in checks)
    ahead = furthest_clock(repo, workspace.now)
    return Outcome(Examined(checks), 3 if unreachable else 1 if failed else 0, (ahead,) if ahead else ())


def _history(repo: Repository) -> list[Check]:
    """Whether a long history has what makes it quick to look up one target; advice, never a failure."""
    length = int(repo.git.ask("rev-list", "--count", "--first-parent", repo.main))
    if length < _LONG:
        return []
    if has_path_filters(repo.git_dir):
        return [Check("commit-graph", True, f"{length} commits on main, with changed-path filters")]
    says = f"{length} commits on main without changed-path filters: {WRITE} in {repo.git_dir} makes log and at quicker"
    return [Check("commit-graph", True, says)]


def _signing(head: Snapshot, settings: Settings) -> Iterator[Check]:
    """Whether signatures can be verified here, and whether enough people may approve; nothing if nobody has to sign."""
    if not (settings.approvals or settings.evidence):
        return
    there = is_installed()
    yield Check("ssh-keygen", there, "it verifies signatures" if there else "install OpenSSH 8.9 or newer: ships wait")
    if settings.approvals:
        signers = read_signers(head.read(settings.allowed_signers) or b"", NAMESPACE)
        names: dict[bytes, frozenset[str]] = {}
        for each in signers:
            names[each.key] = names.get(each.key, frozenset()) | {*each.names}
        who = list(persons(names))
        says = f"{len(who)} people may approve, and each change needs {settings.approvals}"
        more = "" if len(who) > settings.approvals else ": add one more, in case a key is lost"
        yield Check("approvals", len(who) >= settings.approvals, f"{says}{more}")


def _examine(store: Store) -> Iterator[tuple[str, str, bool]]:
    """Each check, what is wrong ("" if nothing is), and whether that is because the store refused it.

    Unreachable if the store cannot be written at all. What it refuses after that is for one check alone.
    """
    mine = f"{SCRATCH}/{secrets.token_hex(8)}"
    tries: Mapping[str, Callable[[Store, str], None]] = {
        "conditional writes": _conditions,
        "create-only": _create_only,
        "race of creates": _race_of_creates,
        "replace-if-unchanged": _replace,
        "race of replaces": _race_of_replaces,
        "clock": _clock,
        "list": _list,
        "delete": _delete,
        "move": _move,
    }
    with store.locked(f"{SCRATCH}/"):
        for place, (name, attempt) in enumerate(tries.items()):
            key = f"{mine}-{place}"
            wrong, refused = "", False
            try:
                attempt(store, key)
            except _Finding as finding:
                wrong = finding.says
            except NoConditions as error:
                wrong = str(error)
            except Unreachable as error:
                if place == 0 or not (isinstance(error, Blocked) or name == "list"):
                    raise
                wrong, refused = f"{error}. {_REFUSED}", True
            _clear(store, key)
            yield name, wrong, refused
            if wrong and name == "conditional writes":  # all that follows needs them
                return


def _conditions(store: Store, key: str) -> None:
    store.create(key, b"first")
    with contextlib.suppress(MovedFirst):  # whether they hold is for the other checks
        store.replace(key, b"second", was=_held(store, key).tag)


def _create_only(store: Store, key: str) -> None:
    if not store.create(key, b"first") or _held(store, key).data != b"first":
        raise _Finding("what was put cannot be read back as it was")
    if store.digest(key) != (5, hashlib.sha256(b"first").hexdigest()) or store.size(key) != 5:
        raise _Finding("the size that the store gives, or the bytes, are not those that were put")
    if store.create(key, b"second") or _held(store, key).data != b"first":
        raise _Finding(_IGNORES.format("If-None-Match"))


def _race_of_creates(store: Store, key: str) -> None:
    def create(number: int) -> bool:
        return store.create(key, b"racer %d" % number)

    winners = [number for number, won in enumerate(ask_all(create, range(_RACERS), at_once=_RACERS)) if won]
    if len(winners) != 1 or _held(store, key).data != b"racer %d" % winners[0]:
        says = f"of {_RACERS} creates of one key at once {len(winners)} were told that they had won"
        raise _Finding(f"{says}: {_IGNORES.format('If-None-Match, or decides it too late,')}")


def _replace(store: Store, key: str) -> None:
    store.create(key, b"first")
    first = _held(store, key)
    store.replace(key, b"second", was=first.tag)
    if _held(store, key).data != b"second":
        raise _Finding("what was replaced cannot be read back as it was")
    if _wins(store, key, b"third", first.tag) or _held(store, key).data != b"second":
        raise _Finding(_IGNORES.format("If-Match"))


def _race_of_replaces(store: Store, key: str) -> None:
    store.create(key, b"first")
    was = _held(store, key).tag

    def replace(number: int) -> bool:
        return _wins(store, key, b"racer %d" % number, was)

    # A directory has a lock in the place of conditions, and we hold it: its writers come one after another.
    at_once = _RACERS if store.at_once > 1 else 1
    winners = [number for number, won in enumerate(ask_all(replace, range(_RACERS), at_once=at_once)) if won]
    if len(winners) != 1 or _held(store, key).data != b"racer %d" % winners[0]:
        says = f"of {_RACERS} conditional replaces at once {len(winners)} were told that they had won"
        raise _Finding(f"{says}: {_IGNORES.format('If-Match, or decides it too late,')}")


def _clock(store: Store, key: str) -> None:
    store.create(key, b"first")
    written = store.written(key)
    ahead = written - time() if written is not None else 0.0
    if abs(ahead) > _SKEW:
        says = f"the store's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
        raise _Finding(f"{says}: set the clock that is wrong, stores refuse requests of another time")


def _list(store: Store, key: str) -> None:
    store.create(key, b"first")
    if key not in store.keys(f"{SCRATCH}/", 1):
        raise _Finding("what was put is not listed: sync would take a pointer that is there for one that is not")


def _delete(store: Store, key: str) -> None:
    store.create(key, b"first")
    store.delete(key, was=_held(store, key).tag)
    if store.read(key) is not None:
        raise _Finding("what was deleted can still be read")


def _move(store: Store, key: str) -> None:
    """As gc does: copied by the store, looked at, and taken away."""
    store.create(key, b"first")
    moved = store.move(key, key + _COPY, 5, lambda: True)
    if not moved or _held(store, key + _COPY).data != b"first" or store.size(key) is not None:
        raise _Finding("what was moved is not where it should be, or still where it was: gc cannot use the trash")
    store.remove(key + _COPY)


def _wins(store: Store, key: str, data: bytes, was: str) -> bool:
    try:
        store.replace(key, data, was=was)
    except MovedFirst:
        return False
    return True


def _held(store: Store, key: str) -> Held:
    held = store.read(key)
    if held is None:
        raise _Finding("what was put a moment ago cannot be read")
    return held


def _clear(store: Store, key: str) -> None:
    with contextlib.suppress(Unreachable):  # what is wrong has been said; a scratch object that stays does no harm
        for each in (key, key + _COPY):
            if store.size(each) is not None:
                store.remove(each)

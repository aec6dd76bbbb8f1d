"""`doctor`: can the stores, the forge and whoever is called do what everything else relies on? It tries them all.

What is away is one check, and stops none of the others.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Blocked, Problem, Unreachable
from pointsman.forge.fix import Fix, fix
from pointsman.forge.open import KINDS
from pointsman.gate.policies import Policies
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
from pointsman.serving.calls import INVALIDATE_HEADERS, NOTIFY_HEADERS, answers, read_headers
from pointsman.settings import Settings
from pointsman.state.consent import NAMESPACE
from pointsman.state.names import short
from pointsman.state.store_url import Access
from pointsman.store.open import open_store
from pointsman.store.trial import examine
from pointsman.trust.allowed_signers import names_by_key, persons, read_signers
from pointsman.trust.keygen import is_installed
from pointsman.workspace import Workspace

_LONG = 10_000  # commits: below, git log of one path takes less than 0.1 s anyway
_NOTHING_TO_SET = '--fix has nothing to set: forge.kind is "local", so a pull request is a branch of the origin'
_NOTHING_WRITTEN = "nothing was sent, only its headers were asked for"
Agreed = Callable[[Sequence[Fix]], bool]


class Check(Struct, frozen=True):
    """One thing that was tried."""

    name: str
    ok: bool
    says: Annotated[str, "what is wrong and what to do, or that it works"]


class Examined(Struct, frozen=True):
    """All that was tried, and with --fix what was set."""

    checks: Sequence[Check]
    fixes: Annotated[Sequence[Fix], "with --fix: each part of how the forge is set up"] = ()
    by_hand: Annotated[Sequence[str], "with --fix: what it leaves to people, a line each"] = ()


class _Tried:
    """What was tried so far. `away`: something did not answer, or refused."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.away = False

    def add(self, name: str, ok: bool, says: str) -> None:
        self.checks.append(Check(name, ok, says))

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """One part of all: what stops it is a check called `name`, and stops nothing else."""
        try:
            yield
        except Problem as problem:
            self.add(name, False, str(problem))
            self.away |= isinstance(problem, Unreachable)

    def outcome(self, fixes: Sequence[Fix], ahead: str) -> Outcome[Examined]:
        failed = any(not check.ok for check in self.checks) or any(each.says for each in fixes)
        code = 3 if self.away else 1 if failed else 0
        return Outcome(Examined(self.checks, fixes), code, (ahead,) if ahead else ())


def doctor(workspace: Workspace) -> Outcome[Examined]:
    """Try all that the settings on main name. Exit 1 if something cannot be relied on, 3 if something is away."""
    return _examined(workspace, ())


def mend(workspace: Workspace, agreed: Agreed, *, examines: bool = True) -> Outcome[Examined]:
    """Set what the forge's API can set, if `agreed` says so of the differences, and try everything.

    `examines`: False to leave it at the differences. Exit 2, and nothing else is tried, if `agreed` says no.
    """
    asked: list[bool] = []

    def once(differences: Sequence[Fix]) -> bool:
        asked.append(agreed(differences))
        return asked[0]

    try:
        workspace.repo.refresh()
    except Unreachable:  # what is wrong is told by the check of the origin
        return _examined(workspace, ())
    fixes, silent = fix(workspace.forge, workspace.progress, once)
    kind = Snapshot(workspace.repo, workspace.repo.main).settings().forge
    by_hand = [line.strip() for line in KINDS[kind].by_hand]
    notes = (_NOTHING_TO_SET,) if kind == "local" else ()
    if asked == [False] or not examines:
        code = 2 if examines else 3 if silent else 1 if any(each.says for each in fixes) else 0
        return Outcome(Examined((), fixes, by_hand), code, notes)
    found = _examined(workspace, fixes)
    return Outcome(replace(found.value, by_hand=by_hand), found.exit_code, (*notes, *found.notes))


def _examined(workspace: Workspace, fixes: Sequence[Fix]) -> Outcome[Examined]:
    repo, tried = workspace.repo, _Tried()
    tried.add("git", True, require_git())
    if not _origin(repo, tried):
        return tried.outcome(fixes, "")
    head = Snapshot(repo, repo.main)
    settings: Settings | None = None
    with tried.part("settings"):
        settings = workspace.gate.settings(head)
    if settings is not None:
        _all(workspace, settings, head, tried)
    return tried.outcome(fixes, furthest_clock(repo, workspace.now))


def _origin(repo: Repository, tried: _Tried) -> bool:
    """Whether main is known. If the origin is away, all else is tried with main as it was last seen."""
    try:
        repo.refresh()
    except Unreachable as error:
        tried.away = True
        last = repo.last_main()
        if last is None:
            says = "main was never seen here, so nothing else can be tried: run it in a clone that has fetched it"
            tried.add("origin", False, f"{error}; {says}")
            return False
        repo.heads[MAIN] = last
        says = f"{error}; all else is tried with the settings of {short(last)}, where main was last seen"
        tried.add("origin", False, says)
    else:
        with tried.part("origin"):
            pulls = KINDS[Snapshot(repo, repo.main).settings().forge].pulls
            tried.add("origin", True, f"{repo.remote or repo.git_dir} answers; ship pull requests are {pulls}")
    return True


def _all(workspace: Workspace, settings: Settings, head: Snapshot, tried: _Tried) -> None:
    """Each part for itself."""
    repo, progress = workspace.repo, workspace.progress
    with tried.part("history"):
        tried.checks += _history(repo)
    with tried.part("trust"):
        tried.checks += _signing(workspace.gate.consents.policies, head, settings)
    progress("asking the forge how it is set up")
    with tried.part("forge reached"):
        for name, wrong in workspace.forge.protection():
            tried.add(f"forge {name}", not wrong, wrong or "set up as it should be")
    for role, url, access in _stores(workspace, settings, head, tried):
        progress(f"trying {url}")
        with tried.part(f"{role} reached"):
            _try_store(workspace, settings, (role, url, access), tried)
    _hooks(settings, tried)
    progress("looking at what sync left for break-glass")
    served = [check for check in tried.checks if check.name.startswith(("store ", "serving "))]
    if all(check.ok for check in served):  # else the places say it themselves
        with tried.part("break-glass"):
            signers = workspace.gate.consents.policies.signers(head).decode(errors="replace")
            told = glass.ready(settings.serving, current_targets(head), signers, repo.signing_key, workspace.now)
            tried.checks += [Check(name, ok, says) for name, ok, says in told]


def _stores(
    workspace: Workspace, settings: Settings, head: Snapshot, tried: _Tried
) -> Iterator[tuple[str, str, Access]]:
    """The role, URL and access of each store that the settings name."""
    says = ""
    with tried.part("store mounted"):
        says = unmounted(workspace.gate.documents, head, settings)
    if says:  # trying it would make it anew
        tried.add("store mounted", False, says)
        tried.away = True
    else:
        yield "store", settings.store, settings.access
    for place in settings.serving:
        of = f" {place.name}" if place.name else ""
        if not serves_from_store(settings, place) or place.access != settings.access:
            yield f"serving{of}", place.root, place.access
        if place.store:
            yield f"store{of}", place.store, place.access


def _try_store(workspace: Workspace, settings: Settings, which: tuple[str, str, Access], tried: _Tried) -> None:
    """Everything of one store. What only reads is tried where writing is refused, too."""
    role, url, access = which
    store = open_store(url, access)
    why = ""
    try:
        for name, wrong, refused in examine(store):
            tried.add(f"{role} {name}", not wrong, wrong or f"in order at {url}")
            tried.away |= refused
    except Unreachable as error:
        if not isinstance(error, Blocked):  # nothing else would be answered
            raise
        tried.add(f"{role} reached", False, str(error))
        tried.away = True
        why = str(error).partition(": ")[2]
    if role == "store" and tried.checks[-1].name != "store conditional writes":  # it comes last if nothing can be done
        told = condition(store, workspace.repo, settings.trash_days, workspace.now)
        # What is in the way of all is told once.
        tried.checks += [
            Check(f"store {name}", ok, says) for name, ok, says in told if ok or not why or why not in says
        ]


def _hooks(settings: Settings, tried: _Tried) -> None:
    """Whoever sync and rollout call: each is asked for headers alone, with which nothing is done."""
    urls = {("notify webhook", settings.notify_webhook): NOTIFY_HEADERS} if settings.notify_webhook else {}
    urls |= {
        (f"invalidate{f' {place.name}' if place.name else ''}", url): INVALIDATE_HEADERS
        for place in settings.serving
        for url in place.invalidate
    }
    for (name, url), variable in urls.items():
        with tried.part(name):
            read_headers(variable)
            _answers(name, url, tried)
    for check in settings.checks.values():
        _answers(f"check {check.name}", check.prometheus, tried)
    if settings.notify_command:
        program = shlex.split(settings.notify_command)[0]
        there = shutil.which(program) or (os.path.isfile(program) and os.access(program, os.X_OK))
        says = f"{program} is there; it was not run"
        missing = f"{program} is not on this machine: install it where sync runs, or change [notify] command"
        tried.add("notify command", bool(there), says if there else missing)


def _answers(name: str, url: str, tried: _Tried) -> None:
    wrong = answers(url)
    if wrong:
        tried.away = True
    says = f"{url} does not answer: {wrong}. Start it, or change its URL in pointsman.toml"
    tried.add(name, not wrong, says if wrong else f"{url} answers; {_NOTHING_WRITTEN}")


def _history(repo: Repository) -> list[Check]:
    """Whether a long history has what makes it quick to look up one target; advice, never a failure."""
    length = int(repo.git.ask("rev-list", "--count", "--first-parent", repo.main))
    if length < _LONG:
        return []
    if has_path_filters(repo.git_dir):
        return [Check("commit-graph", True, f"{length} commits on main, with changed-path filters")]
    says = f"{length} commits on main without changed-path filters: {WRITE} in {repo.git_dir} makes log and at quicker"
    return [Check("commit-graph", True, says)]


def _signing(policies: Policies, head: Snapshot, settings: Settings) -> Iterator[Check]:
    """Whether signatures can be verified here, and whether enough people may approve; nothing if nobody has to sign."""
    if not (settings.approvals or settings.evidence):
        return
    there = is_installed()
    yield Check("ssh-keygen", there, "it verifies signatures" if there else "install OpenSSH 8.9 or newer: ships wait")
    if settings.approvals:
        if note := policies.note(head):
            yield Check("settings approved", False, note)
        signers = read_signers(policies.signers(head), NAMESPACE)
        who = list(persons(names_by_key(signers)))
        says = f"{len(who)} people may approve, and each change needs {settings.approvals}"
        more = "" if len(who) > settings.approvals else ": add one more, in case a key is lost"
        yield Check("approvals", len(who) >= settings.approvals, f"{says}{more}")

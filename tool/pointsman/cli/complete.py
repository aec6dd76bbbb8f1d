"""What the shell's Tab key offers: names from this clone, as it is now. Nothing here asks a network or a store.

A completion that fails offers nothing: there is no place where it could say why.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice

import click
from click.shell_completion import CompletionItem

from pointsman.errors import Problem
from pointsman.history.targets import current_targets
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.state.names import Target
from pointsman.state.objects import Oid

_MOST = 10_000  # names offered at once
_MOST_BYTES = 1 << 24  # of a list of refs
_PATIENCE = 5.0  # seconds for one answer of git
_MAIN = ("refs/heads/main", "refs/remotes/origin/main")
_ROOTS = ("refs/heads/", "refs/remotes/origin/")
_KINDS = ("ship", "rollback", "hold", "retire")


Names = Callable[[click.Context, Snapshot], Iterable[str]]


def offer(names: Names, context: click.Context, typed: str) -> list[CompletionItem]:
    """Those of some names of main that begin with what was typed."""
    try:
        with _main(context) as head:
            return choose(names(context, head), typed)
    except (Problem, OSError, click.ClickException):
        return []


def choose(names: Iterable[str], typed: str) -> list[CompletionItem]:
    """Those of `names` that begin with what was typed, each once, in their order."""
    found = dict.fromkeys(islice((name for name in names if name.startswith(typed)), _MOST))
    return list(map(CompletionItem, found))


@contextlib.contextmanager
def _main(context: click.Context) -> Iterator[Snapshot]:
    """main as this clone knows it. Problem where nothing is known without the network."""
    named = context.find_root().params.get("spec") or os.environ.get("POINTSMAN_REPO") or "."
    if not os.path.isdir(named):
        raise Problem(f"{named} is not on this machine")
    with open_repository(named) as repo:
        repo.git.wait_at_most(lambda: _PATIENCE)
        found = _refs(repo, "%(objectname)", *_MAIN)
        if not found:
            raise Problem("there is no main here")
        yield Snapshot(repo, Oid(found[-1]))  # in the order of their names: the origin's comes last


def _refs(repo: Repository, form: str, *patterns: str) -> list[str]:
    ran = repo.git.run("for-each-ref", f"--format={form}", *patterns, timeout=_PATIENCE, most=_MOST_BYTES)
    return ran.out.decode("utf-8", "replace").split() if ran.code == 0 else []


def targets(context: click.Context, head: Snapshot) -> Iterator[str]:
    """Every target that has a manifest."""
    return map(str, current_targets(head))


def holdable(context: click.Context, head: Snapshot) -> Iterator[str]:
    """What a hold may be on."""
    return chain(["all"], targets(context, head))


def versions(context: click.Context, head: Snapshot) -> Iterator[str]:
    """Every version that is current. Those before are too many to choose from."""
    for target in current_targets(head):
        yield from _current(head, target).values()


def types(context: click.Context, head: Snapshot) -> Iterator[str]:
    """The types of the targets that stand on the command line; without one, of all."""
    named = [each for each in context.params.get("targets") or () if isinstance(each, Target)]
    for target in named or current_targets(head):
        yield from _current(head, target)


def slots(context: click.Context, head: Snapshot) -> Iterator[str]:
    """TARGET:TYPE of everything that is current."""
    for target in current_targets(head):
        yield from (f"{target}:{slot}" for slot in _current(head, target))


def recorded_versions(context: click.Context, head: Snapshot) -> Iterator[str]:
    """TYPE@VERSION of the target that stands on the command line."""
    target = context.params.get("target")
    if isinstance(target, Target):
        for slot in head.names(f"registry/{target}"):
            yield from (f"{slot}@{name.removesuffix('.json')}" for name in head.files(f"registry/{target}/{slot}"))


def pulls(context: click.Context, head: Snapshot) -> Iterator[str]:
    """The pull requests whose branches this clone knows, by target and by the last part of the branch."""
    for branch in _refs(head.repo, "%(refname)", *(f"{root}{kind}/" for root in _ROOTS for kind in _KINDS)):
        place, _, last = branch.rpartition("/")
        yield "/".join(place.split("/")[-2:]).replace("%2E", ".")
        yield last


def _current(head: Snapshot, target: Target) -> Mapping[str, str]:
    return versions_in(head.repo, head.entry(target.manifest_path))

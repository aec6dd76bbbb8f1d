"""`pointsman gc`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import SHARE, TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.retention.erasing import Erasing
    from pointsman.verbs.gc import Collected, Orphan, Retired
    from pointsman.workspace import Workspace

_MOST_SHOWN = 20


@click.command(epilog=example("pointsman gc --delete --grace 48h"))
@click.option("--delete", is_flag=True, help="Move what can go into the trash; without it, only show what would.")
@click.option("--grace", metavar="TIME", type=TEXT, default="24h", help="Leave what is younger; default: 24h.")
@click.option(
    "--max-share",
    metavar="SHARE",
    type=SHARE,
    default=0.2,
    help="Take nothing if a larger share are orphans; default: 0.2.",
)
@click.option(
    "--also", metavar="REPO", multiple=True, help="Count this repository's records, too: it shares the store."
)
@click.option("--restore", metavar="VERSION", multiple=True, help="Put this version back from the trash.")
@click.option("--no-trash", metavar="VERSION", multiple=True, help="Delete this version for good, for an erasure.")
@click.option("--dry-run", is_flag=True, help="Write nothing, also with --delete or --restore.")
@json_option
@click.pass_obj
def gc(
    call: Call,
    delete: bool,
    grace: str,
    max_share: float,
    also: tuple[str, ...],
    restore: tuple[str, ...],
    no_trash: tuple[str, ...],
    dry_run: bool,
) -> Answer:
    """Collect blobs that no record names, and retired ones.

    They go into a trash in the store, and are deleted for good when
    [retention] trash_days have passed.
    """
    if restore and (delete or no_trash or also):
        raise click.UsageError("--restore puts versions back and collects nothing: leave the other options out")
    from pointsman.verbs import gc as verb

    call.refusal = "nothing was put back" if restore else "nothing was taken"
    with call.workspace() as workspace, contextlib.ExitStack() as stack:
        if restore:
            return Answer(verb.restore(workspace, restore, dry_run=dry_run), render_restored)
        others = [stack.enter_context(_other(call, spec, workspace)) for spec in also]
        request = verb.Request(delete and not dry_run, grace, max_share, no_trash)
        return Answer(verb.gc(workspace, request, others), render)


@contextlib.contextmanager
def _other(call: Call, spec: str, workspace: Workspace) -> Iterator[Workspace]:
    from pointsman.workspace import Workspace

    with call.repository(spec) as repo:
        yield Workspace(repo, clock=workspace.clock, progress=workspace.progress)


def render_restored(found: Collected) -> str:
    """How many are back."""
    if found.restored == 0:
        return "nothing to put back: it is there"
    if found.dry_run:
        return f"would put {found.restored} back from the trash; nothing was written"
    return f"{found.restored} put back from the trash"


def render(found: Collected) -> str:
    """What goes and what stays, and one paragraph about the whole store."""
    orphans = (f"{_did(found, each)} {each.uri} ({each.size} bytes, no record names it)" for each in found.orphans)
    retired = (
        f"{_did(found, each)} {each.target} {each.type} {each.version} ({each.size} bytes, retired)"
        for each in found.retired
    )
    lines = list(islice(chain(orphans, retired), _MOST_SHOWN))
    more = len(found.orphans) + len(found.retired) - _MOST_SHOWN
    lines += [f"… and {more} more"] if more > 0 else []
    lines += [f"kept {each.uri}: {each.says}" for each in found.kept[:_MOST_SHOWN]]
    over = len(found.kept) - _MOST_SHOWN
    lines += [f"… and {over} more kept"] if over > 0 else []
    return "\n".join([*lines, *_paragraph(found)])


def _did(found: Collected, each: Orphan | Retired) -> str:
    if found.dry_run:
        return "would leave" if _is_stopped(found) else "would take"
    return "left" if each.left else "took"


def _is_stopped(found: Collected) -> bool:
    """Whether so many are orphans that nothing is taken."""
    return any(fault.rule == "max-share" for fault in found.faults or ())


def _paragraph(found: Collected) -> Iterator[str]:
    from pointsman.verbs.gc import freed

    yield (
        f"{found.listed} blobs: {found.live} live ({found.live_bytes} bytes), {len(found.orphans)} orphaned, "
        f"{len(found.retired)} retired, {found.young} younger than --grace. In the trash: {found.trash} "
        f"({found.trash_bytes} bytes). {found.unknown} objects are not of this repository and are never touched."
    )
    if found.dry_run:
        does = ["take nothing"] if _is_stopped(found) else []
        does += [f"move {freed(found)} bytes into the trash"] if freed(found) and not does else []
        does += [f"purge {found.purged} blobs from the trash"] if found.purged else []
        does += [f"put {found.restored} back"] if found.restored else []
        yield f"A dry run, nothing was changed: --delete would {' and '.join(does) or 'change nothing'}."
    else:
        yield f"{found.taken} taken, {found.purged} purged from the trash, {found.restored} put back."
    if found.erasing:
        yield _waits(found.erasing)
    if found.versions is not None and found.versions != "no":
        kept = "keeps" if found.versions == "yes" else "may keep"
        yield f"The store {kept} earlier versions of what is erased: set a lifecycle rule that ends them."


def _waits(erasing: Sequence[Erasing]) -> str:
    """What is to be erased and still waits, in one line."""
    each = [f"{one.target} {one.type} {short(one.version)} {_until(one)}" for one in erasing[:_MOST_SHOWN]]
    more = f", and {len(erasing) - _MOST_SHOWN} more" if len(erasing) > _MOST_SHOWN else ""
    count = f"{len(erasing)} versions wait" if len(erasing) > 1 else "1 version waits"
    return f"{count} to be erased: {', '.join(each)}{more}"


def _until(one: Erasing) -> str:
    if one.branch is not None:
        return f"until somebody merges its tombstone (pointsman pr merge {one.branch})"
    return f"until {one.until}" if one.until is not None else f"({one.says})"

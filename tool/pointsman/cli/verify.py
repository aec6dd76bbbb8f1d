"""`pointsman verify`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import COUNT, TARGETS, TEXT
from pointsman.cli.console import Answer, Call, example, json_option, some
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Pattern, Target
    from pointsman.verbs.verify import Verified


@click.command(epilog=example("pointsman verify --all --shard 1/4"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGETS)
@click.option("--all", "every", is_flag=True, help="Check every recorded version; default: the current ones.")
@click.option("--sample", metavar="N", type=COUNT, help="Check only N of them, chosen at random.")
@click.option("--shard", metavar="I/N", type=TEXT, default="1/1", help="Check only the I-th of N parts of them.")
@click.option("--repair-from", metavar="DIR|URL", type=TEXT, help="Put a missing blob back from bytes that hash to it.")
@click.option("--dry-run", is_flag=True, help="With --repair-from: say what would be put back, and write nothing.")
@json_option
@click.pass_obj
def verify(
    call: Call,
    targets: tuple[Target | Pattern, ...],
    every: bool,
    sample: int | None,
    shard: str,
    repair_from: str | None,
    dry_run: bool,
) -> Answer:
    """Read stored blobs again and check their hashes.

    TARGET may be a pattern, such as 'grocer/*'.
    """
    from pointsman.verbs import verify as verb

    if dry_run and not repair_from:
        raise click.UsageError("--dry-run goes with --repair-from: without it, nothing is written")
    choice = verb.Choice(every, sample, verb.read_shard(shard), repair_from or "", dry_run)
    with call.workspace() as workspace:
        return Answer(verb.verify(workspace, targets, choice), partial(render, every=call.verbose))


def render(found: Verified, *, every: bool = False) -> str:
    """One line per fault, the first of them unless `every` is asked for, and how much was read."""
    unread = sum(fault.path.startswith("manifests/") for fault in found.faults)
    bad = f"{len(found.faults) - unread} of them bad" if len(found.faults) > unread else "all as they should be"
    if unread:
        bad += f", but {unread} manifest{'s' if unread != 1 else ''} cannot be read"
    is_back = "would be put back" if found.dry_run else "is back"
    where = "its bytes are gone or in the trash"
    retired = [
        f"{each.target} {each.type} {short(each.version)} was retired on {each.retired_at}, {where}"
        for each in found.retired
    ]
    repaired = [f"{each.target} {each.type} {short(each.version)} {is_back}: {each.uri}" for each in found.repaired]
    lines = [line for kind in (retired, repaired, [*map(str, found.faults)]) for line in some(kind, every=every)]
    return "\n".join([*lines, f"{found.blobs} blobs, {found.bytes} bytes: {bad}"])

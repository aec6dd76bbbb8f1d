"""`pointsman publish`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pointsman.cli.arguments import DROP, TEXT, URL
from pointsman.cli.console import Answer, Call, example, given, json_option, some
from pointsman.cli.ship_options import ship_options
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Target
    from pointsman.values import ShippedTarget
    from pointsman.verbs.publish import Published


@click.command(epilog=example("pointsman publish staging/ --run https://ci.example/runs/7"))
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@click.option("--run", metavar="URL", type=URL, help="The pipeline run that built them; records and commits name it.")
@click.option(
    "--window",
    "windows",
    metavar="START_END|all",
    type=TEXT,
    multiple=True,
    help="Take this staged window; default: the newest of each target. Of several the newest is shipped.",
)
@click.option(
    "--drop",
    "drops",
    metavar="TARGET:TYPE",
    type=DROP,
    multiple=True,
    help="Remove this artifact type from the target.",
)
@ship_options
@click.option("--record-only", is_flag=True, help="Store and record, ship nothing.")
@click.option("--all-or-nothing", is_flag=True, help="If one target has to wait, write nothing.")
@json_option
@click.pass_obj
def publish(
    call: Call,
    /,
    paths: tuple[str, ...],
    windows: tuple[str, ...],
    drops: tuple[tuple[Target, str], ...],
    record_only: bool,
    **options: Any,
) -> Answer:
    """Store artifacts and open a pull request for each target.

    PATH is an artifact file or a staging directory. Publishing the same
    artifacts again changes nothing.
    """
    if not paths and not drops:
        raise click.UsageError("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    if windows and not paths:
        raise click.UsageError("--window chooses among staged artifacts: name a staging directory")
    of_ships = [name for name in ("drops", "merge", "reship", "accept", "reason") if {**options, "drops": drops}[name]]
    if record_only and of_ships:
        raise click.UsageError(f"--record-only ships nothing: leave out --{of_ships[0].removesuffix('s')}")
    from pointsman.verbs import publish as verb

    request = verb.Request(
        paths=paths,
        windows=windows,
        drops=drops,
        record_only=record_only,
        **given(options),
    )
    with call.workspace() as workspace:
        return Answer(verb.publish(workspace, request), partial(render, every=call.verbose))


def render(published: Published, *, every: bool = False) -> str:
    """One line per artifact and per target, and what to do next. What waits comes last, with the reason."""
    lines = []
    for each in published.artifacts:
        dry = "already stored" if each.stored else "would be stored (dry run)"
        blob = {"created": "stored", "present": "already stored", None: dry}[each.blob]
        lines.append(
            f"{each.target}  {each.type}  {short(each.version)}  {blob}{'' if each.ships else ', record only'}"
        )
    kept = {each.target for each in published.artifacts} - {each.target for each in published.artifacts if each.ships}
    lines += target_lines(published.targets, kept)
    lines += some([f"left out: {fault}" for fault in published.faults or ()], every=every)
    return "\n".join(lines)


def target_lines(targets: Sequence[ShippedTarget], kept: Collection[str] = ()) -> list[str]:
    """What became of each target, and what to do next. Those that are not done come last. `kept`: ship nothing."""
    return [
        line for each in sorted(targets, key=_is_stopped) for line in _target_lines(each, ships=each.target not in kept)
    ]


def _is_stopped(each: ShippedTarget) -> bool:
    return each.outcome in ("superseded", "waits", "refused", "moved-first")


def _target_lines(each: ShippedTarget, *, ships: bool) -> list[str]:
    if _is_stopped(each):
        word = each.outcome.replace("-", " ")
        lines = [f"{each.target}: {word}: {fault}" for fault in each.faults or (each.says,)]
        if each.outcome == "waits" and each.faults and each.pull_request is not None:
            lines.append(f"{each.target}: {each.pull_request.branch} is open{_closed_before(each)}; {_next(each)}")
        return lines
    return [f"{each.target}: {each.says or (_became(each) if ships else _kept(each))}"]


def _kept(each: ShippedTarget) -> str:
    match each.outcome:
        case "unchanged":
            return "unchanged, main has these records"
        case "dry-run":
            return "would be recorded (dry run, nothing written)"
    return "recorded, nothing is shipped"


def _became(each: ShippedTarget) -> str:
    pull = each.pull_request
    match each.outcome:
        case "unchanged" if pull is not None:
            return f"unchanged, {pull.branch} is open{_closed_before(each)}; {_next(each)}"
        case "unchanged":
            return "unchanged, this is what main has"
        case "merged":
            return f"merged as {short(each.commit or '')}{_closed_before(each)}; next: pointsman sync"
        case "dry-run":
            return "would be shipped (dry run, nothing written)"
    assert pull is not None
    return f"{each.outcome} {pull.branch}{_closed_before(each)}; {_next(each)}"


def _closed_before(each: ShippedTarget) -> str:
    return f", which was closed before ({each.reopens})" if each.reopens else ""


def _next(each: ShippedTarget) -> str:
    from pointsman.report.approvals import next_step

    assert each.pull_request is not None
    return next_step(each.pull_request, each.approvals)

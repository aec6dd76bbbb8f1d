"""`pointsman adopt`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT, URL
from pointsman.cli.console import Answer, Call, example, json_option, some

if TYPE_CHECKING:
    from pointsman.verbs.adopt import Adopted, AdoptedTarget


@click.command(epilog=example("pointsman adopt --run https://ci.example/runs/7"))
@click.option(
    "--from",
    "registry",
    metavar="URL",
    type=TEXT,
    help="The registry, with current/ and records/; default: where [serving] manifest is.",
)
@click.option("--blobs", metavar="URL", type=TEXT, help="Where the blobs are, if the URIs in the registry do not say.")
@click.option("--run", metavar="URL", type=URL, help="This pipeline run; records and commits name it.")
@click.option("--reship", is_flag=True, help="Also take over versions that a rollback took out.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def adopt(call: Call, registry: str | None, blobs: str | None, run: str | None, reship: bool, dry_run: bool) -> Answer:
    """Take over a registry that recsys-pipelines wrote.

    Stores canonical blobs, records every version, and opens one pull request
    with all manifests. Versions that fail verification are listed and skipped.
    Nothing old is changed or deleted. Exit 5: some were skipped; 1: all were.
    """
    from pointsman.verbs import adopt as verb

    request = verb.Request(registry=registry, blobs=blobs, run=run or "", reship=reship, dry_run=dry_run)
    with call.workspace() as workspace:
        return Answer(verb.adopt(workspace, request), partial(render, every=call.verbose))


def render(adopted: Adopted, *, every: bool = False) -> str:
    """One line per target, what was left with its reasons, and what to do next."""
    lines = [line for each in adopted.targets for line in _target_lines(each)]
    if adopted.faults:
        lines.append("left beside these:")
        lines += some([f"  {fault}" for fault in adopted.faults], every=every)
    made = sum(each.blob == "created" for each in adopted.artifacts)
    recorded = sum(each.recorded for each in adopted.artifacts)
    lines.append(f"{len(adopted.artifacts)} versions verified, {made} blobs stored, {recorded} on record")
    pulls = dict.fromkeys(each.pull_request.id for each in adopted.targets if each.pull_request is not None)
    steps = "pointsman pr merge {0}, then pointsman sync, which replaces the old pointers"
    lines += [f"next: pointsman pr show {pull}; {steps.format(pull)}" for pull in pulls]
    return "\n".join(lines)


def _target_lines(each: AdoptedTarget) -> list[str]:
    faults = [f"  {fault}" for fault in each.faults] if each.outcome == "left" else []
    return [f"{each.target}: {each.says or _became(each)}", *faults]


def _became(each: AdoptedTarget) -> str:
    match each.outcome:
        case "left":
            return "left as it is"
        case "dry-run":
            return "would be taken over (dry run, nothing written)"
        case "unchanged" if each.pull_request is None:
            return "unchanged, main has had it"
    assert each.pull_request is not None
    return f"{each.outcome}, in {each.pull_request.branch}"

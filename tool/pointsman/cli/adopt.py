"""`pointsman adopt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.outcome import fault_line


@click.command(epilog=example("pointsman adopt --run https://ci.example/runs/7"))
@click.option(
    "--from",
    "registry",
    metavar="URL",
    type=TEXT,
    help="What has current/ and records/; default: where [serving] manifest stands.",
)
@click.option(
    "--blobs", metavar="URL", type=TEXT, help="Where the blobs stand, if the URIs in the registry do not say."
)
@click.option("--run", metavar="URL", type=TEXT, help="The run that adopts; records and commits name it.")
@click.option("--reship", is_flag=True, help="Take over again what a rollback took out.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def adopt(call: Call, registry: str | None, blobs: str | None, run: str | None, reship: bool, dry_run: bool) -> Answer:
    """Take over a registry that recsys-pipelines wrote.

    Stores canonical blobs, records every version, opens one pull request with
    all manifests. What does not verify is listed and left; nothing old is
    changed or deleted. 5: some of it was left, 1: all of it.
    """
    from pointsman.verbs import adopt as verb

    request = verb.Request(registry=registry, blobs=blobs, run=run or "", reship=reship, dry_run=dry_run)
    with call.workspace() as workspace:
        return Answer(verb.adopt(workspace, request), render)


def render(document: Mapping[str, Any]) -> str:
    """One line per target, what was left with its reasons, and what to do next."""
    lines = []
    targets, artifacts = document["targets"], document["artifacts"]
    for each in targets:
        match each["outcome"]:
            case _ if "says" in each:
                lines.append(f"{each['target']}: {each['says']}")
            case "left":
                lines.append(f"{each['target']}: left as it is")
                lines += [f"  {fault_line(fault)}" for fault in each["faults"]]
            case "dry-run":
                lines.append(f"{each['target']}: would be taken over (dry run, nothing written)")
            case "unchanged" if each["pull_request"] is None:
                lines.append(f"{each['target']}: unchanged, main has had it")
            case outcome:
                lines.append(f"{each['target']}: {outcome}, in {each['pull_request']['branch']}")
    if document["faults"]:
        lines.append("left beside these:")
        lines += [f"  {fault_line(fault)}" for fault in document["faults"]]
    made = sum(each["blob"] == "created" for each in artifacts)
    recorded = sum(each["recorded"] for each in artifacts)
    lines.append(f"{len(artifacts)} versions verified, {made} blobs stored, {recorded} on record")
    pulls = {each["pull_request"]["id"]: None for each in targets if each["pull_request"] is not None}
    if pulls:
        steps = "pointsman pr merge {0}, then pointsman sync, which replaces the old pointers"
        lines += [f"next: pointsman pr show {pull}; {steps.format(pull)}" for pull in pulls]
    return "\n".join(lines)

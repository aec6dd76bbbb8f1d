"""What CI bots run: hash, publish and ship."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pointsman.arguments import DROP, RULE, TARGET, TEXT, VERSION_OF
from pointsman.console import Answer, Call, example, json_option, need_reason, say

if TYPE_CHECKING:
    from pointsman.state.names import Target


@click.command("hash", epilog=example("pointsman hash staging/"))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@json_option
@click.pass_obj
def hash_(call: Call, paths: tuple[str, ...]) -> Answer:
    """Print the version of each artifact, as sha256sum prints."""
    from pointsman.outcome import fault_line
    from pointsman.verbs import hash as verb

    spec = call.spec if call.spec is not None else _manifest_repository()
    if spec is None:
        outcome = verb.hash_files(paths, None)
    else:
        with call.repository(spec) as repo:
            outcome = verb.hash_files(paths, repo)
    if not call.json:
        for fault in outcome.document["faults"]:
            say(fault_line(fault), err=True)
    return Answer(outcome, verb.render)


def _manifest_repository() -> str | None:
    """The manifest repository around the current directory, whose own artifact types count; None if there is none."""
    directory = os.getcwd()
    while not os.path.isfile(os.path.join(directory, "pointsman.toml")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return directory if os.path.exists(os.path.join(directory, ".git")) else None


@click.command(epilog=example("pointsman publish staging/ --run https://ci.example/runs/7"))
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@click.option("--run", metavar="URL", type=TEXT, help="The run that built them; records and commits name it.")
@click.option(
    "--window", metavar="START_END", type=TEXT, help="This staged window; default: the newest of each target."
)
@click.option("--drop", "drops", metavar="TARGET:TYPE", type=DROP, multiple=True, help="Take a type out.")
@click.option("--merge", is_flag=True, help="Merge at once what the gate passes.")
@click.option("--reship", is_flag=True, help="Ship versions again that a rollback took out.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Ship although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; the reviewer and git log will read it.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def publish(
    call: Call,
    paths: tuple[str, ...],
    run: str | None,
    window: str | None,
    drops: tuple[tuple[Target, str], ...],
    merge: bool,
    reship: bool,
    accept: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
) -> Answer:
    """Store artifacts, open a pull request per target.

    PATH is an artifact file or a staging directory. Publishing the same again
    changes nothing.
    """
    if not paths and not drops:
        raise click.UsageError("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    if window is not None and not paths:
        raise click.UsageError("--window chooses among staged artifacts: name a staging directory")
    need_reason(accept, reason)
    from pointsman.verbs import publish as verb

    request = verb.Request(
        paths=paths,
        run=run or "",
        window=window,
        drops=drops,
        merge=merge,
        reship=reship,
        accept=accept,
        reason=reason or "",
        dry_run=dry_run,
    )
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.publish(repo, request, progress), verb.render)


@click.command(epilog=example("pointsman ship grocer/home popularity@3f2a91c0 cooc@77b0aa12"))
@click.argument("target", type=TARGET)
@click.argument("versions", metavar="TYPE@VERSION...", nargs=-1, required=True, type=VERSION_OF)
@click.option("--run", metavar="URL", type=TEXT, help="The run that asks for it; the commit names it.")
@click.option("--merge", is_flag=True, help="Merge at once what the gate passes.")
@click.option("--reship", is_flag=True, help="Ship versions again that a rollback took out.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Ship although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; the reviewer and git log will read it.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def ship(
    call: Call,
    target: Target,
    versions: tuple[tuple[str, str], ...],
    run: str | None,
    merge: bool,
    reship: bool,
    accept: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
) -> Answer:
    """Make recorded versions current, without their files.

    The first digits of a version do, if they name one.
    """
    need_reason(accept, reason)
    from pointsman.verbs import ship as verb

    request = verb.Request(
        target=target,
        versions=versions,
        run=run or "",
        merge=merge,
        reship=reship,
        accept=accept,
        reason=reason or "",
        dry_run=dry_run,
    )
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.ship(repo, request, progress), verb.render)

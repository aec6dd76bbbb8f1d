"""`pointsman attest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.attest import AttestedVersions


@click.command(
    epilog=example("pointsman attest grocer/home --name offline-eval --predicate found.json --key ~/.ssh/eval")
)
@click.argument("subjects", metavar="[TARGET|VERSION]…", type=TEXT, nargs=-1)
@click.option("--name", metavar="NAME", type=TEXT, help="What this evidence is called in [evidence.NAME].")
@click.option("--predicate", metavar="FILE", type=TEXT, help="What was found, a JSON object.")
@click.option("--recsys-eval", "report", metavar="REPORT", type=TEXT, help="A report of recsys-eval; needs --decision.")
@click.option("--decision", metavar="FILE", type=TEXT, help="What recsys-eval decided by that report.")
@click.option("--key", metavar="FILE", type=TEXT, help="The SSH key to sign with; default: git's user.signingkey.")
@click.option("--dry-run", is_flag=True, help="Check all and try the key, land nothing.")
@json_option
@click.pass_obj
def attest(
    call: Call,
    subjects: tuple[str, ...],
    name: str | None,
    predicate: str | None,
    report: str | None,
    decision: str | None,
    key: str | None,
    dry_run: bool,
) -> Answer:
    """Sign what was found out about versions.

    A target means the versions of its open ship, or those that are current. The evidence lands on main beside the
    records.
    """
    from pointsman.verbs import attest as verb

    request = verb.Request(subjects, name or "", predicate, report, decision, key, dry_run)
    with call.workspace() as workspace:
        return Answer(verb.attest(workspace, request), render)


def render(attested: AttestedVersions) -> str:
    """One line for each version."""
    lines = [
        f"{each.target}  {each.type}  {short(each.version)}  {each.name} by {attested.by}" for each in attested.evidence
    ]
    return "\n".join([*lines, "nothing was written"] if attested.dry_run else lines)

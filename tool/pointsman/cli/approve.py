"""`pointsman approve`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option, say

if TYPE_CHECKING:
    from pointsman.verbs.approve import Approved, Pending


@click.command(epilog=example("pointsman approve grocer/home --key ~/.ssh/id_ed25519"))
@click.argument("pull", metavar="[PR]", type=TEXT, required=False)
@click.option(
    "--list", "listed", is_flag=True, help="Show the open pull requests that need approvals, and who gave them."
)
@click.option("--key", metavar="FILE", type=TEXT, help="The SSH key to sign with; default: git's user.signingkey.")
@click.option("--dry-run", is_flag=True, help="Judge it and try the key, land nothing.")
@json_option
@click.pass_obj
def approve(call: Call, pull: str | None, listed: bool, key: str | None, dry_run: bool) -> Answer:
    """Sign one change, as one of those whose approvals it needs.

    PR is an id, a branch, or a target with one open pull request; for a change of the settings a branch or a commit.
    The signature lands on main as a small file.
    """
    from pointsman.verbs import approve as verb

    if listed == (pull is not None) or (listed and (dry_run or key is not None)):
        raise click.UsageError("name one pull request, or --list alone", click.get_current_context())
    call.refusal = "nothing was signed"
    with call.workspace() as workspace:
        if pull is None:
            return Answer(verb.pending(workspace), render_list)
        return Answer(verb.approve(workspace, pull, key, dry_run=dry_run, show=_show), render)


def _show(lines: Sequence[str]) -> None:
    """Say what is about to be signed, before a key asks for a touch or a passphrase."""
    for line in ("this is what is signed:", *(f"  {each}" for each in lines)):
        say(line, err=True, advises=False)


def render(approved: Approved) -> str:
    """What was signed, by whom, and how many approvals the change has now."""
    one = approved.approval
    if approved.dry_run:
        return f"{one.by} can approve this, nothing was written"
    left = approved.needed - len(approved.approvals)
    missing = f"{left} more needed, of {', '.join(approved.lacking) or 'nobody'}" if left > 0 else "none is missing"
    return f"approved by {one.by}: {len(approved.approvals)} of {approved.needed} approvals, {missing}\n  in {one.path}"


def render_list(pending: Pending) -> str:
    """One line for each pull request."""
    from pointsman.report.approvals import approvals_line

    return (
        "\n".join(
            f"{each.id}  {', '.join(each.targets)}  {each.title}  {approvals_line(each.approvals)}"
            for each in pending.pull_requests
        )
        or "no open pull request needs approvals"
    )

"""`pointsman doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, example, json_option, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pointsman.forge.fix import Fix
    from pointsman.verbs.doctor import Examined

_CHANGED_NOTHING = "nothing was changed; pointsman doctor --fix --yes makes these changes"


@click.command(epilog=example("pointsman doctor --fix --dry-run"))
@click.option("--fix", is_flag=True, help="Set what the forge's API can set, after a question.")
@click.option("--dry-run", is_flag=True, help="With --fix: say what would be set, and set nothing.")
@click.option("-y", "--yes", is_flag=True, help="With --fix: do not ask.")
@json_option
@click.pass_obj
def doctor(call: Call, fix: bool, dry_run: bool, yes: bool) -> Answer:
    """Test whether stores, forge and all that is called work.

    Each is tried, whatever is wrong with the others. Writes and deletes below
    .pointsman/doctor, and lets several writers race for one key: exactly one
    must win. Exit 1: a test failed; 3: something does not answer.
    """
    from pointsman.verbs import doctor as verb

    call.refusal = "nothing was changed"
    if not fix and (dry_run or yes):
        raise click.UsageError(f"{'--dry-run' if dry_run else '--yes'} goes with --fix")
    with call.workspace() as workspace:
        if not fix:
            return Answer(verb.doctor(workspace), render)
        if dry_run:
            return Answer(verb.mend(workspace, lambda found: False, examines=False), render)
        return Answer(verb.mend(workspace, lambda found: yes or _asked(found)), render)


def _asked(found: Sequence[Fix]) -> bool:
    """Whether a person on a terminal says yes to these changes. Nobody else can."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say("\n".join(line for each in found for line in _lines(each)), err=True)
    return click.confirm("set it so?", err=True)


def _lines(fix: Fix) -> list[str]:
    sign = "set" if fix.done else "BAD" if fix.says else "ok " if not fix.differences else "fix"
    told = fix.differences or (() if fix.says else ("as it should be",))
    return [*(f"{sign} {fix.name}: {each}" for each in told), *([f"BAD {fix.name}: {fix.says}"] if fix.says else [])]


def render(found: Examined) -> str:
    """One line per difference, then one per check."""
    lines = [line for each in found.fixes for line in _lines(each)]
    if found.fixes and not found.checks and any(each.differences for each in found.fixes):
        lines.append(_CHANGED_NOTHING)
    lines += [f"{'ok ' if each.ok else 'BAD'} {each.name}: {each.says}" for each in found.checks]
    if found.by_hand:
        lines += ["by hand, where it is not done yet:", *(f"  {line}" for line in found.by_hand)]
    return "\n".join(lines)

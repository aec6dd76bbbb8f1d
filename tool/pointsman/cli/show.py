"""`pointsman show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import ANY_VERSION
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.cli.without_git import look_at_version, told_without_git
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.show import Shown


@click.command(epilog=example("pointsman show 6ce09c2f"))
@click.argument("version", metavar="VERSION", type=ANY_VERSION)
@click.option("--offline", is_flag=True, help="Do not ask the store whether the blob is there.")
@json_option
@click.pass_obj
def show(call: Call, version: str, offline: bool) -> Answer:
    """Show the record of a version and when it was current.

    A unique prefix of the version is enough.
    """
    from pointsman.verbs import show as verb

    with call.workspace(offline=offline) as workspace, told_without_git(workspace.repo, look_at_version(version)):
        return Answer(verb.show(workspace, version), render, advises=False)


def render(shown: Shown) -> str:
    """The version, its record, and when it was current."""
    record, recorded = shown.record, shown.recorded
    by = f" by {recorded.by}, {short(recorded.commit)}" if recorded else ""
    lines = [
        f"{shown.target} {shown.type} {shown.version}",
        f"  window {record['window']['start']} to {record['window']['end']}, segment {record['segment'] or 'none'}",
        f"  {', '.join(f'{name} {figure}' for name, figure in record['summary'].items())}; {record['size']} bytes",
        f"  blob {shown.blob}: {record['uri']}",
        *([f"  in the trash: {shown.trash}"] if shown.trash else []),
        f"  recorded {recorded.at if recorded else 'at no known moment'}{by}",
        *([f"  run {record['producer']['run']}"] if record["producer"]["run"] else []),
        *_retired(shown),
    ]
    for period in shown.current:
        start, end = period.from_, period.to
        until = f"until {end.at}, {short(end.commit)} by {end.by}" if end else "and is now"
        lines.append(f"  current from {start.at}, {short(start.commit)} by {start.by}, {until}")
    for each in shown.evidence:
        says = ", ".join(f"{name} = {value}" for name, value in each.predicate.items() if isinstance(value, str | int))
        lines.append(f"  {each.name} by {each.by or 'nobody who may'}, {each.at}: {says[:200] or 'see ' + each.path}")
    return "\n".join(lines if shown.current else [*lines, "  never current on main"])


def _retired(shown: Shown) -> list[str]:
    """By whom and when, and what that means for its bytes."""
    if not shown.retired:
        return []
    by = shown.retired_by
    who = f" {by.at}, {short(by.commit)} by {by.by}" if by else ""
    erases = ", to be erased" if shown.retired.get("erase") else ""
    if shown.blob == "present":
        where = "stay until gc takes them"
    else:
        where = "are in the trash" if shown.trash else "may be gone"
    return [f"  retired{who}{erases}: {shown.retired['reason']} (its bytes {where})"]

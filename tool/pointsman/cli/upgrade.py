"""`pointsman upgrade`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from pointsman.cli.console import Answer, Call, advice, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.verbs.upgrade import Upgraded, UpgradedFile

_ORDER = ("added", "replaced", "deleted", "kept")


@click.command(epilog=example("pointsman upgrade --dry-run"))
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@json_option
@click.pass_obj
def upgrade(call: Call, dry_run: bool) -> Answer:
    """Bring the generated files of a repository up to this version.

    Files that init wrote and nobody changed are replaced, on a branch of the origin. The others are kept, and shown.
    """
    from pointsman.verbs import upgrade as verb

    with call.workspace() as workspace:
        return Answer(verb.upgrade(workspace, dry_run=dry_run), render, advises=False)  # diffs stay as they are


def render(told: Upgraded) -> str:
    """What became of the files, both changes of each that was kept, and what to do next."""
    if not told.files:
        return f"nothing to do: what is generated is that of pointsman {told.to}"
    count: Counter[str] = Counter(file.outcome for file in told.files)
    sums = ", ".join(f"{count[name]} {name}" for name in _ORDER if count[name])
    since = f"{told.from_} → " if told.from_ not in (None, told.to) else ""
    lines = [f"pointsman {since}{told.to}: {sums}"]
    for name in _ORDER[:-1]:
        lines += [f"  {name:8} {file.path}" for file in told.files if file.outcome == name and not _is_tool(file)]
    if tool := sum(map(_is_tool, told.files)):
        lines.append(f"  and {tool} files of the tool, below tool/pointsman")
    for file in told.files:
        if file.outcome == "kept":
            lines += ["", *_kept(file)]
    if count["kept"]:
        lines += ["", "kept files: put in by hand what the new version changes, as a change of its own"]
    if told.commit is not None:
        lines += [f"{told.branch} on the origin is {short(told.commit)}", advice(f"next: {told.next}")]
    elif told.to and any(file.outcome != "kept" for file in told.files):
        lines.append("a dry run: nothing was written")
    return "\n".join(lines)


def _is_tool(file: UpgradedFile) -> bool:
    return file.outcome != "kept" and file.path.startswith("tool/pointsman/")


def _kept(file: UpgradedFile) -> list[str]:
    here = file.changed_here if file.changed_here is not None else "(not known: the version before is not stored here)"
    there = file.changed_there or "(nothing)"
    return [
        f"kept {file.path}: it was changed here, and the new version changes it, too",
        "  changed here:",
        *(f"    {line}" for line in here.split("\n")),
        "  changed by the new version:",
        *(f"    {line}" for line in there.split("\n")),
    ]

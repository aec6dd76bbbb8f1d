"""`pointsman show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pointsman.cli.arguments import TEXT
from pointsman.cli.console import Answer, Call, example, json_option


@click.command(epilog=example("pointsman show 6ce09c2f"))
@click.argument("version", metavar="VERSION", type=TEXT)
@click.option("--offline", is_flag=True, help="Do not ask the store whether the blob is there.")
@json_option
@click.pass_obj
def show(call: Call, version: str, offline: bool) -> Answer:
    """Tell what is recorded of a version, and when it was current.

    The first digits of the version do where no other begins with them.
    """
    from pointsman.verbs import show as verb

    with call.workspace(offline=offline) as workspace:
        return Answer(verb.show(workspace, version), render)


def render(document: Mapping[str, Any]) -> str:
    """The version, its record, and when it was current."""
    record, recorded = document["record"], document["recorded"]
    by = f" by {recorded['by']}, {recorded['commit'][:12]}" if recorded else ""
    lines = [
        f"{document['target']} {document['type']} {document['version']}",
        f"  window {record['window']['start']} to {record['window']['end']}, segment {record['segment']}",
        f"  {', '.join(f'{name} {figure}' for name, figure in record['summary'].items())}; {record['size']} bytes",
        f"  blob {document['blob']}: {record['uri']}",
        f"  recorded {recorded['at'] if recorded else 'at no known moment'}{by}",
        *([f"  run {record['producer']['run']}"] if record["producer"]["run"] else []),
        *([f"  retired: {document['retired']['reason']}"] if document["retired"] else []),
    ]
    for period in document["current"]:
        start, end = period["from"], period["to"]
        until = f"until {end['at']}, {end['commit'][:12]} by {end['by']}" if end else "and is now"
        lines.append(f"  current from {start['at']}, {start['commit'][:12]} by {start['by']}, {until}")
    return "\n".join(lines if document["current"] else [*lines, "  never current on main"])

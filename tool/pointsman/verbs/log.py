"""Log: every ship, restore, removal, edit and hold, from git alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pointsman.errors import Problem, one_line
from pointsman.history.events import Event, events
from pointsman.history.times import read_time
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.state.names import Target
from pointsman.state.objects import Oid

_COLUMNS = (
    "at", "kind", "target", "type", "from", "to", "commit", "by", "committer", "run", "reason", "accepts", "until",
    "approved_by",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute at the beginning of a cell


@dataclass(frozen=True, slots=True)
class Query:
    """Which events to tell. None: all."""

    targets: tuple[Target, ...] = ()
    records: bool = False
    since: str | None = None
    until: str | None = None
    by: str | None = None  # in the author's or the committer's name or address
    run: str | None = None
    approvals: bool = False  # ask the forge who approved


def log(repo: Repository, query: Query) -> Outcome:
    """The events asked for, newest first, one per commit and target."""
    since = _moment(query.since, "--since")
    until = _moment(query.until, "--until", whole_day=True)
    if since is not None and until is not None and since > until:
        raise Problem(f"--since {query.since} is after --until {query.until}")
    repo.refresh()
    told = [
        event
        for event in events(repo, query.targets, records=query.records)
        if (since is None or since <= event.at) and (until is None or event.at <= until) and _matches(event, query)
    ]
    told = with_approvals(repo, told) if query.approvals else told
    return Outcome({"events": [event.document() for event in told]})


def with_approvals(repo: Repository, told: Sequence[Event]) -> list[Event]:
    """The events with who approved the pull requests that they came from; Problem where there is no forge to ask."""
    from pointsman.forge.local import LocalForge
    from pointsman.forge.open import open_forge

    forge = open_forge(repo)
    if isinstance(forge, LocalForge):
        raise Problem('forge.kind is "local": there is no forge that knows who approved')
    known: dict[Oid, tuple[str, ...] | None] = {}
    for event in told:
        if event.commit.oid not in known:
            pull = forge.merged_as(event.commit.oid)
            known[event.commit.oid] = forge.approvals(pull) if pull is not None else None
    return [replace(event, approved_by=known[event.commit.oid]) for event in told]


def _moment(text: str | None, option: str, *, whole_day: bool = False) -> int | None:
    if text is None:
        return None
    found = read_time(text, whole_day=whole_day)
    if found is None:
        raise Problem(f"{option} {text} is no moment: write 2026-03-01 or 2026-03-01T05:10:00Z")
    return found


def _matches(event: Event, query: Query) -> bool:
    people = f"{event.commit.author}\n{event.commit.committer}".casefold()
    return (query.by or "").casefold() in people and query.run in (None, event.run)


def render(document: Mapping[str, Any]) -> str:
    """A block of lines per event, newest first."""
    lines = []
    for event in document["events"]:
        lines.append(f"{event['at']}  {event['kind']:<8} {event['target']}  {event['commit'][:12]}  by {event['by']}")
        for slot, (old, new) in event["changes"].items():
            lines.append(f"    {slot}: {(old or 'nothing')[:12]} → {(new or 'nothing')[:12]}")
        lines += [f"    accepted {rule}: {reason}" for rule, reason in event.get("accepts", {}).items()]
        lines += ["    straight to main, without a review"] if event.get("now") else []
        lines += [f"    {name}: {event[name]}" for name in ("until", "run", "reason") if event.get(name)]
        if (approved := event.get("approved_by")) is not None:
            lines.append(f"    approved by: {', '.join(map(one_line, approved)) or 'nobody'}")
        lines += [f"    merged by: {event['committer']}"] if event["committer"] != event["by"] else []
    return "\n".join(lines) or "no events"


def render_csv(document: Mapping[str, Any]) -> str:
    """A row per event and type that it changes, a line each; no cell is a formula."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for event in document["events"]:
        changes: Sequence[tuple[str, Sequence[str | None]]] = list(event["changes"].items()) or [("", ("", ""))]
        for slot, (old, new) in changes:
            accepts = "; ".join(f"{rule}: {reason}" for rule, reason in event.get("accepts", {}).items())
            approved = ", ".join(event.get("approved_by", ()))
            row = {
                **event,
                "type": slot,
                "from": old or "",
                "to": new or "",
                "accepts": accepts,
                "approved_by": approved,
            }
            rows.writerow([_cell(str(row.get(column, ""))) for column in _COLUMNS])
    return text.getvalue().removesuffix("\n")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text

"""What every form of an audit's report says: texts only, escaped by whoever puts them on a page.

Names, subjects and reasons come from outside: `shown` makes what a screen would obey visible, and cuts what is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.report.words import shown

Document = Mapping[str, Any]
EVENTS = ("when", "target", "what", "why", "by", "commit")
FAULTS = ("when", "rule", "where", "what is wrong", "by", "commit")
PEOPLE = ("who", "commits made", "committed or merged")
SIGNERS = ("signer", "key", "commits")
_LONG = 400  # characters of a reason or of what is wrong
_PLURALS = {"removal": "removals", "release": "releases", "edit": "edits", "hold": "holds", "restore": "restores"}


@dataclass(frozen=True, slots=True)
class Table:
    """One part of the report: its heading, what its columns are, and its rows; what is `usual` may be folded away."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    usual: bool = False


def verdict(document: Document) -> str:
    """The report in one line."""
    broken = document["counts"]["broken"]
    since = f" since {document['since'][:12]}" if document["since"] else ""
    what = f"{broken} fault{'s' if broken > 1 else ''}" if broken else "no rule was broken"
    commits = document["commits"]
    return f"{commits:,} commit{'' if commits == 1 else 's'} of main{since}: {what}"


def facts(document: Document) -> list[tuple[str, str]]:
    """Label and text, for all that is one figure or a few."""
    period, counts, signed = document["period"], document["counts"], document["signatures"]
    rows = [("main", document["main"])]
    if document["since"]:
        rows.append(("taken as it stands", f"{document['since']}, and all before it"))
    if period:
        rows.append(("from", f"{period['first']['at']} {period['first']['commit']}"))
        rows.append(("to", f"{period['last']['at']} {period['last']['commit']}"))
    kinds = ("ship", "restore", "removal", "edit", "hold", "release")
    rows += [(_PLURALS.get(kind, f"{kind}s"), f"{counts[kind]:,}") for kind in kinds]
    rows.append(("straight to main", f"{counts['now']:,}"))
    rows.append(("accepted rules", f"{counts['accepted']:,}"))
    rows.append(("faults", f"{counts['broken']:,}"))
    if signed:
        rows.append(("signed as they must be", f"{signed['good']:,} of {signed['asked']:,} commits"))
        rows.append(("must be signed", ", ".join(shown(path, _LONG) for path in signed["signed"]) or "nothing"))
        rows.append(("allowed signers", shown(signed["allowed_signers"], _LONG) or "main names no file"))
    return rows


def tables(document: Document, *, usual: bool = True) -> Iterator[Table]:
    """All lists that have anything in them, what is unusual first; without `usual`, but for the ships."""
    every = document["events"]
    faults = [fault for fault in document["faults"] if not fault["accepted"]]
    accepts = [(event, rule, why) for event in every for rule, why in event.get("accepts", {}).items()]
    found = [
        Table("Broken rules", FAULTS, [_fault(fault) for fault in faults]),
        Table("Accepted rules", EVENTS, [_event(event, rule, why) for event, rule, why in accepts]),
        Table("Straight to main, without a review", EVENTS, [_event(event) for event in every if "now" in event]),
    ]
    found += [
        Table(title, EVENTS, [_event(event) for event in every if event["kind"] in kinds], kinds == ("ship",))
        for title, kinds in (
            ("Edits by hand", ("edit",)),
            ("Restores", ("restore",)),
            ("Removals", ("removal",)),
            ("Holds", ("hold", "release")),
            ("Ships", ("ship",)),
        )
        if usual or kinds != ("ship",)
    ]
    people = [(_who(each["who"]), f"{each['authored']:,}", f"{each['committed']:,}") for each in document["people"]]
    found.append(Table("People", PEOPLE, people))
    signers = document["signatures"]["signers"] if document["signatures"] else ()
    rows = [(shown(each["signer"], _LONG), each["key"], f"{each['commits']:,}") for each in signers]
    found.append(Table("Signers", SIGNERS, rows))
    return (table for table in found if table.rows)


def _event(event: Document, rule: str = "", why: str = "") -> Sequence[str]:
    """One event; with `rule`, what it accepted and why."""
    changes = (
        f"{slot}: {(old or 'nothing')[:12]} → {(new or 'nothing')[:12]}"
        for slot, (old, new) in event["changes"].items()
    )
    until = f"until {event['until']}" if "until" in event else ""
    what = rule or "; ".join(filter(None, (event["kind"], *changes, until)))
    run = f"run {event['run']}" if event["run"] else ""
    said = why or "; ".join(filter(None, (event["reason"] or event["subject"], run)))
    return event["at"], event["target"], what, shown(said, _LONG), *_made(event["by"], event["committer"], event)


def _fault(fault: Document) -> Sequence[str]:
    where, says = shown(fault["path"], _LONG), shown(fault["says"], _LONG)
    made = _made(fault["author"], fault["by"], fault) if "commit" in fault else ("", "")
    return fault.get("at", ""), fault["rule"], where, says, *made


def _made(author: str, committer: str, what: Document) -> tuple[str, str]:
    """Who made it, and committed it where that is another; and which commit it is, with its signature."""
    by = _who(author) if committer == author else f"{_who(author)}, committed by {_who(committer)}"
    signature = what.get("signature")
    if signature is None:
        return by, what["commit"][:12]
    signed = f"signed by {shown(signature['signer'])}" if signature["signer"] else "no good signature"
    return by, f"{what['commit'][:12]}, {signed}"


def _who(text: str) -> str:
    return shown(text, 120)

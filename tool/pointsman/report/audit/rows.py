"""What every form of an audit's report says: texts only, escaped by whoever puts them on a page.

Names, subjects and reasons come from outside: `shown` makes what a screen would obey visible, and cuts what is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from pointsman.history.signatures import Signature
from pointsman.report.audit.value import Audit, AuditedEvent, LandedFault, RetiredVersion, Told
from pointsman.report.words import shown, some
from pointsman.state.names import short
from pointsman.values import CommitId

EVENTS = ("when", "target", "what", "why", "by", "commit")
FAULTS = ("when", "rule", "where", "what is wrong", "by", "commit")
PEOPLE = ("who", "commits made", "committed or merged")
SIGNERS = ("signer", "key", "commits")
_LONG = 400  # characters of a reason or of what is wrong


class Table(Struct, frozen=True):
    """One part of the report: its heading, what its columns are, and its rows; what is `usual` may be folded away."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    usual: bool = False


def verdict(found: Audit) -> str:
    """The report in one line."""
    broken = found.counts.broken
    since = f" since {short(found.since)}" if found.since else ""
    what = f"{broken} fault{'s' if broken > 1 else ''}" if broken else "no rule was broken"
    window = f" {within(found.window)}" if found.window else ""
    return f"{found.commits:,} commit{'' if found.commits == 1 else 's'} of main{since}{window}: {what}"


def within(window: Told) -> str:
    """The part of the history that is told, in words."""
    ends = (("from", window.since), ("to", window.until))
    return " ".join(f"{word} {end}" for word, end in ends if end)


def facts(found: Audit) -> list[tuple[str, str]]:
    """Label and text, for all that is one figure or a few."""
    period, counts, signed = found.period, found.counts, found.signatures
    rows: list[tuple[str, str]] = [("main", found.main)]
    if found.since:
        rows.append(("taken as it stands", f"{found.since}, and all before it"))
    if found.window:
        rows.append(("told", within(found.window)))
        rows.append(("faults outside of that, not told", f"{found.window.outside:,}"))
    if period:
        rows.append(("from", f"{period.first.at} {period.first.commit}"))
        rows.append(("to", f"{period.last.at} {period.last.commit}"))
    figures = (
        ("ships", counts.ship),
        ("restores", counts.restore),
        ("removals", counts.removal),
        ("edits", counts.edit),
        ("holds", counts.hold),
        ("releases", counts.release),
        ("straight to main", counts.now),
        ("made main's after break-glass", counts.broke_glass),
        ("accepted rules", counts.accepted),
        ("faults", counts.broken),
    )
    rows += [(label, f"{figure:,}") for label, figure in figures]
    if signed:
        rows.append(("signed as they must be", f"{signed.good:,} of {signed.asked:,} commits"))
        rows.append(("must be signed", ", ".join(shown(path, _LONG) for path in signed.signed) or "nothing"))
        rows.append(("allowed signers", shown(signed.allowed_signers, _LONG) or "main names no file"))
    return rows


def tables(found: Audit, *, usual: bool = True) -> Iterator[Table]:
    """All lists that have anything in them, what is unusual first; without `usual`, but for the ships."""
    every = found.events
    faults = [fault for fault in found.faults if not fault.accepted]
    accepts = [(event, rule, why) for event in every for rule, why in (event.accepts or {}).items()]
    lists = [
        Table("Broken rules", FAULTS, [_fault(fault) for fault in faults]),
        Table("Accepted rules", EVENTS, [_event(event, rule, why) for event, rule, why in accepts]),
        Table("Straight to main, without a review", EVENTS, [_event(event) for event in every if event.now]),
        Table("Break-glass", EVENTS, [_event(event) for event in every if event.broke_glass]),
    ]
    lists += [
        Table(title, EVENTS, [_event(event) for event in every if event.kind in kinds], kinds == ("ship",))
        for title, kinds in (
            ("Edits by hand", ("edit",)),
            ("Restores", ("restore",)),
            ("Removals", ("removal",)),
            ("Holds", ("hold", "release")),
            ("Ships", ("ship",)),
        )
        if usual or kinds != ("ship",)
    ]
    lists.append(Table("Retired versions", EVENTS, list(map(_retired, found.retired))))
    people = [(_who(each.who), f"{each.authored:,}", f"{each.committed:,}") for each in found.people]
    lists.append(Table("People", PEOPLE, people))
    signers = found.signatures.signers if found.signatures else ()
    rows = [(shown(each.signer, _LONG), each.key, f"{each.commits:,}") for each in signers]
    lists.append(Table("Signers", SIGNERS, rows))
    return (table for table in lists if table.rows)


def _event(event: AuditedEvent, rule: str = "", why: str = "") -> Sequence[str]:
    """One event; with `rule`, what it accepted and why."""
    changes = (
        f"{slot}: {short(old or 'nothing')} → {short(new or 'nothing')}" for slot, (old, new) in event.changes.items()
    )
    until = f"until {event.until}" if event.until is not None else ""
    what = rule or "; ".join(filter(None, (event.kind, *changes, until)))
    run = f"run {event.run}" if event.run else ""
    approved = f"approved by {some(event.approvals) or 'nobody'}" if event.approvals is not None else ""
    evidence = f"evidence: {', '.join(map(str, event.evidence))}" if event.evidence else ""
    glass = f"in front of serving since {event.broke_glass}" if event.broke_glass else ""
    said = why or "; ".join(
        filter(None, (event.reason or event.subject, glass, run, approved, evidence, *map(str, event.rings or ())))
    )
    by = _made_by(event.by, event.committer)
    signature = event.signature if event.must_sign or (event.signature and event.signature.signer) else None
    return event.at, event.target, what, shown(said, _LONG), by, _commit(event.commit, signature)


def _retired(each: RetiredVersion) -> Sequence[str]:
    erased = "erased" if each.erase else "retired"
    gone = ", its bytes may be gone" if each.gone else ""
    what = f"{each.type} {short(each.version)} {erased}{gone}"
    return (
        each.at,
        each.target,
        what,
        shown(each.reason or "", _LONG),
        _made_by(each.by, each.committer),
        short(each.commit),
    )


def _fault(fault: LandedFault) -> Sequence[str]:
    where, says = shown(fault.path, _LONG), shown(fault.says, _LONG)
    if fault.commit is None:
        return "", fault.rule, where, says, "", ""
    by = _made_by(fault.author or "", fault.by or "")
    return fault.at or "", fault.rule, where, says, by, _commit(fault.commit)


def _made_by(author: str, committer: str) -> str:
    """Who made it, and committed it where that is another."""
    return _who(author) if committer == author else f"{_who(author)}, committed by {_who(committer)}"


def _commit(commit: CommitId, signature: Signature | None = None) -> str:
    if signature is None:
        return short(commit)
    return f"{short(commit)}, {f'signed by {shown(signature.signer)}' if signature.signer else 'no good signature'}"


def _who(text: str) -> str:
    return shown(text, 120)

"""The pages of a site, drawn. They ask for nothing: their style and their script stand in them, known by their hash."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pointsman.report.html import part, template
from pointsman.report.site.now import overview_words
from pointsman.report.site.value import Judged, Moment, Place, Row, TargetNow, Waiting
from pointsman.report.status_table import mood
from pointsman.report.target_state import Status, TargetState
from pointsman.report.words import shown

if TYPE_CHECKING:
    from markupsafe import Markup

_ONE_PAGE = 800_000  # characters of rows: the page itself then stays below 1 MB
_LOOKS = _FAULTS = 200  # of the overview; of the audit's page
_BY = 24  # characters of a name in the overview
_SAYS = 100
_ORDER = ("bad", "wait", "fine")
_MARKS = {"fine": "f", "wait": "w", "bad": "b"}


def make_ready(*, targets: bool) -> None:
    """Compile the template of the overview, which each run needs. `targets`: the others, too."""
    for name in ("site_overview.html", *(("site_target.html", "site_audit.html") if targets else ())):
        template(name)


def overview(
    place: Place,
    status: Status,
    rows: Sequence[Row],
    judged: Judged,
    pulls: Sequence[Waiting],
    more_pulls: int,
    notes: Sequence[str],
) -> Iterator[tuple[str, str]]:
    """The name and the text of the first page, and of more if the list of targets is too long for one.

    `rows`: all targets, those of `status` and others.
    """
    parts: list[tuple[str, list[str]]] = []
    room = 0
    for each in rows:
        if not parts or room + len(each.line) > _ONE_PAGE:
            parts.append((each.target, []))
            room = 0
        parts[-1][1].append(each.line)
        room += len(each.line) + 1
    parts = parts or [("", [])]
    files = ["index.html", *(f"targets-{number}.html" for number in range(2, len(parts) + 1))]
    looks = [each for how in _ORDER for each in rows if each.says and each.mood == how]
    bad = any(each.mood == "bad" for each in looks)
    for number, (name, (_, lines)) in enumerate(zip(files, parts, strict=True), 1):
        yield (
            name,
            _drawn(
                "site_overview.html",
                place=place,
                at=status.at,
                main=status.commit,
                headline=_headline(rows),
                mood="bad" if bad else "wait" if looks else "fine",
                judged=judged,
                gc=f"gc ran at {status.gc.at}" if status.gc is not None else "",
                notes=notes,
                looks=looks[:_LOOKS],
                more_looks=max(len(looks) - _LOOKS, 0),
                pulls=pulls,
                more_pulls=more_pulls,
                place_number=number,
                others=[(file, first) for file, (first, _) in zip(files, parts, strict=True)] if len(parts) > 1 else [],
                rows="\n".join(lines),
            ),
        )


def target_page(place: Place, now: TargetNow, timeline: Sequence[Moment], more: int) -> str:
    """The page of one target. `more`: how many earlier events are not on it."""
    return _drawn("site_target.html", place=place, now=now, timeline=timeline, more=more)


def audit_page(place: Place, judged: Judged) -> str:
    """What audit finds."""
    return _drawn("site_audit.html", place=place, judged=judged, most=_FAULTS)


def _headline(rows: Sequence[Row]) -> str:
    states = Counter(each.serving for each in rows)
    count = len(rows)
    told = ", ".join(f"{many:,} {state}" for state, many in states.most_common())
    return f"{count:,} target{'' if count == 1 else 's'}: {told}" if count else "nothing was shipped yet"


def row_of(each: TargetState) -> Row:
    """One target on one line, short, because there may be thousands."""
    from markupsafe import Markup

    since = each.shipped.at[:16].replace("T", " ") if each.shipped else ""
    by = shown(each.shipped.by.partition(" <")[0], _BY) if each.shipped else ""
    name, how, words = each.target, mood(each), overview_words(each)
    line = Markup('<tr><td><a href="targets/{}.html">{}</a><td class={}>{}<td>{}<td>{}<td>{}')
    drawn = line.format(name, name, _MARKS[how], each.serving, since, by, shown(words, _SAYS))
    says = f"{each.serving}; {words}" if how != "fine" or each.holds or each.claim else ""
    return Row(each.target, str(drawn), each.serving, how, says)


def _drawn(name: str, **values: Any) -> str:
    return template(name).render(policy=_policy(), style=_style(), script=part("site.js"), **values)


@functools.cache
def _style() -> Markup:
    return part("page.css") + part("site.css")


@functools.cache
def _policy() -> Markup:
    """What a browser may do with a page: use its own style and script, which it knows by their hashes."""
    from markupsafe import Markup

    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (_style(), part("site.js"))
    )
    return Markup(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    ).format(style, script)

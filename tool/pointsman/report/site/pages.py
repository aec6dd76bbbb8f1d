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
from pointsman.report.site.value import Judged, Moment, Place, TargetNow, Waiting
from pointsman.report.status_table import mood
from pointsman.report.target_state import Status, TargetState
from pointsman.report.words import shown

if TYPE_CHECKING:
    from markupsafe import Markup

_ONE_PAGE = 800_000  # characters of rows: the page itself then stays below 1 MB
_LOOKS = _FAULTS = 200  # of the overview; of the audit's page
_BY = 24  # characters of a name in the overview
_SAYS = 100
_MARKS = {"fine": "f", "wait": "w", "bad": "b"}


def overview(
    place: Place, status: Status, judged: Judged, pulls: Sequence[Waiting], more_pulls: int, notes: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The name and the text of the first page, and of more if the list of targets is too long for one."""
    from markupsafe import Markup

    parts: list[tuple[str, list[Markup]]] = []
    room = 0
    for each in status.targets:
        row = _row(each)
        if not parts or room + len(row) > _ONE_PAGE:
            parts.append((each.target, []))
            room = 0
        parts[-1][1].append(row)
        room += len(row) + 1
    parts = parts or [("", [])]
    files = ["index.html", *(f"targets-{number}.html" for number in range(2, len(parts) + 1))]
    looks = [each for how in ("bad", "wait") for each in status.targets if mood(each) == how]
    held = [each for each in status.targets if mood(each) == "fine" and (each.holds or each.claim)]
    looks += held
    bad = any(mood(each) == "bad" for each in status.targets)
    for number, (name, (_, rows)) in enumerate(zip(files, parts, strict=True), 1):
        yield (
            name,
            _drawn(
                "site_overview.html",
                place=place,
                at=status.at,
                main=status.commit,
                headline=_headline(status),
                mood="bad" if bad else "wait" if looks else "fine",
                judged=judged,
                gc=f"gc ran at {status.gc.at}" if status.gc is not None else "",
                notes=notes,
                looks=[
                    {"target": each.target, "mood": mood(each), "says": f"{each.serving}; {overview_words(each)}"}
                    for each in looks[:_LOOKS]
                ],
                more_looks=max(len(looks) - _LOOKS, 0),
                pulls=pulls,
                more_pulls=more_pulls,
                place_number=number,
                others=[(file, first) for file, (first, _) in zip(files, parts, strict=True)] if len(parts) > 1 else [],
                rows=Markup("\n").join(rows),
            ),
        )


def target_page(place: Place, now: TargetNow, timeline: Sequence[Moment], more: int) -> str:
    """The page of one target. `more`: how many earlier events are not on it."""
    return _drawn("site_target.html", place=place, now=now, timeline=timeline, more=more)


def audit_page(place: Place, judged: Judged) -> str:
    """What audit finds."""
    return _drawn("site_audit.html", place=place, judged=judged, most=_FAULTS)


def _headline(status: Status) -> str:
    states = Counter(each.serving for each in status.targets)
    count = len(status.targets)
    told = ", ".join(f"{many:,} {state}" for state, many in states.most_common())
    return f"{count:,} target{'' if count == 1 else 's'}: {told}" if count else "nothing was shipped yet"


def _row(each: TargetState) -> Markup:
    """One target on one line, short, because there may be thousands."""
    from markupsafe import Markup

    since = each.shipped.at[:16].replace("T", " ") if each.shipped else ""
    by = shown(each.shipped.by.partition(" <")[0], _BY) if each.shipped else ""
    name, mark = each.target, _MARKS[mood(each)]
    line = Markup('<tr><td><a href="targets/{}.html">{}</a><td class={}>{}<td>{}<td>{}<td>{}')
    return line.format(name, name, mark, each.serving, since, by, shown(overview_words(each), _SAYS))


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

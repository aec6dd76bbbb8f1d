"""What every form of a review says, in words and figures: texts only, escaped by whoever puts them on a page.

Ids, reasons and titles come from outside: `shown` makes what a screen would obey visible, and cuts what is very long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from pointsman.guardrails.comparison import MEASURES
from pointsman.report.review.value import Figures, Pair, Review, ReviewedHold, ReviewedTarget, Side, Undoes
from pointsman.report.status import waiting
from pointsman.report.words import bar, percent, shown, size
from pointsman.serving.outcomes import Waiting
from pointsman.state.names import short

NOT_MEASURED = "not measured"
NOTHING = "nothing"
_OVERLAPS = ("jaccard_20", "neighbor_overlap", "overlap_20", "tag_overlap")  # what stands for "the same at the top"


class Row(Struct, frozen=True):
    """One changed slot of one target, as the table of targets has it."""

    target: str
    type: str
    was: str
    becomes: str
    count: str
    kept: str
    top: str
    size: str
    unusual: bool


HEADINGS = ("target", "type", "was", "becomes", "count", "kept", "same at the top", "size")


def rows(target: ReviewedTarget) -> list[Row]:
    """The changed slots of a target, the unusual ones first."""
    return sorted(_rows(target), key=lambda row: not row.unusual)


def _rows(target: ReviewedTarget) -> Iterator[Row]:
    for slot, (old, new) in target.changes.items():
        found = target.metrics[slot]
        top = next((name for name in _OVERLAPS if name in found), "")
        yield Row(
            target.target,
            slot,
            short(old) if old else NOTHING,
            short(new) if new else "dropped",
            _count(slot, found),
            _kept(target, slot, found),
            _percent(found, top),
            _figure("size", found["size"]),
            any(not each.ok for each in target.guardrails if each.type in (slot, None)),
        )


def _kept(target: ReviewedTarget, slot: str, found: Figures) -> str:
    about = target.types[slot]
    unread = about.was is not None and about.is_ is not None and "kept" not in found
    return NOT_MEASURED if unread else _percent(found, "kept")


def _percent(found: Figures, name: str) -> str:
    """A share; nothing where the type has no such figure."""
    if name not in found:
        return ""
    figure = share(found, name)
    return NOT_MEASURED if figure is None else percent(figure)


def slots(target: ReviewedTarget) -> list[str]:
    """The changed slots of a target, the unusual ones first."""
    return [row.type for row in rows(target)]


def accepted(target: ReviewedTarget) -> Iterator[tuple[str, str]]:
    """The guardrails that a change of a target accepts, together where one reason is given for them, and the reason."""
    reasons: dict[str, list[str]] = {}
    for fault in target.faults:
        if fault.accepted:
            reasons.setdefault(fault.reason or "", []).append(fault.rule)
    for reason, rules in reasons.items():
        yield ", ".join(dict.fromkeys(rules)), shown(reason, 1000)


def facts(target: ReviewedTarget, slot: str) -> Iterator[tuple[str, str]]:
    """Label and value of all that is known of one slot; ids and pictures apart."""
    about = target.types[slot]
    was, now = about.was, about.is_
    either = now or was
    if either is None:
        return
    yield "window", _changed(was, now, lambda each: f"{each.window.start[:10]} to {each.window.end[:10]}")
    if about.age_days is not None:
        ahead = f"none, it ends {-about.age_days:.1f} days after the commit" if about.age_days < 0 else ""
        yield "age of the window", ahead or f"{abs(about.age_days):.1f} days"
    yield "segment", _changed(was, now, lambda each: each.segment or "none")
    yield "built", _changed(was, now, lambda each: each.built_at or "not told")
    if now is not None:
        yield "run", shown(now.run, 200) if now.run else "not told"
        first = about.first_shipped
        yield "shipped before", f"first on {first}" if first else "never"
    for name, figure in target.metrics.get(slot, {}).items():
        yield shown(name.replace("_", " ")), _figure(name, figure)
    for value in about.values or ():
        was_then, is_now = (NOTHING if each is None else each for each in (value.was, value.is_))
        yield shown(value.place), f"{was_then} → {is_now}"
    if about.values and (over := (about.values_count or 0) - len(about.values)) > 0:
        yield "more values", f"{over} more differ"
    if about.not_available is not None:
        yield "contents", f"not available: {shown(about.not_available, 300)}"


class Trend(Struct, frozen=True):
    """What one slot had in the last ships, and what this change makes of it."""

    counts: tuple[float, ...]  # oldest first, this change last
    label: str
    says: str


def trend(target: ReviewedTarget, slot: str) -> Trend | None:
    """None where there is nothing to compare with."""
    past = [each.items for each in target.history.get(slot, ())]
    pairs = (figure for figure in target.metrics[slot].values() if isinstance(figure, tuple))
    now = next((figure[1] for figure in pairs), None) if target.types[slot].is_ is not None else None
    if not past or (len(past) == 1 and now is None):
        return None
    label = f"last {len(past)} ships" if len(past) > 1 else "last ship"
    least, most = f"{min(past):,}", f"{max(past):,}"
    says = least if least == most else f"{least} to {most}"
    return Trend((*past, now), label, f"{says}, now {now:,}") if now is not None else Trend(tuple(past), label, says)


def guardrails(target: ReviewedTarget) -> Iterator[tuple[str, str, str, str, bool]]:
    """Rule, type, figure, limit, and whether it is kept; the broken ones first."""
    for each in sorted(target.guardrails, key=lambda each: each.ok):
        figure, limit = each.figure, each.limit
        text = NOT_MEASURED if figure is None else figure if isinstance(figure, str) else f"{figure:g}"
        most = f"{limit}" if isinstance(limit, str | bool | int | float) else ", ".join(limit)
        yield each.rule, each.type or "all", text, "on" if limit is True else most, each.ok


def movement(rank: int, earlier: int | None) -> str:
    """How a place in a ranking came about."""
    if earlier is None:
        return "new"
    return "=" if rank == earlier else f"▲{earlier - rank}" if rank < earlier else f"▼{rank - earlier}"


def undone(undoes: Undoes) -> str:
    """What a restore undoes, and what it goes back to."""
    what = f"undoes {short(undoes.commit or '')} and goes back to"
    if undoes.restored_at is None or undoes.restores is None:
        return f"{what} an earlier state"
    age = f", {undoes.age_days:.1f} days old" if undoes.age_days is not None else ""
    return f"{what} the state of {undoes.restored_at} ({short(undoes.restores)}{age})"


def held(hold: ReviewedHold) -> str:
    """What a change does to one hold, and what that was before; the reason of each comes from outside."""
    on = "everything" if hold.target == "all" else hold.target
    sets = f"sets a hold on {on} {hold.is_}: {shown(hold.is_.reason, 200)}" if hold.is_ else ""
    before = f" (it was {hold.was}: {shown(hold.was.reason, 200)})" if hold.was else ""
    return (sets or f"ends the hold on {on}") + before


def ringed(review: Review) -> Iterator[str]:
    """What each ring shows of each target, what waits for it, and how long the last ships took to reach it."""
    for each in review.rings or ():
        where, state = f"{each.target} in {each.ring}:", each.state
        if state is None:
            yield f"{where} cannot be read: {shown(each.says or '', 300)}"
            continue
        says = [short(state.commit) if state.commit else "nothing that main had"]
        says[0] += f" since {state.given_at}" if state.given_at else ""
        if state.due is not None and state.waits_for != "nothing":
            says.append(waiting(Waiting(state.waits_for, state.due.commit, state.due.at)))
        if each.took:
            says.append(f"from {each.before} its last ships took {', '.join(map(_long, each.took))}")
        yield f"{where} {'; '.join(says)}"


def _long(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}".replace(".0 ", " ")
    return f"{seconds} s"


def lost(undoes: Undoes) -> str:
    """The versions that a restore takes out."""
    return ", ".join(f"{slot} {short(version)}" for slot, version in undoes.lost.items()) or "nothing"


def share(found: Figures, name: str) -> float | None:
    """A figure of both sides; None where it was not measured."""
    figure = found.get(name)
    return None if isinstance(figure, tuple) else figure


def _count(slot: str, found: Figures) -> str:
    """The figure that a type is counted in, before and after, and by how much it differs."""
    pairs = {name: figure for name, figure in found.items() if isinstance(figure, tuple) and name != "size"}
    name = next((each for each in (*MEASURES.get(slot, ()), *pairs) if each in pairs), None)
    if name is None:
        return ""
    was, now = pairs[name]
    change = f" ({(now - was) / was:+.0%})" if was and now is not None and now != was else ""
    return f"{_pair([_number(each) for each in (was, now)])}{change} {shown(name)}"


def _figure(name: str, figure: float | Pair | None) -> str:
    if figure is None:
        return NOT_MEASURED
    if isinstance(figure, tuple):
        return _pair([size(each) if name == "size" else _number(each) for each in figure])
    if name.startswith(("kept", "counts_kept", "catalogue_kept")):
        return f"{bar(figure)} {percent(figure)}"
    return str(figure) if isinstance(figure, int) else f"{bar(figure)} {figure:.2f}"


def _number(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:,.2f}".removesuffix(".00")


def _pair(values: Sequence[str]) -> str:
    was, now = values
    return now if was == now else f"{was} → {now}"


def _changed(was: Side | None, now: Side | None, read: Callable[[Side], str]) -> str:
    values = [shown(read(each), 80) for each in (was, now) if each is not None]
    return values[0] if len(set(values)) == 1 else " → ".join(values)

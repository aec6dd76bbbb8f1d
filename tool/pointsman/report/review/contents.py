"""What only contents tell in a review: the ids that came and went, both top lists, and the figures of each type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from pointsman.artifact import metrics
from pointsman.artifact.content import Content, Rows
from pointsman.artifact.own_content import Own
from pointsman.gate.payloads import Missing
from pointsman.guardrails.comparison import MEASURES
from pointsman.report.review.value import ChangedValue, Figures, Pair, Ranked, RankedBefore, ReviewedType
from pointsman.state.documents import Record
from pointsman.state.strict_json import shown

SHOWN = 20  # ids of a list


def with_contents(
    described: ReviewedType, was: Content | Missing | None, now: Content | Missing | None
) -> ReviewedType:
    """The same with what only contents tell, or with why they do not."""
    for content in (was, now):
        if isinstance(content, Missing):
            return replace(described, not_available=content.why)
    if isinstance(now, Rows) and now.type == "popularity":
        return _with_tops(described, was if isinstance(was, Rows) else None, now)
    if isinstance(was, Rows) and isinstance(now, Rows) and now.type == "content_sim":
        had, has = metrics.tags(was), metrics.tags(now)
        return replace(
            described,
            tags_appeared=_shown(has - had),
            tags_appeared_count=len(has - had),
            tags_vanished=_shown(had - has),
            tags_vanished_count=len(had - has),
        )
    if isinstance(was, Own) and isinstance(now, Own):
        described = _with_values(described, was, now)
    if isinstance(was, Rows | Own) and isinstance(now, Rows | Own):
        had, has = set(metrics.ids(was)), set(metrics.ids(now))
        if isinstance(was, Own) and not had and not has:
            return described  # nothing in it has an id
        return replace(
            described,
            added=_shown(has - had),
            added_count=len(has - had),
            removed=_shown(had - has),
            removed_count=len(had - has),
        )
    return described


def _with_values(described: ReviewedType, was: Own, now: Own) -> ReviewedType:
    """The same with the single values that differ."""
    missing = object()
    differ = [
        place
        for place in sorted({*was.values, *now.values})
        if (old := was.values.get(place, missing)) != (new := now.values.get(place, missing))
        or type(old) is not type(new)
    ]
    changed = [ChangedValue(place, *(_text(side, place) for side in (was, now))) for place in differ[:SHOWN]]
    return replace(described, values=changed, values_count=len(differ))


def _text(content: Own, place: str) -> str | None:
    return shown(content.values[place]) if place in content.values else None


def _shown(ids: Collection[str]) -> list[str]:
    return sorted(ids)[:SHOWN]


def figures(slot: str, old: Record | None, new: Record | None, read: Mapping[str, Content | Missing]) -> Figures:
    """What records tell, and what contents tell where both are there; shares and means to two decimals."""
    found: dict[str, float | Pair | None] = {}
    for measure in dict.fromkeys(name for record in (old, new) if record for name in _ordered(record)):
        found[measure] = (_summary(old, measure), _summary(new, measure))
    found["size"] = (old.size if old else None, new.size if new else None)
    was, now = (read.get(record.version) if record else None for record in (old, new))
    if isinstance(was, Rows | Own) and isinstance(now, Rows | Own):
        for name, figure in metrics.compare(was, now).items():
            found[name] = _rounded(figure)
    return found


def _summary(record: Record | None, measure: str) -> int | None:
    return record.summary.get(measure) if record else None


def _rounded(figure: metrics.Metric) -> float | Pair | None:
    if figure is None or isinstance(figure, int | float):
        return None if figure is None else round(figure, 2)
    was, now = figure
    return round(was, 2), round(now, 2)


def _ordered(record: Record) -> list[str]:
    """The names of a summary, what the type is counted in first."""
    first = MEASURES.get(record.type, ())
    return [
        *(name for name in first if name in record.summary),
        *(name for name in record.summary if name not in first),
    ]


def counts_of(record: Record) -> Iterator[int]:
    return (record.summary[name] for name in _ordered(record))


def _with_tops(described: ReviewedType, was: Rows | None, now: Rows) -> ReviewedType:
    """The same with both top lists: with each id the place that it has on the other side, None if it is not there."""
    top, was_top = now.ranking[:SHOWN], was.ranking[:SHOWN] if was else []
    ranks, places = _places(was.ranking if was else (), top), _places(now.ranking, was_top)
    rows = was.rows if was else {}
    entered = [each for each in top if each not in was_top] if was else []
    left = [each for each in was_top if each not in top]
    return replace(
        described,
        top=[Ranked(each, now.rows[each].count, place, ranks.get(each)) for place, each in enumerate(top, 1)],
        was_top=[
            RankedBefore(each, rows[each].count, place, places.get(each)) for place, each in enumerate(was_top, 1)
        ],
        entered=entered,
        entered_count=len(entered),
        left=left,
        left_count=len(left),
    )


def _places(ranking: Sequence[str], ids: Collection[str]) -> dict[str, int]:
    """Where each of a few ids stands in a ranking, from 1 on."""
    few = frozenset(ids)
    return {each: place for place, each in enumerate(ranking, 1) if each in few}

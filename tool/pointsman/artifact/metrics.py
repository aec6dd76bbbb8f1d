"""Metrics: how two versions of an artifact differ, in figures. Pure functions on decoded contents.

Formulas and names: docs/review.md. Shares are between 0 and 1. A share of nothing is 1.
None: there is nothing to measure it by.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from itertools import chain

from pointsman.artifact.content import Content, Row, Rows
from pointsman.artifact.own_content import Own

TOP = 20  # how many entries of a list people look at
PERSISTENCE = {20: 0.9, 100: 0.98}  # depth → p of rank-biased overlap: the first tenth weighs two thirds of all
ENOUGH = 20  # ids of one list or map of a user's own type whose share counts alone
Metric = float | list[float] | None  # [before, after] for a figure of each version
Metrics = Mapping[str, Metric]


def ids(content: Content) -> Collection[str]:
    """The ids of the rows: items, anchors or users. For a user's own type: those of its lists and maps, by place."""
    if isinstance(content, Own):
        return _together(content.ids)
    return content.rows.keys()


def kept(before: Content, after: Content) -> float | None:
    """The share of the ids of `before` that `after` still has. For a user's own type see docs/review.md."""
    if isinstance(before, Own) and isinstance(after, Own):
        return _least(_share, before, after)
    return _share(ids(before), ids(after))


def overlap(before: Content, after: Content) -> float | None:
    """How similar the first entries are: `jaccard_20` or the type's mean overlap. `overlap-low` judges this figure."""
    if isinstance(before, Own) and isinstance(after, Own):
        return _least(jaccard, before, after)
    if isinstance(before, Own) or isinstance(after, Own):
        return None
    if not before.rows:
        return 1.0  # an empty version has nothing to lose
    if before.type == "popularity":
        return jaccard(before.ranking[:TOP], after.ranking[:TOP])
    return _mean(jaccard(_head(before.rows[each]), _head(after.rows[each])) for each in both(before, after))


def unmeasured(before: Own) -> str:
    """Why there is no share of the ids of `before` that are kept."""
    return "none of its lists and maps has ids" if before.sizes else "it has no list and no map"


def compare(before: Content, after: Content) -> Metrics:
    """Every metric of two versions of one type, not rounded."""
    if isinstance(before, Own) or isinstance(after, Own):
        return _of_own(before, after)
    own = {
        "popularity": _of_popularity,
        "cooc": _of_cooc,
        "implicit": _of_users,
        "session_seq": _of_users,
        "content_sim": _of_tags,
    }[after.type]
    return {**own(before, after), "kept": kept(before, after)}


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """The share that both have, of all that one or the other has."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first or second else 1.0


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], depth: int) -> float:
    """Rank-biased overlap of two rankings without repetition, cut at `depth` and scaled so that equal rankings have 1.

    The sum over d of p^(d-1) times the share of the first d that both have, divided by the sum of p^(d-1), with
    `PERSISTENCE[depth]` for p; d runs to `depth`, or to the end of the longer list (Webber, Moffat and Zobel 2010,
    A similarity measure for indefinite rankings, eq. 4, truncated).
    """
    p, end = PERSISTENCE[depth], min(depth, max(len(one), len(other)))
    seen: tuple[set[str], set[str]] = set(), set()
    weight, total, weights, common = 1.0, 0.0, 0.0, 0
    for place in range(end):
        for ranking, mine, others in ((one, seen[0], seen[1]), (other, seen[1], seen[0])):
            if place < len(ranking):
                mine.add(ranking[place])
                common += ranking[place] in others
        total += weight * common / (place + 1)
        weights += weight
        weight *= p
    return total / weights if weights else 1.0


def both(before: Rows, after: Rows) -> list[str]:
    """The ids of the rows that both have, in the order of `before`."""
    return [each for each in before.rows if each in after.rows]


def tags(content: Rows) -> set[str]:
    """Every tag of a content_sim."""
    return set(chain.from_iterable(row.tags or () for row in content.rows.values()))


def _of_popularity(before: Rows, after: Rows) -> Metrics:
    found: dict[str, Metric] = {"items": [len(before.rows), len(after.rows)]}
    for depth in PERSISTENCE:
        was, now = before.ranking[:depth], after.ranking[:depth]
        found[f"jaccard_{depth}"] = jaccard(was, now)
        found[f"rbo_{depth}"] = rank_biased_overlap(was, now, depth)
    total = sum([row.count for row in before.rows.values()])
    still = total - sum([before.rows[each].count for each in before.rows.keys() - after.rows.keys()])
    return {**found, "counts_kept": still / total if total else 1.0}


def _of_cooc(before: Rows, after: Rows) -> Metrics:
    return {
        "rows": [len(before.rows), len(after.rows)],
        "neighbors_per_row": [_mean_length(before), _mean_length(after)],
        "neighbor_overlap": overlap(before, after),
    }


def _of_users(before: Rows, after: Rows) -> Metrics:
    return {
        "users": [len(before.rows), len(after.rows)],
        "items_per_user": [_mean_length(before), _mean_length(after)],
        "catalogue": [len(_catalogue(before)), len(_catalogue(after))],
        "catalogue_kept": _share(_catalogue(before), _catalogue(after)),
        "overlap_20": overlap(before, after),
    }


def _of_tags(before: Rows, after: Rows) -> Metrics:
    was, now = tags(before), tags(after)
    return {
        "items": [len(before.rows), len(after.rows)],
        "tags_per_item": [_mean_length(before), _mean_length(after)],
        "tags": [len(was), len(now)],
        "tags_appeared": len(now - was),
        "tags_vanished": len(was - now),
        "tag_overlap": overlap(before, after),
    }


def _of_own(before: Content, after: Content) -> Metrics:
    was, now = (each if isinstance(each, Own) else Own(each.type, {}) for each in (before, after))
    found: dict[str, Metric] = {
        name: [was.sizes.get(name, 0), now.sizes.get(name, 0)] for name in dict.fromkeys([*was.sizes, *now.sizes])
    }
    had, has = ids(was), ids(now)
    if had or has:
        found |= {"added": len({*has} - {*had}), "removed": len({*had} - {*has})}
    return {**found, "kept": kept(was, now)}


def _least(share: Callable[[Set[str], Set[str]], float], before: Own, after: Own) -> float | None:
    """The least share of all ids, and of each list or map that has ENOUGH of them to count alone."""
    had, has = before.ids, {name: after.ids.get(name, frozenset()) for name in before.ids}
    if not had:
        return 1.0 if before.is_empty else None
    alone = (share(had[name], has[name]) for name in had if len(had[name]) >= ENOUGH)
    return min([share(_together(had), _together(has)), *alone])


def _together(ids: Mapping[str, Set[str]]) -> set[str]:
    return {f"{name}/{each}" for name, found in ids.items() for each in found}


def _catalogue(content: Rows) -> set[str]:
    return {leaf.item_id for row in content.rows.values() for leaf in row.items or ()}


def _leaves(row: Row) -> int:
    return len(row.items if row.items is not None else row.tags or ())


def _mean_length(content: Rows) -> float:
    return sum(map(_leaves, content.rows.values())) / len(content.rows) if content.rows else 0.0


def _head(row: Row) -> list[str]:
    """The entries of a row to compare: all tags, or the TOP ids of the highest counts or scores, equal ones by id."""
    if row.items is None:
        return row.tags or []
    if len(row.items) <= TOP:
        return [leaf.item_id for leaf in row.items]
    best = heapq.nsmallest(TOP, row.items, key=lambda leaf: (-leaf.count, -leaf.score, leaf.item_id))
    return [leaf.item_id for leaf in best]


def _share(before: Collection[str], after: Collection[str]) -> float:
    now = after if isinstance(after, Set) else set(after)
    return sum(map(now.__contains__, before)) / len(before) if before else 1.0


def _mean(figures: Iterable[float]) -> float | None:
    """The mean; None if there is no row to compare."""
    every = list(figures)
    return sum(every) / len(every) if every else None

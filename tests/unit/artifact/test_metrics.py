"""The figures of a review against the plainest computation of them, and under changes that must not matter."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import artifact
from pointsman.artifact import metrics
from pointsman.artifact.content import Content, Rows, decode
from pointsman.artifact.own_content import Own

SAMPLES = Path(__file__).parents[2] / "samples" / "recsys-pipelines" / "staging"
ROWS = {"popularity": "items", "cooc": "neighbors", "implicit": "users", "session_seq": "users", "content_sim": "items"}


def documents() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every slot of the samples with its documents, the oldest window first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(SAMPLES.glob("*/*/*/*/*/*.json")):
        found.setdefault("/".join(path.relative_to(SAMPLES).parts[:4]), []).append(json.loads(path.read_text("utf-8")))
    yield from found.items()


PAIRS = [
    pytest.param(before, after, id=f"{slot} {place}")
    for slot, days in documents()
    for place, (before, after) in enumerate(pairwise(days))
]


def content(document: Mapping[str, Any]) -> Content:
    """What the project makes of a document as a pipeline wrote it."""
    read = artifact.read(json.dumps(document).encode(), "sample", any_source_hash=True)
    assert isinstance(read, artifact.Artifact), read
    found = decode(read.type, read.canonical)
    assert found is not None
    return found


def shared(one: list[Any], other: list[Any]) -> float:
    together = [each for each in one if each in other]
    return len(together) / (len(one) + len(other) - len(together)) if one or other else 1.0


def agreement(one: list[str], other: list[str], p: float, depth: int) -> float:
    """Rank-biased overlap by its sum, every prefix compared from the start."""
    end = min(depth, max(len(one), len(other)))
    terms = [(p ** (d - 1), len(set(one[:d]) & set(other[:d])) / d) for d in range(1, end + 1)]
    return sum(weight * common for weight, common in terms) / sum(weight for weight, _ in terms)


def ranking(document: Mapping[str, Any]) -> list[str]:
    items = sorted(document["items"], key=lambda item: item["item_id"])
    return [item["item_id"] for item in sorted(items, key=lambda item: item["count"], reverse=True)]


def inside(row: Mapping[str, Any]) -> list[str]:
    return row["tags"] if "tags" in row else [leaf["item_id"] for leaf in row["items"]]


def first(row: Mapping[str, Any]) -> list[str]:
    """All tags, or the twenty items of the highest figure."""
    if "tags" in row:
        return list(row["tags"])
    leaves = sorted(row["items"], key=lambda leaf: leaf["item_id"])
    leaves.sort(key=lambda leaf: leaf["count"] if "count" in leaf else leaf["score"], reverse=True)
    return [leaf["item_id"] for leaf in leaves][:20]


def by_id(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    rows = document[ROWS[document["artifact_type"]]] or []
    return {row.get("user_id") or row["item_id"]: row for row in rows}


def mean(figures: list[float], of_none: float | None) -> float | None:
    return sum(figures) / len(figures) if figures else of_none


@pytest.mark.parametrize("before, after", PAIRS)
def test_every_figure_is_what_a_plain_computation_says(before: dict[str, Any], after: dict[str, Any]) -> None:
    kind, was, now = before["artifact_type"], by_id(before), by_id(after)
    wanted: dict[str, Any] = {"kept": len([each for each in was if each in now]) / len(was) if was else 1.0}
    lengths = (
        [mean([len(inside(row)) for row in side.values()], 0) for side in (was, now)] if kind != "popularity" else []
    )
    both = [shared(first(was[each]), first(now[each])) for each in was if each in now] if kind != "popularity" else []
    counts = [len(was), len(now)]
    if kind == "popularity":
        one, other = ranking(before), ranking(after)
        total = sum(row["count"] for row in was.values())
        still = sum(row["count"] for each, row in was.items() if each in now)
        wanted |= {
            "items": counts,
            "jaccard_20": shared(one[:20], other[:20]),
            "jaccard_100": shared(one[:100], other[:100]),
            "rbo_20": agreement(one, other, 0.9, 20),
            "rbo_100": agreement(one, other, 0.98, 100),
            "counts_kept": still / total,
        }
    elif kind == "cooc":
        wanted |= {"rows": counts, "neighbors_per_row": lengths, "neighbor_overlap": mean(both, None if was else 1)}
    elif kind == "content_sim":
        tags = [{tag for row in side.values() for tag in row["tags"]} for side in (was, now)]
        wanted |= {
            "items": counts,
            "tags_per_item": lengths,
            "tag_overlap": mean(both, None if was else 1),
            "tags": list(map(len, tags)),
        }
        wanted |= {"tags_appeared": len(tags[1] - tags[0]), "tags_vanished": len(tags[0] - tags[1])}
    else:
        shelves = [sorted({each for row in side.values() for each in inside(row)}) for side in (was, now)]
        wanted |= {
            "users": counts,
            "items_per_user": lengths,
            "catalogue": list(map(len, shelves)),
            "catalogue_kept": len([each for each in shelves[0] if each in shelves[1]]) / len(shelves[0]),
            "overlap_20": mean(both, None if was else 1),
        }
    found = metrics.compare(content(before), content(after))
    assert found.keys() == wanted.keys()
    for name, figure in wanted.items():
        assert found[name] == pytest.approx(figure), name


def test_lists_longer_than_twenty_are_compared_at_their_top() -> None:
    def users(first: int) -> Content:
        items = [{"item_id": f"i{place}", "score": place} for place in range(first, first + 40)]
        return content(envelope("implicit", users=[{"user_id": "u", "items": items}]))

    # The highest scores are the last twenty: 20 to 39 and 30 to 49 have ten of thirty in common.
    assert metrics.overlap(users(0), users(10)) == pytest.approx(10 / 30)


def own(sizes: Mapping[str, int], **ids: Iterable[str]) -> Own:
    return Own("mine", sizes, {name.replace("__", ".*"): set(found) for name, found in ids.items()})


def test_a_type_of_the_users_own_is_compared_by_its_lists_and_maps() -> None:
    before, after = own({"b": 4, "notes": 2}, b="abcd"), own({"b": 3, "notes": 2}, b="bcx")
    assert metrics.compare(before, after) == {"b": [4, 3], "notes": [2, 2], "added": 1, "removed": 2, "kept": 0.5}
    assert metrics.overlap(before, after) == 2 / 5


def names(first: int, last: int) -> list[str]:
    return [f"n{place}" for place in range(first, last)]


@pytest.mark.parametrize(
    "was,now,kept",
    [
        # other users, the same items; then the same categories, other items in them
        ({"u": names(0, 60), "u__": names(0, 90)}, {"u": names(100, 160), "u__": names(0, 90)}, 0),
        ({"c": names(0, 10), "c__": names(0, 90)}, {"c": names(0, 10), "c__": names(100, 190)}, 0),
        ({"c": names(0, 40), "c__": names(0, 400)}, {"c": names(0, 10), "c__": names(0, 400)}, 0.25),
        # a list of few ids counts with the others
        ({"many": names(0, 90), "few": names(0, 10)}, {"many": names(0, 90)}, 0.9),
        ({"many": names(0, 19), "few": names(0, 1)}, {"many": names(0, 19)}, 0.95),
        ({"few": names(0, 4)}, {"few": names(3, 9)}, 0.25),
        # the same id in another place is another id, and a new list is no loss
        ({"a": ["x"]}, {"b": ["x"]}, 0),
        ({"a": ["x"]}, {"a": ["x"], "b": ["y"]}, 1),
    ],
)
def test_the_least_share_counts_of_the_lists_and_maps_that_have_enough_ids(
    was: Mapping[str, list[str]], now: Mapping[str, list[str]], kept: float
) -> None:
    assert metrics.kept(own({}, **was), own({}, **now)) == pytest.approx(kept)


def test_what_has_no_ids_is_not_measured_and_what_is_empty_has_nothing_to_lose() -> None:
    full = own({"rows": 2}, rows="ab")
    for before, why in (
        (own({}), "it has no list and no map"),
        (own({"rows": 2}), "none of its lists and maps has ids"),
    ):
        assert metrics.kept(before, full) is metrics.overlap(before, full) is None
        assert metrics.compare(before, full)["kept"] is None
        assert metrics.unmeasured(before) == why
    assert metrics.kept(own({"rows": 0}), full) == 1
    assert metrics.kept(full, own({"rows": 2})) == 0


def test_rows_without_one_in_common_have_no_overlap() -> None:
    def users(name: str) -> Content:
        return content(envelope("implicit", users=[{"user_id": name, "items": [{"item_id": "i", "score": 1}]}]))

    assert metrics.overlap(users("a"), users("b")) is None
    assert metrics.compare(users("a"), users("b"))["overlap_20"] is None
    assert metrics.overlap(content(envelope("implicit", users=[])), users("b")) == 1


def envelope(kind: str, **body: Any) -> dict[str, Any]:
    window = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
    head = {"v": 1, "artifact_type": kind, "tenant": "t", "surface": "s", "window": window}
    return {**head, **body, "build": {"built_at": "", "version": ""}}


def popularity(counts: Mapping[str, int]) -> Rows:
    found = content(envelope("popularity", items=[{"item_id": each, "count": count} for each, count in counts.items()]))
    assert isinstance(found, Rows)
    return found


some_counts = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 5), max_size=40)


@given(some_counts)
def test_an_artifact_is_wholly_like_itself(counts: dict[str, int]) -> None:
    found = metrics.compare(popularity(counts), popularity(counts))
    assert found.pop("items") == [len(counts)] * 2  # type: ignore[attr-defined]
    assert all(math.isclose(figure, 1) for figure in found.values() if isinstance(figure, float))
    assert not [name for name, figure in found.items() if not isinstance(figure, float)]


@given(some_counts, some_counts, st.randoms(use_true_random=False))
def test_the_order_of_a_document_changes_no_figure(
    one: dict[str, int], other: dict[str, int], lot: random.Random
) -> None:
    mixed = list(other.items())
    lot.shuffle(mixed)
    assert metrics.compare(popularity(one), popularity(other)) == metrics.compare(
        popularity(one), popularity(dict(mixed))
    )


@given(some_counts, some_counts)
def test_what_is_symmetric_is_the_same_from_either_side(one: dict[str, int], other: dict[str, int]) -> None:
    there, back = (
        metrics.compare(popularity(one), popularity(other)),
        metrics.compare(popularity(other), popularity(one)),
    )
    for name in ("jaccard_20", "jaccard_100", "rbo_20", "rbo_100"):
        assert there[name] == pytest.approx(back[name])
    assert there["items"] == list(reversed(back["items"]))  # type: ignore[arg-type]


@given(some_counts, some_counts)
def test_shares_lie_between_none_and_all(one: dict[str, int], other: dict[str, int]) -> None:
    found = metrics.compare(popularity(one), popularity(other))
    assert all(-1e-9 <= figure <= 1 + 1e-9 for figure in found.values() if isinstance(figure, float))


def test_equal_counts_are_ranked_by_id() -> None:
    assert list(popularity({"b": 1, "c": 2, "a": 1}).ranking) == ["c", "a", "b"]


def test_numbers_that_no_reader_would_serve_are_compared_all_the_same() -> None:
    huge = b'{"v":1,"artifact_type":"implicit","users":[{"user_id":"u","items":[{"item_id":"i","score":1e20}]}]}'
    found = decode("implicit", huge)
    assert isinstance(found, Rows)
    assert metrics.kept(found, found) == 1

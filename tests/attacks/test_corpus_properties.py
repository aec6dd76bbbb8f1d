"""Whatever happens to the bytes of a valid change: it is refused, or it still says what it said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import ROUNDS
from hypothesis import given, settings
from hypothesis import strategies as st

from attacks.corpus import Case, Work
from attacks.gates import Stage
from attacks.states import HOME, Artifact, manifest_path, rendered

RECORD = Artifact.named("popularity.8")
MANIFEST = manifest_path(HOME)
# What a gate can hold against something else. Of other members, such as times, it only knows if they are well formed.
BOUND = {
    MANIFEST: ("v", "tenant", "surface", "current"),
    RECORD.path: ("v", "tenant", "surface", "type", "version", "uri", "size"),
}
SPICE = [bytes([each]) for each in b'"{}[]:,\\/.-01eEA \t\r\n\x00\xff']
SPICE += [b"..", b"null", b"1e400", b"\\u0000", b"\xef\xbb\xbf", b"\xc5\xbf", b"\xe2\x80\xa8"]

Mutation = Callable[[bytes], bytes]
places = st.floats(0, 1, exclude_max=True)  # as a share of the length, so that it shrinks to the beginning
lengths = st.integers(1, 12)


def _at(data: bytes, place: float) -> int:
    return int(place * (len(data) + 1))


def _replace(place: float, length: int, new: bytes) -> Mutation:
    return lambda data: data[: _at(data, place)] + new + data[_at(data, place) + length :]


def _flip(place: float, bit: int) -> Mutation:
    def flip(data: bytes) -> bytes:
        at = min(_at(data, place), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] if data else data

    return flip


def _double(place: float, length: int, to: float) -> Mutation:
    def double(data: bytes) -> bytes:
        at = _at(data, place)
        return _replace(to, 0, data[at : at + length * 4])(data)

    return double


def _swap(one: float, other: float, length: int) -> Mutation:
    def swap(data: bytes) -> bytes:
        first, second = sorted((_at(data, one), _at(data, other)))
        middle = data[min(first + length, second) : second]
        left, right = data[first : min(first + length, second)], data[second : second + length]
        return data[:first] + right + middle + left + data[second + length :]

    return swap


mutations = st.lists(
    st.one_of(
        st.builds(_flip, places, st.integers(0, 7)),
        st.builds(_replace, places, st.just(0), st.sampled_from(SPICE)),
        st.builds(_replace, places, st.just(1), st.sampled_from(SPICE)),
        st.builds(_replace, places, lengths, st.just(b"")),
        st.builds(_double, places, lengths, places),
        st.builds(_swap, places, places, lengths),
    ),
    min_size=1,
    max_size=3,
)


def mutated(data: bytes, by: list[Mutation]) -> bytes:
    for mutation in by:
        data = mutation(data)
    return data


def judged(stage: Stage, build: Callable[[Work], None]) -> bool:
    """Whether the gate lets a change through."""
    case = Case("generated", "", build)
    return stage.judged(case, stage.work(case)).passed


def documents(path: str, data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document and what in it is bound."""
    document = json.loads(data, object_pairs_hook=_no_doubles)
    return document, {member: document[member] for member in BOUND[path]}


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("path", [MANIFEST, RECORD.path], ids=["manifest", "record"])
@settings(max_examples=12 * ROUNDS)
@given(by=mutations)
def test_a_mutated_document_is_refused_or_means_the_same(stage: Stage, path: str, by: list[Mutation]) -> None:
    found: dict[str, bytes] = {}

    def build(work: Work) -> None:
        if path == MANIFEST:
            work.ship(popularity=3)
        else:
            work.record("popularity.8")
        found["valid"], found["mutated"] = work.read(path), mutated(work.read(path), by)
        work.put(path, found["mutated"])
        work.commit("ship\n\n{{vouch}}")  # follows the mutated bytes

    if judged(stage, build):
        (was, bound), (now, still) = (documents(path, found[which]) for which in ("valid", "mutated"))
        assert still == bound
        assert list(now) == list(was)
        assert rendered(now) == found["mutated"]


@settings(max_examples=12 * ROUNDS)
@given(by=mutations)
def test_a_mutated_message_is_refused_or_vouches_for_the_same(stage: Stage, by: list[Mutation]) -> None:
    said: dict[str, list[bytes]] = {}

    def build(work: Work) -> None:
        work.ship(popularity=3)
        lines = work.fill("{{vouch}}").encode()
        message = mutated(b"ship\n\n" + lines + b"\n", by)
        said["lines"] = lines.split(b"\n")[:2]  # Manifest: and Supersedes:
        said["message"] = [line.removesuffix(b"\r") for line in message.partition(b"\0")[0].split(b"\n")]
        work.commit("ship", raw=message)

    if judged(stage, build):
        assert set(said["lines"]) <= set(said["message"])


def test_the_documents_that_are_mutated_pass_as_they_are(stage: Stage) -> None:
    def ship(work: Work) -> None:
        work.ship(popularity=3)
        work.commit("ship\n\n{{vouch}}")

    def record(work: Work) -> None:
        work.record("popularity.8")
        work.commit("record")

    assert judged(stage, ship)
    assert judged(stage, record)

"""What checks said: read back as it was written, a failure stays, and what nobody can read lets nothing pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.serving.verdicts import Verdict, Verdicts, note_verdicts, read_verdicts, verdicts_of
from pointsman.state.check import Check
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.state.ring import verdict_key
from pointsman.store.base import Store
from pointsman.store.open import open_store

GROCER = Target("grocer", "home")
EMPTY = Check("empty", "http://p", "x", 0.02, True, 600)
ERRORS = Check("errors", "http://p", "x", 0.02, True, 3600)
ONE, TWO, MAIN = Oid("1" * 40), Oid("2" * 40), Oid("3" * 40)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"file://{tmp_path}")
    with store.locked(""):
        yield store


def passed(commit: Oid, at: int, check: str = "empty") -> Verdict:
    return Verdict(commit, check, "pass", at, MAIN, 0.01)


def failed(commit: Oid, at: int, check: str = "empty") -> Verdict:
    return Verdict(commit, check, "fail", at, MAIN, 0.4)


def test_a_pass_counts_so_long_as_it_is_valid_and_only_with_those_of_all_checks(store: Store) -> None:
    assert verdicts_of(store, "prod", GROCER) == Verdicts()
    note_verdicts(store, "prod", GROCER, [passed(ONE, 1000)])
    found = verdicts_of(store, "prod", GROCER)
    assert [found.passed([EMPTY], ONE, now) for now in (99, 1000, 1900, 1901)] == [False, True, True, False]
    assert not found.passed([EMPTY], TWO, 1000)
    assert not found.passed([EMPTY, ERRORS], ONE, 1000)
    note_verdicts(store, "prod", GROCER, [passed(ONE, 1000, "errors")])
    assert verdicts_of(store, "prod", GROCER).passed([EMPTY, ERRORS], ONE, 1500)
    assert verdicts_of(store, "canary", GROCER) == Verdicts()


def test_a_failure_stays_until_a_hold_has_stopped_the_state(store: Store) -> None:
    note_verdicts(store, "prod", GROCER, [failed(ONE, 1000), passed(TWO, 1000)])
    later = note_verdicts(store, "prod", GROCER, [passed(ONE, 2000)])
    assert later == verdicts_of(store, "prod", GROCER)
    assert later.failed(["empty"]) == {ONE}
    assert later.failed(["errors"]) == set()
    assert not later.passed([EMPTY], ONE, 2000)
    note_verdicts(store, "prod", GROCER, [], settled=[ONE])
    note_verdicts(store, "prod", GROCER, [passed(ONE, 3000)])
    found = verdicts_of(store, "prod", GROCER)
    assert found.failed(["empty"]) == set()
    assert found.passed([EMPTY], ONE, 3000)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"v": 2, "verdicts": []}', b'{"v": 1, "verdicts": [1]}', b'{"v": 1, "verdicts": {}}',
     b'{"v": 1, "verdicts": [{"commit": "x", "check": "empty", "verdict": "pass", "at": "2026-01-01T00:00:00Z"}]}',
     b"[" * 9999],
)  # fmt: skip
def test_what_is_none_of_ours_lets_nothing_pass_and_is_replaced(store: Store, data: bytes) -> None:
    store.create(verdict_key("prod", GROCER), data)
    assert read_verdicts(data) == Verdicts()
    note_verdicts(store, "prod", GROCER, [passed(ONE, 1000)])
    assert verdicts_of(store, "prod", GROCER).passed([EMPTY], ONE, 1000)


def test_there_are_never_more_than_so_many_and_no_failure_goes_before_a_pass(store: Store) -> None:
    said = [passed(Oid(f"{number:040x}"), number) for number in range(400)]
    note_verdicts(store, "prod", GROCER, [failed(ONE, 1), *said])
    found = verdicts_of(store, "prod", GROCER)
    assert len(found.every) == 256
    assert found.failed(["empty"]) == {ONE}
    assert found.every[-1] == said[-1]

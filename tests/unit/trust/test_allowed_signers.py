"""Files of allowed signers: whose keys count, for what, and from when until when."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from pointsman.trust.allowed_signers import Signer, names_by_key, persons, read_signers

KIND = b"ssh-ed25519"
KEY = len(KIND).to_bytes(4) + KIND + bytes(36)
TEXT = f"ssh-ed25519 {base64.b64encode(KEY).decode()}"
LIMITED = 'namespaces="ours"'
WHEN = int(datetime(2026, 3, 4, 12, 30, 15, tzinfo=UTC).timestamp())


def signers(options: str, name: str = "ann@example.org", key: str = TEXT) -> tuple[Signer, ...]:
    return read_signers(f"{name} {options} {key}\n".encode(), "ours")


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("20260304", WHEN - 12 * 3600 - 30 * 60 - 15),
        ("202603041230", WHEN - 15),
        ("20260304123015", WHEN),
        ("20260304123015Z", WHEN),
    ],
)
def test_a_key_counts_from_its_first_second_to_its_last(text: str, seconds: int) -> None:
    [found] = signers(f'{LIMITED},valid-after="{text}"')
    assert (found.after, found.before, found.has_limits) == (seconds, None, True)
    assert [found.is_valid_at(seconds + step) for step in (-1, 0, 1)] == [False, True, True]
    [found] = signers(f'{LIMITED},valid-before="{text}"')
    assert (found.after, found.before, found.has_limits) == (None, seconds, True)
    assert [found.is_valid_at(seconds + step) for step in (-1, 0, 1)] == [True, True, False]


def test_both_limits_count_and_without_any_a_key_counts_always() -> None:
    [both] = signers(f'{LIMITED},valid-after="20260304",valid-before="20260305"')
    middle, day = WHEN, 86400
    assert [both.is_valid_at(each) for each in (middle - day, middle, middle + day)] == [False, True, False]
    [free] = signers(LIMITED)
    assert not free.has_limits
    assert free.is_valid_at(0)
    assert free.names == ("ann@example.org",)
    assert free.key == KEY


@pytest.mark.parametrize(
    "options",
    [
        'namespaces="theirs"',
        'namespaces="*"',
        'namespaces="ours,!ours"',
        'valid-after="20260304"',
        f'{LIMITED},valid-after="2026"',
        f'{LIMITED},valid-after="20261399"',
        f"{LIMITED},valid-before",
        f"{LIMITED},{LIMITED}",
        f"{LIMITED},cert-authority",
        f'{LIMITED},verify-required="x"',
    ],
)
def test_a_line_that_is_not_fully_understood_counts_for_nobody(options: str) -> None:
    assert signers(options) == ()


@pytest.mark.parametrize("name", ["*@example.org", "!ann@example.org", "ann?", '"ann"'])
def test_a_pattern_is_nobody(name: str) -> None:
    assert signers(LIMITED, name) == ()


def test_a_key_is_of_the_kind_that_its_line_says() -> None:
    other = base64.b64encode(len(b"ssh-dss").to_bytes(4) + b"ssh-dss" + bytes(36)).decode()
    assert signers(LIMITED, key=f"ssh-ed25519 {other}") == ()
    assert signers(LIMITED, key="ssh-ed25519 AAA") == ()


def test_one_namespace_of_several_is_enough_and_other_lines_do_not_matter() -> None:
    lines = f'# who may\n\nann,ann@work namespaces="git,ours" {TEXT} of her laptop\r\nben who knows\n'
    [found] = read_signers(lines.encode(), "ours")
    assert found.names == ("ann", "ann@work")
    assert read_signers(b"#" * (1 << 20) + b"\n" + lines.encode(), "ours") == ()


def test_keys_that_share_a_name_are_one_person_s() -> None:
    signed = {b"1": frozenset({"ann"}), b"2": frozenset({"ben"}), b"3": frozenset({"ann", "ann@work"})}
    assert sorted(persons(signed)) == [("ann", "ann@work"), ("ben",)]
    assert sorted(persons({**signed, b"4": frozenset({"ben", "ann@work"})})) == [("ann", "ann@work", "ben")]
    assert list(persons({})) == []


def instructions(run: Callable[[], object]) -> int:
    """How many instructions of Python `run` takes."""
    counted = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return counted


def test_twice_the_signers_take_twice_the_work_however_their_names_hang_together() -> None:
    def whose(count: int) -> None:
        alone = [Signer((f"p{place}", f"p{place}@work"), b"%d" % place) for place in range(count)]
        chained = [Signer((f"c{place}", f"c{place + 1}"), b"c%d" % place) for place in range(count)]
        assert len(list(persons(names_by_key([*alone, *chained])))) == count + 1

    few, many = (instructions(lambda count=count: whose(count)) for count in (50, 100))  # type: ignore[misc]
    assert many <= 2.2 * few

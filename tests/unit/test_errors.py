"""What is shown of text from outside: nothing unseen, no secrets, in time that grows with its length alone."""

from __future__ import annotations

import sys
from unicodedata import category

import pytest

from pointsman.errors import Fault, Refused, lines, one_line, without_secrets

# Of Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties), what has none of the categories below.
IGNORABLE = set("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\ufe00\ufe0f\uffa0\U000e0100\U000e01ef")


def unseen() -> set[str]:
    every = map(chr, range(sys.maxunicode + 1))  # most of a second, not to be paid while tests are collected
    return IGNORABLE | {each for each in every if category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")}


def test_whatever_cannot_be_seen_is_escaped() -> None:
    hidden = unseen()
    shown = one_line("".join(hidden))
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) == sum(6 if ord(each) < 1 << 16 else 10 for each in hidden)
    assert one_line("a\u202eb\U000e0041c\x1b\n") == r"a\u202eb\U000e0041c\u001b\u000a"


@pytest.mark.parametrize("text", ["", "grocer/home", "Jörg Müller", "東京　です", "नमस्ते", "a\u00a0b", "🚀 →", "עברית"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert one_line(text) == text


def test_lines_keep_their_ends_and_tabs() -> None:
    assert lines("a\tb\nc\r\n\x0bd\u2028e\n") == "a\tb\nc\\u000d\n\\u000bd\\u2028e\n"


def test_a_long_word_is_searched_for_secrets_once() -> None:
    assert without_secrets("y" * 300_000) == "y" * 300_000  # a search from each letter would take minutes
    assert without_secrets("x" * 50 + "s3://ann:secret@host/") == "x" * 50 + "s3://ann@host/"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("https://ann:se/cret@host/x", "https://host/x"),
        ("https://ann:se/cr@et@host/x", "https://host/x"),
        ("s3://KEY:se/cret@bucket/x", "s3://bucket/x"),
        ("https://host:8080/@ann/x", None),
        ("https://[::1]:80/x@y", None),
        ("https://registry/@scope/name", None),
        ("ssh://git@host:22/a@b", None),
        ("https://host:443, or a@b", None),
    ],
)
def test_a_password_with_a_slash_is_not_shown_and_what_is_none_stays(text: str, shown: str | None) -> None:
    assert without_secrets(text) == (text if shown is None else shown)


def test_faults_stand_in_the_order_of_their_numbers() -> None:
    says = [f"$.items[{place}]: is wrong" for place in (2, 10, 1, 0)]
    told = Refused([Fault("x.json", "schema", each) for each in (*says, says[0])]).faults
    assert [each.says for each in told] == [says[place] for place in (3, 2, 0, 1)]

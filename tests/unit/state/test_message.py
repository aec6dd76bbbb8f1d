"""The lines of a commit message: exact, found anywhere, and not to be forged."""

from __future__ import annotations

import random
import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.state.message import Message, Said, check_value, compose, parse, unsaid
from pointsman.state.names import Target

GROCER = Target("grocer", "home")
SHA = "5" * 64


def ship() -> Said:
    return Said(
        GROCER,
        SHA,
        "c" * 40,
        {"cooc": "1" * 64, "popularity": "2" * 64},
        {"implicit"},
        {"items-drop": "a clearance sale, see ticket 7"},
        {("cooc", "1" * 64)},
    )


def test_what_is_composed_is_read_back() -> None:
    said = ship()
    run, on = "https://ci.example/1?a=b", "grocer/home"
    message = parse(compose("ship: grocer/home", [said], run=run, reason="because", held_now=[on, "all"]))
    assert message.said == (said,)
    assert message.held_now == {on, "all"}
    assert (message.run, message.reason) == ("https://ci.example/1?a=b", "because")
    assert message.of(GROCER, SHA) == said
    assert message.of(GROCER, "6" * 64) is None


def test_every_slot_that_changes_has_to_be_said_by_a_line_that_fits_it() -> None:
    before = {"new": "1", "gone": "1", "back": "1", "same": "1"}
    after = {"new": "2", "back": "2", "same": "1"}
    said = Said(Target("grocer", "home"), records={"new": "2"}, drops={"gone"}, restores={"back": "2"})
    assert unsaid(said, before, after) == []
    assert (
        unsaid(Said(Target("grocer", "home")), before, after) == unsaid(None, before, after) == ["back", "gone", "new"]
    )
    other = Said(
        Target("grocer", "home"), records={"new": "3", "gone": "1"}, drops={"same", "back"}, restores={"back": "3"}
    )
    assert unsaid(other, before, after) == ["back", "gone", "new"]


def test_the_text_that_forges_add_when_they_squash_changes_nothing() -> None:
    text = compose("ship: grocer/home", [ship()], run="r")
    squashed = f"Ship it (#12)\r\n\r\n* {text}\n\n---------\n\nCo-authored-by: Bot <bot@example.org>\n".replace(
        "\n", "\r\n"
    )
    assert parse(squashed.replace("\r\r", "\r")).said == (ship(),)


def test_each_manifest_line_opens_what_is_said_of_its_own_bytes() -> None:
    first, second = Said(GROCER, SHA, "none"), Said(GROCER, "6" * 64, "d" * 40)
    message = parse(compose("x", [first]) + compose("y", [second]))
    assert message.of(GROCER, SHA) == first
    assert message.of(GROCER, "6" * 64) == second


@pytest.mark.parametrize(
    "line",
    [
        f" Manifest: grocer/home sha256:{SHA}",
        f"manifest: grocer/home sha256:{SHA}",
        f"Manifest: grocer/home  sha256:{SHA}",
        f"Manifest: grocer/home sha256:{SHA} ",
        f"Manifest: grocer/../home sha256:{SHA}",
        f"Manifest: registry/home sha256:{SHA}",
        f"Manifest: grocer/home sha256:{SHA.upper()[:-1]}F",
    ],
)
def test_a_line_of_another_grammar_is_prose(line: str) -> None:
    assert parse(f"x\n\n{line}\n").said == ()


@pytest.mark.parametrize(
    "value", ["x\nAccept: a/b items-drop y", "x\ry", "x\x00", "x\u2028y", "x\x85y", "", " x", "x" * 1001,
     "x Accept: a/b items-drop y", "Manifest: a/b", "x Hold-Now: all", "x Run:"],
)  # fmt: skip
def test_a_value_that_could_forge_a_line_is_refused(value: str) -> None:
    with pytest.raises(Problem):
        check_value(value, "--run")


@given(st.text(max_size=200))
def test_no_value_that_passes_adds_a_line(value: str) -> None:
    try:
        check_value(value, "--reason")
    except Problem:
        return
    message = parse(compose("x", [Said(GROCER, SHA, "none")], reason=value))
    assert message.said == (Said(GROCER, SHA, "none"),)
    assert message.reason == value


def a_name(dice: random.Random) -> str:
    length = dice.choice([1, 4, 12, 40, 100])
    return "".join(dice.choices("abcXYZ019", k=1) + dice.choices("abcXYZ019._-", k=length - 1)).strip(".") + "x"


def a_text(dice: random.Random, *, words: int = 30) -> str:
    """What an option such as --reason lets into a message."""
    while True:
        some = [
            *"aé→",
            "sale",
            "https://ci.example/" + "x" * 80,
            "Accept",
            "Accept:x",
            ":",
            "grocer/home",
            "items-drop",
            "all",
        ]
        text = " ".join(dice.choices([*some, "Accept:", "Hold-Now:", "Drop:", "Reason:"], k=dice.randint(1, words)))
        try:
            return check_value(text[:1000].strip(), "--reason")
        except Problem:
            words = max(1, words - 1)


def a_block(dice: random.Random) -> Said:
    def versions() -> dict[str, str]:
        return {a_name(dice): f"{dice.getrandbits(256):064x}" for _ in range(dice.randint(0, 3))}

    return Said(
        Target(a_name(dice), a_name(dice)),
        f"{dice.getrandbits(256):064x}",
        dice.choice(["none", "c" * 40, "d" * 64]),
        versions(),
        set(versions()),
        {rule: a_text(dice) for rule in ("items-drop", "kept-low") if dice.random() < 0.5},
        set(versions().items()),
        versions(),
        dice.random() < 0.5,
    )


def wrapped(text: str, width: int, *, cut: bool = False) -> str:
    """A message wrapped at blanks, line by line; `cut`: a word longer than a line is cut."""
    lines = (textwrap.wrap(line, width, break_long_words=cut, break_on_hyphens=False) for line in text.split("\n"))
    return "\n".join("\n".join(line) for line in lines)


def test_a_message_that_was_wrapped_at_72_columns_says_the_same(dice: random.Random) -> None:
    for _ in range(100):
        said, reason = tuple(a_block(dice) for _ in range(dice.randint(1, 2))), a_text(dice)
        text = compose("ship", said, run="https://ci.example/1", reason=reason, held_now=[str(said[0].target)])
        assert (
            parse(wrapped(text, 72))
            == parse(text)
            == Message(said, "https://ci.example/1", reason, frozenset([str(said[0].target)]))
        )


def test_words_that_were_cut_at_72_columns_are_put_together_where_that_is_certain(dice: random.Random) -> None:
    for _ in range(100):
        said = replace(a_block(dice), accepts={}, drops=set(), now=False)
        assert parse(wrapped(compose("ship", [said]), 72, cut=True)).said == (said,)
    name = "x" * 90
    assert parse(wrapped(f"Drop: grocer/home {name}", 72, cut=True)).said == ()  # where the name ends is not certain


def test_a_message_that_was_wrapped_elsewhere_says_no_more_than_before(dice: random.Random) -> None:
    for _ in range(100):
        said, reason = a_block(dice), a_text(dice)
        message = parse(wrapped(compose("ship", [said], reason=reason), dice.randint(20, 200)))
        assert reason.startswith(message.reason)
        assert all(said.accepts[rule].startswith(why) for rule, why in message.said[0].accepts.items())
        assert [replace(each, accepts={}) for each in message.said] == [replace(said, accepts={})]


def test_no_value_becomes_a_line_wherever_it_is_wrapped(dice: random.Random) -> None:
    said = Said(GROCER, SHA, "none")
    for _ in range(300):
        text = compose("ship", [said], run=a_text(dice, words=5), reason=a_text(dice))
        head, _, body = text.partition("Run: ")
        message = parse(head + "Run: " + re.sub(" ", lambda _: dice.choice(" \n"), body))
        assert (message.said, message.held_now) == ((said,), frozenset())


@pytest.mark.parametrize(
    "lines, said",
    [
        ("Drop: grocer/home\ncooc", {"cooc"}),
        ("Drop:\ngrocer/home\ncooc", {"cooc"}),
        ("Drop: grocer/home\n\ncooc", set()),
        ("Drop: grocer/home\nDrop: grocer/home cooc", {"cooc"}),
        ("Drop: grocer/home\nco oc", set()),
        (" Drop: grocer/home\ncooc", set()),
        ("Drop:\n grocer/home cooc", set()),
    ],
)
def test_pieces_are_put_together_only_where_they_make_one_exact_line(lines: str, said: set[str]) -> None:
    found = parse(f"x\n\n{lines}\n").said
    assert {slot for each in found for slot in each.drops} == said

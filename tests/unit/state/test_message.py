"""The lines of a commit message: exact, found anywhere, and not to be forged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.errors import Problem
from pointsman.state.message import Said, check_value, compose, parse
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
    message = parse(compose("ship: grocer/home", [said], run=run, reason="because", held_now=on))
    assert message.said == (said,)
    assert message.held_now == {on}
    assert (message.run, message.reason) == ("https://ci.example/1?a=b", "because")
    assert message.of(GROCER, SHA) == said
    assert message.of(GROCER, "6" * 64) is None


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
    "value", ["x\nAccept: a/b items-drop y", "x\ry", "x\x00", "x\u2028y", "x\x85y", "", " x", "x" * 1001]
)
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

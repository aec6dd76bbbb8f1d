"""What counts as a slip of the pen."""

from __future__ import annotations

import pytest

from pointsman.state.suggest import is_slip


@pytest.mark.parametrize(
    "text, known",
    [
        ("hmoe", "home"),
        ("Home", "home"),
        ("hom", "home"),
        ("homes", "home"),
        ("ome", "home"),
        ("hone", "home"),
        ("shop1", "shopA"),
        ("ab-c", "a-bc"),
        ("GORCER", "grocer"),
    ],
)
def test_one_slip_is_seen_both_ways(text: str, known: str) -> None:
    assert is_slip(text, known)
    assert is_slip(known, text)


@pytest.mark.parametrize(
    "text, known",
    [
        ("home", "home"),
        ("shop1", "shop2"),
        ("de", "dk"),
        ("detail", "home"),
        ("homely", "home"),
        ("emoh", "home"),
        ("ohmx", "home"),
    ],
)
def test_another_name_is_no_slip(text: str, known: str) -> None:
    assert not is_slip(text, known)
    assert not is_slip(known, text)

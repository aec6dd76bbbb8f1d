"""The page of a review in a real browser: alone, in light and dark, on a phone, whatever the ids are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import browsing
import pytest
from playwright.sync_api import Browser
from reviews import HOSTILE, hostile, reviewed, twice_shipped
from typed import value_of

from pointsman.report.review import html
from pointsman.report.review.value import Review

browser = browsing.browser


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    shop = twice_shipped(tmp_path_factory.mktemp("page"))
    shop.publish(day=3, accept=("items-drop",), reason="clearance")
    return reviewed(shop)


@pytest.mark.slow
@pytest.mark.parametrize("texts", ["ordinary", "hostile"])
def test_the_page_needs_nothing_and_fits_every_screen(
    browser: Browser, document: dict[str, Any], tmp_path: Path, texts: str
) -> None:
    shown = hostile(document) if texts == "hostile" else document
    file = tmp_path / "review.html"
    file.write_text(html.render(value_of(Review, shown)), "utf-8")
    pages = set()
    for scheme, width in (("light", 1200), ("dark", 360), ("light", 360)):
        found = browsing.looked_at(browser, file, width, scheme)
        assert found["requests"] == [file.as_uri()]
        assert found["said"] == []
        assert (found["scripts"], found["loads"], found["handlers"], found["unheaded"]) == (0, 0, [], 0)
        assert found["wide"] <= width
        assert found["details"] == len(document["targets"][0]["changes"]) + 1
        light, dark = sorted((browsing.luminance(found["ink"]), browsing.luminance(found["page"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 7  # WCAG 2.2, contrast (enhanced)
        assert found["title"] == document["verdict"]
        pages.add((scheme, found["page"]))
        if texts == "hostile":
            assert "<script>alert(1)</script>" in found["text"]
            assert "{{ 7 * 7 }}" in found["text"]
            assert "\\u202eesrever" in found["text"]
            assert not set(found["text"]) & set("\u202e\u200b\ufeff\x1b")
    assert len({page for _, page in pages}) == 2


def test_the_page_says_all_that_the_other_forms_say(document: dict[str, Any]) -> None:
    page = html.render(value_of(Review, document))
    (target,) = document["targets"]
    for slot, about in target["types"].items():
        assert slot in page
        for name in ("entered", "left", "added", "removed"):
            assert all(each.replace("&", "&amp;") in page for each in about.get(name, ()))
    assert "Content-Security-Policy" in page
    assert json.dumps(HOSTILE[1]) not in page
    assert os.linesep in page

"""The page of a review in a real browser: alone, in light and dark, on a phone, whatever the ids are."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import browsing
import pytest
from playwright.sync_api import Browser
from reviews import HOSTILE, hostile, reviewed
from shop import Kept
from typed import value_of

from pointsman.report.review import html
from pointsman.report.review.value import Review

browser = browsing.browser


@pytest.fixture(scope="module")
def document(reviewable: Kept) -> dict[str, Any]:
    shop = reviewable.fresh()
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


@pytest.mark.slow
def test_what_is_accepted_is_told_in_amber_and_nothing_broken_is_folded(document: dict[str, Any]) -> None:
    page = html.render(value_of(Review, document))
    assert '<h1 class="wait">Accepts items-drop' in page
    broken = {each["type"] for each in document["targets"][0]["guardrails"] if not each["ok"]}
    opened = re.findall(r'<details open>\n<summary>(?:<span class="slot">)?([a-z_]+)', page)
    assert {*opened} == {*broken, "guardrails"}
    assert "cooc" in broken
    assert "content_sim" not in broken
    calm = json.loads(json.dumps(document))
    calm["targets"][0]["faults"] = []
    for each in calm["targets"][0]["guardrails"]:
        each["ok"] = True
    assert "<details open>" not in html.render(value_of(Review, calm))
    assert '<h1 class="fine">' in html.render(value_of(Review, calm))
    calm["targets"][0]["guardrails"][0]["figure"] = None
    assert '<h1 class="wait">' in html.render(value_of(Review, calm))


def test_repository_and_time_stand_in_the_title_and_links_lead_to_web_pages_alone(document: dict[str, Any]) -> None:
    told = {**document, "repository": "https://git.example/o/r", "commit_pages": "https://git.example/o/r/commit/"}
    told["pull_request"] = {"id": "7", "url": "https://git.example/o/r/pull/7", "branch": "ship/grocer/home/1"}
    page = html.render(value_of(Review, told))
    assert f"<title>Review of grocer/home, https://git.example/o/r, {document['at']}</title>" in page
    links = re.findall(r'href="([^"]*)"', page)
    assert f"https://git.example/o/r/commit/{document['head'][:12]}" in links
    assert "https://git.example/o/r/pull/7" in links
    told["pull_request"]["url"] = "javascript:alert(1)"
    for side in told["targets"][0]["types"].values():
        side["is"]["run"] = "javascript:alert(1) https://ci.example/1"
    links = re.findall(r'href="([^"]*)"', html.render(value_of(Review, told)))
    assert "https://ci.example/1" in links
    assert all(link.startswith(("https://", "data:,")) for link in links)


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

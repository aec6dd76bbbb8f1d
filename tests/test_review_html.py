"""The page of a review in a real browser: alone, in light and dark, on a phone, whatever the ids are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from test_review import HOSTILE, hostile, reviewed, twice_shipped

from pointsman.report.review import html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    shop = twice_shipped(tmp_path_factory.mktemp("page"))
    shop.publish(day=3, accept=("items-drop",), reason="clearance")
    return reviewed(shop)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH: install Debian's, or run .ci/run, which does")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


def looked_at(browser: Browser, file: Path, width: int, scheme: Any) -> dict[str, Any]:
    """What the browser made of a page: its requests, what it complained of, how wide it is, what it shows."""
    context = browser.new_context(offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda told: said.append(told.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.goto(file.as_uri())
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = page.evaluate(
        """() => ({
            wide: document.documentElement.scrollWidth,
            scripts: document.querySelectorAll('script, iframe, object, embed, form, a[href]').length,
            loads: document.querySelectorAll('img, video, audio, [src]').length,
            handlers: [...document.querySelectorAll('*')]
                .flatMap(e => e.getAttributeNames()).filter(n => n.startsWith('on')),
            details: document.querySelectorAll('details').length,
            unheaded: [...document.querySelectorAll('table')].filter(t => !t.querySelector('th[scope]')).length,
            ink: getComputedStyle(document.body).color,
            page: getComputedStyle(document.body).backgroundColor,
            text: document.body.innerText,
            title: document.querySelector('h1').innerText,
        })"""
    )
    context.close()
    assert isinstance(found, dict)
    return {**found, "requests": requests, "said": said}


def luminance(colour: str) -> float:
    """Relative luminance of an rgb() (WCAG 2.2)."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.slow
@pytest.mark.parametrize("texts", ["ordinary", "hostile"])
def test_the_page_needs_nothing_and_fits_every_screen(
    browser: Browser, document: dict[str, Any], tmp_path: Path, texts: str
) -> None:
    shown = hostile(document) if texts == "hostile" else document
    file = tmp_path / "review.html"
    file.write_text(html.render(shown), "utf-8")
    pages = set()
    for scheme, width in (("light", 1200), ("dark", 360), ("light", 360)):
        found = looked_at(browser, file, width, scheme)
        assert found["requests"] == [file.as_uri()]
        assert found["said"] == []
        assert (found["scripts"], found["loads"], found["handlers"], found["unheaded"]) == (0, 0, [], 0)
        assert found["wide"] <= width
        assert found["details"] == len(document["targets"][0]["changes"]) + 1
        light, dark = sorted((luminance(found["ink"]), luminance(found["page"])), reverse=True)
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
    page = html.render(document)
    (target,) = document["targets"]
    for slot, about in target["types"].items():
        assert slot in page
        for name in ("entered", "left", "added", "removed"):
            assert all(each.replace("&", "&amp;") in page for each in about.get(name, ()))
    assert "Content-Security-Policy" in page
    assert json.dumps(HOSTILE[1]) not in page
    assert os.linesep in page

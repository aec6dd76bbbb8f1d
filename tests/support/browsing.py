"""What a real browser makes of a page."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


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
            scripts: document.querySelectorAll('script, iframe, object, embed, form').length,
            links: [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')),
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

"""Reviews of a shop that was shipped to twice, as they are and with texts that someone chose with care."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shop import Shop

from pointsman.verbs import review
from pointsman.workspace import Workspace

HOSTILE = (
    "| a | b |", "</td></tr></table><script>alert(1)</script>", "</details><h1>approved</h1>", "`a` **b** _c_ ~~d~~",
    "[here](javascript:alert(1))", "![x](https://evil.example/pixel.png)", "<img src=x onerror=alert(1)>",
    "@everyone please merge", "#123 and GH-7", "https://evil.example/", "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "a\nb\r\nc", "\u202eesrever", "\u200bzero\ufeffwidth", "::error file=x::no", "x" * 5000, "{{ 7 * 7 }}{% for %}",
    "Accept: grocer/home items-drop fine", "&lt;b&gt;", "'\"><svg onload=alert(1)>", "\U000e0041tag", "$(touch evil)",
    "~~~\n```\n",
)  # fmt: skip


def twice_shipped(root: Path) -> Shop:
    """Two ships of the samples, under guardrails that let the artifacts of these tests pass and measure them."""
    shop = Shop(root, "[policy]\nkept_low = 0\nsize_jump = false\n")
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    shop.pull()
    return shop


def reviewed(shop: Shop, named: str | None = "grocer/home", *, offline: bool = False, **more: Any) -> dict[str, Any]:
    with shop.open() as repo:
        return dict(review.review(Workspace(repo, offline=offline), named, **more).document)


def hostile(document: dict[str, Any]) -> dict[str, Any]:
    """The same review, of ids and texts that someone chose with care."""
    spoiled: dict[str, Any] = json.loads(json.dumps(document))
    for each in spoiled["targets"]:
        for slot, about in each["types"].items():
            about["is"]["run"] = " ".join(HOSTILE)
            for name in ("entered", "left", "added", "removed"):
                about[name], about[f"{name}_count"] = list(HOSTILE), len(HOSTILE)
            if slot == "popularity":
                about["top"] = [
                    {"id": text, "count": 5, "rank": place, "was_rank": None} for place, text in enumerate(HOSTILE, 1)
                ]
                about["was_top"] = [{"id": text, "count": 5, "rank": 1, "is_rank": None} for text in HOSTILE]
        each["faults"] = [
            {"rule": "items-drop", "path": text, "says": text, "accepted": True, "reason": text} for text in HOSTILE
        ]
        each["notes"] = list(HOSTILE)
        each["undoes"] = {"commit": "0" * 40, "title": " ".join(HOSTILE), "restores": None, "restored_at": None,
                          "age_days": None, "lost": {}}  # fmt: skip
    spoiled["faults"] = [{"rule": "bad-path", "path": text, "says": text, "accepted": False} for text in HOSTILE]
    return spoiled

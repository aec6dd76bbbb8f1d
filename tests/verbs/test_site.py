"""A site: what its pages say, that their commands work, that nothing on them is obeyed, and what is written again."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import browsing
import pytest
from playwright.sync_api import Browser
from shop import GROCER, Kept, Shop, git, popularity
from town import Town

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.report.html import web
from pointsman.state.names import Target
from pointsman.verbs import site
from pointsman.workspace import Workspace

browser = browsing.browser
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202e'
PAGE = "targets/grocer/home.html"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("site"), eventful)


def eventful(root: Path) -> Shop:
    """Ships, one that accepts a guardrail, an edit by hand, its revert, a hold, an open pull request."""
    shop = Shop(root)
    shop.publish(day=1, merge=True, run="https://ci.example/1")
    shop.publish(popularity(root / "p.json", 20), accept=("items-drop",), reason="<b>small</b> day", merge=True)
    shop.sync()
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.write_text(re.sub(r"\d{6}Z", "999999Z", path.read_text()))
    shop.push("edit by hand")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    hold = {"v": 1, "target": "grocer/home", "until": "2091-01-01T00:00:00Z", "reason": HOSTILE[:-2]}
    (shop.desk / "holds/grocer").mkdir(parents=True)
    (shop.desk / "holds/grocer/home.json").write_text(json.dumps(hold, indent=2) + "\n")
    shop.push("hold")
    return shop


def made(shop: Shop, where: Path) -> site.Site:
    with shop.open() as repo:
        return site.site(Workspace(repo), str(where)).value


def texts(page: Path) -> str:
    """What a page shows: its markup gone."""
    body = page.read_text("utf-8").partition("<main>")[2].partition("</main>")[0]
    return html.unescape(re.sub(r"<[^>]*>", " ", body))


def stands(page: str) -> list[str]:
    """What a timeline says of the states that nothing goes back to, newest first."""
    return re.findall(r'data-name="back to it"><span class="soft">([^<]*)</span>', page)


def commands(page: Path) -> list[str]:
    found = re.findall(r'<code class="back">([^<]*)</code>', page.read_text("utf-8"))
    return [html.unescape(each) for each in found]


def test_the_pages_tell_what_is_current_what_stands_in_the_way_and_what_happened(kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    found = made(shop, tmp_path / "out")
    assert (found.pages, found.written) == (3, 3)
    overview, page, audit = (texts(tmp_path / "out" / name) for name in ("index.html", PAGE, "audit.html"))
    assert "1 target: 1 in-sync" in overview
    assert "grocer/home" in overview
    assert "1 fault" in overview
    assert "unvouched-manifest" in audit
    assert "items-drop" in audit
    assert "on hold until 2091-01-01T00:00:00Z" in page
    assert "accepts items-drop: <b>small</b> day" in page
    for kind in ("ship", "edit", "restore", "hold until"):
        assert re.search(rf"\b{kind}\b", page)
    assert 'href="https://ci.example/1"' in (tmp_path / "out" / PAGE).read_text()


@pytest.mark.slow
def test_an_open_pull_request_says_why_it_waits(kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    (shop.desk / "holds/grocer/home.json").unlink()
    shop.push("release")
    shop.publish(popularity(tmp_path / "q.json", 60))
    made(shop, tmp_path / "out")
    assert "it waits for somebody to merge it" in texts(tmp_path / "out/index.html")
    shop.pull()
    shop.roll_back(now=True, reason="too small")
    made(shop, tmp_path / "out")
    for page in ("index.html", PAGE):
        assert "main moved on since: pointsman pr refresh" in texts(tmp_path / "out" / page)


@pytest.mark.slow
def test_every_command_of_a_timeline_goes_back_to_its_state(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = kept.fresh()
    made(shop, tmp_path / "out")
    page = (tmp_path / "out" / PAGE).read_text()
    back = commands(tmp_path / "out" / PAGE)
    assert len(back) == 1  # the first ship: the second is current again, and the edit broke a rule
    assert stands(page) == ["current", "it broke unvouched-manifest: nothing goes back to it", "current again"]
    monkeypatch.chdir(shop.desk)
    program, *words = shlex.split(back[0])
    assert program == "pointsman"
    assert main([*words, "--now", "--reason", "as the page says"]) == 0
    first = git(shop.origin, "log", "--reverse", "--format=%H", "main", "--", GROCER.manifest_path).split()[0]
    assert git(shop.origin, "rev-parse", f"main:{GROCER.manifest_path}") == git(
        shop.origin, "rev-parse", f"{first}:{GROCER.manifest_path}"
    )
    capsys.readouterr()


@pytest.mark.slow
def test_only_what_is_new_is_written_again_and_what_is_gone_is_removed(kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    (shop.desk / "holds/grocer/home.json").unlink()
    shop.push("release")
    shop.publish(popularity(tmp_path / "x.json", 30, surface="cart"), merge=True)
    shop.sync()
    out = tmp_path / "out"
    assert made(shop, out).pages == 4
    before = {path: path.stat().st_ino for path in out.rglob("*.html")}
    assert made(shop, out).written == 1
    assert {path for path in before if path.stat().st_ino != before[path]} == {out / "index.html"}
    shop.publish(popularity(tmp_path / "y.json", 31, surface="cart"), merge=True)
    shop.sync()
    assert made(shop, out).written == 3  # its page, the overview, the audit
    fresh = tmp_path / "fresh"
    made(shop, fresh)
    for page in ("targets/grocer/cart.html", PAGE, "audit.html"):
        assert (out / page).read_bytes() == (fresh / page).read_bytes()
    state = json.loads((out / ".pointsman-site.json").read_text())
    state["pages"]["targets/old/shop.html"] = "x"
    state["pages"]["../beside.html"] = "x"
    (out / "targets/old").mkdir()
    (out / "targets/old/shop.html").write_text("old")
    (tmp_path / "beside.html").write_text("of somebody else")
    (out / ".pointsman-site.json").write_text(json.dumps(state))
    made(shop, out)
    assert not (out / "targets/old").exists()
    assert (tmp_path / "beside.html").exists()


@pytest.mark.slow
def test_the_same_pages_come_of_going_on_and_of_beginning_anew_after_each_kind_of_change(
    kept: Kept, tmp_path: Path
) -> None:
    shop = kept.fresh()
    out = tmp_path / "out"
    made(shop, out)
    (shop.desk / "holds/grocer/home.json").unlink()
    shop.push("release")
    made(shop, out)
    hold = shop.desk / "holds/grocer/home.json"
    git(shop.desk, "checkout", "-q", "HEAD~1", "--", "holds")
    shop.push("hold again")
    hold.unlink()
    shop.push("release again")
    made(shop, out)  # nothing is held then as before: the timeline alone has changed
    made(shop, tmp_path / "between")
    assert (out / PAGE).read_bytes() == (tmp_path / "between" / PAGE).read_bytes()
    shop.roll_back(now=True, reason="back")
    shop.sync()
    made(shop, out)
    made(shop, tmp_path / "fresh")
    for page in (PAGE, "audit.html"):
        assert (out / page).read_bytes() == (tmp_path / "fresh" / page).read_bytes()


def test_a_directory_of_others_is_refused_and_nothing_in_it_changes(kept: Kept, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    with pytest.raises(Problem, match="has files that pointsman site did not make"):
        made(kept.fresh(), out)
    assert {path.name: path.read_text() for path in out.iterdir()} == {"index.html": "mine"}


@pytest.mark.slow
def test_a_directory_that_is_a_link_is_not_written_through(kept: Kept, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / "targets").mkdir(parents=True)
    elsewhere.mkdir()
    (out / "targets/grocer").symlink_to(elsewhere)
    (out / ".pointsman-site.json").write_text('{"v":1,"pages":{},"kept":{}}')
    with pytest.raises(Problem, match="symbolic link"):
        made(kept.fresh(), out)
    assert not [*elsewhere.iterdir()]


@pytest.mark.slow
def test_a_run_of_an_unknown_past_begins_anew(kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    out = tmp_path / "out"
    made(shop, out)
    whole = {path.name: path.read_bytes() for path in out.rglob("*.html") if path.name != "index.html"}
    state = json.loads((out / ".pointsman-site.json").read_text())
    wrongs: list[Any] = [7, "f" * 40, [], {"faults": [{"x": 1}]}]
    for wrong in wrongs:
        state["kept"]["main" if not isinstance(wrong, dict) else "audit"] = wrong
        (out / ".pointsman-site.json").write_text(json.dumps(state))
        made(shop, out)
        assert {p.name: p.read_bytes() for p in out.rglob("*.html") if p.name != "index.html"} == whole


def test_only_web_addresses_become_links() -> None:
    assert [web(each) for each in ("https://ci.example/1", "javascript:alert(1)", "https://x/ onclick=1", "")] == [
        "https://ci.example/1", "", "", "",
    ]  # fmt: skip


def test_nothing_from_outside_is_obeyed(kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    made(shop, tmp_path / "out")
    for page in (tmp_path / "out").rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "onerror=alert(1)>" not in text
        assert not set(text) & set("\u202e\x1b")
        assert text.count("<script>") == 1
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        assert "unsafe" not in policy[1]


@pytest.mark.slow
def test_a_name_on_main_that_is_no_text_is_told_and_stops_no_run(tmp_path: Path) -> None:
    town = Town(tmp_path)
    town.ship(Target("grocer", "home"))
    town.sync()
    odd = os.fsencode(town.shop.desk) + b"/manifests/grocer/h\xff\x1b/current.json"
    git(town.shop.desk, "pull", "-q", "origin", "main")
    os.makedirs(os.path.dirname(odd))
    Path(os.fsdecode(odd)).write_bytes(b"{}")
    town.shop.push("an odd name")
    for _ in range(2):
        town.build(town.out)
        assert r"manifests/grocer/h\udcff\u001b/current.json" in (town.out / "audit.html").read_text()
    assert town.build(town.out).written == 1, "the overview alone"


@pytest.mark.slow
def test_the_pages_work_in_a_browser_on_every_screen(browser: Browser, kept: Kept, tmp_path: Path) -> None:
    shop = kept.fresh()
    for place in range(4):
        shop.publish(popularity(tmp_path / "x.json", 30, surface=f"shelf-{place}"), merge=True)
    shop.sync()
    made(shop, tmp_path / "out")
    for page in ("index.html", PAGE, "audit.html"):
        for scheme, width in (("light", 1400), ("dark", 390), ("light", 700)):
            found = browsing.looked_at(browser, tmp_path / "out" / page, width, scheme)
            assert found["requests"] == [(tmp_path / "out" / page).as_uri()]
            assert found["said"] == []
            assert (found["loads"], found["handlers"], found["unheaded"]) == (0, [], 0)
            assert found["wide"] <= width
            light, dark = sorted((browsing.luminance(found["ink"]), browsing.luminance(found["page"])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 7
    context = browser.new_context(offline=True, permissions=["clipboard-read", "clipboard-write"])
    view = context.new_page()
    view.goto((tmp_path / "out/index.html").as_uri())
    view.get_by_label("Find").fill("in-sync SHELF-3")
    assert view.locator("#every tbody tr:visible").count() == 1
    assert "1 of 5" in view.inner_text("main")
    view.get_by_label("Find").fill("home")
    view.locator("#every").get_by_text("grocer/home").click()
    view.locator("button.copy").first.click()
    view.get_by_text("copied").wait_for()
    copied = view.evaluate("navigator.clipboard.readText()")
    assert copied == commands(tmp_path / "out" / PAGE)[0]
    view.set_viewport_size({"width": 390, "height": 800})
    cells = view.locator(".time tbody td:visible").all_inner_texts()
    assert [text for text in cells if not text.strip()] == []  # no label of nothing
    view.goto((tmp_path / "out/index.html").as_uri())
    view.get_by_label("Find").fill("home")
    assert view.locator("#every tbody tr:visible").count() == 1
    box = view.locator("#every tbody tr:visible td").last.bounding_box()
    assert box is not None
    assert box["width"] > 300  # what to know has a line of its own
    context.close()
    without = browser.new_context(offline=True, java_script_enabled=False)
    view = without.new_page()
    view.goto((tmp_path / "out/index.html").as_uri())
    assert view.locator("#every tbody tr:visible").count() == 5
    without.close()

"""The report of an audit: what happened is told and counted, in every form, and nothing in it is obeyed."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import browsing
import pytest
from markdown_it import MarkdownIt
from msgspec.inspect import is_struct
from msgspec.structs import replace
from playwright.sync_api import Browser
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.history.signatures import Signature
from pointsman.outcome import as_document, members
from pointsman.report.audit import html as audit_html
from pointsman.report.audit import markdown, terminal
from pointsman.report.audit.value import Audit, Signed, Signer, Told
from pointsman.verbs import audit, log
from pointsman.workspace import Workspace

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "| a | b |", "`code`", "[x](javascript:1)", "@team",
    "{{ 7 * 7 }}", "\u202eesrever", "\x1b[31mred", "&amp;", "</details></td>", "#1", "--> -->", "*bold* _it_",
)  # fmt: skip
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\u2028\u2029\ufeff]")
browser = browsing.browser
FORMS = {"text": terminal, "markdown": markdown, "html": audit_html}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("report"), eventful)


def eventful(root: Path) -> Shop:
    """One of each: ships, one that accepts a guardrail, a rollback to main, a hold, an edit, its revert, a removal."""
    shop = Shop(root)
    shop.publish(day=1, merge=True, run="https://ci.example/1")
    shop.publish(popularity(root / "p.json", 20), accept=("items-drop",), reason="a small day", merge=True)
    shop.roll_back(now=True, reason="too small after all")
    shop.pull()
    hold = {"v": 1, "target": "grocer/home", "until": "2031-01-01T00:00:00Z", "reason": "stocktaking"}
    (shop.desk / "holds/grocer").mkdir(parents=True)
    (shop.desk / "holds/grocer/home.json").write_text(json.dumps(hold, indent=2) + "\n")
    shop.push("hold")
    (shop.desk / "holds/grocer/home.json").unlink()
    shop.push("release")
    path = shop.desk / GROCER.manifest_path
    path.write_text(re.sub(r"\d{6}Z", "999999Z", path.read_text()))
    shop.push("edit by hand")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    shop.publish(popularity(root / "q.json", 60), merge=True)
    shop.pull()
    path.unlink()
    shop.push(f"close the shop\n\nAccept: {GROCER} manifest-removed the shop is closed")
    return shop


def reported(shop: Shop) -> Audit:
    with shop.open() as repo:
        return audit.audit(Workspace(repo)).value


@pytest.fixture(scope="module")
def found(kept: Kept) -> Audit:
    return reported(kept.fresh())


@pytest.fixture(scope="module")
def document(found: Audit) -> dict[str, Any]:
    return dict(as_document(found))


@pytest.mark.slow
def test_what_happened_is_told_in_order_and_counted(kept: Kept, document: dict[str, Any]) -> None:
    assert document["counts"] == {
        "ship": 3, "restore": 2, "removal": 1, "edit": 1, "hold": 1, "release": 1, "now": 1, "accepted": 2, "broken": 1,
        "broke_glass": 0,
    }  # fmt: skip
    kinds = [event["kind"] for event in document["events"]]
    assert kinds == ["ship", "ship", "restore", "hold", "release", "edit", "restore", "ship", "removal"]
    accepts = [event["accepts"] for event in document["events"] if "accepts" in event]
    assert accepts == [{"items-drop": "a small day"}, {"manifest-removed": "the shop is closed"}]
    broken, accepted = (next(each for each in document["faults"] if each["accepted"] is it) for it in (False, True))
    assert (broken["rule"], broken["subject"]) == ("unvouched-manifest", "edit by hand")
    assert (accepted["rule"], accepted["reason"]) == ("manifest-removed", "the shop is closed")
    shop = kept.fresh()
    first, last = git(shop.origin, "rev-list", "--first-parent", "main").split()[:: document["commits"] - 1]
    assert document["period"]["last"]["commit"] == first
    assert document["period"]["first"]["commit"] == last
    assert document["signatures"] is None


@pytest.mark.slow
def test_an_audit_and_a_log_tell_the_same(kept: Kept, document: dict[str, Any]) -> None:
    with kept.fresh().open() as repo:
        told = log.log(Workspace(repo), log.Query()).document["events"]
    own = [{name: value for name, value in event.items() if name != "subject"} for event in document["events"]]
    assert own[::-1] == list(told)


@pytest.mark.slow
def test_who_made_and_who_merged_is_told_apart(kept: Kept) -> None:
    shop = kept.fresh()
    env = {"GIT_AUTHOR_NAME": "Bot", "GIT_AUTHOR_EMAIL": "bot@example.org"}
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "by a bot", env=env)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    people = {each.who: (each.authored, each.committed) for each in reported(shop).people}
    ops, count = "Ann Ops <ann@example.org>", int(git(shop.origin, "rev-list", "--count", "main"))
    assert people["Bot <bot@example.org>"] == (1, 0)
    assert sum(authored for authored, _ in people.values()) == count
    assert people[ops][1] == people[ops][0] + 1


def test_the_columns_of_a_short_table_have_names_on_a_terminal(found: Audit) -> None:
    assert "People (who, commits made, committed or merged):" in terminal.render(found).splitlines()


@pytest.mark.slow
def test_since_cuts_the_report_and_what_came_before_still_counts_as_known(kept: Kept) -> None:
    shop = kept.fresh()
    restored = git(shop.desk, "log", "-1", "--format=%H", "--grep=^Revert")
    since = git(shop.desk, "rev-parse", f"{restored}~1")
    text = (shop.desk / "pointsman.toml").read_text()
    (shop.desk / "pointsman.toml").write_text(f'{text}\n[audit]\nsince = "{since}"\n')
    last = shop.push("from here on")
    found = reported(shop)
    assert [event.kind for event in found.events] == ["restore", "ship", "removal"]
    assert found.period is not None
    assert found.events[0].commit == found.period.first.commit == restored
    assert found.period.last.commit == last
    assert found.counts.broken == 0
    for form in FORMS.values():
        assert since[:12] in form.render(found)


def test_nothing_to_judge_is_a_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path / "shop")
    only = reported(shop)
    assert (only.commits, only.counts.broken, only.events) == (1, 0, [])
    nothing = replace(only, commits=0, period=None, people=[])
    for form in FORMS.values():
        assert "1 commit of main: no rule was broken" in html.unescape(form.render(only))
        assert "0 commits of main" in html.unescape(form.render(nothing))
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "empty.git")
    assert main(["-C", str(tmp_path / "empty.git"), "audit", "--format", "html"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "has no branch main" in said.err


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_all_that_is_unusual(found: Audit, form: str) -> None:
    page = html.unescape(FORMS[form].render(found))
    for event in found.events:
        if event.kind != "ship" or form != "text":
            assert event.commit[:12] in page
    for text in ("a small day", "items-drop", "too small after all", "stocktaking", "until 2031", "unvouched-manifest"):
        assert text in page
    assert "Straight to main" in page
    assert f"{found.commits} commits of main: 1 fault" in page


def hostile(found: Audit) -> Audit:
    """The report with every text that others choose replaced by one that would do harm."""
    lot = iter(HOSTILE * 100)
    free = ("by", "author", "committer", "reason", "subject", "run", "who", "path", "says", "signer")

    def spoilt(value: Any) -> Any:
        if is_struct(value):
            inner = {name: getattr(value, name) for name in members(type(value))}
            return replace(
                value,
                **{
                    name: next(lot) if name in free and isinstance(text, str) else spoilt(text)
                    for name, text in inner.items()
                },
            )
        return [spoilt(each) for each in value] if isinstance(value, list) else value

    made: Audit = spoilt(found)
    signers = [Signer(text, "SHA256:x", 1) for text in HOSTILE]
    return replace(
        made,
        events=[
            replace(event, signature=Signature(next(lot), "SHA256:x", next(lot)), accepts={"items-drop": next(lot)})
            for event in made.events
        ],
        signatures=Signed("a|b", list(HOSTILE), 1, 0, signers),
    )


class Page(HTMLParser):
    """What a browser would make elements of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_hostile_history_is_text_in_html(found: Audit) -> None:
    page = Page(audit_html.render(hostile(found)))
    assert set(page.tags) & {"script", "img", "a", "iframe", "form"} == set()
    assert page.handlers == ["href"]  # the icon, which is empty
    assert not OBEYED.search(page.words)
    for text in HOSTILE[:7]:
        assert text in page.words


@pytest.mark.slow
@pytest.mark.parametrize("texts", ["ordinary", "hostile"])
def test_the_page_needs_nothing_and_fits_every_screen(
    browser: Browser,
    found: Audit,
    tmp_path: Path,
    texts: str,
) -> None:
    shown = hostile(found) if texts == "hostile" else found
    file = tmp_path / "audit.html"
    file.write_text(audit_html.render(shown), "utf-8")
    for scheme, width in (("light", 1200), ("dark", 360)):
        page = browsing.looked_at(browser, file, width, scheme)
        assert (page["requests"], page["said"]) == ([file.as_uri()], [])
        assert (page["scripts"], page["loads"], page["handlers"], page["unheaded"]) == (0, 0, [], 0)
        assert page["wide"] <= width


def test_a_hostile_history_is_code_in_markdown(found: Audit) -> None:
    text = markdown.render(hostile(found))
    assert not OBEYED.search(text)
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert set(page.tags) <= {"h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary"}
    assert page.handlers == []
    for each in HOSTILE[:7]:
        assert each in page.words
    rows = [line.count("|") for line in text.split("\n") if line.startswith("| <code>")]
    assert set(rows) <= {4, 7}  # of three columns and of six, and of no other number


def test_a_hostile_history_is_lines_on_a_terminal(found: Audit) -> None:
    lines = terminal.render(hostile(found))
    assert not OBEYED.search(lines)
    assert "\\u001b[31mred" in lines
    assert "\\u202eesrever" in lines


@pytest.mark.slow
def test_a_hostile_name_and_subject_come_through_git_itself(kept: Kept) -> None:
    shop = kept.fresh()
    env = {"GIT_AUTHOR_NAME": "Eve | `x` \x1b[31m", "GIT_AUTHOR_EMAIL": "eve@example.org"}
    path = shop.desk / GROCER.hold_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{\n  "v": 1\n}\n')
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "<b>hold</b> | \x1b]0;title\x07", env=env)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    found = reported(shop)
    assert (found.faults[-1].subject or "").startswith("<b>hold</b>")
    for form in FORMS.values():
        page = form.render(found)
        assert not OBEYED.search(page)
        assert "<b>" not in page or form is terminal


@pytest.mark.slow
def test_the_command_prints_each_form_and_no_two_at_once(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    desk = str(kept.fresh().desk)
    for form, begin in (("text", "Broken rules:"), ("markdown", "# Audit: "), ("html", "<!doctype html>")):
        assert main(["-C", desk, "audit", "--format", form]) == 1
        assert html.unescape(capsys.readouterr().out).startswith(begin)
    assert main(["-C", desk, "audit", "--format", "html", "--json"]) == 2
    assert "leave one out" in capsys.readouterr().err


def test_a_part_of_the_history_is_told_and_all_of_it_is_judged(kept: Kept, found: Audit) -> None:
    shop = kept.fresh()
    with shop.open() as repo:
        workspace = Workspace(repo)
        all_of_it = audit.audit(workspace, since="2000-01-01", until="now").value
        nothing = audit.audit(workspace, until="2000-01-01")
        with pytest.raises(Problem, match="--since now is after --until 2h"):
            audit.audit(workspace, since="now", until="2h")
        with pytest.raises(Problem, match="--since soon is not a date or time"):
            audit.audit(workspace, since="soon")
    assert all_of_it.window is not None
    assert replace(all_of_it, window=None) == replace(found, main=all_of_it.main)
    told = nothing.value
    assert (nothing.exit_code, told.commits, told.period, told.events, told.faults) == (0, 0, None, [], [])
    assert told.window == Told(None, "2000-01-01T23:59:59Z", found.counts.broken)
    assert found.counts.broken
    assert nothing.notes[-1] == f"faults outside of this time: {found.counts.broken}; pointsman audit tells them"
    assert "0 commits of main to 2000-01-01T23:59:59Z: no rule was broken" in terminal.render(told)

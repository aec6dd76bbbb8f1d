"""Review: what a change means, said in four forms, with nothing from outside obeyed in any of them."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from reviews import hostile, reviewed
from shop import GROCER, Kept, Shop, artifact, git, popularity
from typed import value_of

from pointsman.cli.main import main
from pointsman.errors import Problem, Refused
from pointsman.report.review import commit_message, markdown, terminal
from pointsman.report.review import html as review_html
from pointsman.report.review.rows import rows
from pointsman.report.review.value import Review
from pointsman.report.review.verdict import verdict_line
from pointsman.shipping import pulls
from pointsman.state import message
from pointsman.verbs import review
from pointsman.workspace import Workspace


@pytest.fixture
def shop(reviewable: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # others have read the same versions
    return reviewable.fresh()


def measured(shop: Shop) -> None:
    """Let what is kept be measured from here on."""
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace("kept_low = 0\n", "kept_low = 0.1\n"))
    shop.push("measure what is kept")


def target(document: dict[str, Any]) -> dict[str, Any]:
    (only,) = document["targets"]
    assert isinstance(only, dict)
    return only


def forms(document: dict[str, Any]) -> dict[str, str]:
    modules = {"terminal": terminal, "markdown": markdown, "html": review_html, "short": commit_message}
    return {name: module.render(value_of(Review, document)) for name, module in modules.items()}


def test_a_ship_says_what_changes_for_each_type(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "a.json", 40, day=4), merge=True)
    shop.publish(popularity(tmp_path / "b.json", 50, day=5))
    found = target(document := reviewed(shop))
    assert document["verdict"] == "A ship of grocer/home: popularity; every guardrail is within its limit"
    assert found["kind"] == "ship"
    assert found["metrics"]["popularity"]["items"] == [40, 50]
    assert found["metrics"]["popularity"]["kept"] == 1
    about = found["types"]["popularity"]
    assert [row["id"] for row in about["top"][:2]] == ["item-0000", "item-0001"]
    assert about["top"][0] == {"id": "item-0000", "count": 50, "rank": 1, "was_rank": 1}
    assert (about["entered"], about["left"], about["first_shipped"]) == ([], [], None)
    assert [past["items"] for past in found["history"]["popularity"]] == [50, 48, 40]
    for form, text in forms(document).items():
        assert "40 → 50" in text or "40 &#8594; 50" in text, form
        assert form == "short" or "40 to 50, now 50" in text, "the last three ships and this one"
    assert "██▇█ 40 to 50, now 50" in forms(document)["terminal"]


@pytest.mark.slow
def test_entered_and_left_are_mirrored_when_the_two_sides_are_swapped(shop: Shop, tmp_path: Path) -> None:
    for day, salt in ((4, "-a"), (5, "-b")):
        shop.publish(popularity(tmp_path / f"{day}.json", 40, day=day, salt=salt), merge=True)
    shop.pull()
    there = target(reviewed(shop, base=git(shop.desk, "rev-parse", "HEAD~2")))["types"]["popularity"]
    shop.roll_back(now=True, reason="back")
    back = target(reviewed(shop, base="HEAD"))["types"]["popularity"]
    assert len(there["entered"]) == 20
    assert (there["entered"], there["left"]) == (back["left"], back["entered"])
    assert [row["id"] for row in there["top"]] == [row["id"] for row in back["was_top"]]


@pytest.mark.slow
def test_what_stops_a_ship_and_what_it_accepts_is_said_first(shop: Shop) -> None:
    shop.publish(day=3, accept=("items-drop",), reason="clearance")
    document = reviewed(shop)
    assert document["verdict"].startswith("Accepts items-drop")
    for form, text in forms(document).items():
        if form != "short":
            told = text.partition("<body>")[2] if form == "html" else text
            assert told.index("clearance") < told.index("cooc"), form
            first, last = ('"slot">cooc', '"slot">content_sim') if form == "html" else (
                "grocer/home cooc", "grocer/home content_sim")  # fmt: skip
            assert told.index(first) < told.index(last), "the unusual first, of the artifacts too"
            assert told.index("items-drop", told.index("limit")) < told.index("too-large-to-serve")
    with shop.open() as repo:  # the same ship without its Accept: lines is stopped, by the same names
        repo.refresh()
        (pull,) = pulls.open_pulls(Workspace(repo))
        tree, text = repo.tree_of(pull.head), git(shop.origin, "log", "-1", "--format=%B", pull.head)
        said = "\n".join(line for line in text.splitlines() if not line.startswith("Accept:"))
        head = repo.commit(tree, [repo.main], said + "\n")
        document = dict(review.review(Workspace(repo), None, base=repo.main, head=head).document)
    assert document["verdict"].startswith("Stopped by items-drop")
    broken = {each["rule"] for each in target(document)["guardrails"] if not each["ok"]}
    assert broken <= {fault["rule"] for fault in target(document)["faults"]}
    for form, text in forms(document).items():
        assert form == "short" or "items-drop" in text


def test_a_restore_says_what_it_undoes_and_what_is_lost(shop: Shop) -> None:
    current = target(reviewed(shop))["changes"]
    shop.roll_back()
    document = reviewed(shop)
    found = target(document)
    assert document["verdict"].startswith("A restore of grocer/home to what it was at ")
    assert found["undoes"]["commit"] == shop.main
    assert found["undoes"]["lost"] == {slot: new for slot, (_, new) in current.items()}
    assert found["faults"] == []
    assert any("went back from the window" in note for note in found["notes"])
    for form, text in forms(document).items():
        assert form == "short" or "lost" in text


@pytest.mark.slow
def test_the_undo_that_is_named_puts_back_the_very_bytes(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shop.manifest
    shop.publish(popularity(tmp_path / "a.json", 40, day=4))
    undo = target(reviewed(shop))["undo"]
    shop.merge()
    assert shop.manifest != before
    program, *words = shlex.split(undo)
    assert program == "pointsman"
    assert main(["-C", str(shop.desk), *words, "--now", "--reason", "undo"]) == 0
    capsys.readouterr()
    assert shop.manifest == before


@pytest.mark.slow
def test_a_target_is_held_against_an_earlier_commit_version_or_time(shop: Shop) -> None:
    first = git(shop.origin, "log", "--format=%H", "--reverse", "--", GROCER.manifest_path).split()[0]
    by_commit = reviewed(shop, base=first)
    version = target(by_commit)["changes"]["popularity"][0]
    assert target(reviewed(shop, base=version[:10]))["changes"] == target(by_commit)["changes"]
    assert by_commit["verdict"].startswith("What grocer/home had and has")
    assert target(reviewed(shop))["changes"] == target(by_commit)["changes"]  # its last change, where no PR is open
    with pytest.raises(Problem, match="before the first commit"):
        reviewed(shop, base="2001-01-01")


def test_a_target_against_itself_is_no_change(shop: Shop) -> None:
    document = reviewed(shop, base=shop.main)
    assert document["verdict"] == "No change of grocer/home"
    assert target(document)["changes"] == {}


@pytest.mark.slow
def test_the_first_ship_has_nothing_before_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.publish(day=1)
    document = reviewed(shop)
    assert document["verdict"].startswith("The first ship of grocer/home")
    assert target(document)["changes"]["cooc"][0] is None
    assert len(target(document)["types"]["popularity"]["top"]) == 20
    assert "nothing was shipped before" in target(document)["undo"]
    forms(document)


@pytest.mark.slow
def test_a_version_seen_before_says_since_when(shop: Shop) -> None:
    shop.roll_back(now=True, reason="back")
    shop.publish(day=2, reship=True)
    about = target(reviewed(shop))["types"]["popularity"]
    assert about["first_shipped"] is not None


@pytest.mark.slow
@pytest.mark.parametrize("how", ["offline", "gone", "altered", "store away"])
def test_what_cannot_be_had_is_said_and_stops_no_review(shop: Shop, tmp_path: Path, how: str) -> None:
    measured(shop)
    shop.publish(popularity(tmp_path / "a.json", 40, day=4), accept=("kept-low",), reason="new names")
    old = target(reviewed(shop))["changes"]["popularity"][0]
    blob = shop.store / "grocer" / "home" / "popularity" / f"{old}.json"
    if how == "gone":
        blob.unlink()
    elif how == "altered":
        blob.write_bytes(blob.read_bytes().replace(b"1", b"2", 1))
    elif how == "store away":
        blob.unlink()
        blob.mkdir()
    document = reviewed(shop, offline=how == "offline")
    found = target(document)
    assert "not_available" in found["types"]["popularity"]
    assert found["metrics"]["popularity"]["items"][1] == 40  # what records tell
    assert [(fault["accepted"], fault["reason"]) for fault in found["faults"]] == [(True, "new names")], "its message's"
    (kept,) = [each for each in found["guardrails"] if each["rule"] == "kept-low"]
    assert (kept["figure"], kept["ok"]) == (None, True)
    assert document["verdict"].startswith("Accepts kept-low: ")
    assert document["verdict"].endswith(
        "not measured: kept-low of popularity; every other guardrail is within its limit"
    )
    for form, text in forms(document).items():
        assert form == "short" or "not available" in text


@pytest.mark.slow
def test_the_first_line_says_which_guardrails_could_not_measure(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "a.json", 48, day=4))
    document = reviewed(shop)
    plain = document["verdict"]
    guard = next(each for each in target(document)["guardrails"] if each["rule"] == "items-drop")
    guard["figure"] = None
    target(document)["metrics"]["popularity"]["kept"] = None
    found = value_of(Review, document)
    assert verdict_line(found) == plain.replace(
        "every guardrail", "not measured: items-drop of popularity; every other guardrail"
    )
    (row,) = rows(found.targets[0])
    assert row.kept == "not measured"
    for form, text in forms(document).items():
        if form != "short":
            assert len(re.findall("not measured", text.partition("<body>")[2] if form == "html" else text)) >= 3, form
    many = markdown._by_target([row] * 3)
    assert "| not measured |" in many


OWN = {
    "type": "object",
    "properties": {
        "dim": {"type": "integer"},
        "model": {"type": "object", "properties": {"name": {"type": "string"}, "ready": {"type": "boolean"}}},
        "users": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}


@pytest.mark.slow
def test_a_type_of_the_users_own_is_told_in_maps_and_values_and_what_it_has_not_is_null(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", "[policy]\nkept_low = 0.3\n")
    path = shop.desk / "registry" / "schemas" / "mine.schema.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(OWN))
    shop.push("declare mine")

    def mine(day: int, **body: Any) -> Path:
        return artifact(tmp_path / "mine.json", "mine", tenant="grocer", surface="home", day=day, **body)

    def users(first: int) -> dict[str, list[str]]:
        return {f"user-{each:03}": [f"item-{each % 9}"] for each in range(first, first + 60)}

    shop.publish(mine(1, dim=4, model={"name": "x", "ready": True}), merge=True)
    shop.publish(mine(2, dim=8, model={"name": "y\x1b[31m" + "z" * 200, "ready": True}), merge=True)
    document = reviewed(shop)
    found = target(document)
    about = found["types"]["mine"]
    assert found["metrics"]["mine"]["kept"] is None
    assert [each["place"] for each in about["values"]] == ["dim", "model.name"]
    assert about["values"][0] == {"place": "dim", "was": "4", "is": "8"}
    assert "added" not in about or about["added"] is None
    for form, text in forms(document).items():
        if form != "short":
            assert "4 → 8" in text.replace("&#8594;", "→"), form
            assert "not measured" in text, form
            assert "\x1b[31m" not in text
    shop.publish(mine(3, dim=8, users=users(0)))
    document = reviewed(shop)
    assert "; not measured: items-drop of mine, kept-low of mine; every other guardrail" in document["verdict"]
    assert any("kept-low: mine not measured: it has no list and no map" in note for note in shop.publish(
        mine(3, dim=8, users=users(1))).notes)  # fmt: skip
    shop.publish(mine(4, dim=8, users=users(0)), merge=True)
    for rule, wrong in (("kept-low", users(500)), ("items-drop", dict(list(users(0).items())[:20]))):
        with pytest.raises(Refused, match=rule):
            shop.publish(mine(5, dim=8, users=wrong))
    shop.publish(mine(5, dim=8, users=users(30)))
    found = target(document := reviewed(shop))
    assert document["verdict"].endswith("every guardrail is within its limit")
    assert found["metrics"]["mine"] | {"size": 0} == {
        "users": [60, 60], "added": 30, "removed": 30, "kept": 0.5, "size": 0}  # fmt: skip
    assert found["types"]["mine"]["values"] == []


@pytest.mark.slow
def test_a_window_that_has_not_ended_has_no_age_yet(shop: Shop, tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(hours=20)
    window = {"start": "2026-03-01T00:00:00Z", "end": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    shop.publish(popularity(tmp_path / "a.json", 40, window=window))
    told = forms(reviewed(shop))
    assert "none, it ends 0.8 days after the commit" in " ".join(told["terminal"].split())
    assert "-0." not in told["terminal"]


@pytest.mark.slow
def test_owners_are_those_of_the_base_on_a_forge_that_asks_them(shop: Shop, tmp_path: Path) -> None:
    (shop.desk / "CODEOWNERS").write_text("* @all\nmanifests/ @reviewers @second\n")
    shop.push("owners")
    shop.publish(popularity(tmp_path / "a.json", 40, day=4))
    document = reviewed(shop)
    assert target(document)["owners"] == [], "whoever may push may merge"
    assert "@reviewers" not in forms(document)["terminal"]
    (branch,) = (pull["branch"] for pull in shop.pulls())
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.write_text(f'{settings.read_text()}[forge]\nkind = "github"\n')
    shop.push("a forge")
    document = reviewed(shop, None, base="main", head=f"origin/{branch}")
    assert target(document)["owners"] == ["@reviewers", "@second"]
    assert "@reviewers" in forms(document)["terminal"]


@pytest.mark.slow
def test_records_alone_are_said_to_change_no_manifest(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "a.json", 40, day=4))
    landed = git(shop.origin, "log", "-1", "--format=%H", "main")
    document = reviewed(shop, None, base=f"{landed}~1", head=landed)
    assert document["verdict"] == "1 record, no manifest changes"
    for form, text in forms(document).items():
        assert form == "short" or "1 record" in text


@pytest.mark.slow
def test_nothing_to_review_is_a_sentence(shop: Shop) -> None:
    with pytest.raises(Problem, match="nothing to review"):
        reviewed(shop, None)
    with pytest.raises(Problem, match="was never shipped"):
        reviewed(shop, "grocer/hom")
    with pytest.raises(Problem, match="no open pull request"):
        reviewed(shop, "123456789abc")


@pytest.mark.slow
def test_the_message_of_a_ship_has_the_review_in_short_and_no_line_that_a_rule_would_read(
    shop: Shop, tmp_path: Path
) -> None:
    measured(shop)
    shop.publish(popularity(tmp_path / "a.json", 40, day=4), accept=("kept-low",), reason="new names")
    (pull,) = shop.pulls()
    text = git(shop.origin, "log", "-1", "--format=%B", pull["branch"])
    assert re.search(r"^grocer/home popularity \w{12} → \w{12}: 48 → 40 \(-17%\) items, keeps 0%", text, re.MULTILINE)
    document = hostile(reviewed(shop))
    assert message.parse(commit_message.render(value_of(Review, document))) == message.Message()


def test_hostile_texts_are_shown_and_never_obeyed_on_a_terminal(shop: Shop) -> None:
    text = terminal.render(value_of(Review, hostile(reviewed(shop))))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\U000e0041]", text)
    assert "\\u001b[31mred" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.slow
def test_hostile_texts_are_no_markup_in_markdown(shop: Shop) -> None:
    text = markdown.render(value_of(Review, hostile(reviewed(shop))))
    html = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"]).render(text)
    assert {tag.lower() for tag in re.findall(r"<\s*/?\s*([a-zA-Z][\w-]*)", html)} <= {
        "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "p", "strong", "em", "code", "ul", "li",
        "blockquote",
    }  # fmt: skip
    assert html.count("<details>") == html.count("</details>")
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        widths = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(widths) == 1
    outside = re.sub(r"<code>.*?</code>", "", text, flags=re.DOTALL)
    assert "@" not in outside.replace("&#64;", "@")  # a mention works wherever it is no code
    assert "https://evil" not in outside
    assert not re.search("[\u202a-\u202e\u200b]", text)


@pytest.mark.slow
def test_a_report_over_the_limit_is_cut_with_every_fold_closed(shop: Shop) -> None:
    found = value_of(Review, hostile(reviewed(shop)))
    whole = markdown.render(found, limit=10**7)
    for limit in range(400, len(whole), 997):
        text = markdown.render(found, limit=limit)
        assert len(text) <= limit
        assert text.count("<details>") == text.count("</details>")
        assert "pointsman review" in text


@pytest.mark.slow
def test_two_hundred_targets_stay_readable(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "[forge]\ngroup = 'run'\n")
    for day, items in ((1, 40), (2, 42)):
        files = [
            popularity(
                tmp_path / f"{day}" / f"{place}.json",
                items if place != 77 or day == 1 else 19,
                day=day,
                surface=f"s{place:03}",
            )
            for place in range(200)
        ]
        shop.publish(*files, merge=day == 1, accept=("items-drop",), reason="one of them")
    (pull,) = shop.pulls()
    document = reviewed(shop, pull["id"])
    assert document["targets"][0]["target"] == "grocer/s077"
    text = markdown.render(value_of(Review, document))
    assert len(text) < 60_000
    assert text.index("s077") < text.index("s000")
    assert "_Cut at" not in text
    assert len(re.findall(r"grocer/s\d\d\d", text)) >= 200
    assert len(review_html.render(value_of(Review, document))) > len(text)


@pytest.mark.slow
def test_review_and_get_are_wired_to_the_command_line(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.publish(popularity(tmp_path / "a.json", 40, day=4))
    for form, first in (("terminal", "A ship"), ("markdown", "**A ship"), ("json", "{"), ("html", "<!doctype html>")):
        assert main(["-C", str(shop.desk), "review", "grocer/home", "--format", form]) == 0
        assert capsys.readouterr().out.startswith(first)
    assert main(["-C", str(shop.desk), "review", "--json", "--format", "html"]) == 2
    capsys.readouterr()

"""Audit: whatever went past the gate is found, with the commit that did it, and so is a main that was rewritten."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Kept, Shop, cooc, git, popularity, refused, twice_shipped

from pointsman.errors import Problem, Refused
from pointsman.outcome import Outcome
from pointsman.serving.fence import read_fence
from pointsman.state.documents import later_moment
from pointsman.verbs import audit
from pointsman.workspace import Workspace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("audit"), once_audited)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def once_audited(root: Path) -> Shop:
    shop = twice_shipped(root)
    assert audited(shop).exit_code == 0
    return shop


def audited(shop: Shop, **more: Any) -> Outcome[Any]:
    with shop.open() as repo:
        return audit.audit(Workspace(repo), **more)


def told(outcome: Outcome[Any]) -> set[tuple[str, str]]:
    """(rule, commit) of every fault that is not accepted."""
    return {(each["rule"], each.get("commit", "")) for each in outcome.document["faults"] if not each["accepted"]}


def by_hand(shop: Shop) -> str:
    """A hand edit of the manifest, pushed past the gate."""
    path = shop.desk / GROCER.manifest_path
    path.write_text(re.sub(r"\d{6}Z", "999999Z", path.read_text()))
    return shop.push("edit by hand")


def test_every_commit_of_an_ordinary_history_passes(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 50), accept=("items-drop",), reason="a small day", merge=True)
    shop.roll_back(now=True, reason="too small after all")
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    outcome = audited(shop)
    assert told(outcome) == set()
    assert outcome.exit_code == 0
    assert outcome.document["commits"] == int(git(shop.origin, "rev-list", "--count", "main"))


def test_a_hand_edit_is_named_with_its_commit_although_it_was_reverted_since(shop: Shop) -> None:
    edit = by_hand(shop)
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    outcome = audited(shop)
    assert told(outcome) == {("unvouched-manifest", edit)}
    assert outcome.exit_code == 1
    fault = outcome.document["faults"][0]
    assert fault["by"] == "Ann Ops <ann@example.org>"
    assert fault["path"] == GROCER.manifest_path


@pytest.mark.slow
def test_a_record_that_was_changed_and_put_back_is_told_twice(shop: Shop) -> None:
    path = next((shop.desk / "registry/grocer/home/cooc").glob("*.json"))
    before = path.read_text()
    path.write_text(before.replace('"size": ', '"size": 1'))
    changed = shop.push()
    path.write_text(before)
    back = shop.push()
    assert told(audited(shop)) == {("record-changed", changed), ("record-changed", back)}


@pytest.mark.slow
def test_what_was_laundered_over_two_ships_is_still_found(shop: Shop, tmp_path: Path) -> None:
    edit = by_hand(shop)
    for _ in range(2):
        ship(shop, later(json.loads((shop.desk / GROCER.manifest_path).read_text())))
    outcome = shop.sync()
    assert outcome.exit_code == 0  # the ship on top is judged, and the one below it, but no further down
    assert ("unvouched-manifest", edit) in told(audited(shop))


def later(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same versions, shipped again."""
    return {**manifest, "updated_at": later_moment(datetime.now(UTC), manifest["updated_at"])}


def ship(shop: Shop, manifest: dict[str, Any]) -> str:
    """A ship that vouches for its bytes and says what it replaces, pushed past the gate."""
    import hashlib

    text = json.dumps(manifest, indent=2) + "\n"
    last = git(shop.desk, "log", "-1", "--format=%H", "--", GROCER.manifest_path)
    (shop.desk / GROCER.manifest_path).write_text(text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return shop.push(f"ship\n\nManifest: grocer/home sha256:{sha256}\nSupersedes: grocer/home {last}")


def test_history_rewritten_after_a_sync_is_found_until_it_is_accepted(shop: Shop) -> None:
    git(shop.desk, "checkout", "-q", "--orphan", "anew")
    git(shop.desk, "commit", "-q", "-m", "all of it, as if it had always been so")
    git(shop.desk, "push", "-q", "--force", "origin", "HEAD:main")
    for _ in range(2):
        outcome = audited(shop)
        lost = [fault["says"] for fault in outcome.document["faults"] if fault["rule"] == "rewritten-history"]
        assert [("synced" in says, "audited" in says) for says in lost] == [(False, True), (True, False)]
    assert "rewritten-history" not in {rule for rule, _ in told(audited(shop, accept_rewrite=True))}
    rest = [fault["says"] for fault in audited(shop).document["faults"] if fault["rule"] == "rewritten-history"]
    assert len(rest) == 1  # sync's own fence is sync's to accept
    assert "synced" in rest[0]


@pytest.mark.slow
def test_an_audit_before_the_first_sync_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    before = shop.everything()
    assert audited(shop).exit_code == 0
    assert shop.everything() == before


def test_a_store_that_does_not_answer_is_noted_and_the_history_judged(shop: Shop) -> None:
    (shop.store / "registry/current/.pointsman/sync.json").unlink()
    (shop.store / "registry/current/.pointsman/sync.json").mkdir()
    edit = by_hand(shop)
    outcome = audited(shop)
    assert told(outcome) == {("unvouched-manifest", edit)}
    assert "not known" in outcome.notes[0]


def adopted(shop: Shop) -> None:
    """Take all that is on main now as it stands."""
    since = git(shop.desk, "rev-parse", "HEAD")
    text = (shop.desk / "pointsman.toml").read_text()
    (shop.desk / "pointsman.toml").write_text(f'{text}\n[audit]\nsince = "{since}"\n')
    shop.push("audit from here on")


@pytest.mark.slow
def test_from_since_on_the_past_is_taken_as_it_stands(shop: Shop, tmp_path: Path) -> None:
    by_hand(shop)
    assert shop.check() == ["unvouched-manifest"]
    adopted(shop)
    outcome = audited(shop)
    assert told(outcome) == set()
    assert outcome.document["commits"] == 1
    assert shop.check() == []
    shop.publish(cooc(tmp_path / "c.json", 50), accept=("items-drop",), reason="few rows", merge=True)
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert shop.check("HEAD~1", "HEAD") == []  # back to bytes that nothing but since vouches for
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert told(audited(shop)) == set()
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_since_does_not_excuse_what_came_after_it(shop: Shop) -> None:
    adopted(shop)
    edit = by_hand(shop)
    assert told(audited(shop)) == {("unvouched-manifest", edit)}
    assert shop.check() == ["unvouched-manifest"]


@pytest.mark.parametrize("since", ["main", "abc", "0" * 39])
def test_a_since_that_is_no_full_commit_id_is_refused(shop: Shop, since: str) -> None:
    text = (shop.desk / "pointsman.toml").read_text()
    (shop.desk / "pointsman.toml").write_text(f'{text}\n[audit]\nsince = "{since}"\n')
    shop.push()
    with pytest.raises(Problem, match=r"\[audit\] since must be a full commit id"):
        audited(shop)


@pytest.mark.slow
def test_a_since_that_is_not_on_main_is_refused_and_excuses_nothing(shop: Shop) -> None:
    by_hand(shop)
    text = (shop.desk / "pointsman.toml").read_text()
    side = git(shop.desk, "commit-tree", "-m", "elsewhere", "HEAD^{tree}")
    (shop.desk / "pointsman.toml").write_text(f'{text}\n[audit]\nsince = "{side}"\n')
    shop.push()
    with pytest.raises(Problem, match="is no commit of main"):
        audited(shop)
    assert shop.check() == ["unvouched-manifest"]


@pytest.mark.slow
def test_a_push_past_the_gate_is_caught_by_sync_and_by_audit_in_another_clone(shop: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(shop.origin), str(other))
    served = shop.serving
    path = other / GROCER.manifest_path
    path.write_text(path.read_text().replace("file://", "https://evil.example"))
    git(other, "commit", "-qam", "straight to main")
    git(other, "push", "-q", "origin", "HEAD:main")
    bypass = git(other, "rev-parse", "HEAD")
    outcome = shop.sync()
    assert outcome.exit_code == 5
    refused = outcome.document["targets"][0]
    assert {"unvouched-manifest", "foreign-uri"} <= {fault["rule"] for fault in refused["faults"]}
    assert refused["refused"] == {"commit": bypass, "by": "Ann Ops <ann@example.org>"}
    assert shop.serving == served
    assert {commit for _, commit in told(audited(shop))} == {bypass}
    git(other, "revert", "--no-edit", "HEAD")
    git(other, "push", "-q", "origin", "HEAD:main")
    assert shop.sync().exit_code == 0
    assert shop.serving == served


@pytest.mark.slow
def test_what_was_rolled_back_before_since_stays_out(shop: Shop) -> None:
    shop.roll_back(now=True, reason="a bad day")
    shop.pull()
    adopted(shop)
    with pytest.raises(Refused) as error:
        shop.publish(day=2)
    assert refused(error.value) == {"rolled-back"}


@pytest.mark.slow
def test_a_bad_state_that_was_mended_before_since_may_not_come_back(shop: Shop) -> None:
    by_hand(shop)
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    for again in (False, True):
        git(shop.desk, "revert", "--no-edit", "HEAD~1" if again else "HEAD")
        assert shop.check("HEAD~1", "HEAD") == ["unvouched-manifest"]
        git(shop.desk, "reset", "-q", "--hard", "origin/main")
        adopted(shop)


@pytest.mark.slow
def test_a_since_on_the_side_of_a_merge_excuses_nothing(shop: Shop) -> None:
    git(shop.desk, "checkout", "-q", "-b", "side")
    edit = (shop.desk / GROCER.manifest_path).read_text().replace("file://", "https://evil.example")
    (shop.desk / GROCER.manifest_path).write_text(edit)
    git(shop.desk, "commit", "-qam", "by hand")
    side = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "checkout", "-q", "main")
    git(shop.desk, "merge", "-q", "--no-ff", "--no-edit", "side")
    settings = (shop.desk / "pointsman.toml").read_text()
    (shop.desk / "pointsman.toml").write_text(f'{settings}\n[audit]\nsince = "{side}"\n')
    shop.push()
    assert "unvouched-manifest" in shop.check()
    assert shop.sync().exit_code == 5


@pytest.mark.slow
def test_two_ships_reverted_one_after_the_other_leave_nothing_as_before_the_first(shop: Shop) -> None:
    ships = git(shop.desk, "log", "--format=%H", "--", GROCER.manifest_path).split()
    assert len(ships) == 2
    base = shop.main
    for ship in ships:
        git(shop.desk, "revert", "--no-edit", ship)
        assert shop.check("HEAD~1", "HEAD") == []
    assert shop.check(base, "HEAD") == ["manifest-removed"]  # at once it is the removal of a target with two ships
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert told(audited(shop)) == set()
    assert shop.sync(prune=True).document["targets"][0]["outcome"] == "pruned"


@pytest.mark.slow
def test_a_hold_rides_with_the_revert_of_a_first_ship(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10, surface="search"), merge=True)
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "--no-commit", "HEAD")
    hold = {"v": 1, "target": "grocer/search", "until": "2031-01-01T00:00:00Z", "reason": "not ready"}
    (shop.desk / "holds/grocer").mkdir(parents=True)
    (shop.desk / "holds/grocer/search.json").write_text(json.dumps(hold, indent=2) + "\n")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "take it out until it is ready")
    assert shop.check("HEAD~1", "HEAD") == []


@pytest.mark.slow
def test_a_ship_on_a_ship_on_a_hand_edit_is_told_where_it_began_and_what_mends_it(shop: Shop, tmp_path: Path) -> None:
    edit = by_hand(shop)
    manifest = json.loads((shop.desk / GROCER.manifest_path).read_text())
    ship(shop, later(manifest))
    with pytest.raises(Refused) as error:
        shop.publish(cooc(tmp_path / "c.json", 50), accept=("items-drop",), reason="few")
    says = [fault.says for fault in error.value.faults]
    assert [edit[:12] in each for each in says] == [True]
    assert says[0].count("already breaks this rule (since") == 1
    shop.roll_back(reason="mend")
    shop.merge()
    assert shop.sync().exit_code == 0


@pytest.mark.slow
def test_a_merge_that_makes_main_a_side_is_taken_for_a_rewrite(shop: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(shop.origin), str(other))
    shop.publish(popularity(tmp_path / "p.json", 10, surface="search"), merge=True)
    shop.sync()
    git(other, "revert", "--no-edit", "HEAD")
    git(other, "pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
    git(other, "push", "-q", "origin", "HEAD:main")
    served = shop.serving
    with pytest.raises(Refused) as error:
        shop.sync()
    assert refused(error.value) == {"rewritten-history"}
    assert shop.serving == served
    assert "rewritten-history" in {rule for rule, _ in told(audited(shop))}


@pytest.mark.slow
def test_a_ship_that_is_synced_while_an_audit_begins_is_no_rewrite(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr("pointsman.verbs.audit.read_fence", read_fence)
        shop.publish(popularity(tmp_path / "p.json", 10, surface="search"), merge=True)
        shop.sync()
        return read_fence(*arguments)

    monkeypatch.setattr("pointsman.verbs.audit.read_fence", overtaken)
    outcome = audited(shop)
    assert told(outcome) == set()
    assert outcome.document["main"] == shop.main

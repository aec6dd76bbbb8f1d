"""What forges and people do to a ship's branch and message before it is on main: told at the gate, and mended."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from shop import GROCER, Kept, Shop, git, popularity, refused

from pointsman.cli.main import main
from pointsman.errors import Refused


def opened(root: Path) -> Shop:
    """A target that was never shipped, with its first ship open, which accepts a guardrail in many words."""
    shop = Shop(root, settings="[policy]\nitems_floor = 20\n")
    popularity(root / "first.json", 10)
    reason = "a " + "sale " * 30 + "of ../x"
    shop.publish(root / "first.json", accept=("items-floor",), reason=reason, run="https://ci.example/" + "7" * 60)
    git(shop.desk, "fetch", "-q", "--prune")
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), opened)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def branch(shop: Shop) -> str:
    return git(shop.desk, "for-each-ref", "--format=%(refname)", "refs/remotes/origin/ship")


def message(shop: Shop) -> str:
    return git(shop.desk, "log", "-1", "--format=%B", branch(shop))


def squash(shop: Shop, text: str) -> None:
    """What a forge does: the branch's changes in one commit on main, with a message of its own making."""
    git(shop.desk, "reset", "-q", "--hard", "origin/main")
    git(shop.desk, "merge", "-q", "--squash", branch(shop))
    git(shop.desk, "commit", "-q", "-m", text)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    git(shop.desk, "fetch", "-q", "--prune")


def update_branch(shop: Shop) -> str:
    """The button of GitHub that merges main into a branch, after main has moved."""
    shop.pull()
    (shop.desk / "README.md").write_text("more")
    shop.push()
    git(shop.desk, "fetch", "-q")
    ref = branch(shop)
    git(shop.desk, "checkout", "-q", "--detach", ref)
    git(shop.desk, "merge", "-q", "-m", "Merge branch 'main' into ship", "refs/remotes/origin/main")
    git(shop.desk, "push", "-q", "origin", f"HEAD:{ref.replace('refs/remotes/origin', 'refs/heads')}")
    git(shop.desk, "fetch", "-q")
    git(shop.desk, "checkout", "-q", "main")
    return ref


@pytest.mark.slow
def test_a_ship_whose_message_was_wrapped_is_served_and_says_the_same(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = message(shop).split("\n")
    wrapped = "\n".join(textwrap.fill(line, 72, break_long_words=False, break_on_hyphens=False) for line in lines)
    assert wrapped != message(shop)
    squash(shop, wrapped)
    assert {each["outcome"] for each in shop.sync().document["targets"]} == {"written"}
    assert shop.serving == shop.manifest
    assert main(["-C", str(shop.desk), "log", "--json"]) == 0
    assert f'"run": "https://ci.example/{"7" * 60}"' in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_is_found_where_its_line_was_wrapped(shop: Shop) -> None:
    squash(shop, message(shop).replace("Run: ", "Run:\n"))
    shop.publish(popularity(shop.root / "next.json", 30, day=2), merge=True)
    run = f"https://ci.example/{'7' * 60}"
    (told,) = shop.roll_back(GROCER, run=run).document["targets"]
    assert told["outcome"] == "unchanged"  # nothing of that run is current any more


@pytest.mark.slow
def test_a_merge_commit_on_a_ship_branch_is_told_before_the_merge_and_refresh_takes_it_away(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = update_branch(shop)
    desk = ("-C", str(shop.desk))
    assert main([*desk, "check", "--base", "origin/main", "--head", ref]) == 0
    said = capsys.readouterr().out
    assert "note: manifests/grocer/home/manifest.json: unvouched-manifest: the branch has a merge commit" in said
    assert "pr refresh" in said
    (pull,) = shop.pulls()
    assert pull["stale"]
    assert main([*desk, "pr", "refresh"]) == 0
    (pull,) = shop.pulls()
    assert not pull["stale"]
    git(shop.desk, "fetch", "-q")
    assert git(shop.desk, "rev-list", "--count", f"origin/main..{ref}") == "1"
    capsys.readouterr()
    assert main([*desk, "check", "--base", "origin/main", "--head", ref]) == 0
    assert "merge commit" not in capsys.readouterr().out
    assert main([*desk, "pr", "merge", pull["id"]]) == 0
    assert {each["outcome"] for each in shop.sync().document["targets"]} == {"written"}


@pytest.mark.slow
def test_a_merge_that_brings_in_somebodys_commit_is_left_alone(shop: Shop) -> None:
    update_branch(shop)
    ref = branch(shop)
    git(shop.desk, "checkout", "-q", "--detach", "origin/main")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "a note")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "both", ref)
    git(shop.desk, "push", "-q", "origin", f"HEAD:{ref.replace('refs/remotes/origin', 'refs/heads')}")
    head = git(shop.desk, "rev-parse", "HEAD")
    assert main(["-C", str(shop.desk), "pr", "refresh"]) == 0
    git(shop.desk, "fetch", "-q")
    assert git(shop.desk, "rev-parse", ref) == head


@pytest.mark.slow
@pytest.mark.parametrize("how", ["now", pytest.param("reviewed", marks=pytest.mark.slow)])
def test_a_first_ship_that_lost_its_message_is_taken_back_and_shipped_anew(shop: Shop, how: str) -> None:
    squash(shop, "ship: grocer/home (#1)")
    refused_sync = shop.sync()
    assert refused_sync.exit_code == 5
    (fault,) = refused_sync.document["targets"][0]["faults"]
    assert "pointsman rollback grocer/home" in fault["says"]
    assert "publish --reship" in fault["says"]
    (told,) = shop.roll_back(GROCER, now=how == "now", reason="lost its message").document["targets"]
    assert (told["outcome"], told["to"]) == ("merged" if how == "now" else "opened", None)
    assert "never" in told["says"] or "no manifest" in told["says"]
    if how == "reviewed":
        (pull,) = [each for each in shop.pulls() if each["branch"].startswith("rollback/")]
        shop.merge(pull["id"])
    shop.pull()
    assert shop.check() == []
    with pytest.raises(Refused) as error:
        shop.publish(shop.root / "first.json", merge=True)
    assert "rolled-back" in refused(error.value)
    shop.publish(
        shop.root / "first.json", reship=True, accept=("items-floor",), reason="only its message was lost", merge=True
    )
    assert {each["outcome"] for each in shop.sync().document["targets"]} == {"written"}
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_states_none_of_which_was_good_are_taken_back_together_and_a_good_one_never(shop: Shop) -> None:
    squash(shop, "ship: grocer/home (#1)")
    manifest = shop.desk / GROCER.manifest_path
    whole = manifest.read_text()
    for second in ("01", "02"):
        manifest.write_text(whole.replace(whole[-31:-4], f"2026-12-01T00:00:{second}.000000Z"))
        shop.push("by hand")
    (told,) = shop.roll_back(GROCER, now=True, reason="none was good").document["targets"]
    assert (told["outcome"], told["to"]) == ("merged", None)
    shop.publish(shop.root / "first.json", reship=True, accept=("items-floor",), reason="again", merge=True)
    good = shop.manifest
    shop.pull()
    manifest.write_text(whole.replace(whole[-31:-4], "2026-12-01T00:00:03.000000Z"))
    shop.push("by hand")
    (told,) = shop.roll_back(GROCER, now=True, reason="by hand").document["targets"]
    assert told["outcome"] == "merged"
    assert shop.manifest == good

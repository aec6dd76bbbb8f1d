"""What is told of break-glass and of a rollback: which state, what comes next, and later what an auditor sees."""

from __future__ import annotations

import contextlib
import shlex

import pytest
from broken_glass import break_it, shipped
from output_schemas import validate
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.cli.main import main
from pointsman.verbs import audit
from pointsman.workspace import Workspace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("glass-told"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def commits(shop: Shop) -> list[str]:
    """The commits of main that made a manifest, newest first."""
    return git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).splitlines()


def typed(shop: Shop, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """A command of a user: its exit code, stdout and stderr."""
    with contextlib.chdir(shop.desk):
        code = main(list(words))
    said = capsys.readouterr()
    return code, said.out.strip(), said.err.strip()


def advised(said: str) -> list[str]:
    """The words of the rollback that a message ends with."""
    return shlex.split(said[said.rindex("pointsman rollback ") :].rstrip(")"))[1:]


def test_what_no_claim_holds_names_the_rollback_that_works_once_git_is_back(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    second = commits(shop)[1]
    code, said, _ = typed(shop, capsys, "rollback", "grocer/home", "--break-glass", "--reason", "bad")
    words = advised(said)
    assert code == 0
    assert said.startswith(f"grocer/home: serving has {second[:12]} (popularity ")
    assert " now until a sync reaches git; once git is back: " in said
    assert words == ["rollback", "grocer/home", "--to", second[:12], "--now", "--reason", "TEXT"]
    code, _, said = typed(shop, capsys, "rollback", "--ratify")
    assert (code, advised(said)) == (2, words), "ratify cannot, and says the same"
    assert typed(shop, capsys, *words)[0] == 0
    assert shop.manifest == shop.serving


@pytest.mark.slow
def test_a_claim_that_main_has_overtaken_advises_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(shop)
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    code, _, said = typed(shop, capsys, "rollback", "--ratify")
    assert (code, "main decides" in said, "pointsman rollback" in said) == (2, True, False)


def test_break_glass_is_seen_in_every_history(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    second = commits(shop)[1]
    made = break_it(shop)
    validate("rollback", made.document)
    (target,) = made.document["targets"]
    assert (target["state"], list(target["changes"])) == (second, ["popularity"])
    assert typed(shop, capsys, "rollback", "--ratify")[0] == 0
    for words in (("log", "grocer/home"), ("log", "--explain", "main"), ("audit",), ("audit", "--format", "markdown")):
        _, said, _ = typed(shop, capsys, *words)
        assert "reak-glass" in said, words
        assert "in front of serving" in said, words
    with shop.open() as repo:
        found = audit.audit(Workspace(repo))
    validate("audit", found.document)
    told = [event for event in found.document["events"] if event.get("broke_glass")]
    assert (len(told), told[0]["kind"], found.document["counts"]["broke_glass"]) == (1, "restore", 1)


def test_a_rollback_says_which_commit_and_versions_it_goes_back_to(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    second = commits(shop)[1]
    words = ("rollback", "grocer/home", "--reason", "bad")
    _, dry, _ = typed(shop, capsys, *words, "--dry-run")
    assert dry.startswith(f"grocer/home: would be rolled back to {second[:12]} (popularity ")
    to = dry.partition(" back")[2].removesuffix("; nothing was written")
    _, opened, _ = typed(shop, capsys, *words)
    assert f": back{to}; next: pointsman pr merge " in opened
    _, now, _ = typed(shop, capsys, *words, "--now")
    assert now == f"grocer/home: rolled back on main as {commits(shop)[0][:12]},{to}; next: pointsman sync"
    _, glass, _ = typed(shop, capsys, *words, "--break-glass", "--dry-run")
    assert glass == f"grocer/home: serving would have{to.removeprefix(' to')}; nothing was written"
    _, held, _ = typed(shop, capsys, *words, "--to", "now", "--hold", "--dry-run")
    assert held.startswith("grocer/home: would be on hold until ")


def test_status_without_git_names_the_page_that_says_how_to_look(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.origin.rename(shop.root / "away")
    code, _, said = typed(shop, capsys, "status", "grocer/home")
    assert (code, "; serving goes on with what it has, and docs/oncall/git-is-down.md says how" in said) == (3, True)

"""What is told of break-glass and of a rollback: which state, what comes next, and later what an auditor sees."""

from __future__ import annotations

import contextlib
import json
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


def manifest_of(shop: Shop, commit: str) -> str:
    return git(shop.desk, "show", f"{commit}:{GROCER.manifest_path}").strip()


def typed(shop: Shop, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """A command of a user: its exit code, stdout and stderr."""
    with contextlib.chdir(shop.desk):
        code = main(list(words))
    said = capsys.readouterr()
    return code, said.out.strip(), said.err.strip()


def advised(said: str) -> list[str]:
    """The words of the rollback that a message ends with."""
    return shlex.split(said[said.rindex("pointsman rollback ") :].rstrip(")"))[1:]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_git_each_look_names_the_page_and_what_this_clone_has_of_main(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    git(shop.desk, "fetch", "origin")
    newest, second, _ = made = commits(shop)
    manifest = manifest_of(shop, second)
    [uri] = json.loads(manifest)["current"].values()
    version = uri.rpartition("/")[2].removesuffix(".json")
    when = {commit: git(shop.desk, "log", "-1", "--format=%cI", commit) for commit in made}
    last_then = next(commit for commit in made if when[commit] == when[second])  # of one second, the last is meant
    (below := shop.desk / "below").mkdir()
    shop.origin.rename(shop.root / "away")
    looks: tuple[tuple[tuple[str, ...], int | str], ...] = (
        (("status", "grocer/home"), 3),
        (("log",), 3),
        (("log", "grocer/home"), 3),
        (("log", "*/home"), 3),
        (("log", "--explain", second), 1),
        (("at", when[second], "grocer/home"), manifest_of(shop, last_then)),
        (("at", second, "grocer/home"), manifest),
        (("at", "2001-01-01", "grocer/home"), 3),
        (("show", version[:8]), version),
    )
    for words, sees in looks:
        code, out, said = typed(shop, capsys, *words)
        assert (code, out) == (3, "")
        assert "; serving goes on with what it has, and docs/oncall/git-is-down.md says how" in said
        assert f". This clone has main up to {newest[:12]} of " in said
        run, *look = shlex.split(said.rpartition("to see it there, run: ")[2])
        assert run == "git"
        seen = git(below, *look)
        if isinstance(sees, int):
            assert seen.count("\ncommit ") + seen.startswith("commit ") == sees, words
        else:
            assert sees in seen, words


@pytest.mark.slow
def test_without_git_a_url_or_a_ring_has_nothing_of_main_to_look_at(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.origin.rename(shop.root / "away")
    for words in (("-C", shop.origin.as_uri(), "log"), ("at", "now", "grocer/home", "--ring", "canary")):
        code, _, said = typed(shop, capsys, *words)
        assert (code, said.endswith("docs/oncall/git-is-down.md says how to see what is served")) == (3, True)

"""What is typed: completion by a shell's Tab key, a repository named by the environment, words of other tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from shop import STAGING

from pointsman.cli.main import _COMMANDS, _MEANT, cli, main

DAY_1, DAY_2 = "2026-03-01_2026-03-02", "2026-03-02_2026-03-03"
TARGET = "grocer/home"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A manifest repository with one target, which has one open pull request, too."""
    directory = str(tmp_path_factory.mktemp("typing") / "shop")
    for words in (
        ["init", directory],
        ["-C", directory, "publish", str(STAGING / "grocer"), "--window", DAY_1, "--merge"],
        ["-C", directory, "publish", str(STAGING / "grocer"), "--window", DAY_2],
    ):
        assert main(words) == 0
    return directory


@pytest.fixture
def offered(shop: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is offered for the last of some words, in that repository."""
    monkeypatch.setenv("POINTSMAN_REPO", shop)

    def offered(*words: str) -> list[str]:
        complete = ShellComplete(cli, {}, "pointsman", "_POINTSMAN_COMPLETE")
        return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]

    return offered


def test_names_of_main_are_offered(offered: Callable[..., list[str]], shop: str) -> None:
    manifest = json.loads((Path(shop) / "manifests" / TARGET / "manifest.json").read_text())
    versions = {slot: uri[-69:-5] for slot, uri in manifest["current"].items()}
    assert offered("status", "gro") == [TARGET]
    assert offered("status", "x") == []
    assert offered("hold", "") == ["all", TARGET]
    assert sorted(offered("show", "")) == sorted(versions.values())
    assert offered("get", versions["cooc"][:7]) == [versions["cooc"]]
    assert f"cooc@{versions['cooc']}" in offered("ship", TARGET, "cooc@")
    assert len(offered("ship", TARGET, "cooc@")) == 2, "also the one that waits for its review"
    assert offered("rollback", TARGET, "--type", "c") == sorted(slot for slot in versions if slot.startswith("c"))
    assert f"{TARGET}:cooc" in offered("publish", "--drop", "gro")
    assert offered("-C", shop, "status", "gro") == [TARGET]


def test_pull_requests_rules_and_settings_are_offered(offered: Callable[..., list[str]], shop: str) -> None:
    branch = subprocess.check_output(["git", "-C", shop, "for-each-ref", "--format=%(refname)", "refs/heads/ship/"])
    assert offered("pr", "merge", "") == [TARGET, branch.decode().strip().rpartition("/")[2]]
    assert offered("publish", "--accept", "items-d") == ["items-drop"]
    assert offered("init", "--set", "policy.items_d") == ["policy.items_drop="]
    assert offered("status", "--fail-on", "drift,st") == ["drift,stale"]


def test_where_there_is_no_main_nothing_is_offered_and_nothing_is_said(
    tmp_path: Path, offered: Callable[..., list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path / "empty"], check=True)
    capfd.readouterr()
    for where in (str(tmp_path), str(tmp_path / "empty"), str(tmp_path / "nowhere"), "https://git.example/shop"):
        assert offered("-C", where, "status", "") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_bash_takes_the_script_and_asks_it(shop: str) -> None:
    """As bash does it when Tab is pressed: it sets these variables and calls the function that is registered."""
    names = str(Path(sys.executable).parent)
    ask = f"""
        set -eu
        source <(pointsman completion bash)
        complete -p pointsman
        cd {shop}
        COMP_WORDS=(pointsman status gro) COMP_CWORD=2 COMP_LINE='pointsman status gro' COMP_POINT=20
        $(complete -p pointsman | sed -E 's/.*-F ([^ ]+) .*/\\1/') pointsman
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{names}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, env=environment, check=False)
    assert ran.stdout.splitlines()[-1] == TARGET, ran.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"_POINTSMAN_COMPLETE={shell}_complete" in capsys.readouterr().out
    assert main(["completion", "tcsh"]) == 2


def test_the_environment_names_the_repository(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_REPO", shop)
    assert main(["log"]) == 0
    assert TARGET in capsys.readouterr().out
    assert main(["-C", str(tmp_path), "log"]) == 2, "-C wins"
    assert str(tmp_path) in capsys.readouterr().err


def test_a_hook_judges_the_repository_that_it_runs_in(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_REPO", shop)
    assert main(["check", "--staged"]) == 2, "here is no repository"
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert main(["check"]) == 2
    assert capsys.readouterr().err.count("not a git repository") == 2


def test_words_of_other_tools_are_answered_with_ours(capsys: pytest.CaptureFixture[str]) -> None:
    options = {option for each in cli.params for option in each.opts} | {"--help"}
    for word, name in _MEANT.items():
        assert word not in _COMMANDS, word
        assert name.split()[0] in {*_COMMANDS, *options}, name
    typed = {"diff": "review", "help log": "--help", "version": "--version"}
    for words, meant in {**typed, "pr view 7": "show", "pr diff 7": "pointsman review"}.items():
        assert main(words.split()) == 2
        assert f"did you mean {meant}?" in capsys.readouterr().err


def test_short_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == main(["pr", "merge", "-h"]) == 0
    assert main(["-V"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("pointsman ")


def test_status_is_a_line_for_each_target_and_in_detail_for_one(
    shop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POINTSMAN_REPO", shop)

    def lines(*words: str) -> list[str]:
        assert main(["status", *words]) == 0
        return capsys.readouterr().out.splitlines()

    assert lines("-o", "table")[0].split() == ["TARGET", "SERVING", "SHIPPED", "BY", "WINDOW", "TO", "KNOW"]
    assert "COMMIT" in lines("-o", "wide")[0]
    for words in ((), (TARGET,), ("gro*/*", "-o", "details")):
        assert lines(*words)[0].startswith(f"{TARGET}: serving is absent: there is no pointer")


def test_format_json_is_json_and_words_after_two_dashes_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--format", "json"], ["--format=json"]):
        assert main(["completion", "bash", *words]) == 0
        assert json.loads(capsys.readouterr().out)["shell"] == "bash"
    assert main(["hash", "--", "--format", "json"]) == 2
    assert "--format" in capsys.readouterr().err

"""Every command that is advised works as it is printed, from where the user stands."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Kept, Shop, git, popularity

import pointsman
from pointsman.cli.console import advice, advise_for
from pointsman.cli.main import _COMMANDS, _ELSEWHERE, main

PACKAGE = Path(pointsman.__file__).parent
PROSE = {"may", "does", "itself", "write", "writes"}  # what follows the name in sentences about it
ADVISED = re.compile(r"\bpointsman ([a-z]+)\b")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    advise_for(None)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def make(root: Path) -> Shop:
        shop = Shop(root / "a shop")
        for day in (1, 2, 3):
            popularity(shop.root / f"p{day}.json", 20, day=day)
        shop.publish(shop.root / "p1.json", merge=True)
        return shop

    return Kept(tmp_path_factory.mktemp("kept"), make)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def texts(path: Path) -> Iterator[str]:
    """The texts of a module that may be printed: all but docstrings and examples."""
    tree = ast.parse(path.read_text())
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            yield node.value


@pytest.mark.slow
def test_whatever_is_advised_is_a_command_and_gets_the_repository() -> None:
    advised = {name for path in PACKAGE.rglob("*.py") for text in texts(path) for name in ADVISED.findall(text)}
    assert advised - PROSE <= _COMMANDS.keys()
    advise_for("some where", (name for name in _COMMANDS if name not in _ELSEWHERE))
    for name in advised - PROSE:
        assert advice(f"run: pointsman {name} now") == (
            f"run: pointsman {name} now" if name in _ELSEWHERE else f"run: pointsman -C 'some where' {name} now"
        )


@pytest.mark.parametrize(
    "text, here",
    [
        (
            "next: pointsman pr show 1; pointsman pr merge 1",
            "next: pointsman -C r pr show 1; pointsman -C r pr merge 1",
        ),
        ("run git pull, or pointsman check --head main", "run git -C r pull, or pointsman -C r check --head main"),
        ("next: git fetch origin && git push", "next: git -C r fetch origin && git -C r push"),
        ("pointsman made it; the pointsman checks", "pointsman made it; the pointsman checks"),
        ("pointsman -C r sync", "pointsman -C r sync"),
        ("what git and pointsman do", "what git and pointsman do"),
    ],
)
def test_only_commands_get_it_and_only_once(text: str, here: str) -> None:
    advise_for("r", _COMMANDS)
    assert advice(advice(text)) == here
    advise_for(None)
    assert advice(text) == text


def test_a_repository_that_is_a_url_is_for_pointsman_alone() -> None:
    advise_for("https://ann:secret@git.example/shop", _COMMANDS)
    assert advice("run git pull, then pointsman sync") == (
        "run git pull, then pointsman -C https://ann:secret@git.example/shop sync"
    )


@pytest.mark.slow
def test_each_next_step_goes_on_as_printed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-C", str(shop.desk), "publish", str(shop.root / "p2.json")]
    steps = []
    for _ in range(3):
        assert main(words) == 0
        said = capsys.readouterr().out
        if not (found := re.search(r"next: pointsman (.*)$", said, re.MULTILINE)):
            break
        steps.append(found[1])
        words = shlex.split(found[1])
    assert [step.partition("' ")[2].partition(" ")[0] for step in steps] == ["pr"]
    assert main(["-C", str(shop.desk), "pr", "list"]) == 0
    assert capsys.readouterr().out == "no open pull requests\n"


@pytest.mark.slow
def test_whatever_a_command_prints_names_the_repository(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (shop.desk / "manifests" / "grocer" / "home").mkdir(parents=True, exist_ok=True)
    shop.publish(shop.root / "p2.json")
    main(["-C", str(shop.desk), "publish", str(shop.root / "p3.json"), "--merge"])
    shop.pull()
    (shop.desk / "manifests" / "grocer" / "home" / "manifest.json").write_text("{}\n")
    shop.push("by hand")
    git(shop.desk, "reset", "-q", "--hard", "HEAD~1")
    capsys.readouterr()
    lines = """
        sync; check; audit; status; pr list; pr show grocer/home; pr merge grocer/home; pr refresh;
        rollback nobody/home; rollback grocer/home; rollback grocer/home --now --reason x;
        ship grocer/home popularity@ffff; hold grocer/home;
        review; review grocer/home; review no/body; doctor; log nobody/home; at nothing grocer/home;
        nosuch; sync --nosuch
    """
    advised = 0
    for words in map(str.split, lines.split(";")):
        main(["-C", str(shop.desk), *words])
        out, err = capsys.readouterr()
        found = re.findall(r"\bpointsman (-C|[a-z]+)\b", out + err)
        assert not {*found} & {*_COMMANDS}, (words, out, err)
        advised += found.count("-C")
    assert advised > 5

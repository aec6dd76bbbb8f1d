"""The demo: it tells what it does, does what it tells, and stops where the story goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import obstore
import pytest
from seaweed import BUCKET, Server

import pointsman
from pointsman.errors import Problem
from pointsman.verbs import demo as module
from pointsman.verbs.demo import demo

pytestmark = pytest.mark.slow

SAMPLES = Path(pointsman.__file__).parent / "demo_data" / "staging" / "grocer" / "home"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Mapping[str, Any]]:
    """One run for all tests: where, what was said, and the document. The path has what paths can have."""
    root = tmp_path_factory.mktemp("demo") / "a café"
    lines: list[str] = []
    return root, lines, demo(str(root), lines.append).document


@pytest.mark.slow
def test_the_story_goes_as_it_should(told: tuple[Path, list[str], Mapping[str, Any]]) -> None:
    _, lines, document = told
    text = "\n".join(lines)
    refused = [step["command"] for step in document["steps"] if step["exit_code"] == 1]
    assert len(refused) == 2
    assert "--accept" not in refused[0]
    assert "items-drop" in text.partition(refused[0])[2]
    assert "rolled-back" in text.partition(refused[1])[2]
    commands = [step["command"] for step in document["steps"]]
    assert "git revert --no-edit HEAD" in commands
    assert "git push --quiet" in commands
    assert commands[-1] == "pointsman log grocer/home"
    assert "from 48 popular items to 6" in text
    assert "clearance sale" in text.rpartition("pointsman log")[2]


def test_serving_ends_with_the_very_bytes_that_it_had_before_the_broken_day(
    told: tuple[Path, list[str], Mapping[str, Any]],
) -> None:
    root, lines, document = told
    digests = [line.split()[1] for line in lines if line.startswith("sha256 ")]
    assert len(digests) == 2
    assert digests[0] == digests[1] == document["serving"]["sha256"]
    current = json.loads(Path(document["serving"]["path"]).read_bytes())["current"]
    assert current["popularity"].startswith(f"file://{root}/store/grocer/home/popularity/c3fec4c5e827")


def test_what_it_prints_after_a_dollar_can_be_typed(told: tuple[Path, list[str], Mapping[str, Any]]) -> None:
    root, lines, document = told
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert [line for line in typed if not line.startswith("cd ")] == [step["command"] for step in document["steps"]]
    shown = "\n".join(lines)
    assert shlex.quote(str(root / "manifests")) in shown


@pytest.mark.slow
def test_its_commands_repeat_the_story_in_a_plain_shell(
    told: tuple[Path, list[str], Mapping[str, Any]], tmp_path: Path
) -> None:
    root, lines, document = told
    again = tmp_path / "again"
    shutil.copytree(root / "staging", again / "staging")
    typed = [line.removeprefix("$ ").replace(str(root), str(again)) for line in lines if line.startswith("$ ")]
    script = f'pointsman() {{ {shlex.quote(sys.executable)} -P -m pointsman "$@"; }}\n' + "\n".join(typed)
    environment = {**os.environ, "PYTHONPATH": str(Path(pointsman.__file__).parent.parent)}
    environment |= {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["sh", "-c", script], cwd=again, env=environment, check=True, capture_output=True)
    served = "store/registry/current/grocer/home/manifest.json"
    one, other = (json.loads((directory / served).read_bytes())["current"] for directory in (root, again))
    assert {slot: uri.replace(str(root), str(again)) for slot, uri in one.items()} == other
    assert document["steps"]


def test_the_clone_and_its_origin_agree_in_the_end(told: tuple[Path, list[str], Mapping[str, Any]]) -> None:
    root, _, _ = told
    heads = [
        subprocess.check_output(["git", "-C", str(root / name), "rev-parse", "refs/heads/main"])
        for name in ("manifests", "origin.git")
    ]
    assert heads[0] == heads[1]
    assert subprocess.check_output(["git", "-C", str(root / "manifests"), "status", "--porcelain"]) == b""


def test_without_a_directory_it_makes_one_and_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_set_up", _stop)
    lines: list[str] = []
    with pytest.raises(Problem, match="enough"):
        demo(None, lines.append)
    (made,) = tmp_path.iterdir()
    assert str(made) in lines[0]
    assert (made / "staging").is_dir()


def _stop(*_: object) -> None:
    raise Problem("enough")


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(Problem, match="not empty"):
        demo(str(tmp_path), print)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_step_that_ends_otherwise_than_told_ends_the_demo(tmp_path: Path) -> None:
    story = module.Story(tmp_path, lambda _: None)
    story.run("git", "rev-parse", "--verify", "HEAD", ends=128)
    with pytest.raises(Problem, match=r"`git rev-parse --verify HEAD` ended with exit code 128, not 0"):
        story.run("git", "rev-parse", "--verify", "HEAD")
    assert [step.exit_code for step in story.steps] == [128, 128]


def test_git_settings_of_the_caller_s_shell_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada")
    story = module.Story(tmp_path, lambda _: None)
    assert "GIT_DIR" not in story.environment
    assert story.environment["GIT_AUTHOR_NAME"] == "Ada"
    assert story.environment["GIT_COMMITTER_NAME"] == "On-call engineer"


def test_what_git_is_told_on_this_machine_does_not_end_the_story_and_its_user_s_name_stays(tmp_path: Path) -> None:
    settings = Path(os.environ["HOME"]) / ".gitconfig"
    before = settings.read_text()
    settings.write_text("[user]\nname = Ada\n[commit]\ngpgsign = true\n[core]\nhooksPath = /nowhere\n")
    try:
        story = module.Story(tmp_path, lambda _: None)
    finally:
        settings.write_text(before)
    assert story.environment["GIT_COMMITTER_NAME"] == "Ada"
    story.run("git", "config", "--get", "commit.gpgsign", ends=1)  # nothing is set


def test_the_samples_are_those_of_three_days_with_a_broken_third() -> None:
    popular = [len(json.loads(file.read_bytes())["items"]) for file in sorted(SAMPLES.glob("*/popularity/*/*.json"))]
    assert popular == [50, 48, 6]
    for pointer in SAMPLES.rglob("current.version"):
        assert re.fullmatch(r"[0-9a-f]{64}\n", pointer.read_text())
        assert pointer.with_name(f"{pointer.read_text().strip()}.json").is_file()


@pytest.mark.slow
def test_the_story_goes_the_same_way_in_a_bucket_below_which_nothing_stood(tmp_path: Path, s3: Server) -> None:
    url = f"s3://{BUCKET}/demo-{uuid.uuid4().hex}"
    document = demo(str(tmp_path / "one"), lambda line: None, store=url, endpoint=s3.endpoint).document
    assert document["serving"]["path"] == f"{url}/registry/current/grocer/home/manifest.json"
    served = bytes(obstore.get(s3.client(url.rpartition("/")[2]), "registry/current/grocer/home/manifest.json").bytes())
    assert hashlib.sha256(served).hexdigest() == document["serving"]["sha256"]
    assert json.loads(served)["current"]["popularity"].startswith(f"{url}/grocer/home/popularity/c3fec4c5e827")
    with pytest.raises(Problem, match=r"something stands below s3://.* already: name another prefix"):
        demo(str(tmp_path / "two"), lambda line: None, store=url, endpoint=s3.endpoint)
    assert not (tmp_path / "two").exists()

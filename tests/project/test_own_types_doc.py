"""The page on own types: what it says to type works, in this order, in an empty directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pointsman.artifact import user_type
from pointsman.artifact.user_type import UserType
from pointsman.settings import read_settings

PAGE = Path(__file__).parents[2] / "docs" / "own-types.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_what_the_page_types_ships_three_types(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "pointsman"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pointsman "$@"\n')
    tool.chmod(0o755)
    (tmp_path / "empty").mkdir()
    identity = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("sh"))],
        check=False,
        cwd=tmp_path / "empty",
        env={**os.environ, **identity, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "in-sync" in done.stdout
    served = (tmp_path / "empty/store/registry/current/grocer/home/manifest.json").read_text()
    assert all(f'"{name}": "file://' in served for name in ("embedding", "model_card", "for_you"))


def test_the_settings_and_the_schema_of_the_page_can_be_read() -> None:
    (settings,) = blocks("toml")
    read_settings(b'[store]\nurl = "file:///srv/recsys"\n' + settings.encode())
    (schema,) = blocks("json")
    assert isinstance(user_type.load("for_you", schema.encode(), "the page"), UserType)

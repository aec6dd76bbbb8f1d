"""The package: a wheel, also one made from the sdist, has all that the commands read, and works anywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from runner import load, registry_answers

from pointsman import __version__

ROOT = Path(__file__).parents[2]
BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
SOURCES = ("tool", "share", "pyproject.toml", "README.md", "LICENSE")
SHARED = ("share/man/man1/pointsman.1", "share/bash-completion/completions/pointsman")


def tracked(*places: str) -> list[str]:
    """The files of these places that git has, or would take."""
    words = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *places]
    found = subprocess.check_output(words, text=True).split("\0")
    return sorted({name for name in found if name and (ROOT / name).is_file()})


def copy(source: Path, *places: str) -> Path:
    """What a checkout has of these places, at `source`."""
    for name in tracked(*places):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    return source


def build(source: Path, kind: str, out: Path) -> Path:
    """A wheel or an sdist as any frontend asks for it."""
    out.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", BUILD, f"build_{kind}", str(out)]
    ran = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "absent from the `packages` configuration" not in ran.stderr
    return out / ran.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_wheel_of_the_sdist_is_whole_and_plays_the_demo_away_from_the_repository(tmp_path: Path) -> None:
    source = copy(tmp_path / "source", *SOURCES)
    sdist = build(source, "sdist", tmp_path / "dist")
    assert sdist.name == f"pointsman-{__version__}.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    wheel = build(tmp_path / "unpacked" / f"pointsman-{__version__}", "wheel", tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    data = f"pointsman-{__version__}.data/data/"
    package = {name.removeprefix("tool/") for name in tracked("tool/pointsman")}
    assert {name for name in names if not name.startswith(data)} == package
    assert {data + name for name in SHARED} < names
    place = tmp_path / "place"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(place), str(wheel)], check=True)
    away = tmp_path / "away"
    away.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "pointsman"]
    where = subprocess.check_output(
        [sys.executable, "-c", "import pointsman; print(pointsman.__file__)"], text=True, cwd=away, env=environment
    )
    assert where.startswith(str(place))
    demo = [*command, "demo", "demo"]
    told = subprocess.run(demo, cwd=away, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    subprocess.run([*command, "-C", "demo/manifests", "site", "pages"], cwd=away, env=environment, check=True)
    assert (away / "pages" / "index.html").is_file()


@pytest.mark.slow
def test_the_action_puts_the_tool_of_its_commit_on_the_path(tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    python, install = action["runs"]["steps"]
    assert re.fullmatch(r"actions/setup-python@[0-9a-f]{40}", python["uses"])
    source = copy(tmp_path / "action", *SOURCES, "requirements.txt", ".ci/install-action.sh")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ACTION_PATH": str(source),
        "GITHUB_PATH": str(tmp_path / "path"),
    }
    ran = subprocess.run(
        ["bash", "-c", install["run"]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode != 0 and not registry_answers(tmp_path):
        pytest.skip("no registry of Python packages can be reached")
    assert ran.returncode == 0, ran.stderr
    place = Path((tmp_path / "path").read_text().strip())
    told = subprocess.check_output([str(place / "pointsman"), "--version"], text=True, cwd=tmp_path)
    assert told == f"pointsman {__version__}\n"


def test_a_release_names_what_it_sends_and_is_trusted_without_a_secret() -> None:
    release = load(ROOT / ".github" / "workflows" / "release.yml")
    assert release["on"] == {"release": {"types": ["published"]}}
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "secrets." not in text
    assert release["jobs"]["publish"]["environment"] == "pypi"
    pinned = (ROOT / ".ci" / "requirements-release.txt").read_text()
    for tool in ("build", "cyclonedx-bom", "setuptools", "uv"):
        assert re.search(rf"^{tool}==\S+ \\\n    --hash=sha256:", pinned, re.MULTILINE)

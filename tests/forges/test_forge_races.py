"""Bots, people and the forge at the same moment: no pull request twice, no update lost, and each ends as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from forge_server import ForgeServer
from forge_team import PUSHED, SETTINGS, Team, outcomes
from shop import git, popularity
from world import how_many

from forges.stand_ins import OWN

pytestmark = pytest.mark.slow
MANY = how_many(5, part=6)  # bots


@pytest.fixture(params=[SETTINGS], ids=["pull-request"])
def team(tmp_path: Path, hub: ForgeServer, request: pytest.FixtureRequest) -> Team[ForgeServer]:
    return Team(tmp_path, hub, request.param)


def publishing(team: Team[ForgeServer], *files: Path) -> subprocess.Popen[bytes]:
    """A bot of its own: a process with a clone that knows nothing of the others."""
    clone = team.root / f"bot-{files[0].stem}-{len(list(team.root.glob('bot-*')))}"
    git(team.root, "clone", "-q", str(team.hub.repo), str(clone))
    team.short_cut(clone)
    command = [sys.executable, "-m", "pointsman", "publish", "--json", *map(str, files)]
    return subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(bots: Sequence[subprocess.Popen[bytes]]) -> list[tuple[int, dict[str, Any]]]:
    told = [(*bot.communicate(), bot.returncode) for bot in bots]
    assert [(out, said) for out, said, code in told if code not in (0, 4)] == []
    return [(code, json.loads(out)) for out, _, code in told]


def again(team: Team[ForgeServer], files: Sequence[Path], first: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Whoever was told that something moved runs again, alone. A newer pull request may still be in its way."""
    for file, (code, _) in zip(files, first, strict=True):
        if code == 4:
            ended = team.publish(file)
            superseded = {each.outcome for each in ended.value.targets} == {"superseded"}
            assert ended.exit_code == (4 if superseded else 0)


@pytest.mark.parametrize(
    "kind, team", [*((kind, SETTINGS) for kind in OWN), ("gitea", PUSHED)], indirect=True,
    ids=[*OWN, "gitea, pushed"],
)  # fmt: skip
def test_of_many_bots_that_publish_the_same_artifact_one_opens_its_pull_request(
    team: Team[ForgeServer], hub: ForgeServer
) -> None:
    file = team.day(1)
    told = ended([publishing(team, file) for _ in range(MANY)])
    again(team, [file] * MANY, told)
    (number,) = hub.numbers("ship/")
    assert hub.numbers("ship/", "open") == [number]
    assert hub.numbers("records/", "open") == []
    assert hub.repeated() == []
    hub.approve(number)
    hub.button(number)
    team.sync()
    assert outcomes(team.publish(file)) == ["unchanged"]


def test_of_many_bots_that_publish_days_of_one_target_the_newest_stays_and_two_never_close_each_other(
    team: Team[ForgeServer], hub: ForgeServer
) -> None:
    files = [team.day(day) for day in range(1, MANY + 1)]
    told = ended([publishing(team, file) for file in files])
    again(team, files, told)
    (number,) = hub.numbers("ship/", "open")
    newest = json.loads(files[-1].read_text())["build"]["version"]
    assert newest in hub.shown(number).body
    hub.approve(number)
    hub.button(number)
    assert newest.encode() in team.sync()


def test_many_bots_that_publish_different_targets_open_one_pull_request_each_and_get_past_each_other(
    team: Team[ForgeServer], hub: ForgeServer
) -> None:
    files = [popularity(team.root / f"s{place}.json", 20, surface=f"s{place}") for place in range(MANY)]
    told = ended([publishing(team, file) for file in files])
    again(team, files, told)
    branches = [hub.branch(number).rpartition("/")[0] for number in hub.numbers("ship/", "open")]
    assert sorted(branches) == [f"ship/grocer/s{place}" for place in range(MANY)]
    for number in hub.numbers("ship/", "open"):
        hub.approve(number)
        if number % 2:
            hub.button(number)
        else:
            team.merge(number)
    shipped = hub.git("ls-tree", "-r", "--name-only", "main", "manifests/").splitlines()
    assert shipped == [f"manifests/grocer/s{place}/manifest.json" for place in range(MANY)]

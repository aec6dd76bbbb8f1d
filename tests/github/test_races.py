"""Bots, people and GitHub at the same moment: no pull request twice, no update lost, and each ends as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, cooc, git, popularity

from github.hub import Hub
from github.team import Team, outcomes
from pointsman.errors import Unreachable
from pointsman.verbs import rollback
from pointsman.workspace import Workspace

MANY = 8


def publishing(team: Team, *files: Path) -> subprocess.Popen[bytes]:
    """A bot of its own: a process with a clone that knows nothing of the others."""
    clone = team.root / f"bot-{files[0].stem}-{len(list(team.root.glob('bot-*')))}"
    git(team.root, "clone", "-q", str(team.hub.repo), str(clone))
    git(clone, "remote", "set-url", "origin", team.url)
    git(clone, "config", f"url.{team.hub.root}/o/.insteadOf", f"{team.hub.url}/o/")
    command = [sys.executable, "-m", "pointsman", "publish", "--json", *map(str, files)]
    return subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(bots: Sequence[subprocess.Popen[bytes]]) -> list[tuple[int, dict[str, Any]]]:
    told = [(*bot.communicate(), bot.returncode) for bot in bots]
    assert [(out, said) for out, said, code in told if code not in (0, 4)] == []
    return [(code, json.loads(out)) for out, _, code in told]


def again(team: Team, files: Sequence[Path], first: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Whoever was told that something moved runs again, alone. A newer pull request may still be in its way."""
    for file, (code, _) in zip(files, first, strict=True):
        if code == 4:
            ended = team.publish(file)
            superseded = {each.outcome for each in ended.value.targets} == {"superseded"}
            assert ended.exit_code == (4 if superseded else 0)


@pytest.mark.slow
def test_of_many_bots_that_publish_the_same_artifact_one_opens_its_pull_request(team: Team, hub: Hub) -> None:
    file = team.day(1)
    told = ended([publishing(team, file) for _ in range(MANY)])
    again(team, [file] * MANY, told)
    assert len(hub.numbers("ship/")) == 1
    assert len(hub.numbers("records/", "open")) == 0
    (number,) = hub.numbers("ship/", "open")
    hub.approve(number)
    hub.button(number)
    team.sync()
    assert outcomes(team.publish(file)) == ["unchanged"]


@pytest.mark.slow
def test_of_many_bots_that_publish_days_of_one_target_the_newest_stays_and_two_never_close_each_other(
    team: Team, hub: Hub
) -> None:
    files = [team.day(day) for day in range(1, MANY + 1)]
    told = ended([publishing(team, file) for file in files])
    again(team, files, told)
    (number,) = hub.numbers("ship/", "open")
    newest = json.loads(files[-1].read_text())["build"]["version"]
    assert newest in hub.pulls[number]["body"]
    hub.approve(number)
    hub.button(number)
    assert newest.encode() in team.sync()


@pytest.mark.slow
def test_many_bots_that_publish_different_targets_open_one_pull_request_each(team: Team, hub: Hub) -> None:
    files = [popularity(team.root / f"s{place}.json", 20, surface=f"s{place}") for place in range(MANY)]
    told = ended([publishing(team, file) for file in files])
    again(team, files, told)
    branches = [hub.pulls[number]["ref"].rpartition("/")[0] for number in hub.numbers("ship/", "open")]
    assert sorted(branches) == [f"ship/grocer/s{place}" for place in range(MANY)]
    for number in hub.numbers("ship/", "open"):
        hub.approve(number)
        hub.button(number)
    shipped = hub.git("ls-tree", "-r", "--name-only", "main", "manifests/").splitlines()
    assert shipped == [f"manifests/grocer/s{place}/manifest.json" for place in range(MANY)]


@pytest.mark.slow
def test_where_main_is_protected_the_bot_goes_by_pull_requests_and_now_is_refused(team: Team, hub: Hub) -> None:
    hub.protect()
    team.shipped(1)
    before = team.sync()
    team.shipped(2)
    main = hub.head("main")
    with team.open() as repo, pytest.raises(Unreachable, match="must be made through a pull request"):
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,), now=True, reason="half of it is gone"))
    assert hub.head("main") == main
    with team.open() as repo:
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
    (back,) = hub.numbers("rollback/", "open")
    hub.approve(back)
    hub.button(back)
    assert team.sync() == before


@pytest.mark.slow
def test_a_commit_of_a_human_on_a_ship_branch_stays_and_stops_the_refresh(team: Team, hub: Hub) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(popular)
    hub.button(popular)
    pull = hub.pulls[together]
    commit = hub.git("commit-tree", f"{pull['sha']}^{{tree}}", "-p", pull["sha"], given="a word\n")
    hub.git("update-ref", f"refs/heads/{pull['ref']}", commit)
    for _ in range(2):
        (told,) = team.refresh()
        assert told["outcome"] == "left"
        assert f"a commit that no publish made ({commit[:12]} by " in told["says"]
        assert hub.head(pull["ref"]) == commit
    assert hub.numbers("ship/", "open") == [together]


@pytest.mark.slow
def test_records_that_others_land_meanwhile_in_their_own_words_are_records_all_the_same(team: Team, hub: Hub) -> None:
    def land(method: str, path: str) -> str | None:
        """The same version, recorded by another run, comes to main just before ours."""
        if (method, path) == ("PUT", "/pulls/1/merge") and not hub.git("ls-tree", "main", "registry"):
            head = hub.pulls[1]["sha"]
            (record,) = hub.git("ls-tree", "-r", "--name-only", head, "registry").splitlines()
            clone = team.root / "other"
            git(team.root, "clone", "-q", str(hub.repo), str(clone))
            git(clone, "checkout", "-q", head, "--", record)
            (clone / record).write_text(
                (clone / record).read_text().replace('"run": ""', '"run": "https://ci.example/9"')
            )
            git(clone, "commit", "-q", "-a", "-m", "record: of another run")
            git(clone, "push", "-q", "origin", "HEAD:main")
        return None

    hub.rule = land
    assert outcomes(team.publish(team.day(1))) == ["opened"]
    assert hub.git("log", "-1", "--format=%s", "main") == "record: of another run"
    assert hub.numbers("records/", "open") == []
    assert [name for name in hub.git("for-each-ref", "refs/heads/records").splitlines() if name] == []

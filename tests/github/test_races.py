"""Bots, people and GitHub at the same moment: no pull request twice, no update lost, and each ends as documented."""

from __future__ import annotations

import pytest
from shop import git

from github.hub import Hub
from github.team import Team, outcomes

MANY = 8


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

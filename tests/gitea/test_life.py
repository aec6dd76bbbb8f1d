"""What a push to a protected main may change on Gitea and Forgejo, and where the token is never found."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

import pytest
from shop import GROCER, git

from gitea.hub import TOKEN, Hub
from gitea.team import PUSHED, Team
from pointsman.errors import Unreachable
from pointsman.forge.open import credentials
from pointsman.repo.open import open_repository
from pointsman.verbs import publish, rollback
from pointsman.workspace import Workspace


@pytest.mark.slow
def test_a_push_to_a_protected_main_is_records_alone(tmp_path: Path, hub: Hub) -> None:
    hub.protect()
    team = Team(tmp_path, hub, PUSHED)
    team.shipped(1)
    team.shipped(2)
    main = hub.head("main")
    with team.open() as repo, pytest.raises(Unreachable, match="Not allowed to push to protected branch main"):
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,), now=True, reason="half of it is gone"))
    assert hub.head("main") == main
    for outcome in ("opened", "unchanged"):
        with team.open() as repo:
            (told,) = rollback.roll_back(Workspace(repo), rollback.Request((GROCER,))).document["targets"]
        assert told["outcome"] == outcome
    assert [told["pull_request"]["id"]] == [str(number) for number in hub.numbers("rollback/")]


@pytest.mark.slow
def test_the_token_is_in_no_argument_no_configuration_and_no_message(
    team: Team, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments, bin_ = tmp_path / "arguments", tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "git").write_text(f'#!/bin/sh\necho "$@" >> "{arguments}"\nexec "{shutil.which("git")}" "$@"\n')
    (bin_ / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(hub.repo), str(clone))
    git(clone, "remote", "set-url", "origin", team.url)
    with open_repository(str(clone), credentials) as repo:
        publish.publish(Workspace(repo), publish.Request((str(team.day(1)),)))
        hub.token = "another"
        with pytest.raises(Unreachable) as caught:
            repo.refresh()
    secrets = (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode())
    said = [str(caught.value), arguments.read_text(), (clone / ".git" / "config").read_text()]
    assert "push" in said[1]
    assert not [text for text in said for secret in secrets if secret in text]

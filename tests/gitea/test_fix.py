"""`doctor --fix` on Gitea and Forgejo: it sets what the API can set, and makes nothing weaker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitea.hub import Hub
from gitea.team import Team
from pointsman.forge.fix import Fix
from pointsman.forge.gitea.brand import Brand
from pointsman.verbs import doctor
from pointsman.workspace import Workspace


def fixed(team: Team) -> tuple[dict[str, Fix], int]:
    with team.open() as repo:
        outcome = doctor.mend(Workspace(repo), lambda found: True, examines=False)
    return {each.name: each for each in outcome.value.fixes}, outcome.exit_code


def wrong(team: Team) -> list[str]:
    with team.open() as repo:
        repo.refresh()
        return [says for _, says in Workspace(repo).forge.protection() if says]


def writes(hub: Hub) -> list[tuple[str, str]]:
    return [call for call in hub.calls if call[0] != "GET"]


@pytest.mark.slow
def test_a_new_repository_is_set_up_whole_and_a_second_time_there_is_nothing_to_do(team: Team, hub: Hub) -> None:
    hub.settings |= {"allow_merge_commits": True, "allow_rebase": True, "default_merge_style": "merge"}
    hub.settings |= {"default_delete_branch_after_merge": False}
    hub.protection = None
    told, code = fixed(team)
    assert code == 0, told
    assert {name for name, each in told.items() if each.done} == {"merges", "main", "labels"}
    assert wrong(team) == []
    hub.calls.clear()
    told, code = fixed(team)
    assert (code, writes(hub)) == (0, [])
    assert not [each for each in told.values() if each.differences or each.says]


@pytest.mark.slow
def test_what_is_stricter_and_who_may_approve_stay_and_the_rest_is_mended(team: Team, hub: Hub, brand: Brand) -> None:
    path = team.desk / brand.folder / "main.json"
    hub.protection = None
    assert fixed(team)[1] == 0
    ours: dict[str, Any] = {"approvals_whitelist_teams": ["ours"], "required_approvals": 2}
    rule = {**hub.protection, **ours, "status_check_contexts": ["own"], "enable_push": True}  # type: ignore[dict-item]
    rule |= {"unprotected_file_patterns": "registry/**", "enable_force_push": True} if brand.name == "Gitea" else {}
    hub.protection = rule
    told, code = fixed(team)
    assert code == 0, told
    assert wrong(team) == []
    assert hub.protection is not None
    assert {key: hub.protection[key] for key in ours} == ours
    assert hub.protection["status_check_contexts"] == ["own", "check / check*"]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"rule_name": "main", "required_approvals": 4}))
    team.push("ask four")
    assert fixed(team)[0]["main"].differences == ("required_approvals of main is 2, should be 4",)


@pytest.mark.slow
def test_what_is_refused_says_which_token_it_takes_and_stops_nothing_else(team: Team, hub: Hub) -> None:
    hub.settings["allow_rebase"] = True
    hub.protection = None
    hub.rule = lambda method, path: "forbidden" if path.startswith("/branch_protections") else None
    told, code = fixed(team)
    assert code == 1
    assert "an administrator of the repository with write:repository" in told["main"].says
    assert told["merges"].done
    assert told["labels"].done

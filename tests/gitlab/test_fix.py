"""`doctor --fix` on GitLab: it sets what the API can set, and makes nothing weaker."""

from __future__ import annotations

import pytest

from gitlab.hub import Hub
from gitlab.team import Team
from pointsman.cli.doctor import render
from pointsman.forge.fix import Fix
from pointsman.verbs import doctor
from pointsman.workspace import Workspace


def fixed(team: Team) -> tuple[dict[str, Fix], int]:
    with team.open() as repo:
        outcome = doctor.mend(Workspace(repo), lambda found: True, examines=False)
    assert "  glab schedule create -R GROUP/PROJECT --ref main --description daily --cron '23 5 * * *'" in (
        render(outcome.value)
    )
    return {each.name: each for each in outcome.value.fixes}, outcome.exit_code


def untouched(hub: Hub) -> None:
    """As GitLab makes a project."""
    hub.settings |= {
        "merge_method": "merge",
        "squash_option": "default_off",
        "squash_commit_template": None,
        "only_allow_merge_if_pipeline_succeeds": False,
        "allow_merge_on_skipped_pipeline": None,
        "remove_source_branch_after_merge": None,
    }
    hub.main_protection = {
        "name": "main",
        "push_access_levels": [
            {"id": 5, "access_level": 40, "access_level_description": "Maintainers"},
            {"id": 6, "access_level": 30, "access_level_description": "Developers + Maintainers"},
        ],
        "merge_access_levels": [{"id": 7, "access_level": 40}],
        "allow_force_push": True,
        "code_owner_approval_required": False,
    }


def writes(hub: Hub) -> list[tuple[str, str]]:
    return [call for call in hub.calls if call[0] != "GET"]


@pytest.mark.slow
def test_a_new_project_is_set_up_whole_and_a_second_time_there_is_nothing_to_do(team: Team, hub: Hub) -> None:
    untouched(hub)
    told, code = fixed(team)
    assert code == 0
    assert "who may push to main is Maintainers and Developers + Maintainers, should be No one" in (
        told["main"].differences
    )
    assert [(call[0], call[1]) for call in writes(hub)] == [
        ("PUT", ""), ("PATCH", "/protected_branches/main"), *[("POST", "/labels")] * 3,
    ]  # fmt: skip
    assert hub.main_protection is not None
    assert hub.main_protection["push_access_levels"] == [
        {"id": 5, "access_level": 0, "access_level_description": "Maintainers"}
    ]
    hub.calls.clear()
    told, code = fixed(team)
    assert (code, writes(hub)) == (0, [])
    assert not [each for each in told.values() if each.differences or each.says]
    with team.open() as repo:
        repo.refresh()
        assert [says for _, says in Workspace(repo).forge.protection() if says] == []


@pytest.mark.slow
def test_main_without_a_rule_gets_one_and_premium_asks_owners_and_forgets_old_approvals(team: Team, hub: Hub) -> None:
    hub.main_protection = None
    hub.premium = True
    hub.approvals = {"reset_approvals_on_push": False, "merge_requests_author_approval": True}
    hub.settings["squash_commit_template"] = "%{all_commits}"
    hub.settings["merge_method"] = "rebase_merge"
    told, code = fixed(team)
    assert code == 0
    assert {name for name, each in told.items() if each.done} == {"main", "approvals", "labels"}
    assert hub.main_protection is not None
    assert hub.main_protection["code_owner_approval_required"]
    assert hub.settings["squash_commit_template"] == "%{all_commits}", "it keeps the lines, too"
    with team.open() as repo:
        repo.refresh()
        assert [says for _, says in Workspace(repo).forge.protection() if says] == []


@pytest.mark.slow
def test_doctor_names_groups_of_codeowners_that_premium_would_only_ask_as_an_option(team: Team, hub: Hub) -> None:
    (team.desk / "CODEOWNERS").write_text(
        "[Maintainers] @one-name\n*\n[Reviewers] @shop/reviewers\n/manifests/\n/holds/ @Other/Ops\n"
        "^[Asked] @shop/nobody\n/x\n"
    )
    team.push("owners")

    def owners() -> str | None:
        with team.open() as repo:
            repo.refresh()
            return dict(Workspace(repo).forge.protection()).get("owners")

    assert owners() is None, "GitLab Free asks nobody"
    hub.premium = True
    assert "not invited to this project (@Other/Ops, @shop/reviewers): Manage" in (owners() or "")
    hub.settings["shared_with_groups"] = [{"group_id": 3, "group_full_path": "shop/reviewers"}]
    assert "(@Other/Ops):" in (owners() or "")
    hub.settings["namespace"] = {"kind": "group", "full_path": "other/ops"}
    assert owners() == ""


@pytest.mark.slow
def test_what_is_refused_says_which_token_it_takes_and_stops_nothing_else(team: Team, hub: Hub) -> None:
    untouched(hub)
    hub.rule = lambda method, path: "forbidden" if method == "PATCH" else None
    told, code = fixed(team)
    assert code == 1
    assert "of a maintainer of the project" in told["main"].says
    assert told["merges"].done
    assert told["labels"].done

"""`doctor --fix` on GitHub: it sets what the API can set, and makes nothing weaker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from github.hub import Hub
from github.team import Team
from pointsman.cli.main import main
from pointsman.forge.fix import Fix
from pointsman.verbs import doctor
from pointsman.workspace import Workspace

RULESET = json.loads((Path(__file__).parents[2] / ".github" / "ruleset.json").read_text())


def fixed(
    team: Team, agreed: Callable[[Any], bool] = lambda found: True, *, examines: bool = False
) -> tuple[dict[str, Fix], int]:
    with team.open() as repo:
        outcome = doctor.mend(Workspace(repo), agreed, examines=examines)
    return {each.name: each for each in outcome.value.fixes}, outcome.exit_code


def untouched(hub: Hub) -> None:
    """As GitHub makes a repository."""
    hub.settings |= {
        "allow_merge_commit": True,
        "allow_rebase_merge": True,
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "squash_merge_commit_message": "PR_BODY",
        "allow_auto_merge": False,
        "delete_branch_on_merge": False,
    }


def writes(hub: Hub) -> list[tuple[str, str]]:
    return [call for call in hub.calls if call[0] != "GET"]


@pytest.mark.slow
def test_a_new_repository_is_set_up_whole_and_a_second_time_there_is_nothing_to_do(team: Team, hub: Hub) -> None:
    untouched(hub)
    asked: list[Any] = []

    def no(found: Any) -> bool:
        asked.append(found)
        return False

    told, code = fixed(team, no, examines=True)
    assert code == 2
    assert writes(hub) == []
    assert "allow_merge_commit is true, should be false" in told["merges"].differences
    assert "the rule pull_request of main is not there" in told["ruleset"].differences
    assert told["labels"].differences[0] == "the label ship is not there"
    assert [each.name for each in asked[0]] == [*told]
    told, code = fixed(team)
    assert code == 0
    assert {name for name, each in told.items() if each.done} == {*told}
    hub.calls.clear()
    told, code = fixed(team, examines=True)
    assert code == 0
    assert writes(hub) == []
    assert not [each for each in told.values() if each.differences or each.says]
    assert hub.settings["squash_merge_commit_title"] == "PR_TITLE"
    assert hub.branch_policies == [{"name": "main"}]


@pytest.mark.slow
def test_what_is_stricter_stays_and_whom_a_person_let_past_the_rules_does_too(team: Team, hub: Hub) -> None:
    rules = json.loads(json.dumps(RULESET["rules"]))
    reviews = next(rule["parameters"] for rule in rules if rule["type"] == "pull_request")
    reviews |= {"required_approving_review_count": 3, "require_last_push_approval": False}
    checks = next(rule["parameters"] for rule in rules if rule["type"] == "required_status_checks")
    checks["required_status_checks"] = [{"context": "ours"}]
    rules = [rule for rule in rules if rule["type"] != "deletion"] + [{"type": "required_signatures"}]
    bypass = [{"actor_id": 5, "actor_type": "Integration", "bypass_mode": "always"}]
    hub.rulesets = [{**RULESET, "id": 1, "source": "o/r", "rules": rules, "bypass_actors": bypass}]
    told, _ = fixed(team)
    assert {*told["ruleset"].differences} == {
        "the rule deletion of main is not there",
        "pull_request.require_last_push_approval of main is false, should be true",
        (
            'required_status_checks.required_status_checks of main is [{"context": "ours"}], should be '
            '[{"context": "check", "integration_id": 15368}]'
        ),
    }
    assert told["ruleset"].done
    (ruleset,) = hub.rulesets
    found = {rule["type"]: rule.get("parameters") for rule in ruleset["rules"]}
    assert found["pull_request"]["required_approving_review_count"] == 3
    assert found["pull_request"]["require_last_push_approval"] is True
    assert [each["context"] for each in found["required_status_checks"]["required_status_checks"]] == ["ours", "check"]
    assert {"deletion", "required_signatures"} < {*found}
    assert ruleset["bypass_actors"] == bypass


@pytest.mark.slow
def test_a_ruleset_of_the_organisation_that_is_enough_needs_no_other(team: Team, hub: Hub) -> None:
    hub.rules = RULESET["rules"]
    told, _ = fixed(team)
    assert told["ruleset"].differences == ()
    assert hub.rulesets == []


@pytest.mark.slow
def test_what_is_refused_says_which_permission_it_takes_and_stops_nothing_else(team: Team, hub: Hub) -> None:
    untouched(hub)
    hub.rule = lambda method, path: (
        "forbidden" if path.startswith("/environments") or (method, path) == ("POST", "/rulesets") else None
    )
    told, code = fixed(team)
    assert code == 1
    assert "Administration: read and write" in told["ruleset"].says
    assert "a plan with environments" in told["environment"].says
    assert {name for name, each in told.items() if each.done} == {*told} - {"ruleset", "environment"}


@pytest.mark.slow
def test_what_github_takes_and_does_not_keep_is_told(team: Team, hub: Hub) -> None:
    hub.settings["allow_auto_merge"] = False
    hub.keeps = {"allow_auto_merge"}
    told, code = fixed(team)
    assert code == 1
    assert told["merges"].says == (
        "the forge said yes, and still: allow_auto_merge is false, should be true. Set it in the browser"
    )
    assert told["ruleset"].done


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["502", "502 after", "cut after"])
def test_a_lost_answer_makes_nothing_twice(team: Team, hub: Hub, fault: str) -> None:
    untouched(hub)
    lost: set[tuple[str, str]] = set()

    def once(method: str, path: str) -> str | None:
        if method == "GET" or (method, path) in lost:
            return None
        lost.add((method, path))
        return fault

    hub.rule = once
    told, code = fixed(team)
    assert code == 0, told
    assert len(hub.rulesets) == 1
    assert sorted(each["name"] for each in hub.labels) == ["hold", "rollback", "ship"]
    assert hub.branch_policies == [{"name": "main"}]


@pytest.mark.slow
def test_a_ruleset_that_somebody_spoiled_is_named_and_the_rest_is_set(team: Team, hub: Hub) -> None:
    path = team.desk / ".github" / "ruleset.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    team.push("spoil it")
    told, code = fixed(team)
    assert code == 1
    assert "ruleset.json" in told["ruleset"].says
    assert told["labels"].done


@pytest.mark.slow
def test_without_a_terminal_nothing_is_changed_until_it_is_told_to(
    team: Team, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    untouched(hub)
    there = ["-C", f"{hub.url}/o/r.git", "doctor", "--fix"]
    assert main([*there, "--dry-run"]) == 0
    dry = capsys.readouterr().out
    assert "fix merges: allow_merge_commit is true, should be false" in dry
    assert main(there) == 2
    assert capsys.readouterr().out == dry
    assert "nothing was changed; pointsman -C" in dry
    assert writes(hub) == []
    assert main([*there, "--yes"]) == 0
    said = capsys.readouterr().out
    assert "set ruleset: the rule pull_request of main is not there" in said
    assert "ok  forge ruleset: set up as it should be" in said
    assert main(["doctor", "--yes"]) == 2

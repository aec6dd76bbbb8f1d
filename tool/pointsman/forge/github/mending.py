"""What GitHub's API can set of how a repository is set up: what docs/github.md asks for, but secrets and people.

    PATCH /repos/{o}/{r}                                   how it merges
    GET   /repos/{o}/{r}/rules/branches/main               the rules that hold for main, wherever they come from
    GET   /repos/{o}/{r}/rulesets                          the one of .github/ruleset.json, by its name
    POST  /repos/{o}/{r}/rulesets
    GET   /repos/{o}/{r}/rulesets/{id}
    PUT   /repos/{o}/{r}/rulesets/{id}
    GET, PUT /repos/{o}/{r}/actions/permissions/workflow, …/fork-pr-contributor-approval
    GET, PUT /repos/{o}/{r}/environments/pointsman, GET, POST …/deployment-branch-policies
    GET, POST /repos/{o}/{r}/labels

Nothing that is stricter than it must be is made weaker, and nobody is taken off a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pointsman.errors import Problem
from pointsman.forge.base import Setting
from pointsman.forge.github.client import Client
from pointsman.forge.setting import absent_or, differences, differs, file_of_main, labels
from pointsman.repo.repository import Repository

RULESET = ".github/ruleset.json"
_ENVIRONMENT = "pointsman"
_ADMINISTRATOR = "a token of an administrator of the repository with Administration: read and write"
_MERGES = {
    "allow_squash_merge": True,
    "allow_merge_commit": False,
    "allow_rebase_merge": False,
    "squash_merge_commit_title": "PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "allow_auto_merge": True,
    "delete_branch_on_merge": True,
}
_BRANCH_POLICY = {"protected_branches": False, "custom_branch_policies": True}


def settable(client: Client, root: str, repo: Repository) -> Iterator[Setting]:
    """Each part, in the order in which they are to be set. `root`: the repository's path in the API."""
    yield Setting("merges", _ADMINISTRATOR, lambda: _merges(client, root), lambda: client.write("PATCH", root, _MERGES))
    wanted = cache(lambda: _ruleset(repo))
    yield Setting(
        "ruleset", _ADMINISTRATOR, lambda: _lacking(client, root, wanted()), lambda: _send_rules(client, root, wanted())
    )
    permissions = f"{root}/actions/permissions"
    for name, path, value in (
        ("workflow permissions", f"{permissions}/workflow", {"default_workflow_permissions": "read"}),
        (
            "forks",
            f"{permissions}/fork-pr-contributor-approval",
            {"approval_policy": "all_external_contributors"},
        ),
    ):
        yield _member(client, name, path, value)
    environment = f"{root}/environments/{_ENVIRONMENT}"
    needs = f"{_ADMINISTRATOR}, and a plan with environments"
    yield Setting(
        "environment", needs, lambda: _environment(client, environment), lambda: _send_environment(client, environment)
    )
    yield labels(client, f"{root}/labels", "a token with Issues: read and write")


def _member(client: Client, name: str, path: str, value: Mapping[str, str]) -> Setting:
    """A document of its own of which one member matters. A repository that has no such document needs none."""

    def look() -> list[str]:
        there = absent_or(lambda: client.get(path))
        return [] if there is None else differences(there, value)

    return Setting(name, _ADMINISTRATOR, look, lambda: client.write("PUT", path, value))


def _merges(client: Client, root: str) -> list[str]:
    settings = client.get(root)
    if "allow_squash_merge" not in settings:
        raise Problem("this token cannot see the settings of merges")
    return differences(settings, _MERGES)


# rules


def _ruleset(repo: Repository) -> dict[str, Any]:
    wanted = file_of_main(repo, RULESET, "github/ruleset.json")
    rules = wanted.get("rules")
    if not isinstance(rules, list) or not all(isinstance(each, dict) and "type" in each for each in rules):
        raise Problem(f"main's {RULESET} has no list of rules, each with a type: delete it to have that of init")
    return wanted


def _lacking(client: Client, root: str, wanted: Mapping[str, Any]) -> list[str]:
    """What the rules for main lack, whatever ruleset each comes from."""
    rules = list(client.pages(f"{root}/rules/branches/main"))
    found = []
    for rule in wanted["rules"]:
        there = [each.get("parameters") or {} for each in rules if each["type"] == rule["type"]]
        if not there:
            found.append(f"the rule {rule['type']} of main is not there")
        for key, value in (rule.get("parameters") or {}).items() if there else ():
            if not any(_is_enough(each.get(key), value) for each in there):
                found.append(differs(f"{rule['type']}.{key} of main", there[0].get(key), value))
    if found and not rules and client.get(f"{root}/branches/main").get("protected"):
        return []  # by a classic rule, which is older than rulesets: a person chose it
    return found


def _is_enough(found: Any, wanted: Any) -> bool:
    """Whether a parameter of a rule is at least as strict as it must be."""
    if wanted is False:
        return True
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return isinstance(found, int) and found >= wanted
    if not isinstance(wanted, list):
        return bool(found == wanted)
    if not isinstance(found, list):
        return False
    if all(isinstance(each, str) for each in wanted):
        return {*found} <= {*wanted}
    return {each["context"] for each in wanted} <= {each.get("context") for each in found}


def _send_rules(client: Client, root: str, wanted: Mapping[str, Any]) -> None:
    rulesets = client.pages(f"{root}/rulesets", includes_parents="false")
    own = [each for each in rulesets if each["name"] == wanted.get("name")]
    if not own:
        client.write("POST", f"{root}/rulesets", wanted)
        return
    path = f"{root}/rulesets/{own[0]['id']}"
    there = client.get(path)
    kept = {key: there[key] for key in ("bypass_actors",) if there.get(key)}  # whom a person let past it
    same = {key: wanted[key] for key in ("name", "target", "enforcement", "conditions") if key in wanted}
    client.write("PUT", path, {**same, **kept, "rules": _together(there.get("rules") or (), wanted["rules"])})


def _together(there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rules that are there, each at least as strict as it must be, and those that are not."""
    must = {rule["type"]: rule.get("parameters") or {} for rule in wanted}
    rules = []
    for rule in there:
        has = rule.get("parameters") or {}
        stricter = {
            key: _stricter(has.get(key), value)
            for key, value in must.pop(rule["type"], {}).items()
            if not _is_enough(has.get(key), value)
        }
        rules.append({**rule, "parameters": {**has, **stricter}} if has or stricter else rule)
    return [*rules, *(rule for rule in wanted if rule["type"] in must)]


def _stricter(found: Any, wanted: Any) -> Any:
    checks = isinstance(found, list) and isinstance(wanted, list) and all(isinstance(each, dict) for each in wanted)
    return [*found, *wanted] if checks else wanted


# the environment that holds the bot's secrets


def _environment(client: Client, path: str) -> list[str]:
    there = absent_or(lambda: client.get(path))
    if there is None:
        return [f"the environment {_ENVIRONMENT} is not there, should be, for main alone"]
    policy = there.get("deployment_branch_policy")
    if policy is None:
        return [f"the environment {_ENVIRONMENT} lets any branch read its secrets, should be main alone"]
    if policy.get("custom_branch_policies") and "main" not in _branches(client, path):
        return [f"the environment {_ENVIRONMENT} does not let main read its secrets, should be main alone"]
    return []


def _branches(client: Client, path: str) -> list[str]:
    told = client.get(f"{path}/deployment-branch-policies", per_page=100)
    return [str(each.get("name")) for each in told["branch_policies"]]


def _send_environment(client: Client, path: str) -> None:
    """Make it, or narrow it; what else a person asked of it stays."""
    there = absent_or(lambda: client.get(path)) or {}
    if there.get("deployment_branch_policy") is None:
        client.write(
            "PUT", path, {**_kept(there.get("protection_rules") or ()), "deployment_branch_policy": _BRANCH_POLICY}
        )
    if "main" not in _branches(client, path):
        client.write("POST", f"{path}/deployment-branch-policies", {"name": "main"})


def _kept(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a PUT would take away if it did not say it again."""
    kept: dict[str, Any] = {}
    for rule in rules:
        if rule.get("type") == "wait_timer":
            kept["wait_timer"] = rule["wait_timer"]
        elif rule.get("type") == "required_reviewers":
            kept["prevent_self_review"] = bool(rule.get("prevent_self_review"))
            kept["reviewers"] = [{"type": each["type"], "id": each["reviewer"]["id"]} for each in rule["reviewers"]]
    return kept

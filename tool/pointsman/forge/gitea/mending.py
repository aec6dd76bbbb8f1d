"""What the API of Gitea and Forgejo can set: what their pages ask for, but secrets, variables and people.

PATCH /repos/{o}/{r}                             how it merges, by merging.json of main
GET, PATCH /repos/{o}/{r}/branch_protections/{name}  main's rule, by main.json of main
POST  /repos/{o}/{r}/branch_protections
GET, POST /repos/{o}/{r}/labels
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from pointsman.forge.base import Setting
from pointsman.forge.gitea.brand import GITEA, Brand
from pointsman.forge.gitea.client import Client
from pointsman.forge.gitea.setup import REQUIRED_CHECK, matches, pushed_unreviewed
from pointsman.forge.setting import differences, differs, file_of_main, labels
from pointsman.repo.repository import Repository

_ADMINISTRATOR = "a token of an administrator of the repository with write:repository"
_LISTS = ("approvals_whitelist_teams", "approvals_whitelist_username")
_NAMES = ("rule_name", "branch_name")  # of a rule; no setting


def settable(brand: Brand, client: Client, root: str, repo: Repository) -> Iterator[Setting]:
    """Each part, in the order in which they are to be set. `root`: the repository's path in the API."""
    words = (GITEA.binds_admins, brand.binds_admins)
    merging = cache(lambda: file_of_main(repo, f"{brand.folder}/merging.json", "gitea/merging.json"))
    wanted = cache(lambda: file_of_main(repo, f"{brand.folder}/main.json", "gitea/main.json", words))

    def merges() -> list[str]:
        there = client.get(root)  # an older server has not all of them
        return differences(there, {key: value for key, value in merging().items() if key in there})

    yield Setting("merges", _ADMINISTRATOR, merges, lambda: client.write("PATCH", root, merging()))

    def send() -> None:
        there = _rule(client, root)
        if there is None:
            client.write("POST", f"{root}/branch_protections", wanted())
        else:
            name = quote(str(there.get("rule_name") or "main"), safe="")
            client.write("PATCH", f"{root}/branch_protections/{name}", dict(_wrong(there, wanted())))

    def look() -> list[str]:
        there = _rule(client, root)
        if there is None:
            return [f"main has no rule, should have that of {brand.folder}/main.json"]
        return [differs(f"{key} of main", there.get(key), value) for key, value in _wrong(there, wanted())]

    yield Setting("main", _ADMINISTRATOR, look, send)
    yield labels(client, f"{root}/labels", "a token with write:issue", sign="#")


def _rule(client: Client, root: str) -> dict[str, Any] | None:
    """The rule that holds for main; None if there is none."""
    main = client.get(f"{root}/branches/main")
    if not main.get("protected"):
        return None
    name = quote(str(main.get("effective_branch_protection_name") or "main"), safe="")
    found: dict[str, Any] = client.get(f"{root}/branch_protections/{name}")
    return found


def _wrong(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a rule lacks. Nothing is made weaker, and who stands on its list stays there."""
    listed = rule.get("enable_approvals_whitelist") and any(rule.get(name) for name in _LISTS)
    for key, value in wanted.items():
        found = rule.get(key)
        should = value
        if key in _NAMES or (key in _LISTS and listed):
            continue
        if key == "required_approvals":
            enough = isinstance(found, int) and found >= value
        elif key == "status_check_contexts":
            enough = any(matches(str(each), REQUIRED_CHECK, "") for each in found or ())
            should = [*(found or ()), *value]
        elif key == "unprotected_file_patterns":
            enough = bool(found) and not pushed_unreviewed(str(found))
        elif key == "dismiss_stale_approvals":
            enough = bool(found or rule.get("ignore_stale_approvals"))
        else:
            enough = found == value
        if not enough and (key in rule or key in _LISTS):  # an older server has not all of them
            yield key, should
    if rule.get("enable_force_push"):
        yield "enable_force_push", False

"""What GitLab's API can set of how a project is set up: what docs/gitlab.md asks for, but variables and people.

PUT   /projects/{id}                                how it merges
GET, PATCH /projects/{id}/protected_branches/main   who may push, and force
POST  /projects/{id}/protected_branches
GET, POST /projects/{id}/approvals                  Premium: which approvals count
GET, POST /projects/{id}/labels
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.errors import Problem
from pointsman.forge.base import Setting
from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.merging import KEEPS_LINES
from pointsman.forge.gitlab.setup import MAINTAINER, NO_ONE
from pointsman.forge.setting import absent_or, differences, differs, labels

_MAINTAINER = "a token with the scope api of a maintainer of the project"
_MERGES = {
    "merge_method": "ff",
    "squash_option": "always",
    "squash_commit_template": KEEPS_LINES[0],
    "only_allow_merge_if_pipeline_succeeds": True,
    "allow_merge_on_skipped_pipeline": False,
    "remove_source_branch_after_merge": True,
}
_APPROVALS = {"reset_approvals_on_push": True, "merge_requests_author_approval": False}


def settable(client: Client, root: str) -> Iterator[Setting]:
    """Each part, in the order in which they are to be set. `root`: the project's path in the API."""
    yield Setting("merges", _MAINTAINER, lambda: _merges(client, root), lambda: _send_merges(client, root))
    yield Setting("main", _MAINTAINER, lambda: _main(client, root), lambda: _send_main(client, root))
    path = f"{root}/approvals"

    def approvals() -> list[str]:
        there = absent_or(lambda: client.get(path), 403)  # GitLab Free has no such rules
        return [] if there is None else differences(there, _APPROVALS)

    yield Setting("approvals", _MAINTAINER, approvals, lambda: client.write("POST", path, _APPROVALS))
    yield labels(client, f"{root}/labels", _MAINTAINER, sign="#")


def _merges(client: Client, root: str) -> list[str]:
    project = client.get(root)
    if "merge_method" not in project:
        raise Problem("this token cannot see how the project merges")
    return differences({**project, "allow_merge_on_skipped_pipeline": _skips(project)}, _wanted(project))


def _skips(project: Mapping[str, Any]) -> bool:
    """null is no."""
    return bool(project.get("allow_merge_on_skipped_pipeline"))


def _wanted(project: Mapping[str, Any]) -> dict[str, Any]:
    """What should be; where there is more than one right value, the one that is there."""
    wanted = dict(_MERGES)
    if project["merge_method"] == "rebase_merge":  # semi-linear: a person chose it, and main stays linear enough
        del wanted["merge_method"]
    if any(words in (project.get("squash_commit_template") or "") for words in KEEPS_LINES):
        del wanted["squash_commit_template"]
    return wanted


def _send_merges(client: Client, root: str) -> None:
    client.write("PUT", root, _wanted(client.get(root)))


def _main(client: Client, root: str) -> list[str]:
    main = absent_or(lambda: client.get(f"{root}/protected_branches/main"))
    if main is None:
        return ["main is not protected, should be: nobody pushes, maintainers merge, no force push"]
    found = []
    pushers = [level for level in main.get("push_access_levels", ()) if level.get("access_level") != NO_ONE]
    if pushers:
        who = " and ".join(str(each.get("access_level_description") or each.get("access_level")) for each in pushers)
        found.append(differs("who may push to main", who, "No one"))
    if main.get("allow_force_push"):
        found.append(differs("allow_force_push of main", True, False))
    if main.get("code_owner_approval_required") is False and absent_or(lambda: client.get(f"{root}/approvals"), 403):
        found.append(differs("code_owner_approval_required of main", False, True))
    return found


def _send_main(client: Client, root: str) -> None:
    """A rule that is there is changed and not made anew: in between, main would have none."""
    path = f"{root}/protected_branches"
    main = absent_or(lambda: client.get(f"{path}/main"))
    premium = absent_or(lambda: client.get(f"{root}/approvals"), 403) is not None
    asks_owners = {"code_owner_approval_required": True} if premium else {}
    if main is None:
        levels = {"push_access_level": NO_ONE, "merge_access_level": MAINTAINER}
        client.write("POST", path, {"name": "main", **levels, "allow_force_push": False, **asks_owners})
        return
    body: dict[str, Any] = {"allow_force_push": False, **asks_owners}
    levels_there = main.get("push_access_levels", ())
    if any(level.get("access_level") != NO_ONE for level in levels_there):
        first, *rest = levels_there
        gone = [{"id": each["id"], "_destroy": True} for each in rest]
        body["allowed_to_push"] = [{"id": first["id"], "access_level": NO_ONE}, *gone]
    client.write("PATCH", f"{path}/main", body)

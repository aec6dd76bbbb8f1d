"""The settings of a project on GitLab that `doctor` checks: how it merges, who may, and what must have passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.merging import KEEPS_LINES
from pointsman.forge.http import Denied
from pointsman.forge.setting import each_part

_MERGE_REQUESTS = "Settings → Merge requests"
NO_ONE, MAINTAINER = 0, 40  # access levels (docs.gitlab.com, "Protected branches API")
_ABSENT = (403, 404)  # of a call that this GitLab, or this token, has not


def protection(client: Client, root: str, owners: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Each setting, and what is wrong with it; "" if nothing is. `root`: the project's path in the API.

    `owners`: whom CODEOWNERS on main asks.
    """
    parts = {"merges": partial(_merges, client, root), "main": partial(_main, client, root)}
    return [*each_part({**parts, "owners": partial(_owners, client, root, owners)})]


def _merges(client: Client, root: str) -> Iterator[tuple[str, str]]:
    project = client.get(root)
    if "merge_method" not in project:
        says = "this token cannot see how the project merges: run doctor with one that has the role of a reporter"
        yield "merges", says
        return
    linear = project["merge_method"] in ("ff", "rebase_merge")
    says = "a merge commit stands above each squash, so main is not linear"
    yield "merge method", "" if linear else f"{says}: {_MERGE_REQUESTS} → Merge method → Fast-forward merge"
    required = project.get("squash_option") == "always"
    yield "squash merges", "" if required else f"squash is not required: {_MERGE_REQUESTS} → Squash commits → Require"
    kept = any(words in (project.get("squash_commit_template") or "") for words in KEEPS_LINES)
    says = "a squash in the browser or in a merge train loses the commit's message, whose lines vouch for manifests"
    way = f"{_MERGE_REQUESTS} → Squash commit message template: {KEEPS_LINES[0]}"
    yield "squash message", "" if kept else f"{says}: {way}"
    passed = project.get("only_allow_merge_if_pipeline_succeeds") and not project.get("allow_merge_on_skipped_pipeline")
    says = "what did not pass check can be merged"
    yield "gate", "" if passed else f"{says}: {_MERGE_REQUESTS} → Pipelines must succeed, and not when skipped"
    says = "branches of merged merge requests are not deleted"
    way = f"{_MERGE_REQUESTS} → Enable Delete source branch option by default"
    yield "merged branches", "" if project.get("remove_source_branch_after_merge") else f"{says}: {way}"


def _main(client: Client, root: str) -> Iterator[tuple[str, str]]:
    where = "Settings → Repository → Protected branches"
    main = _there(client, f"{root}/protected_branches/main")
    if main is None:
        yield "main", f"main is not protected, or this token cannot see how: {where} (it takes a maintainer to look)"
        return
    pushed = any(level.get("access_level") != NO_ONE for level in main.get("push_access_levels", ()))
    says = "main accepts pushes without a merge request"
    yield "main", f"{says}: {where} → main, Allowed to push and merge: No one" if pushed else ""
    forced = f"main may be rewritten: {where} → main, Allowed to force push: off"
    yield "history", forced if main.get("allow_force_push") else ""
    yield "approvals", _approvals(client, root, main)


def _approvals(client: Client, root: str, main: Mapping[str, Any]) -> str:
    """What is wrong with who must agree. Approval rules and code owners are of GitLab Premium."""
    rules = _there(client, f"{root}/approvals")
    if rules is None:
        levels = [level.get("access_level") or 0 for level in main.get("merge_access_levels", ())]
        if all(level >= MAINTAINER for level in levels):
            return ""
        return (
            "nobody has to approve what is served, and developers may merge it (this GitLab has no approval rules): "
            "let maintainers alone merge into main, or have approvals in [policy] (docs/gitlab.md)"
        )
    if not main.get("code_owner_approval_required"):
        return "no code owner has to approve: Settings → Repository → Protected branches → main, Code owner approval"
    if not rules.get("reset_approvals_on_push"):
        return f"an approval stays valid after later pushes: {_MERGE_REQUESTS} → Remove all approvals"
    if rules.get("merge_requests_author_approval"):
        return f"authors may approve their own: {_MERGE_REQUESTS} → Prevent approval by merge request creator"
    return ""


def _owners(client: Client, root: str, owners: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Whether groups count as owners: GitLab asks one that was not invited as an option, and merges without it."""
    if _there(client, f"{root}/approvals") is None:  # no owner is asked there
        return
    project = client.get(root)
    if "shared_with_groups" not in project:
        return
    known = {str(each.get("group_full_path")) for each in project["shared_with_groups"]}
    known.add(str((project.get("namespace") or {}).get("full_path")))
    folded = {each.casefold() for each in known}
    groups = [each for each in owners if each.startswith("@") and "/" in each]
    lost = [each for each in groups if each.removeprefix("@").casefold() not in folded]
    says = f"nothing waits for owners of CODEOWNERS that were not invited to this project ({', '.join(lost)})"
    yield "owners", f"{says}: Manage → Members → Invite a group, or name another" if lost else ""


def _there(client: Client, path: str) -> Any | None:
    try:
        return client.get(path)
    except Denied as error:
        if error.status not in _ABSENT:
            raise
        return None

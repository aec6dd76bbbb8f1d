"""The settings of a repository on Gitea or Forgejo that `doctor` checks: merges, and the rule for main."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pointsman.forge.gitea.brand import Brand
from pointsman.forge.gitea.client import Client
from pointsman.forge.http import Denied
from pointsman.forge.setting import each_part

_MERGES = "Settings → Repository → Pull Requests"
_RULE = "Settings → Branches → main"
# Each way to merge but a squash, and what it is called.
_OTHERS = {
    "allow_merge_commits": "merge commit",
    "allow_rebase": "rebase",
    "allow_rebase_explicit": "rebase with a merge commit",
    "allow_fast_forward_only_merge": "fast-forward only",
    "allow_manual_merge": "manual merge",
}
REQUIRED_CHECK = "check / check (pull_request)"  # the status of the workflow `check`
# What a push may never change without a pull request.
_REVIEWED = ("manifests/t/s/manifest.json", "holds/t/s.json", "pointsman.toml", ".gitea/workflows/check.yml")
_TOMBSTONE = f"registry/t/s/popularity/{'0' * 64}.retired.json"


def protection(brand: Brand, client: Client, root: str) -> list[tuple[str, str]]:
    """Each setting, and what is wrong with it; "" if nothing is. `root`: the repository's path in the API."""
    return [
        *each_part({"merges": lambda: _merge_settings(client, root), "protection": lambda: _rules(brand, client, root)})
    ]


def _merge_settings(client: Client, root: str) -> Iterator[tuple[str, str]]:
    settings = client.get(root)
    others = [name for key, name in _OTHERS.items() if settings.get(key)]
    wrong = "" if settings.get("allow_squash_merge") else f"squash merges are off: {_MERGES}, allow squash commits"
    if not wrong and others:
        wrong = f"squash is not the only way to merge ({', '.join(others)}): {_MERGES}, allow squash commits alone"
    yield "squash merges", wrong
    style = settings.get("default_merge_style", "squash")
    says = f"people are offered {style} first: {_MERGES}, default merge style: squash commit"
    yield "merge style", "" if style == "squash" else says
    kept = f"branches of merged pull requests are not deleted: {_MERGES}, delete them by default"
    yield "merged branches", "" if settings.get("default_delete_branch_after_merge", True) else kept


def _rules(brand: Brand, client: Client, root: str) -> Iterator[tuple[str, str]]:
    main = client.get(f"{root}/branches/main")
    if not main.get("protected"):
        yield "protection", f"main accepts pushes without a pull request: {_RULE}, or send {brand.folder}/main.json"
        return
    name = quote(str(main.get("effective_branch_protection_name") or "main"), safe="")
    try:
        rule = client.get(f"{root}/branch_protections/{name}")
    except Denied as error:
        if error.status not in (403, 404):
            raise
        yield (
            "protection",
            "this token cannot see main's rule: run doctor with one of an administrator of the repository",
        )
        return
    yield from _rule(brand, rule)


def _rule(brand: Brand, rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    enough = rule.get("required_approvals", 0) >= 1
    yield "approvals", "" if enough else f"nobody has to approve what is served: {_RULE}, required approvals: 1"
    dismissed = rule.get("dismiss_stale_approvals") or rule.get("ignore_stale_approvals")
    says = f"an approval stays valid after later pushes: {_RULE}, dismiss stale approvals"
    yield "later pushes", "" if dismissed else says
    says = f"whoever may write can approve: {_RULE}, restrict approvals to your reviewers ({brand.name} asks no owner)"
    yield "reviewers", "" if rule.get("enable_approvals_whitelist") else says
    contexts = rule.get("status_check_contexts") or () if rule.get("enable_status_check") else ()
    named = any(matches(str(pattern), REQUIRED_CHECK, "") for pattern in contexts)
    yield "gate", "" if named else f"the workflow check is not required: {_RULE}, status checks: check / check*"
    yield "pushes", _pushes(rule)
    bound = rule.get(brand.binds_admins, True)  # older ones do not have it
    says = f"administrators may merge past the rule: {_RULE}, apply it to administrators, too"
    yield "administrators", "" if bound else says
    forced = f"main may be rewritten: {_RULE}, disable force pushes"
    yield "history", forced if rule.get("enable_force_push") else ""


def _pushes(rule: Mapping[str, Any]) -> str:
    """What a push may change without a pull request."""
    if rule.get("enable_push"):
        who = "those on its list" if rule.get("enable_push_whitelist") else "everybody who may write"
        return f"{who} may push anything to main: {_RULE}, disable push; unprotected files are enough for records"
    return pushed_unreviewed(str(rule.get("unprotected_file_patterns") or ""))


def pushed_unreviewed(unprotected: str) -> str:
    """What the patterns of unprotected files let a push change although it needs a review; "" if nothing."""
    patterns = [each.strip() for each in unprotected.split(";") if each.strip()]
    for path in _REVIEWED:
        if any(matches(pattern, path, "./") for pattern in patterns):
            return f"{path} may be pushed without a review: {_RULE}, unprotected files: registry/*/*/*/*.json"
    if any(matches(pattern, _TOMBSTONE, "./") for pattern in patterns):
        return (
            "tombstones may be pushed without a review: "
            f"{_RULE}, unprotected files: registry/*/*/*/*.json, where * stands for no dot"
        )
    return ""


def matches(pattern: str, text: str, separators: str) -> bool:
    """Whether a pattern of Gitea's (gobwas/glob) matches. `*` and `?` stand for no separator, `**` for anything."""
    one = f"[^{re.escape(separators)}]" if separators else "."
    signs = {"**": ".*", "*": f"{one}*", "?": one}
    parts = re.split(r"(\*\*|\*|\?)", pattern.lower())
    return re.fullmatch("".join(signs.get(part) or re.escape(part) for part in parts), text.lower()) is not None

"""How GitLab merges: what a merge request waits for, what became of it, and what GitLab says when it does not merge.

`detailed_merge_status` says what a merge request waits for (docs.gitlab.com, "Merge requests API", "Merge status").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.errors import MovedFirst, Unreachable, one_line
from pointsman.forge.base import Opened
from pointsman.forge.http import Denied

MERGEABLE = "mergeable"
NEEDS_REBASE = "need_rebase"
# GitLab still looks, a moment after a push. A merge that is asked for now is refused for no reason.
UNDECIDED = ("unchecked", "checking", "preparing", "approvals_syncing")
# What people or a pipeline still have to give. A GitLab that cannot wait for it refuses auto-merge: refresh asks again.
AWAITED = ("not_approved", "ci_must_pass", "ci_still_running")
# Of a squash that takes place in the browser or in a merge train, the message is made of the project's template. One of
# these puts the commit's own message there (docs.gitlab.com, "Commit message templates").
KEEPS_LINES = ("%{first_multiline_commit}", "%{all_commits}")
_REMEDIES = {
    "conflict": "it conflicts with main: run pointsman pr refresh",
    "broken_status": "it conflicts with main: run pointsman pr refresh",
    "not_approved": "it needs an approval first",
    "requested_changes": "someone requested changes: answer them there",
    "discussions_not_resolved": "it has open threads: resolve them there",
    "draft_status": "it is a draft: mark it as ready",
    "ci_must_pass": "its pipeline has to pass first",
    "ci_still_running": "its pipeline still runs: run the command again when it is green",
    NEEDS_REBASE: "main moved: run the command again",
}


def merge_commit(opened: Opened, pull: Mapping[str, Any]) -> str | None:
    """The commit of main that a merge request became, None for an open one; MovedFirst for a closed one."""
    if pull["state"] == "merged":
        return commit_of(pull)
    if pull["state"] not in ("opened", "locked"):  # locked: it is being merged
        raise MovedFirst(f"!{opened.number} was closed by someone else: look with pointsman pr list")
    return None


def commit_of(pull: Mapping[str, Any]) -> str:
    """The commit of main that a merged request became: of a merge, of a squash, or its head that was fast-forwarded."""
    return str(pull.get("merge_commit_sha") or pull.get("squash_commit_sha") or pull["sha"])


def not_merged(opened: Opened, pull: Mapping[str, Any], error: Denied) -> Exception:
    """What a refused merge means: 409 another head, 401 no right, 400 (of a train), 405, 406 and 422 not now."""
    if error.status == 409 or (error.status == 405 and pull.get("detailed_merge_status") == NEEDS_REBASE):
        return MovedFirst(f"!{opened.number} moved while it was merged: {one_line(error.reason)}")
    if error.status in (401, 403):
        return Unreachable(
            f"the token's user may not merge into main ({opened.url}): "
            "Settings → Repository → Protected branches → main, Allowed to merge"
        )
    if error.status in (400, 405, 406, 422) and "moved projects" not in error.reason:
        return refused(opened, pull, error.reason)
    return error


def refused(opened: Opened, pull: Mapping[str, Any], reason: str) -> Unreachable:
    """A merge request that GitLab does not merge, and what to do about it."""
    status = str(pull.get("detailed_merge_status") or "")
    remedy = _REMEDIES.get(status, "look at what it waits for there")
    waits = f"{one_line(reason)}, {one_line(status)}" if status else one_line(reason)
    return Unreachable(f"GitLab does not merge !{opened.number} yet: {waits} ({opened.url}; {remedy})")

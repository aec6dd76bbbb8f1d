"""How GitHub merges: its two mutations of auto-merge, what it has in mind, and what it says when it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.errors import MovedFirst, Unreachable, one_line
from pointsman.forge.base import Opened
from pointsman.forge.http import Denied

AUTO_MERGE = """
mutation($pull: ID!, $head: GitObjectID!, $title: String!, $body: String!) {
  enablePullRequestAutoMerge(input: {
    pullRequestId: $pull, expectedHeadOid: $head, mergeMethod: SQUASH, commitHeadline: $title, commitBody: $body
  }) { pullRequest { number } }
}
"""
STOP_AUTO_MERGE = (
    "mutation($pull: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $pull}) { clientMutationId } }"
)
# GitHub answers one of these if there is nothing to wait for: then we must merge directly. "Unstable": only checks that
# are not required are missing.
NOTHING_TO_WAIT_FOR = ("clean status", "unstable status", "protected branch rules not configured")
# What GitHub says of a merge that it does not make → what to do.
_REMEDIES = (
    ("auto merge is not allowed", "Settings → General → Allow auto-merge; pointsman doctor checks it"),
    ("squash", "Settings → General → Allow squash merging; pointsman doctor checks it"),
    ("dirty status", "it conflicts with main: run pointsman pr refresh"),
    ("conflict", "it conflicts with main: run pointsman pr refresh"),
    ("not mergeable", "it conflicts with main: run pointsman pr refresh"),
    ("review", "it needs an approval first"),
    ("check", "it needs its checks first"),
)


def merges_with(pull: Mapping[str, Any]) -> str | None:
    """The message with which GitHub merges a pull request by itself; None if it does not."""
    said = pull.get("auto_merge")
    return f"{said.get('commit_title') or ''}\n\n{said.get('commit_message') or ''}" if said else None


def merge_commit(opened: Opened, pull: Mapping[str, Any]) -> str | None:
    """The commit of a merged pull request, None for an open one; MovedFirst for a closed one."""
    if pull.get("merged"):
        return str(pull["merge_commit_sha"])
    if pull["state"] != "open":
        raise MovedFirst(f"#{opened.number} was closed by someone else: look with pointsman pr list")
    return None


def not_merged(opened: Opened, error: Denied) -> Exception:
    """GitHub's 405: it cannot be merged now. 409: its head moved."""
    if error.status == 409 or (error.status == 405 and "base branch was modified" in error.reason.lower()):
        return MovedFirst(f"#{opened.number} moved while it was merged: {one_line(error.reason)}")
    if error.status == 405:
        says = f"GitHub does not merge #{opened.number} yet: {one_line(error.reason)}"
        return Unreachable(f"{says} ({opened.url}; {remedy_for(opened, error)})")
    return error


def remedy_for(opened: Opened, error: Denied) -> str:
    """What to do about a merge that GitHub does not make."""
    found = (remedy for words, remedy in _REMEDIES if words in error.reason.lower())
    return next(found, f"look at what it waits for: {opened.url}")

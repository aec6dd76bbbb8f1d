"""How Gitea and Forgejo merge: what is sent, and what they mean by what they answer.

Only squashes are ever asked for. With fast-forward-only, or where main requires no check, Gitea merges at once what it
should merge when checks succeed (go-gitea/gitea 35756).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.errors import MovedFirst, Unreachable, one_line
from pointsman.forge.base import Opened
from pointsman.forge.gitea.brand import Brand
from pointsman.forge.http import Denied

_SETTINGS = "Settings → Repository → Pull Requests: allow squash merges; pointsman doctor checks it"
_CONFLICT = "if it conflicts with main, run pointsman pr refresh"
_HOOK = "a hook of the server or main's rule refuses it: its words say which"
# What the forge says of a merge that it does not make → what to do.
_REMEDIES = (
    ("merge style", _SETTINGS),
    ("not allowed to merge", "its user may not merge into main: add it to the merge whitelist of main's rule"),
    ("approval", "it needs an approval first, of what it is now"),
    ("requested changes", "a reviewer asks for changes"),
    ("review request", "a review that was asked for is missing"),
    ("status check", "it needs its checks first"),
    ("behind", "run pointsman pr refresh"),
    ("protected file", "main's rule protects a file that it changes"),
)
# What it waits for, so that it can be merged later.
_WAITS = ("approval", "requested changes", "review request", "status check")


def squash(opened: Opened, message: str) -> dict[str, Any]:
    """A merge of exactly this head, with this message. Without a message Gitea keeps the title alone."""
    title, _, rest = message.partition("\n")
    return {
        "Do": "squash",
        "MergeTitleField": f"{title} (#{opened.number})",
        "MergeMessageField": rest.strip("\n"),
        "head_commit_id": opened.head,
        "delete_branch_after_merge": True,
    }


def message_of(form: Mapping[str, Any]) -> str:
    """The message of the commit that a merge makes."""
    return f"{form['MergeTitleField']}\n\n{form['MergeMessageField']}".strip("\n")


def merge_commit(opened: Opened, pull: Mapping[str, Any]) -> str | None:
    """The commit of a merged pull request, None for an open one; MovedFirst for a closed one."""
    if pull.get("merged"):
        return str(pull["merge_commit_sha"])
    if pull["state"] != "open":
        raise MovedFirst(f"#{opened.number} was closed by someone else: look with pointsman pr list")
    return None


class NotYet(Unreachable):
    """It cannot be merged now, but can be when its requirements are met."""


def is_busy(error: Denied) -> bool:
    """Whether the forge still looks if it can be merged. It says the same of a conflict."""
    return error.status == 405 and "try again later" in error.reason.lower()


def waits(error: Denied) -> bool:
    """Whether it can be merged later, when its requirements are met."""
    return error.status == 405 and any(words in error.reason.lower() for words in _WAITS)


def not_merged(brand: Brand, opened: Opened, error: Denied) -> Exception:
    """405: it cannot be merged now. 409: its head moved, or main did, or the two conflict."""
    reason = error.reason.lower()
    if error.status == 409 and "out of date" in reason:
        return MovedFirst(f"#{opened.number} moved while it was merged: {one_line(error.reason)}")
    if error.status == 409:
        says = one_line(error.reason)[:300] or "it conflicts with main"
        remedy = _HOOK if "pushrejected" in reason else _CONFLICT
        return Unreachable(f"{brand.name} does not merge #{opened.number}: {says} ({opened.url}; {remedy})")
    if error.status == 405:
        found = (remedy for words, remedy in _REMEDIES if words in reason)
        remedy = next(found, _CONFLICT if is_busy(error) else f"look at what it waits for: {opened.url}")
        says = f"{brand.name} does not merge #{opened.number} yet: {one_line(error.reason)}"
        return (NotYet if waits(error) else Unreachable)(f"{says} ({opened.url}; {remedy})")
    return error


def unexplained(brand: Brand, opened: Opened) -> Unreachable:
    """A merge that the forge answers with an empty 500, as some versions do for a conflict."""
    return Unreachable(
        f"{brand.name} does not merge #{opened.number}, and does not say why ({opened.url}; {_CONFLICT})"
    )

"""What GitLab knows of merge requests now: one of them, what it waits for, and with what it merges by itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.merging import KEEPS_LINES, MERGEABLE, UNDECIDED
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

SEEN_TRIES = 7  # looks at a merge request whose branch was pushed, each after a longer pause: 10 seconds in all


class Sight:
    """Looks at the merge requests of one project."""

    def __init__(self, repo: Repository, client: Client) -> None:
        self.repo = repo
        self.client = client
        self.root = client.place.root  # of all paths
        self.all = f"{self.root}/merge_requests"

    def path(self, opened: Opened) -> str:
        return f"{self.all}/{opened.number}"

    def pull(self, opened: Opened) -> Any:
        return self.client.get(self.path(opened))

    def seen(self, opened: Opened) -> Any:
        """The merge request, as soon as GitLab knows its head and what it waits for. MovedFirst if its branch moved."""
        for again in range(SEEN_TRIES):
            pull = self.pull(opened)
            if pull["state"] not in ("opened", "locked"):
                return pull
            if pull["sha"] != opened.head:
                self.repo.refresh()
                if self.repo.heads.get(opened.ref) != opened.head:
                    raise MovedFirst(f"!{opened.number} moved while it was merged: someone pushed to {opened.branch}")
            elif pull["state"] == "opened" and pull.get("detailed_merge_status") not in UNDECIDED:
                return pull
            self.client.pause(again)
        if pull["sha"] == opened.head:
            return pull
        raise Unreachable(f"GitLab has not seen yet what was pushed to {opened.branch}: run the command again")

    def merges_with(self, pull: Mapping[str, Any]) -> str | None:
        """The message with which GitLab merges it by itself; None if it does not, "" if nobody can know.

        GitLab does not tell what it keeps. It is the commit's own where we turned it on, as a push turns it off, and
        where the project's template makes it. An approval that comes after the pipeline can leave it on while nothing
        is missing any more: then nothing happens by itself.
        """
        if not pull.get("merge_when_pipeline_succeeds") or pull.get("detailed_merge_status") == MERGEABLE:
            return None
        by = str((pull.get("merge_user") or {}).get("username", ""))
        if self.template_keeps_lines or (by and by == self.client.me):
            return self.repo.messages(self.repo.main, Oid(pull["sha"])).strip("\n") + "\n"
        return ""

    @cached_property
    def project(self) -> Any:
        return self.client.get(self.root)

    @property
    def template_keeps_lines(self) -> bool:
        return any(words in (self.project.get("squash_commit_template") or "") for words in KEEPS_LINES)

"""Merge requests on GitLab.

The calls and their purpose, each below /projects/{path} of the API but the last:

    GET    (the project)                                how it merges: method, template, merge trains; doctor
    GET    /protected_branches/main                     doctor
    GET    /approvals                                   doctor; a GitLab without approval rules answers 404
    GET    /merge_requests                              find (state=opened, target_branch=main; source_branch for one);
                                                        one that was closed before (state=closed)
    POST   /merge_requests                              open, with squash and remove_source_branch
    GET    /merge_requests/{n}                          the result of a call after a lost answer
    PUT    /merge_requests/{n}                          title, description, add_labels, state_event
    POST   /merge_requests/{n}/pipelines                checks that run again when approvals or evidence landed
    PUT    /merge_requests/{n}/merge                    squash, its message, the head's sha; auto_merge
    POST   /merge_requests/{n}/cancel_merge_when_pipeline_succeeds
    PUT    /merge_requests/{n}/rebase                   where only a fast-forward is merged
    POST   /merge_trains/merge_requests/{n}             auto-merge where there are merge trains
    GET    /merge_requests/{n}/approvals                approvals
    GET    /merge_requests/{n}/versions                 and what they are of
    GET    /merge_requests/{n}/notes                    the one comment for a purpose
    POST   /merge_requests/{n}/notes
    PUT    /merge_requests/{n}/notes/{id}
    GET    /repository/commits/{sha}/merge_requests     log: the merge request of a commit of main
    GET    /user                                        whether an auto-merge is ours, and which comments are

Git makes, moves and deletes the branches. Every write looks first: after a lost answer the result is read, and the
write is sent again only if it did not happen.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pointsman.errors import MovedFirst, Problem, one_line
from pointsman.forge.base import BODY_LIMIT, Opened, Page, Setting
from pointsman.forge.codeowners import GITLAB_PATHS, SectionedOwners
from pointsman.forge.credentials import token_in
from pointsman.forge.gitlab.client import Client
from pointsman.forge.gitlab.mending import settable
from pointsman.forge.gitlab.merges import Merges
from pointsman.forge.gitlab.merging import commit_of
from pointsman.forge.gitlab.place import TOKEN, place_of, server, url_of
from pointsman.forge.gitlab.setup import protection
from pointsman.forge.gitlab.sight import Sight
from pointsman.forge.http import Denied
from pointsman.forge.writes import Comments, look_then_act, title_within
from pointsman.patterns import pattern
from pointsman.repo.moves import Move
from pointsman.repo.origin import PULL_BRANCHES, REVERT_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.settings import SETTINGS_PATH
from pointsman.state.objects import Oid

_TITLE_LIMIT = 255
_LABEL_LIMIT = 255
_FEW = 5  # branches; up to so many are asked for one by one
_QUICK_ACTION = pattern(r"^(\s*)/(?=[a-z])", re.MULTILINE)


def open_gitlab(repo: Repository, repository: str = "") -> GitLab:
    """GitLab as the remote's URL, or else `repository`, and the environment name it; Problem if either is missing."""
    place = place_of(repo.remote) or place_of(repo.reached) or place_of(url_of(repository))
    if place is None:
        host = server().partition("://")[2]
        raise Problem(
            f'forge.kind is "gitlab", but origin is not a project on {host}: '
            "set its URL (git remote set-url origin …), or GITLAB_HOST for a GitLab of your own; "
            f'if an alias of ssh stands for it, name it in {SETTINGS_PATH}: [forge] repository = "group/name"'
        )
    token = token_in((TOKEN,))
    if not token:
        raise Problem(
            f"no token for {place.path} on GitLab: set {TOKEN} (the token of a job is enough for git, not for this)"
        )
    client = Client(place, lambda: token)
    repo.held.callback(client.close)
    return GitLab(repo, client)


class GitLab:
    """The forge of a project on GitLab."""

    knows_approvals = True
    merges_by_push = False

    def __init__(self, repo: Repository, client: Client) -> None:
        self.repo = repo
        self.client = client
        self._sight = Sight(repo, client)
        self._merges = Merges(self._sight)

    # finding

    def find(self, branches: Collection[str] | None = None) -> list[Opened]:
        heads = self.repo.heads
        if branches is not None:
            wanted = {branch for branch in branches if f"refs/heads/{branch}" in heads}
        else:
            ours = (*PULL_BRANCHES, REVERT_BRANCHES)
            wanted = {ref.removeprefix("refs/heads/") for ref in heads if ref.startswith(ours)}
        if not wanted:
            return []
        if branches is not None and len(wanted) <= _FEW:
            found = [opened for branch in wanted if (opened := self._open_one(branch)) is not None]
        else:
            pulls = self.client.pages(self._sight.all, state="opened", target_branch="main")
            found = [self._opened(pull) for pull in pulls if pull["source_branch"] in wanted and _ours(pull)]
        return sorted(found, key=lambda opened: opened.branch)

    def _open_one(self, branch: str) -> Opened | None:
        pulls = self.client.pages(self._sight.all, state="opened", target_branch="main", source_branch=branch)
        return next((self._opened(pull) for pull in pulls if _ours(pull) and pull["source_branch"] == branch), None)

    def _closed(self, branch: str) -> str:
        """The newest one of a branch that was closed without a merge; "" if there is none."""
        pulls = self.client.some(self._sight.all, state="closed", target_branch="main", source_branch=branch)
        ours = (pull for pull in pulls if _ours(pull) and pull["source_branch"] == branch)
        return next((f"!{pull['iid']}, {pull['web_url']}" for pull in ours), "")

    def _opened(self, pull: Mapping[str, Any]) -> Opened:
        branch = str(pull["source_branch"])
        head = self.repo.heads.get(f"refs/heads/{branch}", Oid(pull["sha"]))
        return Opened(branch, head, str(pull["iid"]), str(pull["web_url"]), lambda: self._sight.merges_with(pull))

    # writing

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        def act() -> Opened | None:
            body = {"source_branch": branch, "target_branch": "main", "squash": True, "remove_source_branch": True}
            try:
                before = self._closed(branch)
                made = self.client.made(self._sight.all, {**body, **_shown(page)})
                return replace(self._opened(made), reopens=before)
            except Denied as error:
                if error.status not in (400, 409, 422):
                    raise
                if "already exists" in error.reason:
                    return None  # someone opened it since we looked
                raise MovedFirst(f"{branch} cannot have a merge request: {one_line(error.reason)}") from error

        found = look_then_act(self.client, lambda: self._open_one(branch), act)
        opened = Opened(branch, head, found.number, found.url, reopens=found.reopens)
        self.label(opened, page.labels)
        return opened

    def update(self, opened: Opened, page: Page, *, recheck: bool = False) -> None:
        wanted = _shown(page)

        def look() -> Any:
            pull = self._sight.pull(opened)
            if pull["state"] != "opened":
                raise MovedFirst(f"!{opened.number} was merged or closed while it was rebuilt")
            return pull if all(pull[key] == value for key, value in wanted.items()) else None

        def act() -> Any:
            if recheck:  # first: a page that is as it should be is not looked at again
                with contextlib.suppress(Denied):  # no job of it runs for merge requests
                    self.client.write("POST", f"{self._sight.path(opened)}/pipelines")
            return self.client.write("PUT", self._sight.path(opened), wanted)

        look_then_act(self.client, look, act)
        self.label(opened, page.labels)

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        path = f"{self._sight.path(opened)}/notes"
        there = Comments(path, ("PUT", path), lambda: self.client.pages(path, sort="asc", order_by="created_at"))
        there.keep(self.client, opened, purpose, _harmless(text))

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        names = [name for name in dict.fromkeys(labels) if len(name) <= _LABEL_LIMIT and "," not in name]

        def missing() -> list[str]:
            present = {str(name).lower() for name in self._sight.pull(opened)["labels"]}
            return [name for name in names if name.lower() not in present]

        def act() -> Any:
            return self.client.write("PUT", self._sight.path(opened), {"add_labels": ",".join(names)})

        if names:
            look_then_act(self.client, lambda: None if missing() else True, act)

    def close(self, opened: Opened, because: str = "", *, unwanted: bool = False) -> None:
        del unwanted  # the closed one stays there to be seen
        if because:
            self.comment(opened, "closed", because)
        self._delete_branch(opened)
        if not opened.number:
            return

        def act() -> Any:
            return self.client.write("PUT", self._sight.path(opened), {"state_event": "close"})

        look_then_act(self.client, lambda: None if self._sight.pull(opened)["state"] == "opened" else True, act)

    def _delete_branch(self, opened: Opened) -> None:
        self.repo.move([Move(opened.ref, None, opened.head)])

    # merging

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        return self._merges.merge(opened, message)

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        return self._merges.auto_merge(opened, message)

    def stop_auto_merge(self, opened: Opened) -> bool:
        return self._merges.stop_auto_merge(opened)

    # history

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        given = self.client.get(f"{self._sight.path(opened)}/approvals").get("approved_by") or []
        since = self._unchanged_since(opened) if given else ""
        return tuple(sorted(str(each["user"]["username"]) for each in given if _at(each.get("approved_at")) >= since))

    def _unchanged_since(self, opened: Opened) -> str:
        """When the change got to be what it is; "" if it always was. A GitLab without rules keeps older approvals."""
        versions = list(self.client.pages(f"{self._sight.path(opened)}/versions"))  # the newest first
        since = ""
        for version in versions:
            if version.get("patch_id_sha") != versions[0].get("patch_id_sha"):
                return since
            since = _at(version["created_at"])
        return ""

    def merged_as(self, commit: Oid) -> Opened | None:
        every = self.client.pages(f"{self._sight.root}/repository/commits/{commit}/merge_requests")
        pulls = [pull for pull in every if pull["state"] == "merged"]
        exact = [pull for pull in pulls if commit_of(pull) == commit]
        found = next(iter(exact or pulls), None)
        return self._opened(found) if found is not None else None

    def merged(self, number: str) -> Oid | None:
        if not re.fullmatch("[0-9]+", number):
            return None
        try:
            pull = self.client.get(f"{self._sight.all}/{number}")
        except Denied as error:
            if error.status != 404:
                raise
            return None
        return Oid(commit_of(pull)) if pull["state"] == "merged" else None

    def protection(self) -> list[tuple[str, str]]:
        head = Snapshot(self.repo, self.repo.main)
        text = next((data for path in GITLAB_PATHS if (data := head.read(path)) is not None), b"")
        return protection(self.client, self._sight.root, SectionedOwners(text.decode(errors="replace")).every)

    def settable(self) -> Iterable[Setting]:
        return settable(self.client, self._sight.root)


def _ours(pull: Mapping[str, Any]) -> bool:
    """Whether its branch is in this project, not in a fork."""
    return bool(pull["source_project_id"] == pull["target_project_id"])


def _shown(page: Page) -> dict[str, str]:
    return {"title": title_within(page, _TITLE_LIMIT), "description": _harmless(page.body())[:BODY_LIMIT].rstrip()}


def _harmless(text: str) -> str:
    """Markdown in which no line is a quick action, which GitLab would carry out ("/close", "/merge")."""
    return _QUICK_ACTION.sub(r"\1\\/", text)


def _at(time: object) -> str:
    """A time of GitLab's as a text that sorts: all are UTC in ISO 8601, with milliseconds."""
    return str(time or "")

"""Pull requests on GitHub.

The calls and their purpose. All are REST except the last:

    GET   /repos/{o}/{r}                               doctor: how merges are set up
    GET   /repos/{o}/{r}/rules/branches/main           doctor: the rules in force
    GET   /repos/{o}/{r}/branches/main                 doctor: whether classic protection is used instead
    GET   /repos/{o}/{r}/codeowners/errors             doctor
    GET   /repos/{o}/{r}/pulls                         find (state=open, base=main; head=OWNER:BRANCH for one);
                                                       one that was closed before (state=closed)
    POST  /repos/{o}/{r}/pulls                         open
    GET   /repos/{o}/{r}/pulls/{n}                     the result of a call after a lost answer
    PATCH /repos/{o}/{r}/pulls/{n}                     title and body; state=closed
    PUT   /repos/{o}/{r}/pulls/{n}/merge               merge_method=squash, with title, message and the head's sha
    GET   /repos/{o}/{r}/pulls/{n}/reviews             approvals
    GET   /repos/{o}/{r}/commits/{sha}/pulls           log: the pull request of a commit of main
    POST  /repos/{o}/{r}/issues/{n}/labels             labels; GitHub makes new ones
    GET   /repos/{o}/{r}/issues/{n}/comments           the one comment for a purpose
    POST  /repos/{o}/{r}/issues/{n}/comments
    PATCH /repos/{o}/{r}/issues/comments/{id}
    GET   /user                                        which comments are ours
    GET   /repos/{o}/{r}/installation                  an App's installation
    POST  /app/installations/{id}/access_tokens        and its token
    POST  /graphql                                     mutations enable- and disablePullRequestAutoMerge

Git makes, moves and deletes the branches. Every write looks first: after a lost answer the result is read, and the
write is sent again only if it did not happen.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pointsman.errors import MovedFirst, Problem, Unreachable, one_line
from pointsman.forge.base import BODY_LIMIT, Opened, Page, Setting
from pointsman.forge.github.client import Client
from pointsman.forge.github.mending import settable
from pointsman.forge.github.merging import (
    AUTO_MERGE,
    NOTHING_TO_WAIT_FOR,
    STOP_AUTO_MERGE,
    merge_commit,
    merges_with,
    not_merged,
    remedy_for,
)
from pointsman.forge.github.place import TOKENS, Place, place_of, server, url_of
from pointsman.forge.github.setup import protection
from pointsman.forge.github.token import token_source
from pointsman.forge.http import Denied
from pointsman.forge.writes import Comments, look_then_act, title_within
from pointsman.repo.moves import Move
from pointsman.repo.origin import PULL_BRANCHES, REVERT_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.settings import SETTINGS_PATH
from pointsman.state.objects import Oid

_TITLE_LIMIT = 256
_LABEL_LIMIT = 50
_FEW = 5  # branches; up to so many are asked for one by one
_SEEN_TRIES = 7  # looks at a pull request whose branch was pushed, each after a longer pause: 10 seconds in all


def open_github(repo: Repository, repository: str = "") -> GitHub:
    """GitHub as the remote's URL, or else `repository`, and the environment name it; Problem if either is missing."""
    place = place_of(repo.remote) or place_of(repo.reached) or place_of(url_of(repository))
    if place is None:
        host = server().partition("://")[2]
        raise Problem(
            f'forge.kind is "github", but origin is not a repository on {host}: '
            "set its URL (git remote set-url origin …), or GH_HOST for a GitHub Enterprise Server; "
            f'if an alias of ssh stands for it, name it in {SETTINGS_PATH}: [forge] repository = "owner/name"'
        )
    source = token_source(place)
    if source is None:
        raise Problem(
            f"no token for {place.slug} on GitHub: set {' or '.join(TOKENS)}, or POINTSMAN_APP_ID and POINTSMAN_APP_KEY"
        )
    client = Client(place, source)
    repo.held.callback(client.close)
    return GitHub(repo, client)


class GitHub:
    """The forge of a repository on GitHub."""

    knows_approvals = True
    merges_by_push = False

    def __init__(self, repo: Repository, client: Client) -> None:
        self.repo = repo
        self.client = client
        self.place: Place = client.place
        self._root = f"/repos/{self.place.slug}"

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
            pulls = self.client.pages(f"{self._root}/pulls", state="open", base="main")
            found = [opened for pull in pulls if (opened := self._opened(pull)).branch in wanted and self._ours(pull)]
        return sorted(found, key=lambda opened: opened.branch)

    def _open_one(self, branch: str) -> Opened | None:
        head = f"{self.place.owner}:{branch}"
        pulls = self.client.pages(f"{self._root}/pulls", state="open", base="main", head=head)
        return next((self._opened(pull) for pull in pulls if self._ours(pull) and pull["head"]["ref"] == branch), None)

    def _closed(self, branch: str) -> str:
        """The newest one of a branch that was closed without a merge; "" if there is none."""
        query = {"state": "closed", "base": "main", "head": f"{self.place.owner}:{branch}"}
        pulls = self.client.some(f"{self._root}/pulls", **query)
        ours = (pull for pull in pulls if self._ours(pull) and pull["head"]["ref"] == branch and not pull["merged_at"])
        return next((f"#{pull['number']}, {pull['html_url']}" for pull in ours), "")

    def _ours(self, pull: Mapping[str, Any]) -> bool:
        """Whether its branch is in this repository, not in a fork."""
        source = pull["head"].get("repo") or {}
        return str(source.get("full_name", "")).lower() == self.place.slug.lower()

    def _opened(self, pull: Mapping[str, Any]) -> Opened:
        branch = str(pull["head"]["ref"])
        head = self.repo.heads.get(f"refs/heads/{branch}", Oid(pull["head"]["sha"]))
        return Opened(branch, head, str(pull["number"]), str(pull["html_url"]), lambda: merges_with(pull))

    def _pull(self, opened: Opened) -> Any:
        return self.client.get(f"{self._root}/pulls/{opened.number}")

    def _seen(self, opened: Opened) -> Any:
        """The pull request, as soon as GitHub knows its head, a moment after a push. MovedFirst if its branch moved."""
        for again in range(_SEEN_TRIES):
            pull = self._pull(opened)
            if pull["state"] != "open" or pull["head"]["sha"] == opened.head:
                return pull
            self.repo.refresh()
            if self.repo.heads.get(opened.ref) != opened.head:
                raise MovedFirst(f"#{opened.number} moved while it was merged: someone pushed to {opened.branch}")
            self.client.pause(again)
        raise Unreachable(f"GitHub has not seen yet what was pushed to {opened.branch}: run the command again")

    # writing

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        def act() -> Opened | None:
            body = {
                "title": title_within(page, _TITLE_LIMIT),
                "body": page.body()[:BODY_LIMIT],
                "head": branch,
                "base": "main",
            }
            try:
                before = self._closed(branch)
                return replace(self._opened(self.client.made(f"{self._root}/pulls", body)), reopens=before)
            except Denied as error:
                if error.status != 422:
                    raise
                if "already exists" in error.reason:
                    return None  # someone opened it since we looked
                raise MovedFirst(f"{branch} cannot have a pull request: {one_line(error.reason)}") from error

        found = look_then_act(self.client, lambda: self._open_one(branch), act)
        opened = Opened(branch, head, found.number, found.url, reopens=found.reopens)
        self.label(opened, page.labels)
        return opened

    def update(self, opened: Opened, page: Page, *, recheck: bool = False) -> None:
        del recheck  # the workflow runs for whatever is edited
        wanted = {"title": title_within(page, _TITLE_LIMIT), "body": page.body()[:BODY_LIMIT]}

        def look() -> Any:
            pull = self._pull(opened)
            if pull["state"] != "open":
                raise MovedFirst(f"#{opened.number} was merged or closed while it was rebuilt")
            return pull if all(pull[key] == value for key, value in wanted.items()) else None

        look_then_act(
            self.client, look, lambda: self.client.write("PATCH", f"{self._root}/pulls/{opened.number}", wanted)
        )
        self.label(opened, page.labels)

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        path = f"{self._root}/issues/{opened.number}/comments"
        there = Comments(path, ("PATCH", f"{self._root}/issues/comments"), lambda: self.client.pages(path))
        there.keep(self.client, opened, purpose, text)

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        names = [name for name in dict.fromkeys(labels) if len(name) <= _LABEL_LIMIT]
        path = f"{self._root}/issues/{opened.number}/labels"

        def missing() -> list[str]:
            present = {str(each["name"]).lower() for each in self._pull(opened)["labels"]}
            return [name for name in names if name.lower() not in present]

        def act() -> Any:
            return self.client.write("POST", path, {"labels": names})

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
            return self.client.write("PATCH", f"{self._root}/pulls/{opened.number}", {"state": "closed"})

        look_then_act(self.client, lambda: None if self._pull(opened)["state"] == "open" else True, act)

    def _delete_branch(self, opened: Opened) -> None:
        self.repo.move([Move(opened.ref, None, opened.head)])

    # merging

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        title, _, rest = message.partition("\n")
        wanted = {
            "commit_title": f"{title} (#{opened.number})",
            "commit_message": rest.strip("\n"),
            "merge_method": "squash",
            "sha": opened.head,
        }

        def act() -> Any:
            try:
                return self.client.made(f"{self._root}/pulls/{opened.number}/merge", wanted, "PUT")["sha"]
            except Denied as error:
                if error.status == 405 and (merged := self._merged_as(opened)) is not None:
                    return merged  # by someone else, since we looked
                raise not_merged(opened, error) from error

        commit = Oid(look_then_act(self.client, lambda: self._merged_as(opened), act))
        self.repo.refresh()
        with contextlib.suppress(MovedFirst):  # GitHub may have deleted it itself, if it is set up so
            if opened.ref in self.repo.heads:
                self._delete_branch(opened)
        return commit

    def _merged_as(self, opened: Opened) -> str | None:
        return merge_commit(opened, self._seen(opened))

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        title, _, rest = message.partition("\n")
        title, body = f"{title} (#{opened.number})", rest.strip("\n")
        on: list[str] = []  # what GitHub has in mind now

        def look() -> str | None:
            pull = self._seen(opened)
            if (commit := merge_commit(opened, pull)) is not None:
                return commit
            on[:] = [] if (with_ := merges_with(pull)) is None else [with_]
            same = on and on[0].split() == f"{title} {body}".split()
            return "" if same and pull["auto_merge"]["merge_method"] == "squash" else None

        def act() -> str:
            if on:  # GitHub keeps the message that it got first
                self.stop_auto_merge(opened)
            variables = {"pull": self._pull(opened)["node_id"], "head": opened.head, "title": title, "body": body}
            try:
                self.client.graphql(AUTO_MERGE, variables)
            except Denied as error:
                if any(words in error.reason.lower() for words in NOTHING_TO_WAIT_FOR):
                    return self.merge(opened, self.repo.main, message, "")
                if error.status != 200:  # errors of GraphQL itself have status 200
                    raise
                self._seen(opened)  # MovedFirst if that is why
                says = f"GitHub does not merge #{opened.number} by itself: {one_line(error.reason)}"
                raise Unreachable(f"{says} ({remedy_for(opened, error)})") from error
            return ""

        commit = look_then_act(self.client, look, act)
        return Oid(commit) if commit else None

    def stop_auto_merge(self, opened: Opened) -> bool:
        was: list[bool] = []

        def look() -> bool | None:
            pull = self._pull(opened)
            was.append(pull["state"] == "open" and pull.get("auto_merge") is not None)
            node_ids.append(str(pull["node_id"]))
            return None if was[-1] else True

        node_ids: list[str] = []
        look_then_act(self.client, look, lambda: self.client.graphql(STOP_AUTO_MERGE, {"pull": node_ids[-1]}) or True)
        return was[0]

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        latest: dict[str, str] = {}
        for review in self.client.pages(f"{self._root}/pulls/{opened.number}/reviews"):
            if review["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                latest[str((review.get("user") or {}).get("login", "ghost"))] = review["state"]
        return tuple(sorted(who for who, state in latest.items() if state == "APPROVED"))

    def merged_as(self, commit: Oid) -> Opened | None:
        pulls = [pull for pull in self.client.pages(f"{self._root}/commits/{commit}/pulls") if pull.get("merged_at")]
        exact = [pull for pull in pulls if pull.get("merge_commit_sha") == commit]
        found = next(iter(exact or pulls), None)  # of a rebase merge only the last commit is named
        return self._opened(found) if found is not None else None

    def merged(self, number: str) -> Oid | None:
        return _merged(self.client, f"{self._root}/pulls/{number}") if re.fullmatch("[0-9]+", number) else None

    def protection(self) -> list[tuple[str, str]]:
        return protection(self.client, self._root)

    def settable(self) -> Iterable[Setting]:
        return settable(self.client, self._root, self.repo)


def _merged(client: Client, path: str) -> Oid | None:
    try:
        pull = client.get(path)
    except Denied as error:
        if error.status != 404:
            raise
        return None
    return Oid(str(pull["merge_commit_sha"])) if pull.get("merged_at") else None

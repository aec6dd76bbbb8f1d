"""Pull requests on Gitea and Forgejo.

The calls and their purpose:

    GET    /repos/{o}/{r}                                doctor: how merges are set up
    GET    /repos/{o}/{r}/branches/main                  doctor, auto-merge: which rule holds, and which checks
    GET    /repos/{o}/{r}/branch_protections/{name}      doctor: that rule
    GET    /repos/{o}/{r}/pulls                          find (state=open); one that was closed before (state=closed)
    POST   /repos/{o}/{r}/pulls                          open
    GET    /repos/{o}/{r}/pulls/{n}                      the result of a call after a lost answer
    PATCH  /repos/{o}/{r}/pulls/{n}                      title and body; state=closed
    POST   /repos/{o}/{r}/pulls/{n}/merge                squash, with title, message and the head's id; auto-merge, too
    DELETE /repos/{o}/{r}/pulls/{n}/merge                stop auto-merge
    GET    /repos/{o}/{r}/pulls/{n}/reviews              approvals
    GET    /repos/{o}/{r}/commits/{sha}/pull             log: the pull request of a commit of main
    GET    /repos/{o}/{r}/labels                         labels have ids
    POST   /repos/{o}/{r}/labels
    DELETE /repos/{o}/{r}/labels/{id}                    one that two made at the same moment
    POST   /repos/{o}/{r}/issues/{n}/labels
    GET    /repos/{o}/{r}/issues/{n}/timeline            whether it merges by itself
    GET    /repos/{o}/{r}/issues/{n}/comments            the one comment for a purpose
    POST   /repos/{o}/{r}/issues/{n}/comments
    PATCH  /repos/{o}/{r}/issues/comments/{id}
    GET    /user                                         which comments are ours

Git makes, moves and deletes the branches. Every write looks first: after a lost answer the result is read, and the
write is sent again only if it did not happen.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.forge.base import BODY_LIMIT, Opened, Page, Setting
from pointsman.forge.gitea.auto_merge import AutoMerge
from pointsman.forge.gitea.brand import Brand
from pointsman.forge.gitea.client import Client
from pointsman.forge.gitea.labels import Labels
from pointsman.forge.gitea.mending import settable
from pointsman.forge.gitea.merging import NotYet, is_busy, merge_commit, not_merged, squash, unexplained
from pointsman.forge.gitea.place import place_of, token_source, url_of
from pointsman.forge.gitea.setup import protection
from pointsman.forge.http import Denied, Lost
from pointsman.forge.writes import Comments, look_then_act, title_within
from pointsman.repo.encoding import read_commit
from pointsman.repo.moves import Move
from pointsman.repo.origin import PULL_BRANCHES, REVERT_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.settings import SETTINGS_PATH
from pointsman.state.objects import Oid

_TITLE_LIMIT = 255
_CLOSED_SEEN = 50  # of the closed ones that changed last: one page
_LABEL_LIMIT = 50
_SEEN_TRIES = 7  # looks at a pull request whose branch was pushed, each after a longer pause: 10 seconds in all
_BUSY_TRIES = 7  # while the forge looks for conflicts: 10 seconds in all


def open_pulls(brand: Brand, repo: Repository, repository: str = "") -> Gitea:
    """The forge that the remote's URL, or else `repository`, and the environment name; Problem if either is missing."""
    named = url_of(brand, repository)
    place = place_of(brand, repo.remote) or place_of(brand, repo.reached) or place_of(brand, named)
    if place is None:
        raise Problem(
            f'forge.kind is "{brand.name.lower()}", but origin is not a repository on the server that {brand.address} '
            f"names: set it to the server's address, such as https://git.example.com; "
            f'if an alias of ssh stands for it, name it in {SETTINGS_PATH}: [forge] repository = "owner/name"'
        )
    source = token_source(brand)
    if source is None:
        raise Problem(f"no token for {place.slug} on {brand.name}: set {' or '.join(brand.tokens)}")
    client = Client(brand, place, source)
    repo.held.callback(client.close)
    return Gitea(repo, client)


class Gitea:
    """The forge of a repository on Gitea or Forgejo."""

    knows_approvals = True
    merges_by_push = False

    def __init__(self, repo: Repository, client: Client) -> None:
        self.repo = repo
        self.client = client
        self.brand = client.brand
        self.place = client.place
        self._root = f"/repos/{self.place.slug}"
        self._labels = Labels(client)
        self._auto = AutoMerge(client, self.comment)

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
        pulls = self.client.pages(f"{self._root}/pulls", state="open")
        found = [self._opened(pull) for pull in pulls if pull["head"]["ref"] in wanted and self._ours(pull)]
        return sorted(found, key=lambda opened: opened.branch)

    def _open_one(self, branch: str) -> Opened | None:
        pulls = self.client.pages(f"{self._root}/pulls", state="open")
        return next((self._opened(pull) for pull in pulls if pull["head"]["ref"] == branch and self._ours(pull)), None)

    def _closed(self, branch: str) -> str:
        """The newest one of a branch that was closed without a merge, of those that changed last; "" if none was.

        The API chooses no branch.
        """
        pulls = self.client.some(f"{self._root}/pulls", state="closed", sort="recentupdate", limit=_CLOSED_SEEN)
        mine = (pull for pull in pulls if self._ours(pull) and _branch(pull["head"]) == branch and not pull["merged"])
        return next((f"#{pull['number']}, {pull['html_url']}" for pull in mine), "")

    def _ours(self, pull: Mapping[str, Any]) -> bool:
        """Whether it goes from this repository, not from a fork, into main."""
        source = pull["head"].get("repo") or {}
        return pull["base"]["ref"] == "main" and str(source.get("full_name", "")).lower() == self.place.slug.lower()

    def _opened(self, pull: Mapping[str, Any]) -> Opened:
        branch, number = _branch(pull["head"]), str(pull["number"])
        head = self.repo.heads.get(f"refs/heads/{branch}", Oid(pull["head"]["sha"]))
        return Opened(branch, head, number, str(pull["html_url"]), lambda: self._auto.message(pull))

    def _pull(self, opened: Opened) -> Any:
        return self.client.get(f"{self._root}/pulls/{opened.number}")

    def _seen(self, opened: Opened) -> Any:
        """The pull request, as soon as the forge knows its head. MovedFirst if its branch moved."""
        for again in range(_SEEN_TRIES):
            pull = self._pull(opened)
            if pull["state"] != "open" or pull["head"]["sha"] == opened.head:
                return pull
            self.repo.refresh()
            if self.repo.heads.get(opened.ref) != opened.head:
                raise MovedFirst(f"#{opened.number} moved while it was merged: someone pushed to {opened.branch}")
            self.client.pause(again)
        raise Unreachable(
            f"{self.brand.name} has not seen yet what was pushed to {opened.branch}: run the command again"
        )

    # writing

    def open(self, branch: str, head: Oid, page: Page) -> Opened:
        away: list[Denied] = []

        def act() -> Opened | None:
            body = {"title": title_within(page, _TITLE_LIMIT), "body": page.body()[:BODY_LIMIT]}
            try:
                before = self._closed(branch)
                made = self.client.made(f"{self._root}/pulls", {**body, "head": branch, "base": "main"})
                return replace(self._opened(made), reopens=before)
            except Denied as error:
                if error.status == 409:
                    return None  # someone opened it since we looked
                if error.status not in (404, 422):
                    raise
                if not self._has(branch):
                    raise MovedFirst(f"{branch} cannot have a pull request: someone deleted it") from error
                if error.status == 422 or away:
                    raise
                away.append(error)  # someone deleted it, and another one, who publishes the same, brought it back
                return None

        found = look_then_act(self.client, lambda: self._open_one(branch), act)
        opened = Opened(branch, head, found.number, found.url, reopens=found.reopens)
        self.label(opened, page.labels)
        return opened

    def _has(self, branch: str) -> bool:
        self.repo.refresh()
        return f"refs/heads/{branch}" in self.repo.heads

    def update(self, opened: Opened, page: Page, *, recheck: bool = False) -> None:
        del recheck  # the workflow runs for whatever is edited
        wanted = {"title": title_within(page, _TITLE_LIMIT), "body": page.body()[:BODY_LIMIT]}

        def look() -> Any:
            pull = self._pull(opened)
            if pull["state"] != "open":
                raise MovedFirst(f"#{opened.number} was merged or closed while it was rebuilt")
            return pull if all(pull[key] == value for key, value in wanted.items()) else None

        self._write(look, "PATCH", f"{self._root}/pulls/{opened.number}", wanted)
        self.label(opened, page.labels)

    def comment(self, opened: Opened, purpose: str, text: str) -> None:
        path = f"{self._root}/issues/{opened.number}/comments"
        there = Comments(path, ("PATCH", f"{self._root}/issues/comments"), lambda: self.client.some(path))
        there.keep(self.client, opened, purpose, text)

    def label(self, opened: Opened, labels: Sequence[str]) -> None:
        names = [name for name in dict.fromkeys(labels) if len(name) <= _LABEL_LIMIT]

        def missing() -> list[str]:
            present = {str(each["name"]).lower() for each in self._pull(opened)["labels"] or ()}
            return [name for name in names if name.lower() not in present]

        def act() -> Any:
            path = f"{self._root}/issues/{opened.number}/labels"
            return self.client.write("POST", path, {"labels": self._labels.ids(missing())}) or True

        if names:
            look_then_act(self.client, lambda: None if missing() else True, act)

    def close(self, opened: Opened, because: str = "", *, unwanted: bool = False) -> None:
        del unwanted  # the closed one stays there to be seen
        if because:
            self.comment(opened, "closed", because)
        self._delete_branch(opened)
        if opened.number:

            def look() -> bool | None:
                return None if self._pull(opened)["state"] == "open" else True

            self._write(look, "PATCH", f"{self._root}/pulls/{opened.number}", {"state": "closed"})

    def _write(self, look: Any, method: str, path: str, body: Mapping[str, Any]) -> None:
        look_then_act(self.client, look, lambda: self.client.write(method, path, body) or True)

    def _delete_branch(self, opened: Opened) -> None:
        self.repo.move([Move(opened.ref, None, opened.head)])

    # merging

    def merge(self, opened: Opened, main: Oid, message: str, author: str) -> Oid:
        return self._merge(opened, squash(opened, message))

    def _merge(self, opened: Opened, wanted: Mapping[str, Any]) -> Oid:
        try:
            commit = look_then_act(
                self.client, lambda: self._merged_as(opened), lambda: self._merge_now(opened, wanted)
            )
        except Lost as error:
            if error.status == 500:
                raise unexplained(self.brand, opened) from error
            raise
        self.repo.refresh()
        with contextlib.suppress(MovedFirst):  # it was told to delete it, but leaves what another one is open for
            if opened.ref in self.repo.heads:
                self._delete_branch(opened)
        return Oid(commit)

    def _merge_now(self, opened: Opened, wanted: Mapping[str, Any]) -> str | None:
        """Ask for a merge; the commit. None if that is not there to see yet."""
        for again in range(_BUSY_TRIES):
            try:
                self.client.write("POST", f"{self._root}/pulls/{opened.number}/merge", wanted)
                break
            except Denied as error:
                if (merged := self._merged_as(opened)) is not None:
                    return merged  # by someone else, since we looked
                if not is_busy(error) or again == _BUSY_TRIES - 1:
                    raise not_merged(self.brand, opened, error) from error
                self.client.pause(again)
        return self._merged_as(opened)

    def _merged_as(self, opened: Opened) -> str | None:
        return merge_commit(opened, self._seen(opened))

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        wanted = squash(opened, message)
        try:
            return self._merge(opened, wanted)
        except NotYet:
            if not self._auto.is_safe():
                says = f"#{opened.number} does not merge by itself: main requires no check, so {self.brand.name} would"
                self.repo.notes.append(f"{says} merge it whatever check says; pointsman doctor tells what to set")
                return None
        self._auto.start(opened, wanted)
        with contextlib.suppress(NotYet):  # what it waits for may have come before it was scheduled
            return self._merge(opened, wanted)
        return None

    def stop_auto_merge(self, opened: Opened) -> bool:
        return self._auto.stop(opened)

    def approvals(self, opened: Opened) -> tuple[str, ...]:
        latest: dict[str, bool] = {}
        for review in self.client.pages(f"{self._root}/pulls/{opened.number}/reviews"):
            if review["state"] in ("APPROVED", "REQUEST_CHANGES"):
                valid = review["state"] == "APPROVED" and not review.get("dismissed") and not review.get("stale")
                latest[str((review.get("user") or {}).get("login", "ghost"))] = valid
        return tuple(sorted(who for who, valid in latest.items() if valid))

    def merged_as(self, commit: Oid) -> Opened | None:
        try:
            pull = self.client.get(f"{self._root}/commits/{commit}/pull")
        except Denied as error:
            if error.status != 404:
                raise
            pull = self._named_by(commit)
        return self._opened(pull) if pull is not None and pull.get("merge_commit_sha") == commit else None

    def _named_by(self, commit: Oid) -> Any:
        """The pull request whose number ends the title of a commit. Gitea before 1.22 cannot be asked for it."""
        title, _, _ = read_commit(commit, self.repo.git.commit(commit)).message.partition("\n")
        found = re.search(r"\(#(\d{1,9})\)$", title)
        return _pull_or_none(self.client, f"{self._root}/pulls/{found[1]}") if found else None

    def merged(self, number: str) -> Oid | None:
        pull = None
        if re.fullmatch(r"[0-9]{1,9}", number):
            pull = _pull_or_none(self.client, f"{self._root}/pulls/{number}")
        return Oid(str(pull["merge_commit_sha"])) if pull is not None and pull.get("merged") else None

    def protection(self) -> list[tuple[str, str]]:
        return protection(self.brand, self.client, self._root)

    def settable(self) -> Iterable[Setting]:
        return settable(self.brand, self.client, self._root, self.repo)


def _branch(head: Mapping[str, Any]) -> str:
    """The branch of a pull request. When it is gone, `ref` is that of the pull request, and `label` is its name."""
    ref = str(head["ref"])
    return str(head.get("label") or ref) if ref.startswith("refs/") else ref


def _pull_or_none(client: Client, path: str) -> Any:
    try:
        return client.get(path)
    except Denied as error:
        if error.status != 404:
            raise
        return None

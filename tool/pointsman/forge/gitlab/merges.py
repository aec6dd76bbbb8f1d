"""Merges on GitLab: at once or by itself, each a squash with our message of exactly the head that was judged."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from pointsman.errors import MovedFirst, Unreachable, one_line
from pointsman.forge.base import Opened
from pointsman.forge.gitlab.merging import AWAITED, KEEPS_LINES, MERGEABLE, NEEDS_REBASE, merge_commit, not_merged
from pointsman.forge.gitlab.sight import SEEN_TRIES, Sight
from pointsman.forge.http import Denied, Lost
from pointsman.forge.writes import look_then_act
from pointsman.repo.moves import Move
from pointsman.state.objects import Oid


class Merges:
    """Merges the merge requests of one project, as `pointsman.forge.base` says it."""

    def __init__(self, sight: Sight) -> None:
        self.repo = sight.repo
        self.client = sight.client
        self._sight = sight

    def merge(self, opened: Opened, message: str) -> Oid:
        """The commit that it became, now or before. It is squashed onto what main is by then."""
        now: list[Opened] = [opened]

        def look() -> str | None:
            now[0], pull = self._ready(now[0])
            return merge_commit(opened, pull)

        def act() -> str | None:
            here = now[0]
            try:
                answer = self.client.made(f"{self._sight.path(opened)}/merge", _merge_call(here, message), "PUT")
            except Denied as error:
                pull = self._sight.pull(opened)
                if (commit := merge_commit(opened, pull)) is not None:
                    return commit  # by someone else, since we looked
                if pull.get("detailed_merge_status") == NEEDS_REBASE and here.head == pull["sha"]:
                    return None  # main moved since we looked
                raise not_merged(opened, pull, error) from error
            return merge_commit(opened, answer)

        commit = Oid(look_then_act(self.client, look, act))
        self.repo.refresh()
        with contextlib.suppress(MovedFirst):  # GitLab deletes it itself, in its own time
            if opened.ref in self.repo.heads:
                self.repo.move([Move(opened.ref, None, now[0].head)])
        return commit

    def _ready(self, opened: Opened) -> tuple[Opened, Any]:
        """The merge request, rebased onto main if this project merges nothing else, and what GitLab says of it."""
        pull = self._sight.seen(opened)
        if pull["state"] != "opened" or pull.get("detailed_merge_status") != NEEDS_REBASE:
            return opened, pull
        opened = self._rebased(opened)
        return opened, self._sight.seen(opened)

    def _rebased(self, opened: Opened) -> Opened:
        """The same change on main as it is now. GitLab keeps the approvals of what it rebases itself."""
        wanted = self._change(opened.head)
        with contextlib.suppress(Lost):  # what became of it is read in either case
            try:
                self.client.write("PUT", f"{self._sight.path(opened)}/rebase")
            except Denied as error:
                says = (
                    f"!{opened.number} has to be rebased onto main, and GitLab refuses that: {one_line(error.reason)}"
                )
                raise Unreachable(f"{says} ({opened.url}; rebase it there, or run pointsman pr refresh)") from error
        for again in range(SEEN_TRIES):
            pull = self.client.get(self._sight.path(opened), include_rebase_in_progress="true")
            if not pull.get("rebase_in_progress"):
                break
            self.client.pause(again)
        if pull.get("merge_error"):
            says = f"GitLab cannot rebase !{opened.number} onto main: {one_line(str(pull['merge_error']))}"
            raise Unreachable(f"{says} ({opened.url}; run pointsman pr refresh)")
        self.repo.refresh()
        head = self.repo.heads.get(opened.ref)
        if head is None or self._change(head) != wanted:
            raise MovedFirst(f"!{opened.number} moved while it was merged: someone pushed to {opened.branch}")
        return replace(opened, head=head)

    def _change(self, head: Oid) -> tuple[str, list[tuple[str, Any]]]:
        """What a branch does to main, and what it says."""
        repo = self.repo
        fork = repo.merge_base(repo.main, head)
        changes = repo.differences(fork, head) if fork is not None else []
        return repo.messages(repo.main, head), [(change.path, change.new) for change in changes]

    def auto_merge(self, opened: Opened, message: str) -> Oid | None:
        now: list[tuple[Opened, Any]] = []

        def look() -> str | None:
            here, pull = self._ready(now[0][0] if now else opened)
            now[:] = [(here, pull)]
            if (commit := merge_commit(opened, pull)) is not None:
                return commit
            return "" if (on := self._sight.merges_with(pull)) is not None and on.split() == message.split() else None

        def act() -> str | None:
            here, pull = now[0]
            if pull.get("merge_when_pipeline_succeeds"):  # GitLab keeps the message that it got first
                self.stop_auto_merge(here)
            if pull.get("detailed_merge_status") == MERGEABLE:
                return self.merge(here, message)
            return self._set(here, message)

        commit = look_then_act(self.client, look, act)
        return Oid(commit) if commit else None

    def _set(self, opened: Opened, message: str) -> str | None:
        """Turn auto-merge on where this GitLab can wait: "", or the commit if it merged at once; None to look again."""
        try:
            if self._sight.project.get("merge_trains_enabled"):
                self._board(opened)
                return ""
            # Before GitLab 17.11, auto_merge had another name. What a version does not know it ignores.
            call = {**_merge_call(opened, message), "auto_merge": True, "merge_when_pipeline_succeeds": True}
            answer = self.client.made(f"{self._sight.path(opened)}/merge", call, "PUT")
            return merge_commit(opened, answer) or ""
        except Denied as error:
            pull = self._sight.seen(opened)  # MovedFirst if that is why
            if pull["state"] == "merged" or pull.get("detailed_merge_status") == MERGEABLE:
                return self.merge(opened, message)
            if error.status == 405 and pull.get("detailed_merge_status") == NEEDS_REBASE:
                return None  # main moved since we looked
            # Where the pipeline has passed already, GitLab tries to merge at once, which is 422 without an approval.
            if error.status in (405, 422) and pull.get("detailed_merge_status") in AWAITED:
                return ""
            raise not_merged(opened, pull, error) from error

    def _board(self, opened: Opened) -> None:
        """Add it to the merge train, which makes the message of the project's template alone."""
        if not self._sight.template_keeps_lines:
            says = "this project has merge trains, and its template of squash messages would lose the commit's lines"
            way = f"set it to {KEEPS_LINES[0]} (Settings → Merge requests), or merge with pointsman pr merge"
            raise Unreachable(f"!{opened.number} is not added to the merge train: {says}: {way}")
        path = f"{self._sight.root}/merge_trains/merge_requests/{opened.number}"
        body = {"auto_merge": True, "when_pipeline_succeeds": True, "sha": opened.head, "squash": True}
        self.client.write("POST", path, body)

    def stop_auto_merge(self, opened: Opened) -> bool:
        was: list[bool] = []

        def look() -> bool | None:
            pull = self._sight.pull(opened)
            was.append(pull["state"] == "opened" and bool(pull.get("merge_when_pipeline_succeeds")))
            return None if was[-1] else True

        def act() -> bool:
            try:
                self.client.write("POST", f"{self._sight.path(opened)}/cancel_merge_when_pipeline_succeeds")
            except Denied as error:
                if error.status not in (401, 403):
                    raise
                says = f"!{opened.number} merges by itself, and the token's user may not stop that"
                raise Unreachable(f"{says} ({opened.url}): who may merge into main, or has opened it, can") from error
            return True

        look_then_act(self.client, look, act)
        return was[0]


def _merge_call(opened: Opened, message: str) -> dict[str, Any]:
    """What a merge says. Where a merge commit is made above the squash, its message is what main's history shows."""
    title, _, rest = message.partition("\n")
    text = f"{title} (!{opened.number})\n\n{rest.strip(chr(10))}\n"
    both = {"squash_commit_message": text, "merge_commit_message": text}
    return {"squash": True, "sha": opened.head, "should_remove_source_branch": True, **both}

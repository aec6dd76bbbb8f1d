"""The open pull requests of ships, rollbacks and holds, on any forge.

The targets of a pull request are those that its diff changes. The message of its commit says what it means to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import MovedFirst, Problem, one_line
from pointsman.forge.base import Opened
from pointsman.forge.local import LocalForge
from pointsman.gate.gate import Gate
from pointsman.history.events import shipped_ever, unknown
from pointsman.repo.damaged import damaged
from pointsman.repo.encoding import read_commit
from pointsman.repo.moves import Move
from pointsman.repo.origin import REVERT_BRANCHES
from pointsman.repo.repository import Repository
from pointsman.shipping.changed_targets import changed_targets
from pointsman.shipping.page import page_of
from pointsman.state.documents import rfc3339
from pointsman.state.message import Message, parse
from pointsman.state.names import Target, branch_place, short
from pointsman.state.objects import Oid
from pointsman.values import PullRequest
from pointsman.workspace import Workspace

_PULLS_SHOWN = 10
_BRANCHES = ("ship/", "rollback/", "hold/", "retire/", "records/")
OLD_MESSAGE = "auto-merge keeps the message of what it was before; turn it on again there"


class Pull(Struct, frozen=True):
    """One open pull request, with the message of its commit.

    `targets`: those that its diff changes, first what its message names.
    """

    opened: Opened
    targets: tuple[Target, ...]
    text: str  # the commit's message
    message: Message
    author: str
    opened_at: str
    is_merge: bool  # its newest commit is one, as "Update branch" of a forge makes it

    @property
    def id(self) -> str:
        return self.opened.id

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def does_as_it_says(self) -> bool:
        """Whether its message names every target that its diff changes."""
        return {*self.targets} <= {said.target for said in self.message.said}

    @property
    def is_revert(self) -> bool:
        """Whether the Revert button of the forge made it. Its commit then has no lines of Pointsman."""
        return self.opened.ref.startswith(REVERT_BRANCHES)

    @property
    def branch(self) -> str:
        return self.opened.branch

    @property
    def head(self) -> Oid:
        return self.opened.head


def open_pulls(workspace: Workspace, branches: Collection[str] | None = None) -> list[Pull]:
    """The open pull requests by the last `refresh` of the origin: all, or those of some branches."""
    every = _read_pulls(workspace.repo, workspace.forge.find(branches))
    return [
        pull for pull in every if pull.targets or not pull.is_revert
    ]  # a revert may be of something else than state


def branches_of(
    repo: Repository, targets: Collection[Target], kinds: Collection[str] = ("ship", "rollback")
) -> list[str]:
    """The branches of ships and rollbacks that may be of these targets."""
    places = (f"{kind}/{place}" for kind in kinds for place in ("run", *(target.place for target in targets)))
    return [ref.removeprefix("refs/heads/") for place in places for ref in repo.heads.below(f"refs/heads/{place}")]


def seen_pulls(workspace: Workspace) -> list[Pull]:
    """Like `open_pulls`, but falls back to branches if the forge does not answer."""
    try:
        return open_pulls(workspace)
    except Problem as error:
        repo = workspace.repo
        repo.notes.append(f"pull requests are read from their branches alone: {error}")
        return _read_pulls(repo, LocalForge(repo).find())


def read_pull(repo: Repository, opened: Opened) -> Pull:
    """A pull request with its message, also if others have put commits without such lines on top."""
    return _together(repo, [opened])[0]


def _read_pulls(repo: Repository, every: Sequence[Opened]) -> list[Pull]:
    """Those that can be read; a note names each whose objects are missing in a repository that is its own origin.

    Elsewhere a fetch leaves such a branch out, and what cannot be read may come from a remote that does not answer.
    """
    try:
        return _together(repo, every)
    except Problem as problem:
        if repo.remote is not None:
            raise
        if len(every) > 1:
            half = len(every) // 2
            return [*_read_pulls(repo, every[:half]), *_read_pulls(repo, every[half:])]
        if (note := damaged(every[0].branch, str(problem))) not in repo.notes:
            repo.notes.append(note)
        return []


def _together(repo: Repository, every: Sequence[Opened]) -> list[Pull]:
    changed = changed_targets(repo, [opened.head for opened in every])
    return [_pull(repo, opened, changed.get(opened.head, ())) for opened in every]


def _pull(repo: Repository, opened: Opened, changed: tuple[Target, ...]) -> Pull:
    head = commit = read_commit(opened.head, repo.git.commit(opened.head))
    message = parse(commit.message)
    if not message.said and repo.main != opened.head:
        for below in repo.beyond(repo.main, opened.head)[-2::-1]:
            if (older := parse(below.message)).said:
                commit, message = below, older
                break
    named, differ = dict.fromkeys(said.target for said in message.said), set(changed)
    # One that is merged already has no diff.
    targets = (*(target for target in named if target in differ), *(each for each in changed if each not in named))
    targets = targets if changed else tuple(named)
    return Pull(opened, targets, commit.message, message, commit.author, rfc3339(commit.time), len(head.parents) > 1)


def is_stale(gate: Gate, main: Oid, pull: Pull) -> bool:
    """Whether main has changed a manifest that it replaces, or a ship's branch ends in a merge commit.

    A forge that squashes such a branch can lose the message of the ship.
    """
    if pull.is_merge and pull.branch.startswith("ship/"):
        return True
    for said in pull.message.said:
        last = gate.lineage(main, said.target).last
        if said.supersedes is not None and said.supersedes != (last.commit.oid if last else "none"):
            return True
    return False


class NoneOpen(Problem):
    """No open pull request is the one that was named."""


class OpenPulls:
    """The open pull requests of one look, found by each name that means one."""

    def __init__(self, workspace: Workspace) -> None:
        self.every = open_pulls(workspace)
        self._workspace = workspace
        self._named: dict[str, list[Pull]] = {}
        self._of_target: dict[str, list[Pull]] = {}
        self._below: dict[str, list[Pull]] = {}  # by the branch without its last part
        for pull in self.every:
            for name in {pull.id, pull.branch}:
                self._named.setdefault(name, []).append(pull)
            for target in pull.targets:
                self._of_target.setdefault(str(target), []).append(pull)
            self._below.setdefault(pull.branch.rpartition("/")[0], []).append(pull)

    def find(self, text: str) -> Pull:
        """The one with this id, branch or target. NoneOpen if there is none, Problem if there are more.

        If a target has none, it is the pull request of its hold.
        """
        named = self._named.get(text) or self._of_target.get(text)
        named = named or self._below.get(f"hold/{branch_place(text)}", [])
        if len(named) == 1:
            return named[0]
        pulls = self.every
        known = ", ".join(pull.branch for pull in (named or pulls)[:_PULLS_SHOWN])
        more = f" and {len(named or pulls) - _PULLS_SHOWN} more" if len(named or pulls) > _PULLS_SHOWN else ""
        if named:
            raise Problem(f"{len(named)} open pull requests are for {text}, name one of them: {known}{more}")
        says = f"no open pull request {text}: {f'open are {known}{more}' if pulls else 'none is open'}"
        repo = self._workspace.repo
        if is_target(text) and text not in (ever := shipped_ever(repo, repo.main)):
            says += f"; {unknown(text, ever)}"
        raise NoneOpen(says)

    def find_now(self, text: str) -> Pull:
        """The same one as it is since the last `refresh`. Reads no other unless it was merged or closed meanwhile."""
        found = open_pulls(self._workspace, [self.find(text).branch])
        return found[0] if found else OpenPulls(self._workspace).find(text)

    def of(self, target: Target) -> Sequence[Pull]:
        """Those that change a target."""
        return self._of_target.get(str(target), ())


def find(workspace: Workspace, text: str) -> Pull:
    """The one open pull request with this id, branch or target, as `OpenPulls` finds it."""
    return OpenPulls(workspace).find(text)


def is_target(text: str) -> bool:
    """Whether what names a pull request can only be a target: no branch of one looks like that."""
    return text.count("/") == 1 and not text.startswith(_BRANCHES)


def reference(pull: Pull) -> PullRequest:
    """A pull request as other documents refer to it."""
    return PullRequest(pull.id, pull.opened.url, pull.branch)


def show_on_forge(workspace: Workspace, branch: str, head: Oid, *, updated: bool = False, tells: bool = True) -> Pull:
    """Open the pull request of a pushed branch, or adopt it. `updated`: write its page again.

    `tells`: if somebody had closed it, a note says so.
    """
    pull = read_pull(workspace.repo, Opened(branch, head))
    page = page_of(workspace, branch, head, pull.text, pull.targets)
    opened = workspace.forge.open(branch, head, page)
    if updated:
        workspace.forge.update(opened, page)
    if tells:
        tell_reopened(workspace, opened)
    return replace(pull, opened=opened)


def tell_reopened(workspace: Workspace, opened: Opened) -> None:
    """Note that somebody had closed what is open again."""
    if opened.reopens:
        workspace.repo.notes.append(f"{opened.branch} is open again, which was closed before ({opened.reopens})")


def replace_head(workspace: Workspace, branch: str, new: Oid, was: Oid | None, *, passing: bool = False) -> bool:
    """Move a branch from `was` to `new`. Whether the forge was to merge its pull request by itself.

    That is stopped first, because a forge would merge what is new with the message of what is old. `was`: None makes
    the branch. Problem, with no branch, if the forge cannot be used: it would be one that no pull request is for.
    """
    forge = workspace.forge
    opened = forge.find([branch]) if was is not None else []
    stopped = [forge.stop_auto_merge(each) for each in opened if each.merges_with is not None]
    workspace.repo.move([Move(f"refs/heads/{branch}", new, was)], passing=passing)
    return any(stopped)


def renew(workspace: Workspace, pull: Pull, head: Oid) -> Pull:
    """Write the page of a pull request again. MovedFirst if it was merged meanwhile.

    Where the page changes, and its branch has not moved, what main has of it did: its checks run again, too.
    """
    new = read_pull(workspace.repo, dataclasses.replace(pull.opened, head=head))
    try:
        page = page_of(workspace, new.branch, head, new.text, new.targets)
        workspace.forge.update(new.opened, page, recheck=head == pull.head)
    except MovedFirst:
        workspace.repo.move([Move(new.opened.ref, None, head)])  # the branch of a merged pull request is of no use
        raise
    return new


def describe_revert(workspace: Workspace, pull: Pull) -> None:
    """Label a pull request of the Revert button, and say in a comment what it undoes."""
    page = page_of(workspace, pull.branch, pull.head, pull.text, pull.targets)
    workspace.forge.label(pull.opened, page.labels)
    workspace.forge.comment(pull.opened, "review", page.body())


def others_work(repo: Repository, pull: Pull) -> str:
    """The newest commit and its author, if the branch has more than the one commit made for it; otherwise "".

    Merge commits do not count: they bring `main` in, and what else they change is in no line.
    """
    commits = [each for each in repo.beyond(repo.main, pull.head) if len(each.parents) <= 1]
    if not commits or (len(commits) == 1 and any(said.manifest or said.supersedes for said in pull.message.said)):
        return ""
    return f"{short(commits[-1].oid)} by {one_line(commits[-1].author)}"


def close_pull(workspace: Workspace, pull: Pull, because: str = "", *, unwanted: bool = False) -> None:
    """Close it, and delete its branch if nobody has moved that. `unwanted`: a person says no to it."""
    workspace.forge.close(pull.opened, because, unwanted=unwanted)

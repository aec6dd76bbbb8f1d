"""Ship pull requests on whatever forge: what each means, and what may be done with it.

What a pull request changes stands in its commit's message, wherever it is open. It is merged after the gate has passed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pointsman.errors import MovedFirst, Problem, one_line
from pointsman.forge.base import Opened
from pointsman.forge.local import LocalForge
from pointsman.gate.gate import Gate
from pointsman.repo.origin import REVERT_BRANCHES, Move
from pointsman.repo.repository import Repository
from pointsman.shipping.page import page_of
from pointsman.state.documents import rfc3339
from pointsman.state.message import Message, parse
from pointsman.state.names import Target, branch_place
from pointsman.state.objects import Oid
from pointsman.state.paths import path_kind
from pointsman.values import PullRequest
from pointsman.workspace import Workspace

_SHOWN = 10  # pull requests


@dataclass(frozen=True, slots=True)
class Pull:
    """One open pull request and what its commit says."""

    opened: Opened
    targets: tuple[Target, ...]
    text: str  # the commit's message
    message: Message
    author: str
    opened_at: str

    @property
    def id(self) -> str:
        return self.opened.id

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def is_revert(self) -> bool:
        """Whether a forge's own button made it: its commit has none of our lines."""
        return self.opened.ref.startswith(REVERT_BRANCHES)

    @property
    def branch(self) -> str:
        return self.opened.branch

    @property
    def head(self) -> Oid:
        return self.opened.head


def open_pulls(workspace: Workspace, branches: Collection[str] | None = None) -> list[Pull]:
    """The open pull requests as `refresh` last saw the origin, by branch: all, or those of some branches."""
    every = [read_pull(workspace.repo, opened) for opened in workspace.forge.find(branches)]
    return [pull for pull in every if pull.targets or not pull.is_revert]  # one may revert what is no state


def seen_pulls(workspace: Workspace) -> list[Pull]:
    """The same for who must see something in any case: where the forge cannot be asked, what its branches say."""
    try:
        return open_pulls(workspace)
    except Problem as error:
        repo = workspace.repo
        repo.notes.append(f"pull requests are told by their branches alone: {error}")
        return [read_pull(repo, opened) for opened in LocalForge(repo).find()]


def read_pull(repo: Repository, opened: Opened) -> Pull:
    """A pull request with what its commit says, also below commits of others that say nothing."""
    fields, body = _commit(repo, opened.head)
    message = parse(body)
    if not message.said and repo.main != opened.head:
        for below in repo.git.ask("log", "--format=%H", opened.head, f"^{repo.main}").split()[1:]:
            if (told := parse(_commit(repo, Oid(below))[1])).said:
                (fields, body), message = _commit(repo, Oid(below)), told
                break
    author = re.search(r"^author (.*) \d+ [+-]\d{4}$", fields, re.MULTILINE)
    committed = re.search(r"^committer .* (\d+) [+-]\d{4}$", fields, re.MULTILINE)
    at = rfc3339(int(committed[1]) if committed else 0)
    targets = tuple(dict.fromkeys(said.target for said in message.said)) or _changed_targets(repo, opened.head)
    return Pull(opened, targets, body, message, author[1] if author else "", at)


def _commit(repo: Repository, oid: Oid) -> tuple[str, str]:
    """The fields of a commit and its message."""
    found = repo.git.object(oid)
    fields, _, body = (found[1].decode(errors="replace") if found is not None else "").partition("\n\n")
    return fields, body


def _changed_targets(repo: Repository, head: Oid) -> tuple[Target, ...]:
    fork = repo.merge_base(repo.main, head)
    changes = repo.git.differences(fork, head) if fork else []
    return tuple(Target(*change.path.split("/")[1:3]) for change in changes if path_kind(change.path) == "manifest")


def is_stale(gate: Gate, main: Oid, pull: Pull) -> bool:
    """Whether main has moved one of the manifests that a pull request replaces."""
    for said in pull.message.said:
        last = gate.lineage(main, said.target).last
        if said.supersedes is not None and said.supersedes != (last.commit.oid if last else "none"):
            return True
    return False


def find(workspace: Workspace, text: str) -> Pull:
    """The one open pull request that an id, a branch or a target names; Problem if none or several do.

    Where a target has none of its own, that of its hold.
    """
    pulls = open_pulls(workspace)
    named = [pull for pull in pulls if text in (pull.id, pull.branch)]
    named = named or [pull for pull in pulls if text in map(str, pull.targets)]
    named = named or [pull for pull in pulls if pull.branch.rpartition("/")[0] == f"hold/{branch_place(text)}"]
    if len(named) == 1:
        return named[0]
    known = ", ".join(pull.branch for pull in (named or pulls)[:_SHOWN])
    more = f" and {len(named or pulls) - _SHOWN} more" if len(named or pulls) > _SHOWN else ""
    if named:
        raise Problem(f"{text} names {len(named)} open pull requests, say which: {known}{more}")
    raise Problem(f"no open pull request {text}: {f'open are {known}{more}' if pulls else 'none is open'}")


def reference(pull: Pull) -> PullRequest:
    """A pull request as other documents refer to it."""
    return PullRequest(pull.id, pull.opened.url, pull.branch)


def document(pull: Pull) -> dict[str, Any]:
    """A pull request as other documents refer to it."""
    return {"id": pull.id, "url": pull.opened.url, "branch": pull.branch}


def show_on_forge(workspace: Workspace, branch: str, head: Oid, *, updated: bool = False) -> Pull:
    """Open the pull request of a branch that was pushed, or adopt it; with `updated` it gets its page anew."""
    pull = read_pull(workspace.repo, Opened(branch, head))
    page = page_of(workspace, branch, head, pull.text, pull.targets)
    opened = workspace.forge.open(branch, head, page)
    if updated:
        workspace.forge.update(opened, page)
    return replace(pull, opened=opened)


def renew(workspace: Workspace, pull: Pull, head: Oid) -> Pull:
    """An open pull request whose branch was moved, with its page anew; MovedFirst if it was merged meanwhile."""
    new = read_pull(workspace.repo, replace(pull.opened, head=head))
    try:
        workspace.forge.update(new.opened, page_of(workspace, new.branch, head, new.text, new.targets))
    except MovedFirst:
        workspace.repo.move([Move(new.opened.ref, None, head)])  # nobody looks at the branch of a merged one any more
        raise
    return new


def describe_revert(workspace: Workspace, pull: Pull) -> None:
    """Label a pull request that the forge's button made, and say in a comment what it undoes."""
    page = page_of(workspace, pull.branch, pull.head, pull.text, pull.targets)
    workspace.forge.label(pull.opened, page.labels)
    workspace.forge.comment(pull.opened, "review", page.body())


def others_work(repo: Repository, pull: Pull) -> str:
    """What stands on its branch beside the one commit that was made for it, "" if nothing does."""
    lines = repo.git.ask("log", "--format=%H %an", pull.head, f"^{repo.main}").splitlines()
    if not lines or (len(lines) == 1 and any(said.manifest or said.supersedes for said in pull.message.said)):
        return ""
    commit, _, author = lines[0].partition(" ")
    return f"{commit[:12]} by {one_line(author)}"


def close_pull(workspace: Workspace, pull: Pull, because: str = "") -> None:
    """Close it, and take the branch away if it still stands where it stood."""
    workspace.forge.close(pull.opened, because)

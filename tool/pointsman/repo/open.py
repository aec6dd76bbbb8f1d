"""Open the repository that a user names: a checkout, a bare repository or a URL."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pointsman.errors import Problem
from pointsman.repo.git import Git
from pointsman.repo.repository import Repository

# A remote's URL → a function that returns the environment with the credentials for git; None if none are needed.
Credentials = Callable[[str | None], Callable[[], Mapping[str, str]] | None]
_BARE = "safe.bareRepository"  # a git setting that can forbid bare repositories that are not named explicitly


@contextlib.contextmanager
def open_repository(spec: str, credentials: Credentials = lambda remote: None) -> Iterator[Repository]:
    """The repository at a path, or a bare partial clone of a URL, which is deleted at the end of the context."""
    with contextlib.ExitStack() as stack:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]+@[^/]+:", spec) and not os.path.isdir(spec):
            directory = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="pointsman-", ignore_cleanup_errors=True)
            )
            git = Git(directory, bare=True)
            git.ask("init", "--quiet", "--bare", "--initial-branch=main", "--template=", ".")
            for name, value in (("url", spec), ("promisor", "true"), ("partialclonefilter", "blob:none")):
                git.ask("config", f"remote.origin.{name}", value)
        else:
            if not os.path.isdir(spec):
                raise Problem(f"there is no directory {spec}")
            git = Git(os.path.abspath(spec))
        stack.callback(git.close)
        where = ("rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository")
        ran = git.run(*where)
        if ran.code != 0 and _BARE in ran.err and spec != ".":  # "." is the default, so nobody named the repository
            git = Git(os.path.abspath(spec), bare=True)
            stack.callback(git.close)
            ran = git.run(*where)
        if ran.code != 0:
            reason = f": {ran.reason}" if "dubious" in ran.err or _BARE in ran.err else ""
            raise Problem(
                f"{spec} is not a git repository{reason}" + ("" if reason else " (pointsman init DIR makes one)")
            )
        git_dir, bare = ran.out.decode(errors="surrogateescape").splitlines()
        worktree = None
        if bare == "false":
            top = git.run("rev-parse", "--path-format=absolute", "--show-toplevel")
            worktree = Path(top.out.decode(errors="surrogateescape").removesuffix("\n")) if top.code == 0 else None
        if worktree is not None:
            git = Git(str(worktree))  # in a subdirectory git would read paths as relative to it
            stack.callback(git.close)
        lines = git.ask("config", "--list", "-z").split("\0")
        settings = dict(line.partition("\n")[::2] for line in lines if line)
        if (environment := credentials(settings.get("remote.origin.url"))) is not None:
            git.credentials = environment
        repo = Repository(git, Path(git_dir), worktree=worktree, settings=settings)
        stack.enter_context(repo.held)
        stack.callback(repo.forget)
        yield repo

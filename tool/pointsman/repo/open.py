"""Open the repository that a user names: a checkout, a bare repository or a URL."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.repo.git import Git
from pointsman.repo.object_reader import Ran
from pointsman.repo.repository import Repository

# A remote's URL → a function that returns the environment with the credentials for git; None if none are needed.
Credentials = Callable[[str | None], Callable[[], Mapping[str, str]] | None]
_REMOTE_URL = pattern(r"remote\..+\.url", re.DOTALL)
# The last of these fails where there is no worktree: then git has told the others.
_WHERE = ("rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository", "--show-toplevel")
_FOUND = pattern(r"(?P<git_dir>.+)\n(true|false)\n((?P<top>.+)\n)?", re.DOTALL)
_ORIGIN = '[remote "origin"]\n\turl = {}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n'
_NONE = "not a git repository (or any"  # git's words where neither a directory nor one above it is one
_BARE = "safe.bareRepository"  # a git setting that can forbid bare repositories that are not named explicitly


@contextlib.contextmanager
def open_repository(
    spec: str, credentials: Credentials = lambda remote: None, *, judging: bool = False
) -> Iterator[Repository]:
    """The repository at a path, or a bare partial clone of a URL, which is deleted at the end of the context.

    `judging`: as a hook of git, judge the index and the objects that git names in the environment.
    """
    with contextlib.ExitStack() as stack:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]+@[^/]+:", spec) and not os.path.isdir(spec):
            import tempfile

            directory = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="pointsman-", ignore_cleanup_errors=True)
            )
            git = Git(directory, bare=True, lasting=False)
            git.ask("init", "--quiet", "--bare", "--initial-branch=main", "--template=", ".")
            with open(os.path.join(directory, "config"), "a", encoding="utf-8", errors="surrogateescape") as config:
                config.write(_ORIGIN.format(_quoted(spec)))
        else:
            if not os.path.isdir(spec):
                if os.path.exists(spec):
                    raise Problem(f"{spec} is no directory: name a checkout, a bare repository or a URL")
                raise Problem(f"there is no directory {spec or repr(spec)}")
            git = Git(os.path.abspath(spec), judging=judging)
        stack.callback(git.close)
        ran = git.run(*_WHERE)
        if not ran.out and _BARE in ran.err and spec != ".":  # "." is the default, so nobody named the repository
            git = Git(os.path.abspath(spec), bare=True, judging=judging)
            stack.callback(git.close)
            ran = git.run(*_WHERE)
        found = _FOUND.fullmatch(ran.out.decode(errors="surrogateescape"))
        if found is None:
            raise Problem(_no_repository(spec, ran))
        git_dir, worktree = found["git_dir"], Path(found["top"]) if found["top"] else None
        if worktree is not None:
            git = Git(str(worktree), judging=judging)  # in a subdirectory git would read paths as relative to it
            stack.callback(git.close)
        entries = [_setting(line) for line in git.ask("config", "--list", "-z").split("\0") if line]
        settings = dict(entries)
        _require_one_origin(git, settings, worktree)
        repo = Repository(git, Path(git_dir), worktree=worktree, settings=settings)
        has_more = sum(name == "remote.origin.url" for name, _ in entries) > 1  # git fetches from the first of them
        if repo.remote is not None and (has_more or any(name.endswith(".insteadof") for name in settings)):
            repo.reached = git.ask("remote", "get-url", "origin")
        if (environment := credentials(repo.remote) or credentials(repo.reached)) is not None:
            git.credentials = environment
        stack.enter_context(repo.held)
        stack.callback(repo.forget)
        yield repo


def _quoted(value: str) -> str:
    """A value as a configuration file has it (git-config, "Syntax")."""
    for character, written in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n"), ("\t", r"\t"), ("\b", r"\b")):
        value = value.replace(character, written)
    return f'"{value}"'


def _setting(line: str) -> tuple[str, str]:
    """Name and value of one entry of `git config --list -z`; a name without a value is true (git-config, "Values")."""
    name, found, value = line.partition("\n")
    return name, value if found else "true"


def _no_repository(spec: str, ran: Ran) -> str:
    """Why git does not take a directory for a repository, and how to go on."""
    if "dubious" in ran.err:
        remedy = next((line.strip() for line in ran.err.splitlines() if "safe.directory" in line), "")
        says = "because another user owns it (dubious ownership). If you trust it, run"
        return f"git does not work in {spec} {says}: {remedy}"
    if _BARE in ran.err or _NONE not in ran.err:  # such as a configuration that git cannot read
        return f"git does not work in {spec}: {ran.reason}"
    if os.path.lexists(os.path.join(spec, ".git")):
        return f"git does not take {spec} for a repository, although it has a .git: look whether you may read all of it"
    return f"{spec} is not a git repository (pointsman init DIR makes one)"


def _require_one_origin(git: Git, settings: Mapping[str, str], worktree: Path | None) -> None:
    """Problem for a clone whose main would be read from one repository and written to another."""
    remotes = sorted({name[len("remote.") : -len(".url")] for name in settings if _REMOTE_URL.fullmatch(name)})
    if "origin" not in remotes:
        if remotes and worktree is not None:
            raise Problem(
                f"this clone has no remote called origin, but {', '.join(remotes)}: "
                f"run: git remote rename {remotes[0]} origin"
            )
        return
    if any(name == "remote.origin.pushurl" or name.endswith(".pushinsteadof") for name in settings):
        fetched, pushed = (git.ask("remote", "get-url", *words, "origin") for words in ((), ("--push",)))
        if place_of(fetched) != place_of(pushed):
            raise Problem(
                f"origin is read from {fetched} and pushed to {pushed}: what is merged there would not be seen here. "
                f"Give it one place: {_one_place(settings)}"
            )


def _one_place(settings: Mapping[str, str]) -> str:
    """How to make the pushes of origin go where it is read from. A pushurl is used as it is, and no other rule then."""
    if "remote.origin.pushurl" in settings:
        return "git config --unset-all remote.origin.pushurl"
    url = settings["remote.origin.url"]
    rules = [name for name in settings if name.endswith(".pushinsteadof") and url.startswith(settings[name])]
    return f"take away {' and '.join(rules) or 'url.….pushInsteadOf'} (git config --show-origin --get-regexp insteadof)"


def place_of(url: str) -> tuple[str, str]:
    """Host and path of a remote, however it is written: https, ssh and the scp form of one repository are alike."""
    scp = re.fullmatch(r"(?:[^@/]+@)?([^:/]+):(?!//)(.*)", url)
    found = scp or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/]*@)?([^/:]*)(?::\d+)?/(.*)", url)
    host, path = found.groups() if found else ("", os.path.realpath(url))
    return host.lower(), path.strip("/").removesuffix(".git")

"""The only module that runs git, and the only way to run it: environment, settings, timeouts.

All calls go through GitPython's `Git`, with constant verbs, object ids and full ref names. A value from outside is
never in a place where git would read an option.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

from pointsman.errors import Problem, Unreachable
from pointsman.patterns import pattern
from pointsman.progress import waiting
from pointsman.repo.object_reader import Ran, pause_for_interrupt
from pointsman.repo.pipes import TooMuch, end, exchange
from pointsman.timeouts import remote_timeout

if TYPE_CHECKING:
    from git import Git as GitPython


OLDEST_GIT = (2, 38)
_VERSION_SECONDS = 5.0

# Variables of git that stay: who commits, and how a remote is reached. The others could name another repository.
_KEPT = pattern(
    r"GIT_((AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)|SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_\w+|HTTP_\w+|PROXY_\w+"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|PARAMETERS|KEY_\d+|VALUE_\d+))"
)
# What git tells a hook to judge: another index for `git commit -a`, and objects of a push that are not accepted yet.
_JUDGED = ("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
# Milliseconds that git waits for another git to unlock a ref. A lock older than that is left over from a killed git.
LOCK_PATIENCE = ("core.filesRefLockTimeout=1000", "core.packedRefsTimeout=1000")
# Settings that the configuration of a user or a repository must not change.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=loose-object,pack,pack-metadata,reference",
    *LOCK_PATIENCE,
    "core.quotePath=false",
    "diff.orderFile=/dev/null",
    "protocol.ext.allow=never",
    "maintenance.auto=false",
    "gc.auto=0",
    "log.showSignature=false",
    "log.follow=false",
    "log.showRoot=true",
    "i18n.commitEncoding=UTF-8",
    "push.recurseSubmodules=no",
    "remote.origin.mirror=false",
    "advice.detachedHead=false",
    "advice.graftFileDeprecated=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
_COMMAND = ["git", *(word for setting in _SETTINGS for word in ("-c", setting))]
_FLEETING = ["-c", "core.fsync=none"]  # for a clone that is deleted at the end
_ONE_AT_A_TIME = threading.Lock()  # threads of a program that uses this package as a library
_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}


def _gitpython(*, judging: bool) -> type[GitPython]:
    """GitPython's Git, imported late. Removes from the environment what SECURITY.md lists."""
    with _ONE_AT_A_TIME:
        for name in list(os.environ):
            if name.startswith("GIT_") and not _KEPT.fullmatch(name) and not (judging and name in _JUDGED):
                del os.environ[name]
        if judging and (index := os.environ.get("GIT_INDEX_FILE")):
            os.environ["GIT_INDEX_FILE"] = os.path.abspath(index)  # a hook's is relative to where the hook was started
        os.environ["GIT_PYTHON_REFRESH"] = "quiet"
        with _without_what_they_import("git", "gitdb"):
            from git.cmd import Git

    return Git


@contextlib.contextmanager
def _without_what_they_import(*packages: str) -> Generator[None, None, None]:
    """Import single modules of packages, but not what the packages themselves would import and run.

    GitPython's would read an object database that nobody here uses, and run `git version` twice: more than half of the
    cost. The packages are not left hollow: whoever imports them later gets them.
    """
    hollow = {}
    for name in packages:
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            sys.modules[name] = hollow[name] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in hollow:
            del sys.modules[name]


@cache
def require_git() -> str:
    """Git's version; Problem if git is missing or older than 2.38 (the first with `merge-tree --write-tree`)."""
    try:
        ran = subprocess.run(["git", "version"], capture_output=True, text=True, check=True, timeout=_VERSION_SECONDS)
        text = ran.stdout
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"git did not say its version within {_VERSION_SECONDS:g} s: it hangs") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise Problem("git cannot be run: install git 2.38 or newer and put it on the PATH") from error
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise Problem(f"{text.strip()} is too old: install git 2.38 or newer")
    return text.strip()


class Runner:
    """Runs git in one repository.

    `bare`: `directory` is the git directory itself, and git does not search for one. `lasting`: the repository is not
    deleted when the command ends.
    """

    def __init__(self, directory: str, *, bare: bool = False, judging: bool = False, lasting: bool = True) -> None:
        require_git()
        self._git = _gitpython(judging=judging)(directory)
        self._command = [*_COMMAND, *([] if lasting else _FLEETING), *(["--git-dir=."] if bare else [])]
        self.credentials: Callable[[], Mapping[str, str]] = dict  # environment with the credentials for the remote

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Git with `words` as a process with open pipes; the caller ends it."""
        return self._git.execute(  # type: ignore[return-value]  # AutoInterrupt passes everything on to its Popen
            [*self._command, *words],
            as_process=True,
            istream=subprocess.PIPE,
            env={**_ENVIRONMENT, **self.credentials(), **(env or {})},
        )

    def run(
        self,
        *words: str,
        given: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        most: int | None = None,
    ) -> Ran:
        """Run git to its end and return the result, whatever its exit code.

        Unreachable after `timeout` seconds or `most` bytes, and if a signal ended it: that is no answer.
        """
        started = self.start(*words, env=env)  # GitPython ends the process with this, and its `wait` raises
        process: subprocess.Popen[bytes] = getattr(started, "proc", started)
        try:
            out, err = exchange(process, given, timeout, most)
        except TimeoutError as error:
            end(process)
            raise Unreachable(
                f"git {_verb(words)} did not end within {timeout:g} s: check the network and the remote"
            ) from error
        except TooMuch as error:
            end(process)
            raise Unreachable(f"git {_verb(words)} gave more than {most} bytes: look at what the remote has") from error
        except BaseException:  # an interrupt
            end(process)
            raise
        ran = Ran(process.returncode, out, err.decode(errors="replace"))
        if ran.killed:
            pause_for_interrupt(ran)
            raise Unreachable(f"git {_verb(words)} gave no answer: {ran.reason}")
        return ran

    def talk(self, url: str | None, *words: str, given: bytes | None = None, most: int | None = None) -> Ran:
        """Run a git that talks to the repository at `url`. It has POINTSMAN_REMOTE_TIMEOUT seconds."""
        seconds = remote_timeout()
        with waiting(f"git {_verb(words)} is talking to {url}", seconds):
            return self.run(*words, given=given, timeout=seconds, most=most)

    def ask(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        """The output of a git command that must succeed; Problem with git's error if it does not."""
        ran = self.run(*words, given=given, env=env)
        if ran.code != 0:
            raise (Unreachable if ran.says_nothing else Problem)(f"git {words[0]} failed: {ran.reason}")
        return ran.out.decode(errors="surrogateescape").removesuffix("\n")


def _verb(words: Sequence[str]) -> str:
    """Which command of git it is: the first word, or that after a setting."""
    return words[2] if words[0] == "-c" else words[0]

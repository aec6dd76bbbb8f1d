"""`demo`: the whole story on real artifacts, told by running the very commands that it prints."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

from msgspec import Struct

import pointsman
from pointsman.errors import Problem
from pointsman.files import unwritten
from pointsman.outcome import Outcome
from pointsman.patterns import pattern
from pointsman.repo.process import require_git
from pointsman.state.store_url import Access, split_url
from pointsman.store.open import open_store
from pointsman.values import Sha256

DAYS = ("2026-03-01_2026-03-02", "2026-03-02_2026-03-03", "2026-03-03_2026-03-04")
_IDENTITY = pattern(r"GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL)")
_NOBODY = {"NAME": "On-call engineer", "EMAIL": "on-call@example.com"}
_POINTER = "registry/current/grocer/home/manifest.json"
_PATIENCE = 120.0  # seconds for what takes a few
_PAUSE = 0.5  # seconds between two runs
ACCEPT = ("--accept", "items-drop", "--accept", "kept-low", "--accept", "size-jump")  # what 3 March breaks


class DemoStep(Struct, frozen=True):
    """A command that was run, and how it ended."""

    command: str
    exit_code: int


class Served(Struct, frozen=True):
    """The file that serving reads in the end."""

    path: str
    sha256: Sha256


class Told(Struct, frozen=True):
    """Where the story happened, and what was run."""

    directory: Annotated[str, "absolute path"]
    steps: Sequence[DemoStep]
    serving: Served


class Serving(Struct, frozen=True):
    """What a recommender sees: the pointer in the store, and the blobs that it names."""

    url: str
    access: Access
    pointer: str = _POINTER

    @property
    def place(self) -> str:
        return f"{self.url}/{self.pointer}".removeprefix("file://")

    def read(self, key: str = "") -> bytes:
        """The bytes of a key; default: of the pointer."""
        key = key or self.pointer
        held = open_store(self.url, self.access).read(key)
        if held is None:
            raise Problem(f"the demo stops: nothing stands at {self.url}/{key}")
        return held.data

    def popular(self) -> int:
        """How many popular items the blob has that the pointer names."""
        uri = json.loads(self.read())["current"]["popularity"]
        return len(json.loads(self.read(uri.removeprefix(f"{self.url}/")))["items"])

    def digest(self) -> str:
        return f"sha256 {hashlib.sha256(self.read()).hexdigest()}  {self.place}"


class Story:
    """Tells and runs. Every command's exit status is checked."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root = root
        self.say = say
        self.steps: list[DemoStep] = []
        self.directory = root
        self.environment = _environment()

    def tell(self, text: str) -> None:
        self.say("")
        for line in textwrap.wrap(" ".join(text.split()), 100, break_long_words=False, break_on_hyphens=False):
            self.say(f"# {line}")

    def enter(self, name: str) -> None:
        self.directory = self.directory / name
        self.say(f"$ {shlex.join(['cd', str(self.directory)])}")

    def run(self, *words: str, ends: int = 0) -> None:
        """Run a command, `pointsman` being this very program; Problem unless it ends with `ends`."""
        command = shlex.join(words)
        self.say(f"$ {command}")
        self._ended(command, *self._ran(words), ends)

    def until(self, shows: str, *words: str, ends: int = 0) -> None:
        """Run a command again and again until it shows a text, and tell the last run; Problem after two minutes."""
        command, latest = shlex.join(words), time.monotonic() + _PATIENCE
        while shows not in (found := self._ran(words))[1] and time.monotonic() < latest:
            time.sleep(_PAUSE)
        self.say(f"$ {command}")
        self._ended(command, *found, ends)
        if shows not in found[1]:
            raise Problem(f"the demo stops: `{command}` does not say {shows!r} (in {self.directory})")

    def _ran(self, words: Sequence[str]) -> tuple[int, str]:
        program = [sys.executable, "-P", "-m", "pointsman"] if words[0] == "pointsman" else [words[0]]
        ran = subprocess.run(
            [*program, *words[1:]],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return ran.returncode, ran.stdout.decode(errors="replace").rstrip()

    def _ended(self, command: str, code: int, said: str, ends: int) -> None:
        if said:
            self.say(said)
        if code:
            self.say(f"(exit code {code})")
        self.steps.append(DemoStep(command, code))
        if code != ends:
            raise Problem(f"the demo stops: `{command}` ended with exit code {code}, not {ends} (in {self.directory})")


def demo(
    directory: str | None, say: Callable[[str], None], *, store: str | None = None, endpoint: str | None = None
) -> Outcome[Told]:
    """Tell the story in `directory`, which must be new or empty, or in a new temporary one. It is kept either way.

    `store` is a URL below which nothing stands yet, `endpoint` where its bucket is; default: a directory in there.
    """
    require_git()
    access = Access(endpoint or "", "", (endpoint or "").startswith("http://"))
    if store is not None:
        split_url(store)
        if next(open_store(store.rstrip("/"), access).keys("", _POINTER.count("/") + 1), None) is not None:
            raise Problem(f"something stands below {store} already: name another prefix")
    root = root_for(directory)
    story = Story(root, say)
    serving = Serving(store.rstrip("/") if store is not None else f"file://{root}/store", access)
    stage(story)
    _set_up(story, serving)
    _ordinary_days(story, serving)
    good, items = serving.read(), serving.popular()
    _broken_day(story, serving, items)
    _roll_back(story, serving, good)
    _look_back(story)
    digest = hashlib.sha256(good).hexdigest()
    return Outcome(Told(str(root), story.steps, Served(serving.place, digest)))


def stage(story: Story) -> None:
    """Put the artifacts of three days where the pipeline would leave them."""
    with resources.as_file(resources.files("pointsman").joinpath("demo_data/staging")) as staged:
        shutil.copytree(staged, story.root / "staging")
    story.say(f"Everything happens in {story.root}, which stays when this is over.")


def _set_up(story: Story, serving: Serving) -> None:
    local = serving.url.startswith("file://")
    story.tell(
        f"""A manifest repository decides what the recommender of the shop "grocer" shows on its home page. Here is a
        new one, with an origin to push to, as it would be on a forge, and
        {"a directory that stands in for object storage" if local else "object storage in a bucket"}."""
    )
    story.run("git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    sets = ["--set", f"store.endpoint={serving.access.endpoint}"] if serving.access.endpoint else []
    sets += ["--set", "store.allow_http=true"] if serving.access.allow_http else []
    story.run("pointsman", "init", "manifests", "--store", serving.url, *sets)
    story.enter("manifests")
    story.run("git", "remote", "add", "origin", "../origin.git")
    story.run("git", "push", "--quiet", "--set-upstream", "origin", "main")


def _ordinary_days(story: Story, serving: Serving) -> None:
    story.tell(
        """1 March. The pipeline has built five artifacts. The CI bot publishes them: they are stored under the hash of
        their bytes, recorded in git, and a pull request proposes to make them current. Serving has not changed yet."""
    )
    story.run("pointsman", "publish", "../staging", "--window", DAYS[0], "--run", "https://ci.example/runs/301")
    story.tell("A reviewer looks, and merges. The merge is the swap; sync shows it to serving.")
    story.run("pointsman", "pr", "list")
    story.run("pointsman", "pr", "merge", "grocer/home")
    story.run("pointsman", "sync")
    story.tell("2 March, the same again; this time the bot may merge what passes the rules.")
    story.run(
        "pointsman", "publish", "../staging", "--window", DAYS[1], "--run", "https://ci.example/runs/302", "--merge"
    )
    story.run("pointsman", "sync")
    story.tell(f"The home page can now show {serving.popular()} popular items. Remember the file that serving reads:")
    story.say(serving.digest())


def _broken_day(story: Story, serving: Serving, items: int) -> None:
    story.tell(
        """3 March. Something upstream broke in the night and most events are missing. The pipeline did not notice.
        Pointsman does, and writes nothing:"""
    )
    day = ("pointsman", "publish", "../staging", "--window", DAYS[2], "--run", "https://ci.example/runs/303")
    story.run(*day, ends=1)
    story.tell("Someone is sure that it is fine, and ships it all the same. The reason goes into git for good.")
    story.run(*day, *ACCEPT, "--reason", "clearance sale, fewer items are right", "--merge")
    story.run("pointsman", "sync")
    story.tell("It was not fine. The phone rings; on-call looks at what is current, since when, and by whom:")
    story.run("pointsman", "status", "grocer/home")
    story.tell(f"The home page is down from {items} popular items to {serving.popular()}. The 3 March ship has to go.")


def _roll_back(story: Story, serving: Serving, good: bytes) -> None:
    story.tell("Rolling back needs git and nothing else: the ship is the newest commit of main, so revert it.")
    story.run("git", "pull", "--quiet", "--ff-only")
    story.run("git", "revert", "--no-edit", "HEAD")
    story.tell("The gate knows a revert when it sees one. Push it, and let serving follow.")
    story.run("pointsman", "check", "--base", "origin/main")
    story.run("git", "push", "--quiet")
    story.run("pointsman", "sync")
    story.say(serving.digest())
    if serving.read() != good:
        raise Problem(f"the demo stops: {serving.place} is not what it was before 3 March")
    story.tell(f"The same file, byte for byte, as on 2 March: {serving.popular()} popular items again.")


def _look_back(story: Story) -> None:
    story.tell("And a bot that tries to bring 3 March back, by mistake or by retry, is told so:")
    day = ("pointsman", "publish", "../staging", "--window", DAYS[2])
    story.run(*day, *ACCEPT, "--reason", "again", ends=1)
    story.tell("What an auditor reads a year later:")
    story.run("pointsman", "log", "grocer/home")
    story.tell(
        f"""That is all of it. To go on: cd {shlex.quote(str(story.directory))}, look around with git log and
        {_program()} --help; your own repository starts with {_program()} init DIR."""
    )


def _program() -> str:
    """What to type to run this very program, wherever one stands."""
    called = os.path.abspath(sys.argv[0])
    if os.path.basename(called) != "pointsman" or not os.access(called, os.X_OK):
        return f"{shlex.quote(sys.executable)} -m pointsman"
    on_path = shutil.which("pointsman")
    if on_path is not None and os.path.samefile(on_path, called):
        return "pointsman"
    return shlex.quote(called)


def root_for(directory: str | None) -> Path:
    if directory is None:
        return Path(os.path.realpath(tempfile.mkdtemp(prefix="pointsman-demo-")))
    root = Path(os.path.abspath(directory))
    try:
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise Problem(f"{directory} is not empty: name a new directory, or none")
    except OSError as error:
        raise unwritten(error, directory, "make") from error
    return root


def _environment() -> Mapping[str, str]:
    """Ours, without what git is told: signing, hooks or another place could end the story. Its user's name is kept."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _IDENTITY.fullmatch(name)
    }
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(Path(pointsman.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    for what, made_up in _NOBODY.items():
        found = (_configured(f"user.{what.lower()}", scope, environment) for scope in ("--global", "--system"))
        name = next(filter(None, found), made_up)
        for who in ("AUTHOR", "COMMITTER"):
            environment.setdefault(f"GIT_{who}_{what}", name)
    return {**environment, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _configured(name: str, scope: str, environment: Mapping[str, str]) -> str:
    """A setting of git wherever it is run: what one checkout says does not count in another. "" without one."""
    command = ["git", "config", scope, name]
    return subprocess.run(command, capture_output=True, env=environment, text=True, check=False).stdout.strip()

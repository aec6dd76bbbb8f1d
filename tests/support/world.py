"""Real repositories and stores for the tests that kill, race and trace; and what must be true of one at any instant.

How much is run: without POINTSMAN_ROUNDS an everyday sample; an integer is that many rounds of each race, half as many
points to kill at in each case, and a tenth as many at which git is killed, which takes longest; 0 is every point there
is, and the everyday number of rounds.

A world lives at one path at a time (`World.root`), because manifests and settings name their store by absolute path: a
template is moved there, so that what two runs leave can be compared byte for byte.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest
from clocks import clock_at

from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import Target
from pointsman.verbs import (
    approve,
    attest,
    break_glass,
    gc,
    hold,
    pr,
    publish,
    ratify,
    retire,
    retire_plan,
    rollback,
    ship,
    sync,
)
from pointsman.workspace import Workspace

HOME = Target("grocer", "home")
DAYS = ("2026-03-01_2026-03-02", "2026-03-02_2026-03-03")
TYPES = ("popularity", "cooc")
SAMPLES = Path(__file__).parents[1] / "samples" / "recsys-pipelines" / "staging" / "grocer" / "home" / "default"
FOREVER = "2999-01-01"
SHAPES = ("own-origin bare", "checkout with a bare origin")

_SET = os.environ.get("POINTSMAN_ROUNDS", "")


def shapes_and(names: Iterable[str], everyday: Collection[str] | None = None) -> list[Any]:
    """Every shape with every name; every day the first shape alone, and of the names only those of `everyday`."""
    return [
        pytest.param(
            shape, name, marks=() if shape == SHAPES[0] and (everyday is None or name in everyday) else pytest.mark.slow
        )
        for shape in SHAPES
        for name in names
    ]


def how_many(everyday: int, part: int = 1) -> int:
    """Rounds of a race; `part` is the share of POINTSMAN_ROUNDS that it takes."""
    return max(everyday, int(_SET or 0) // part)


def how_many_points(everyday: int, every: int, part: int) -> int:
    """Points of one case, of `every` that there are."""
    return every if _SET == "0" else min(every, how_many(everyday, part))


def artifact_files(day: str, *types: str) -> tuple[str, ...]:
    """The sample files of one day of grocer/home."""
    return tuple(str(next((SAMPLES / kind / day).glob("*.json"))) for kind in types or TYPES)


# what is run

Verb = Callable[[Repository], Outcome[Any]]


def publishing(*paths: str, merge: bool = False, run: int = 7) -> Verb:
    request = publish.Request(paths, merge=merge, run=f"https://ci.example/run/{run}")
    return lambda repo: publish.publish(Workspace(repo), request)


def rolling_back(*targets: Target, now: bool, **more: Any) -> Verb:
    reason = "the day is broken" if now or "hold" in more else ""
    return lambda repo: rollback.roll_back(Workspace(repo), rollback.Request(targets, now=now, reason=reason, **more))


def holding(until: str | None, *, now: bool) -> Verb:
    request = hold.Request(str(HOME), until, "the feed is broken", now)
    return lambda repo: hold.change_hold(Workspace(repo, clock=clock_at(0)), request)


def shipping(day: str) -> Verb:
    versions = tuple((kind, Path(path).stem) for kind, path in zip(TYPES, artifact_files(day), strict=True))
    return lambda repo: ship.ship(Workspace(repo), ship.Request(HOME, versions, merge=True, reship=True))


def retiring(*, merge: bool) -> Verb:
    versions = tuple(Path(path).stem for path in artifact_files(DAYS[0], "cooc"))
    request = retire_plan.Request(versions=versions, erase=True, reason="asked for", merge=merge)
    return lambda repo: retire.retire(Workspace(repo), request)


def leaving_orphans(repo: Repository) -> Outcome[Any]:
    """What two publishes leave that died before they recorded anything, long ago."""
    store = Path(Snapshot(repo, repo.refresh()).settings().store.removeprefix("file://"))
    for data in (b"one", b"two"):
        path = store / str(HOME) / TYPES[0] / f"{hashlib.sha256(data).hexdigest()}.json"
        path.write_bytes(data)
        os.utime(path, (0, 0))
    return gc.gc(Workspace(repo), gc.Request())  # a dry run


def collecting(repo: Repository) -> Outcome[Any]:
    return gc.gc(Workspace(repo), gc.Request(delete=True))


def _root(repo: Repository) -> Path:
    """The root of the world that a repository belongs to."""
    return Path(Snapshot(repo, repo.main).settings().store.removeprefix("file://")).parent


def demanding(repo: Repository) -> Outcome[Any]:
    """Main demands one approval from here on, and names a key for all that can be signed; it is in the root."""
    repo.refresh()
    root = _root(repo)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(root / "ann")], check=True)
    public, desk = (root / "ann.pub").read_text(), root / "signing"
    git(root, "clone", "--quiet", str(root / "origin.git"), str(desk))
    with (desk / "pointsman.toml").open("a") as settings:
        settings.write('[audit]\nallowed_signers = "allowed_signers"\n[policy]\napprovals = 1\n')
    namespaces = ",".join(f"pointsman-{each}" for each in ("approval", "evidence", "claim"))
    (desk / "allowed_signers").write_text(f'ann@example.org namespaces="{namespaces}" {public}')
    (root / "found.json").write_text('{"decision": "ship"}')
    git(desk, "add", ".")
    identity = ("-c", "user.name=Ann Ondata", "-c", "user.email=ann@example.org")
    git(desk, *identity, "commit", "--quiet", "--message=who signs")
    git(desk, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    shutil.rmtree(desk)
    return gc.gc(Workspace(repo), gc.Request())  # a dry run


def approving(repo: Repository) -> Outcome[Any]:
    repo.refresh()
    return approve.approve(Workspace(repo), str(HOME), str(_root(repo) / "ann"))


def attesting(repo: Repository) -> Outcome[Any]:
    repo.refresh()
    found, key = (str(_root(repo) / name) for name in ("found.json", "ann"))
    return attest.attest(Workspace(repo), attest.Request((str(HOME),), "offline-eval", found, key=key))


def breaking_the_glass(repo: Repository) -> Outcome[Any]:
    freeze_clocks()  # a claim of later than the clock of those who judge it would hold nothing
    repo.refresh()
    request = break_glass.Request(HOME, "the day is broken", key=str(_root(repo) / "ann"))
    return break_glass.break_glass(repo.worktree or repo.git_dir, request, tell=lambda line: None)


VERBS: Mapping[str, tuple[str, Verb]] = {  # name → the stage that it starts from, and the verb
    "publish": ("day 1 served", publishing(*artifact_files(DAYS[1]), run=8)),
    "publish --merge": ("day 1 served", publishing(*artifact_files(DAYS[1]), merge=True, run=8)),
    "pr merge": ("day 2 open", lambda repo: pr.merge(Workspace(repo), "grocer/home")),
    "sync": ("day 2 merged", lambda repo: sync.sync(Workspace(repo))),
    "rollback": ("day 2 served", rolling_back(HOME, now=False)),
    "rollback --now": ("day 2 served", rolling_back(HOME, now=True)),
    "rollback --run --hold": (
        "day 2 served", rolling_back(now=False, run="https://ci.example/run/8", hold=True, until=FOREVER)
    ),
    "rollback --type --now": ("day 2 served", rolling_back(HOME, now=True, slot="cooc")),
    "hold": ("day 2 served", holding(FOREVER, now=False)),
    "release --now": ("day 2 held", holding(None, now=True)),
    "ship --merge": ("day 1 again", shipping(DAYS[1])),
    "retire": ("day 2 served", retiring(merge=False)),
    "retire --merge": ("day 2 served", retiring(merge=True)),
    "gc --delete": ("orphans", collecting),
    "approve": ("day 2 to approve", approving),
    "attest": ("day 2 to approve", attesting),
    "rollback --ratify": ("day 2 claimed", lambda repo: ratify.ratify(Workspace(repo))),
}  # fmt: skip
OFTEN = ("publish", "sync")  # those that are killed every day
STAGES: Mapping[str, tuple[str | None, tuple[Verb, ...]]] = {  # name → the stage before it, and what leads there
    "nothing": (None, ()),
    "day 1 merged": ("nothing", (publishing(*artifact_files(DAYS[0]), merge=True),)),
    "day 1 served": ("day 1 merged", (VERBS["sync"][1],)),
    "day 2 open": ("day 1 served", (VERBS["publish"][1],)),
    "day 2 merged": ("day 2 open", (VERBS["pr merge"][1],)),
    "day 2 served": ("day 2 merged", (VERBS["sync"][1],)),
    "orphans": ("day 2 served", (leaving_orphans,)),
    "day 2 held": ("day 2 served", (holding(FOREVER, now=True),)),
    "day 2 to approve": ("day 2 open", (demanding,)),
    "day 2 claimed": ("day 2 served", (demanding, VERBS["sync"][1], breaking_the_glass)),
    "day 1 again": ("day 2 served", (VERBS["rollback --now"][1],)),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, its document or its problem; `signal` if it was killed."""

    code: int
    document: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""
    signal: int = 0
    steps: tuple[str, ...] = ()


def perform(where: Path, verb: Verb) -> Ended:
    """A verb as the command line runs it, in this process. What is no Problem is a bug, and raised."""
    try:
        with open_repository(str(where)) as repo:
            outcome = verb(repo)
    except Problem as problem:
        return Ended(problem.exit_code, sentence=str(problem))
    return Ended(outcome.exit_code, dict(outcome.document))


@cache
def _adopt_orphans() -> None:
    """Be the parent of whatever a killed child leaves running, so that its end can be waited for (Linux)."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


class Child:
    """A fork of this process, with its warm imports, that performs one verb in a process group of its own."""

    def __init__(self, action: Callable[[], Ended]) -> None:
        _adopt_orphans()
        reading, writing = os.pipe()
        with warnings.catch_warnings():  # threads of the test runner are no matter: the child uses none of their locks
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            status = 70
            with contextlib.suppress(BaseException):
                os.setpgid(0, 0)
                os.close(reading)
                with open(writing, "w") as report:
                    try:
                        ended = action()
                        json.dump([ended.code, ended.document, ended.sentence, list(ended.steps)], report)
                        status = 0
                    except BaseException:  # noqa: BLE001 - printed, and the parent fails
                        sys.excepthook(*sys.exc_info())
            os._exit(status)
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)  # whoever comes first
        os.close(writing)
        self._report = reading

    def wait(self) -> Ended:
        """Until the child and every process that it started have ended."""
        with open(self._report) as report:
            text = report.read()
        status = 0
        while True:
            try:
                pid, ended = os.waitpid(-self.pid, 0)
            except ChildProcessError:
                break
            status = ended if pid == self.pid else status
        if os.WIFSIGNALED(status):
            return Ended(-1, signal=os.WTERMSIG(status))
        assert status == 0, "the command ended in a traceback, printed above"
        code, document, sentence, steps = json.loads(text)
        return Ended(code, document, sentence, steps=tuple(steps))


# a world


class World:
    """One manifest repository with its origin, store and serving directory, all below `root`."""

    def __init__(self, root: Path, shape: str) -> None:
        self.root = root
        self.shape = shape
        self.store = root / "store"
        self.origin = root / "origin.git"
        self.where = self.origin if shape == SHAPES[0] else root / "clone"

    def make(self) -> None:
        """An origin whose main has settings only, and the clone that the shape asks for."""
        self.root.mkdir(parents=True)
        git(self.root, "init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        clone = self.clone("clone")
        (clone / "pointsman.toml").write_text(f'[store]\nurl = "file://{self.store}"\n')
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "--message=first")
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        if self.shape == SHAPES[0]:
            shutil.rmtree(clone)

    def clone(self, name: str) -> Path:
        there = self.root / name
        git(self.root, "clone", "--quiet", str(self.origin), str(there))
        git(there, "checkout", "--quiet", "-B", "main")
        git(there, "config", "user.name", "Ann Ondata")
        git(there, "config", "user.email", "ann@example.org")
        return there

    def run(self, verb: Verb) -> Ended:
        """A verb in a process of its own, to its end."""
        return Child(lambda: perform(self.where, verb)).wait()

    # what readers see

    def serving(self) -> bytes | None:
        """What recsys-service would read now for grocer/home."""
        try:
            return (self.store / "registry/current/grocer/home/manifest.json").read_bytes()
        except FileNotFoundError:
            return None

    def main_files(self) -> dict[str, bytes]:
        """Every file at the tip of main, read by git itself."""
        listed = git(self.origin, "ls-tree", "-r", "-z", "refs/heads/main").split("\0")[:-1]
        paths = {line.partition("\t")[2]: line.split()[2] for line in listed}
        return dict(zip(paths, objects(self.origin, list(paths.values())), strict=True))

    def stored(self) -> dict[str, bytes]:
        """Every file of the store by key, but for the tool's own, which are below a `.pointsman`."""
        found = {}
        for directory, below, names in os.walk(self.store):
            if ".pointsman" in below:
                below.remove(".pointsman")
            for name in names:
                path = Path(directory, name)
                found[str(path.relative_to(self.store))] = path.read_bytes()
        return found

    def check(self) -> None:
        """What holds at any instant, whatever was killed: all that main points to is there and sound, and so is git."""
        command = ["git", "-C", str(self.origin), "fsck", "--full", "--strict", "--no-dangling"]
        fsck = subprocess.run(command, capture_output=True, text=True, check=False)
        assert fsck.returncode == 0, fsck.stdout + fsck.stderr
        assert not fsck.stdout + re.sub(r"(?m)^(Checking object|notice: ).*\n?", "", fsck.stderr)
        stored = self.stored()
        for key, data in stored.items():
            if key != "registry/current/grocer/home/manifest.json":
                found = re.fullmatch(r"grocer/home/(popularity|cooc)/([0-9a-f]{64})\.json", key)
                assert found, f"{key} could be taken for data"
                assert hashlib.sha256(data).hexdigest() == found[2], f"{key} is not what its name says"
        files = self.main_files()
        for path, data in files.items():
            if path.startswith("manifests/"):
                for slot, uri in json.loads(data)["current"].items():
                    key = uri.removeprefix(f"file://{self.store}/")
                    assert f"registry/{key}" in files, f"{path}: {slot} has no record on main"
            if path.startswith("registry/") and not path.endswith(".retired.json") and ".evidence." not in path:
                assert path.removeprefix("registry/") in stored, f"{path} is recorded, and its blob is not there"

    def fingerprint(self) -> bytes:
        """Every byte of every file and every name below `root`."""
        hashed = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            hashed.update(b"%s\0%d\0%s" % (os.fsencode(path), len(data), data))
        return hashed.digest()

    def digest(self) -> dict[str, Any]:
        """What two runs that did the same have in common: all but commit ids and times."""
        files = self.main_files()
        refs = git(self.origin, "for-each-ref", "--format=%(refname)").split()
        messages = git(self.origin, "log", "--all", "--format=%P%x00%B%x01").split("\1")
        serving = self.serving()
        return {
            "main": {path: _timeless(data) for path, data in files.items()},
            "refs": refs,
            "commits": sorted(_nameless(message.strip("\n")) for message in messages),
            "store": {
                key: hashlib.sha256(data).hexdigest()
                for key, data in self.stored().items()
                if key != "registry/current/grocer/home/manifest.json"
            },
            "serving": _timeless(serving) if serving is not None else None,
            "status": git(self.where, "status", "--porcelain") if self.where != self.origin else "",
            "head": git(self.where, "rev-parse", "HEAD") if self.where != self.origin else "",
        }


def _timeless(data: bytes) -> str:
    return re.sub(r'"(updated_at|recorded_at)": "[^"]*"', r'"\1": ""', data.decode())


def _nameless(message: str) -> str:
    """A commit without ids of commits, or of bytes with a time in them; versions stay."""
    message = re.sub(r"(Manifest: \S+ sha256:)[0-9a-f]{64}", r"\1", message)
    return re.sub(r"\b[0-9a-f]{40}\b", "<commit>", message)


@dataclass(frozen=True, slots=True)
class Templates:
    """Worlds of one shape at every stage, made once, and put where they were made whenever one is asked for."""

    shelf: Path
    shape: str

    def at(self, stage: str) -> World:
        """A fresh world at a stage."""
        world = World(self.shelf / "now", self.shape)
        kept = self._make(world, stage)
        shutil.rmtree(world.root, ignore_errors=True)
        shutil.copytree(kept, world.root, symlinks=True)
        return world

    def _make(self, world: World, stage: str) -> Path:
        kept = self.shelf / stage
        if not kept.exists():
            before, verbs = STAGES[stage]
            if before is None:
                shutil.rmtree(world.root, ignore_errors=True)
                world.make()
            else:
                self.at(before)
            for verb in verbs:
                ended = world.run(verb)
                assert ended.code == 0, ended
            shutil.copytree(world.root, kept, symlinks=True)
        return kept


def tracer() -> str:
    """Where strace is; the test is skipped where there is none or the machine does not let it trace."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed: nobody can see, or stop, a system call")
    ran = subprocess.run([path, "-f", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        pytest.skip(f"strace may not trace on this machine: {ran.stderr.strip()}")
    return path


def own_mounts(*more: str) -> list[str]:
    """What to put before a command that mounts file systems nobody else sees; the test is skipped without it.

    `more`: other options of unshare that it needs.
    """
    own_user = ["unshare", "--user", "--map-root-user", "--mount"]
    for command in (own_user, ["unshare", "--mount"], ["sudo", "-n", "-E", "unshare", "--mount"]):
        with contextlib.suppress(OSError):
            if subprocess.run([*command, *more, "true"], capture_output=True, check=False).returncode == 0:
                return [*command, *more]
    pytest.skip(f"no namespace of its own is to be had (unshare --mount {' '.join(more)})")


# git, without the code under test


def git(where: Path, *words: str) -> str:
    """The output of one git command that must succeed."""
    ran = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"git {' '.join(words)}: {ran.stderr}"
    return ran.stdout


def objects(where: Path, ids: Sequence[str]) -> list[bytes]:
    """The contents of objects."""
    command = ["git", "-C", str(where), "cat-file", "--batch"]
    out = subprocess.run(command, input="\n".join(ids).encode(), capture_output=True, check=True).stdout
    contents, place = [], 0
    for _ in ids:
        head = out.index(b"\n", place)
        size = int(out[place:head].split()[2])
        contents.append(out[head + 1 : head + 1 + size])
        place = head + size + 2
    return contents


# steps

_CHANGES = {"os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "fcntl.flock"}
_CHANGES |= {"os.chmod", "os.utime", "os.setxattr"}


def _step(event: str, arguments: tuple[Any, ...]) -> str | None:
    """An audit event as a step that the world outside can see, None if it cannot."""
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) or set(mode or "r") & set("wxa+")
        return f"open {path}" if writes and not isinstance(path, int) and path != os.devnull else None
    if event == "subprocess.Popen":
        return f"start {_words(arguments[1])}"
    if event == "test.step":
        return str(arguments[0])
    return f"{event} {arguments}" if event in _CHANGES else None


def _words(command: Sequence[str]) -> str:
    settings = [place for place, word in enumerate(command) if word == "-c"]
    return " ".join(str(word) for word in command[settings[-1] + 2 if settings else 1 :])


_START = datetime.now(UTC).replace(microsecond=0)  # near what the parent makes, as the gate holds times against clocks


class _Still(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(_START.timestamp(), tz)


def freeze_clocks() -> None:
    """In a child: the same run leaves the same bytes, so that a state met before need not be judged again."""
    os.environ["GIT_COMMITTER_DATE"] = os.environ["GIT_AUTHOR_DATE"] = f"{_START:%Y-%m-%dT%H:%M:%SZ}"
    for name, module in list(sys.modules.items()):
        if name.startswith("pointsman.") and getattr(module, "datetime", None) is datetime:
            module.datetime = _Still  # type: ignore[attr-defined]


@contextlib.contextmanager
def watching(see: Callable[[str], None]) -> Iterator[None]:
    """Call `see` right before every step of this process: it is for a child, an audit hook cannot be taken out.

    Python announces starts, opens and renames; writes and fsyncs it does not, nor that git has been started: these
    three are announced here.
    """

    def announced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def announce(*arguments: Any, **named: Any) -> Any:
            sys.audit("test.step", name)
            return function(*arguments, **named)

        return announce

    started = subprocess.Popen.__init__

    def start(process: Any, *arguments: Any, **named: Any) -> None:
        started(process, *arguments, **named)
        sys.audit("test.step", f"started {_words(process.args)}")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        step = _step(event, arguments)
        if step is not None:
            see(step)

    freeze_clocks()
    sys.addaudithook(hook)
    os.write, os.fsync = announced("write", os.write), announced("fsync", os.fsync)
    subprocess.Popen.__init__ = start  # type: ignore[assignment,method-assign]
    yield


def record(world: World, verb: Verb) -> Ended:
    """Run a verb to its end, and say every step."""
    steps: list[str] = []

    def action() -> Ended:
        with watching(steps.append):
            ended = perform(world.where, verb)
        return Ended(ended.code, ended.document, ended.sentence, steps=tuple(steps))

    return Child(action).wait()


def kill(world: World, verb: Verb, place: int, *, group: bool) -> Ended:
    """Run a verb and kill it right before step `place`; with `group` git is killed with it, else git runs on."""
    seen = 0

    def see(step: str) -> None:
        nonlocal seen
        if seen == place:
            (os.killpg if group else os.kill)(os.getpid(), signal.SIGKILL)
        seen += 1

    def action() -> Ended:
        with watching(see):
            perform(world.where, verb)
            see("the end")
        raise AssertionError(f"there is no step {place}")

    return Child(action).wait()


if __name__ == "__main__":  # for a tracer: python world.py WHERE VERB
    sys.exit(perform(Path(sys.argv[1]), VERBS[sys.argv[2]][1]).code)

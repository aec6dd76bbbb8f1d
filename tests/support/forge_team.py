"""A team on a stand-in: its repository, a store, and a bot with a clone and a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from forge_server import ForgeServer
from shop import CALM, git, popularity

from pointsman.forge.base import Forge, Opened, Page
from pointsman.forge.open import credentials
from pointsman.outcome import Outcome
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.verbs import audit, check, pr, publish, refresh, sync
from pointsman.workspace import Workspace

SETTINGS = f'[forge]\nkind = "KIND"\n{CALM}'
BY_ITSELF = SETTINGS.replace('KIND"\n', 'KIND"\nauto_merge = true\n')
PUSHED = SETTINGS.replace('KIND"\n', 'KIND"\nrecords = "push"\n')
_Hub = TypeVar("_Hub", bound=ForgeServer)
_Adapter = TypeVar("_Adapter", bound=Forge)


def outcomes(outcome: Outcome[Any]) -> list[str]:
    return [each["outcome"] for each in outcome.document["targets"]]


class Team(Generic[_Hub]):
    """The clone's git takes a short cut to the hub's repository, which is several times faster than HTTP."""

    def __init__(self, root: Path, hub: _Hub, settings: str = SETTINGS) -> None:
        self.root = root
        self.hub = hub
        self.store = root / "store"
        self.url = f"{hub.url}/{hub.slug}.git"
        self.desk = root / "desk"
        self.found(settings.replace("KIND", hub.kind))
        self.push("settings")
        self.short_cut(self.desk)

    def found(self, settings: str) -> None:
        """Make the repository on the desk; a team that has more in it makes it in its own way."""
        git(self.root, "init", "-q", "-b", "main", str(self.desk))
        (self.desk / "pointsman.toml").write_text(f'[store]\nurl = "file://{self.store}"\n{settings}')

    def push(self, message: str) -> None:
        """What is on the desk becomes main."""
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "-m", message)
        git(self.desk, "push", "-q", str(self.hub.repo), "HEAD:main")

    def short_cut(self, clone: Path) -> None:
        """Let a clone name the hub as its origin, and git take the repository itself."""
        git(clone, "config", "remote.origin.url", self.url)
        git(clone, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        place = self.hub.slug.partition("/")[0]
        git(clone, "config", f"url.{self.hub.root}/{place}/.insteadOf", f"{self.hub.url}/{place}/")

    @contextmanager
    def open(self, where: str | None = None) -> Iterator[Repository]:
        with open_repository(where or str(self.desk), credentials) as repo:
            yield repo

    def publish(self, *paths: Path, **more: Any) -> Outcome[Any]:
        with self.open() as repo:
            return publish.publish(Workspace(repo), publish.Request(tuple(map(str, paths)), **more))

    def day(self, day: int, items: int = 30) -> Path:
        return popularity(self.root / f"popularity-{day}-{items}.json", items, day=day)

    def shipped(self, day: int) -> int:
        """Publish a day and have it merged by people; the number of its pull request."""
        number = int(self.publish(self.day(day)).document["targets"][0]["pull_request"]["id"])
        self.hub.approve(number)
        self.hub.button(number)
        return number

    def merge(self, what: object, where: str | None = None) -> Outcome[Any]:
        with self.open(where) as repo:
            return pr.merge(Workspace(repo), str(what))

    def refresh(self, named: str | None = None) -> list[dict[str, Any]]:
        """What became of each, after a dry run that wrote nothing and told it."""
        calls, refs = len(self.hub.calls), self.hub.git("show-ref")
        with self.open() as repo:
            dry = refresh.refresh(Workspace(repo), named, dry_run=True).document["pull_requests"]
        assert {method for method, _ in self.hub.calls[calls:]} <= {"GET"}
        assert self.hub.git("show-ref") == refs
        with self.open() as repo:
            told: list[dict[str, Any]] = refresh.refresh(Workspace(repo), named).document["pull_requests"]
        for was, became in zip(dry, told, strict=True):
            assert became["outcome"] in (was["outcome"], "merged", "failed")  # as the forge answers a write
        return told

    def sync(self) -> bytes:
        with self.open() as repo:
            assert sync.sync(Workspace(repo)).exit_code == 0
        return self.served

    def judged(self, base: str) -> set[str]:
        """The rules that what main became since `base` breaks, by check and by audit."""
        with self.open() as repo:
            repo.refresh()
            found = check.check(Workspace(repo), base=base, head=repo.main).document["faults"]
            found += audit.audit(Workspace(repo)).document["faults"]
            return {fault["rule"] for fault in found}

    @property
    def served(self) -> bytes:
        """What a reader of serving gets."""
        return (self.store / "registry" / "current" / "grocer" / "home" / "manifest.json").read_bytes()


@contextmanager
def adapted(team: Team[_Hub], fast: Callable[[Repository, _Hub], _Adapter]) -> Iterator[tuple[_Adapter, Opened]]:
    """The adapter that `fast` makes, and pull request 1 of a branch that touches no file of another."""
    hub = team.hub
    tree = hub.git("rev-parse", "main^{tree}")
    for name in ("one", "new"):
        blob = hub.git("hash-object", "-w", "--stdin", given=name)
        new = hub.git("mktree", given=f"{hub.git('ls-tree', tree)}\n100644 blob {blob}\t{name}\n")
        commit = hub.git("commit-tree", new, "-p", "main", given="title\n\nbody\n")
        hub.git("update-ref", f"refs/heads/ship/grocer/home/{name}", commit)
    with team.open() as repo:
        repo.refresh()
        adapter = fast(repo, hub)
        head = repo.heads["refs/heads/ship/grocer/home/one"]
        yield adapter, adapter.open("ship/grocer/home/one", head, Page("title", lambda: "body"))

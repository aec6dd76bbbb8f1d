"""A store that two repositories may share, everybody who works at it with the real verbs, and what must be true of it.

It is a directory or a bucket. Of a bucket the directory is a copy, made before a run and again before it is judged.

The first repository has four versions: one that is current, one before it, one that an open ship waits to point to,
and one whose blob gc took long ago, with a tombstone. There is an orphan that a publish is about to want, and much that
is somebody else's. All blobs are old. The second repository is a fork, which nobody knows of before it does something.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import obstore
from clocks import clock_at
from gc_schedules import Run, fresh
from obstore.store import S3Store
from seaweed import BUCKET, Server
from shop import CALM, GROCER, Shop, git, popularity

from pointsman.artifact import Artifact
from pointsman.artifact import read as read_artifact
from pointsman.errors import Refused
from pointsman.outcome import Outcome
from pointsman.repo.moves import Move
from pointsman.repo.open import open_repository
from pointsman.repo.origin import MAIN
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.state.claim import NAMESPACE
from pointsman.state.documents import Tombstone
from pointsman.verbs import break_glass, gc, pr, publish, retire, rollback, ship, sync
from pointsman.verbs.retire_plan import Request as Retirement
from pointsman.workspace import Workspace

NOW = 1_900_000_000
SKEW = 300  # seconds by which the clock of one machine is ahead, and that of another behind
DAY = 86400
SETTINGS = """[audit]
allowed_signers = "allowed_signers"
[retention]
wait_days = 0
keep_days = 0
keep_ships = 0
"""
BLOBS = "grocer/home/popularity"
FOREIGN = (
    "notes.txt", f"{BLOBS}/latest.json", f"{BLOBS}/{'A' * 64}.json", f"sandbox/web/popularity/{'b' * 64}.json",
    f"registry/records/grocer/home/popularity/{'c' * 64}.json", ".pointsman/trash/odd", f"{BLOBS}/{'c' * 64}.json",
    f".pointsman/trash/2026-01-01/sandbox/web/popularity/{'d' * 64}.json.bak",
)  # fmt: skip
_HEX = re.compile("[0-9a-f]{64}")


@dataclass
class Depot:
    """`template` is a copy of `root` as it was in the beginning."""

    root: Path
    template: Path
    old: str
    current: str
    offered: str  # its ship is open
    gone: str  # retired, and in the trash since long ago
    wanted: Path  # the file of an artifact whose blob is there without a record
    bucket: S3Store | None
    grace: str = "24h"
    shared: bool = False  # the other repository is at work, too

    @classmethod
    def make(cls, base: Path, server: Server | None = None, more: str = "") -> Depot:
        """Publish, ship, retire and collect, until all of that is there; in a bucket of a server, if there is one.

        `more`: settings of [retention].
        """
        prefix = f"depot-{uuid.uuid4().hex}"
        bucket = server.client(prefix) if server is not None else None
        place = f'endpoint = "{server.endpoint}"\nallow_http = true\n' if server is not None else ""
        url = f"s3://{BUCKET}/{prefix}" if server is not None else f"file://{base}/world/store"
        shop = Shop(base / "world", place + SETTINGS + more, url)
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", str(shop.root / "ann")]
        subprocess.run(make_key, check=True)
        kind, key, _ = (shop.root / "ann.pub").read_text().split()
        (shop.desk / "allowed_signers").write_text(f'ann@example.org namespaces="{NAMESPACE}" {kind} {key}\n')
        shop.push("a signer")
        files = [popularity(shop.root / f"{day}.json", 10 + day, day=day) for day in range(1, 6)]
        versions = [_version(file) for file in files]
        shop.publish(files[0], merge=True)
        shop.publish(files[3], record_only=True)
        shop.publish(files[1], merge=True)
        shop.sync()
        shop.publish(files[2])
        old, current, offered, gone = versions[:4]
        depot = cls(base / "world", base / "template", old, current, offered, gone, files[4], bucket)
        with depot.workspace() as there:
            retire.retire(there, Retirement(versions=(depot.gone,), reason="old", merge=True))
            _age(shop.store)
            gc.gc(there, gc.Request(delete=True))
        depot.look()
        (taken,) = (shop.store / ".pointsman/trash").rglob("*.json")
        grave = shop.store / f".pointsman/trash/2026-01-01/{BLOBS}/{taken.name}"
        grave.parent.mkdir(parents=True)
        taken.rename(grave)
        read = read_artifact(files[4].read_bytes(), str(files[4]))
        assert isinstance(read, Artifact)
        (shop.store / BLOBS / f"{versions[4]}.json").write_bytes(read.canonical)
        for name in FOREIGN:
            path = shop.store / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"theirs")
        _fork(shop, f'[store]\nurl = "{url}"\n{place}')
        _age(shop.store)
        shop.root.rename(depot.template)
        return depot

    @property
    def store(self) -> Path:
        return self.root / "store"

    def look(self) -> None:
        """Copy what is in the bucket, if it is one."""
        if self.bucket is None:
            return
        shutil.rmtree(self.store, ignore_errors=True)
        for key in self._keys():
            path = self.store / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(obstore.get(self.bucket, key).bytes())

    def _keys(self) -> set[str]:
        return {meta["path"] for page in obstore.list(self.bucket) for meta in page} if self.bucket else set()

    def _fill(self) -> None:
        if self.bucket is None:
            return
        files = {str(path.relative_to(self.store)): path for path in self.store.rglob("*") if path.is_file()}
        for key in self._keys() - files.keys():
            obstore.delete(self.bucket, key)
        for key, path in files.items():
            obstore.put(self.bucket, key, path.read_bytes())

    def run(self, *works: str, **more: int) -> Run:
        """A run of these from the beginning. A name is that of a method."""
        fresh(self.template, self.root)
        self._fill()
        self.shared = any("fork" in name or "both" in name for name in works)
        found = [(f"{name} {place}", getattr(self, name)) for place, name in enumerate(works)]
        return Run(found, naps=more.get("naps", 0), harm=more.get("harm", 0))

    @contextlib.contextmanager
    def workspace(self, name: str = "origin.git", *, skew: int = 0) -> Iterator[Workspace]:
        """What a process has of a repository of the store."""
        with open_repository(str(self.root / name)) as repo:
            yield Workspace(repo, clock=clock_at(NOW + skew))

    def _does(self, verb: Callable[..., Outcome[Any]], *words: Any, skew: int = 0, name: str = "origin.git") -> Any:
        with self.workspace(name, skew=skew) as workspace:
            return verb(workspace, *words)

    # what each of them does

    def collect(self) -> Any:
        return self._does(gc.gc, gc.Request(delete=True, grace=self.grace), skew=SKEW)

    def collect_late(self) -> Any:
        """The same by a clock that is behind."""
        return self._does(gc.gc, gc.Request(delete=True, grace=self.grace), skew=-SKEW)

    def collect_both(self) -> Any:
        with self.workspace("fork.git") as fork, self.workspace() as workspace:
            return gc.gc(workspace, gc.Request(delete=True), [fork])

    def publish(self) -> Any:
        return self._does(publish.publish, publish.Request((str(self.wanted),), merge=True), skew=-SKEW)

    def publish_fork(self) -> Any:
        return self._does(publish.publish, publish.Request((str(self.wanted),), merge=True), name="fork.git")

    def sync_fork(self) -> Any:
        return self._does(sync.sync, name="fork.git")

    def ship(self) -> Any:
        """Of what was current before."""
        words = ship.Request(merge=True, reship=True, target=GROCER, versions=(("popularity", self.old),))
        return self._does(ship.ship, words)

    def merge(self) -> Any:
        """Of the ship that is open."""
        return self._does(pr.merge, str(GROCER))

    def roll_back(self) -> Any:
        return self._does(rollback.roll_back, rollback.Request((GROCER,), now=True, reason="broken"))

    def break_glass(self) -> Any:
        """To what was current before, with a claim that holds."""
        request = break_glass.Request(GROCER, "broken", key=str(self.root / "ann"))
        return break_glass.break_glass(self.root / "desk", request, lambda _: None, clock=clock_at(NOW))

    def retire(self) -> Any:
        """Of what was current before."""
        return self._does(retire.retire, Retirement(versions=(self.old,), reason="old", merge=True))

    def retire_offered(self) -> Any:
        """Of what the open ship would make current."""
        return self._does(retire.retire, Retirement(versions=(self.offered,), reason="old", merge=True))

    def bury_offered(self) -> Any:
        """Land the tombstone of the same, which was green before, without asking the gate again."""
        stone = Tombstone("grocer", "home", "popularity", self.offered, "old")
        return self._land({stone.path: stone.render()}, judges=False)

    def revert(self) -> Any:
        """Of the tombstone of what is in the trash."""
        return self._revert(self.gone)

    def revert_old(self) -> Any:
        """Of the tombstone that `retire` lands, if it has, and a ship of what it retired."""
        return self.ship() if self._revert(self.old) else None

    def sync(self) -> Any:
        return self._does(sync.sync)

    def _revert(self, version: str) -> bool:
        """Whether a tombstone is gone from main: by a branch, a look whether the bytes stay there, and a merge."""
        path = GROCER.tombstone_path("popularity", version)
        with self.workspace() as workspace:
            repo = workspace.repo
            head = Snapshot(repo, repo.refresh())
            if head.entry(path) is None:
                return False
            commit = repo.commit(repo.tree_with(repo.tree_of(repo.main), {path: None}), [repo.main], "take it back")
            repo.move([Move(f"refs/heads/back-{version[:8]}", commit, None)])
        assert Run.current is not None
        found = Run.current.step("look for bytes", partial(self._anywhere, "[0-9]*"))
        return version in found and self._land({path: None})

    def _land(self, files: dict[str, bytes | None], *, judges: bool = True) -> bool:
        """Whether it landed, as a pull request that a forge merges: judged, then pushed to main."""
        with self.workspace() as workspace:
            repo = workspace.repo
            repo.refresh()

            def attempt() -> bool:
                head = Snapshot(repo, repo.main)
                if any(data is None and head.entry(path) is None for path, data in files.items()):
                    return False
                tree = repo.tree_with(repo.tree_of(repo.main), files)
                commit = repo.commit(tree, [repo.main], "by a pull request")
                if judges and (faults := workspace.gate.judge_change(repo.main, commit, notes=False).faults):
                    raise Refused(faults)
                repo.move([Move(MAIN, commit, repo.main)])
                return True

            return until_settled(repo, attempt)

    # what must be true

    def wrong(self, run: Run) -> str:
        """What is lost or touched, or what the next runs, which nobody disturbs, do not bring back; "" if all is well.

        What serving points to is there at any rest, but where a gc slept right before it took.
        """
        self.look()
        if touched := [name for name in FOREIGN if not _is(self.store / name, b"theirs")]:
            return f"touched: {touched}"
        if not run.overslept and (gone := [each for each in self._served() if not self._has(each)]):
            return f"pointed to and gone: {gone}"
        if nowhere := self._needed() - self._anywhere():
            return f"nowhere: {nowhere}"
        collect = self.collect_both if self.shared else self.collect
        for verb in (collect, self.sync, *([self.sync_fork] if self.shared else [])):
            verb()
        self.look()
        if lacking := [each for each in sorted(self._needed() | self._served()) if not self._has(each)]:
            return f"not back after the next run: {lacking}"
        again = collect().document
        if self.grace == "0s":  # that was the run which purges what the one before took
            again = collect().document
        if again["taken"] or again["restored"] or again["purged"]:
            return f"does not converge: {again}"
        self.look()
        if touched := [name for name in FOREIGN if not _is(self.store / name, b"theirs")]:
            return f"touched: {touched}"
        return ""

    def _has(self, version: str) -> bool:
        path = self.store / BLOBS / f"{version}.json"
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == version

    def _anywhere(self, days: str = "*") -> set[str]:
        """What is in its place, or in the trash below such directories."""
        self.look()
        found = [*self.store.glob(f"{BLOBS}/*.json"), *self.store.glob(f".pointsman/trash/{days}/{BLOBS}/*.json")]
        return {path.stem for path in found if hashlib.sha256(path.read_bytes()).hexdigest() == path.stem}

    def _served(self) -> set[str]:
        pointers = [self.store / f"registry/current/{GROCER}/manifest.json", self.root / f"served/{GROCER}.json"]
        return {each for path in pointers if path.exists() for each in _HEX.findall(path.read_text())}

    def _needed(self) -> set[str]:
        """What a repository that is at work records without a tombstone."""
        found = set()
        for name in ("origin.git", *(["fork.git"] if self.shared else [])):
            names = git(self.root / name, "ls-tree", "-r", "--name-only", "main", f"registry/{BLOBS}/").splitlines()
            there = {Path(each).name for each in names}
            found |= {each[:64] for each in there if len(each) == 69 and f"{each[:64]}.retired.json" not in there}
        return found


def _fork(shop: Shop, store: str) -> None:
    """Another repository with the same records and store, and a serving of its own. It has not published yet."""
    origin, desk = shop.root / "fork.git", shop.root / "fork"
    git(shop.root, "clone", "-q", "--bare", str(shop.origin), str(origin))
    git(origin, "remote", "remove", "origin")
    git(shop.root, "clone", "-q", str(origin), str(desk))
    served = f'[serving]\nmanifest = "file://{shop.root}/served/{{tenant}}/{{surface}}.json"\n'
    (desk / "pointsman.toml").write_text(f"{store}{SETTINGS}{served}{CALM}")
    git(desk, "commit", "-qam", "its own serving")
    git(desk, "push", "-q", "origin", "HEAD:main")
    for ref in git(origin, "for-each-ref", "--format=%(refname)").splitlines():
        if ref != MAIN:
            git(origin, "update-ref", "-d", ref)
    (shop.root / "served").mkdir()


def _age(store: Path) -> None:
    for path in store.rglob("*.json"):
        os.utime(path, (1, 1))


def _version(file: Path) -> str:
    read = read_artifact(file.read_bytes(), str(file))
    assert isinstance(read, Artifact)
    return read.version


def _is(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data

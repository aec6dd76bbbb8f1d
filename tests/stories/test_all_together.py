"""One repository that began with the first version: everything at once, and each thing taken out again.

It is upgraded; then it has rings, approvals, evidence, gc and an open claim at once. After each step every ring shows
the day that it should, byte for byte as main once had it, and every blob that it names is there and is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rings import HOUR, RING, START, RingShop
from shop import CALM, DAYS, GROCER, STAGING, git, only, popularity
from signers import APPROVES, ATTESTS, key_of, signer

from pointsman.errors import Refused
from pointsman.outcome import Outcome
from pointsman.state.claim import NAMESPACE as CLAIMS
from pointsman.verbs import (
    approve,
    attest,
    audit,
    break_glass,
    check,
    gc,
    pr,
    publish,
    ratify,
    retire,
    retire_plan,
    upgrade,
    verify,
)
from pointsman.workspace import Workspace

SAMPLE = Path(__file__).parents[1] / "samples" / "first-version.tar.gz"
DAY = 24 * HOUR
SIGNERS = "".join(
    signer(who, options=f'namespaces="{names}"')
    for who, names in {"ann": f"{APPROVES},{CLAIMS}", "ben": APPROVES, "eval": ATTESTS}.items()
)
TRUST = '[audit]\nallowed_signers = "allowed_signers"\n'
EVIDENCE = '[evidence.offline-eval]\ntypes = ["popularity"]\nwhere = { decision = "ship" }\n'
APPROVALS = "approvals = 2\n"
RETENTION = "[retention]\nwait_days = 1\ntrash_days = 1\n"


class Old(RingShop):
    """A shop of the first version: what its own code made, published, merged and synced."""

    def __init__(self, root: Path) -> None:
        self.now, self.text = START, ""
        self.root, self.origin, self.desk, self.store = root, root / "origin.git", root / "desk", root / "store"
        root.mkdir()
        with tarfile.open(SAMPLE) as archive:
            archive.extractall(root / "old", filter="data")
        git(root, "init", "-q", "--bare", "-b", "main", str(self.origin))
        self.old(root, "init", str(self.desk), "--store", f"file://{self.store}", "--set", "policy.items_drop=0.9")
        git(self.desk, "remote", "add", "origin", str(self.origin))
        git(self.desk, "push", "-q", "-u", "origin", "main")
        for day in (1, 2):
            self.old(self.desk, "publish", str(STAGING / "grocer"), "--window", DAYS[day], "--merge")
        self.old(self.desk, "sync")

    @property
    def rings(self) -> str:
        """Canary, and then those who were always there."""
        canary, prod = RING.format(name="canary", root=self.root, more=""), '[[ring]]\nname = "prod"\nafter = "2h"\n'
        return canary + prod

    def old(self, where: Path, *words: str) -> None:
        person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
                  (("NAME", "Ann Ops"), ("EMAIL", "ann@example.org"))}  # fmt: skip
        environment = {**os.environ, **person, "PYTHONPATH": str(self.root / "old" / "tool")}
        words = (sys.executable, "-m", "pointsman", *words)
        subprocess.run(words, cwd=where, env=environment, check=True, capture_output=True)

    @contextmanager
    def space(self) -> Iterator[Any]:
        with self.open() as repo:
            yield self.workspace(repo)

    def run(self, verb: Any, *words: Any, **more: Any) -> Outcome[Any]:
        """A command, at the time of the commits that it makes."""
        with self.open() as repo:
            made: Outcome[Any] = verb(Workspace(repo), *words, **more)
            return made

    def later(self, verb: Any, *words: Any, **more: Any) -> Outcome[Any]:
        """A command, by the clock of syncs."""
        with self.space() as workspace:
            made: Outcome[Any] = verb(workspace, *words, **more)
            return made

    # what the settings are, step by step

    def settle(
        self, name: str, tables: str = "", policy: str = "", files: dict[str, str] | None = None, *, needs: int = 0
    ) -> None:
        """Other settings, by a change that so many approve. Without tables and policy: those that `init` wrote."""
        self.pull()
        self.text = self.text or (self.desk / "pointsman.toml").read_text()
        changed = f"{self.text.partition('[policy]')[0]}{tables}{CALM}items_drop = 0.9\n{policy}"
        (self.desk / "pointsman.toml").write_text(changed if tables or policy else self.text)
        for path, text in (files or {}).items():
            (self.desk / path).write_text(text)
        git(self.desk, "checkout", "-q", "-b", name)
        git(self.desk, "add", "-A")
        git(self.desk, "commit", "-q", "-m", name)
        git(self.desk, "push", "-q", "origin", name)
        assert self.judged(name) == ({"unapproved"} if needs else set())
        for who in ("ann", "ben")[:needs]:
            self.run(approve.approve, name, str(key_of(who)))
        git(self.desk, "fetch", "-q", "origin")
        git(self.desk, "rebase", "-q", "origin/main")  # the approvals are on main
        assert self.judged("HEAD") == set()
        git(self.desk, "push", "-q", "origin", "HEAD:main", f":{name}")
        git(self.desk, "checkout", "-q", "main")
        self.pull()

    def judged(self, head: str) -> set[str]:
        """The rules that it breaks as a change of main."""
        found = self.run(check.check, base="origin/main", head=head).value.faults
        return {fault.rule for fault in found if not fault.accepted}

    # what is served

    def place(self, ring: str | None) -> Path:
        """The pointer of a ring; None: the one that was always there."""
        where = self.root / ring if ring else self.store / "registry" / "current"
        return where / str(GROCER) / "manifest.json"

    def shows(self, **rings: int) -> None:
        """Which ship, counted from 1, each ring shows, `prod` being where serving always was; and nothing is wrong."""
        shipped = self.shipped()
        for ring, number in rings.items():
            data = self.place(None if ring == "prod" else ring).read_bytes()
            assert (ring, shipped.index(data) + 1) == (ring, number)
            for slot, uri in json.loads(data)["current"].items():
                blob = Path(uri.removeprefix("file://")).read_bytes()
                assert hashlib.sha256(blob).hexdigest() == Path(uri).stem, slot

    @property
    def commits(self) -> list[str]:
        """Of main, oldest first: each that brought a manifest which main never had before."""
        walk = git(self.origin, "log", "--reverse", "--format=%H", "main", "--", GROCER.manifest_path).split()
        blobs = {git(self.origin, "rev-parse", f"{each}:{GROCER.manifest_path}"): each for each in reversed(walk)}
        return sorted(blobs.values(), key=walk.index)

    def shipped(self) -> list[bytes]:
        """The manifests that main ever had, oldest first, each once."""
        words = ("git", "show")
        return [
            subprocess.run(
                [*words, f"{each}:{GROCER.manifest_path}"], cwd=self.origin, check=True, capture_output=True
            ).stdout
            for each in self.commits
        ]

    # what people do

    def ship(self, number: int, *, needs: int = 0, proof: bool = False) -> None:
        """Another day of one type, merged once it has what main demands."""
        path = popularity(self.root / f"p{number}.json", 40 + number, day=number + 2)
        self.run(publish.publish, publish.Request((str(path),)))
        if proof:
            found = self.root / "found.json"
            found.write_text('{"decision": "ship"}')
            request = attest.Request((str(GROCER),), "offline-eval", str(found), key=str(key_of("eval")))
            self.run(attest.attest, request)
        for who in ("ann", "ben")[:needs]:
            self.run(approve.approve, str(GROCER), str(key_of(who)))
        self.run(pr.merge, str(GROCER))

    def breaks_glass(self, number: int) -> None:
        """The state of this ship is in front of every ring, by the store alone."""
        request = break_glass.Request(GROCER, "git is down", to=self.commits[number - 1], key=str(key_of("ann")))
        clock = lambda: datetime.fromtimestamp(self.now, UTC)  # noqa: E731
        made = break_glass.break_glass(self.desk, request, tell=lambda _: None, clock=clock)
        assert [each.outcome for each in made.value.targets] == ["claimed"]

    def leaves_an_orphan(self) -> Path:
        """A blob that no record names, as a publish that was killed leaves it."""
        data = popularity(self.root / "orphan.json", 7).read_bytes()
        version = json.loads(data)["build"]["version"]
        path = self.store / GROCER.blob_key("popularity", version)
        path.write_bytes(data)
        return path

    def collects(self) -> tuple[int, int]:
        """A gc that deletes: how many blobs it took, and how many it purged."""
        made = self.later(gc.gc, gc.Request(delete=True, max_share=1.0))
        assert made.exit_code == 0
        return made.value.taken, made.value.purged

    def sound(self) -> None:
        """Nothing on main breaks a rule, and every blob that a record names is there unless it was retired."""
        told = self.run(audit.audit).document
        assert told["faults"] == []
        proven = self.later(verify.verify, (), verify.Choice(every=True))
        assert proven.exit_code == 0


@pytest.mark.slow
def test_everything_at_once_and_each_thing_taken_out_again(tmp_path: Path) -> None:
    shop = Old(tmp_path / "shop")
    served = shop.place(None).read_bytes()

    # The tool of today, while serving stays byte for byte as it was.
    shop.run(upgrade.upgrade)
    shop.sound()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "push", "-q", "origin", "origin/upgrade/0.1.0:main")
    assert shop.run(upgrade.upgrade).value.files == []
    assert shop.pass_over().exit_code == 0
    assert shop.place(None).read_bytes() == served
    shop.shows(prod=2)

    # Each thing, one after the other.
    shop.settle("rings", shop.rings)
    shop.pass_over()
    shop.shows(canary=2, prod=2)
    shop.ship(3)
    shop.pass_over()
    shop.shows(canary=3, prod=2)
    shop.pass_over(later=2 * HOUR)
    shop.shows(canary=3, prod=3)

    shop.settle("trust", shop.rings + TRUST + EVIDENCE, APPROVALS, {"allowed_signers": SIGNERS})
    with pytest.raises(Refused) as refused:
        shop.ship(4)
    assert only(refused.value.faults) == {"unapproved", "evidence-missing"}
    shop.pass_over()
    shop.shows(canary=3, prod=3)
    shop.ship(4, needs=2, proof=True)
    shop.pass_over()
    shop.shows(canary=4, prod=3)

    # A claim in front of it all, with a tombstone, an orphan and a gc behind it.
    shop.breaks_glass(3)
    shop.shows(canary=3, prod=3)
    shop.settle("retention", shop.rings + TRUST + EVIDENCE + RETENTION, APPROVALS, needs=2)
    shop.pass_over(later=2 * HOUR)
    shop.shows(canary=3, prod=3)
    first = json.loads(shop.shipped()[0])["current"]["popularity"]
    retired = Path(first.removeprefix("file://"))
    shop.later(
        retire.retire, retire_plan.Request(versions=(retired.stem[:12],), erase=True, reason="request 17", merge=True)
    )
    orphan = shop.leaves_an_orphan()
    assert shop.collects() == (1, 0)
    assert (orphan.exists(), retired.exists()) == (False, True)  # who holds a claim may go back to any state
    shop.pass_over()
    shop.shows(canary=3, prod=3)
    shop.sound()
    shop.later(ratify.ratify)
    shop.pass_over()
    shop.shows(canary=3, prod=3)
    shop.ship(5, needs=2, proof=True)
    shop.pass_over()
    shop.shows(canary=5, prod=3)
    shop.now += 2 * DAY
    assert shop.collects() == (1, 1)
    assert not retired.exists()
    shop.shows(canary=5, prod=3)
    shop.pass_over()
    shop.shows(canary=5, prod=5)
    shop.sound()

    # And each of them out again.
    shop.settle("no-evidence", shop.rings + TRUST + RETENTION, APPROVALS, needs=2)
    shop.ship(6, needs=2)
    shop.pass_over()
    shop.shows(canary=6, prod=5)
    shop.settle("no-approvals", shop.rings + RETENTION, needs=2)
    shop.ship(7)
    shop.pass_over(later=2 * HOUR)
    shop.shows(canary=7, prod=6)
    shop.settle("no-retention", shop.rings)
    shop.pass_over(later=2 * HOUR)
    shop.shows(canary=7, prod=7)
    shop.settle("no-rings")
    assert (shop.desk / "pointsman.toml").read_text() == shop.text
    shop.pass_over()
    shop.shows(prod=7)
    shop.ship(8)
    shop.pass_over()
    shop.shows(canary=7, prod=8)
    shop.sound()

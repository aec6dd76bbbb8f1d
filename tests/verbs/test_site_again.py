"""A site that is built again: the same bytes as one that is built anew, for what changed alone."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from clocks import clock_at
from rings import rings_of
from shop import GROCER, git
from town import MINUTE, Town, pages

from pointsman.errors import Problem
from pointsman.repo.object_reader import Reader
from pointsman.repo.open import open_repository
from pointsman.repo.repository import Repository
from pointsman.report.site.files import SiteFiles
from pointsman.serving.claims import claim_key
from pointsman.serving.instances import Instance, write_instance
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.store import directory, file_tags
from pointsman.store.directory import FileStore
from pointsman.store.open import open_store
from pointsman.verbs import break_glass, hold, pr, rollback, site, status_place

TARGETS = [Target("grocer", name) for name in ("cart", "home", "shelf")] + [Target("grocer-2", "home")]


@pytest.fixture(autouse=True)
def sure_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_tags, "RACY", -(10**18))  # nothing here is written twice within a tick of the clock


class Walk:
    """Random changes of all that a page tells of."""

    def __init__(self, town: Town, dice: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.town = town
        self.dice = dice
        self.monkeypatch = monkeypatch

    def target(self) -> Target:
        return self.dice.choice(TARGETS)

    def until(self) -> str:
        return rfc3339(self.town.now + self.dice.randrange(10, 60) * MINUTE)

    def ship(self) -> None:
        self.town.ship(*self.dice.sample(TARGETS, self.dice.randrange(1, 3)), until_stale=self.soon())

    def soon(self) -> int:
        return self.dice.randrange(10, 120) * MINUTE

    def ship_and_sync(self) -> None:
        self.ship()
        self.town.sync()

    def open_pull(self) -> None:
        self.town.ship(self.target(), merge=False, until_stale=self.soon())

    def close_pull(self) -> None:
        self.town.do(pr.close, str(self.target()), reason="not this one")

    def merge_pull(self) -> None:
        self.town.do(pr.merge, str(self.target()))

    def roll_back(self) -> None:
        """At once, or as a pull request: that one changes nothing on main as long as it is open."""
        now = self.dice.random() < 0.5
        self.town.do(rollback.roll_back, rollback.Request((self.target(),), now=now, reason="worse"))

    def sync(self) -> None:
        self.town.sync()

    def hold(self) -> None:
        on = self.dice.choice([*map(str, TARGETS), "all"])
        self.town.do(hold.change_hold, hold.Request(on, until=self.until(), reason="a feed is broken", now=True))

    def release(self) -> None:
        on = self.dice.choice([*map(str, TARGETS), "all"])
        self.town.do(hold.change_hold, hold.Request(on, reason="mended", now=True))

    def time_passes(self) -> None:
        self.town.now += self.dice.randrange(5, 60) * MINUTE

    def clock_goes_back(self) -> None:
        self.town.now -= self.dice.randrange(5, 30) * MINUTE

    def a_day_passes(self) -> None:
        self.town.now += 90000

    def settings(self) -> None:
        name = "pointsman.toml"
        git(self.town.shop.desk, "fetch", "-q", "origin")
        old = git(self.town.shop.desk, "show", f"origin/main:{name}")
        days = self.dice.choice(["29d", "30d", "31d"])
        lines = [f'window_stale = "{days}"' if line.startswith("window_stale") else line for line in old.splitlines()]
        self.town.by_hand("settings", {name: "\n".join(lines) + "\n"})

    def pointer_edited(self) -> None:
        for path in self.town.pointers()[: self.dice.randrange(2)] or self.some_pointer():
            path.write_text(path.read_text().replace("Z", "1Z") if self.dice.random() < 0.7 else "{")

    def pointer_put_back(self) -> None:
        """Other bytes for a moment: the tag is another one, and the bytes are as before."""
        for path in self.some_pointer():
            data = path.read_bytes()
            path.write_bytes(b"x")
            path.write_bytes(data)

    def pointer_gone(self) -> None:
        for path in self.some_pointer():
            path.unlink()

    def some_pointer(self) -> list[Path]:
        found = self.town.pointers()
        return [self.dice.choice(found)] if found else []

    def pointer_of_another(self) -> None:
        """Serving has a target that main never had."""
        for path in self.some_pointer():
            other = path.parents[1] / f"other-{self.dice.randrange(3)}" / path.name
            other.parent.mkdir(exist_ok=True)
            other.write_bytes(path.read_bytes())

    def manifest_by_hand(self) -> None:
        path = self.target().manifest_path
        with suppress(AssertionError):
            old = git(self.town.shop.origin, "show", f"main:{path}") + "\n"
            self.town.by_hand("edit by hand", {path: old + " " if self.dice.random() < 0.6 else None})

    def record_by_hand(self) -> None:
        listed = git(self.town.shop.origin, "ls-tree", "-r", "--name-only", "main", "registry").splitlines()
        path = self.dice.choice([each for each in listed if each.endswith(".json")])
        old = git(self.town.shop.origin, "show", f"main:{path}") + "\n"
        self.town.by_hand("a record by hand", {path: old.replace('"end": "20', '"end": "21')})

    def signers(self) -> None:
        name = "allowed_signers"
        old = git(self.town.shop.origin, "show", f"main:{name}")
        self.town.by_hand("signers", {name: f"{old}\n# {self.town.now}\n"})

    def main_rewritten(self) -> None:
        git(self.town.shop.origin, "update-ref", "refs/heads/main", "refs/heads/main~1")

    def claim(self) -> None:
        request = break_glass.Request(self.target(), "the day is broken", key=str(self.town.root / "ann"))
        with suppress(Problem):
            break_glass.break_glass(self.town.shop.desk, request, tell=lambda line: None, clock=clock_at(self.town.now))

    def claim_by_hand(self) -> None:
        """It holds nothing, and the pointer stays what it was."""
        path = self.town.shop.store / "registry/current" / claim_key(self.target())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink() if path.exists() else path.write_text("{}")

    def instance(self) -> None:
        """One is heard, or all that were heard are gone."""
        shutil.rmtree(self.town.shop.store / "registry/current/.pointsman/seen", ignore_errors=True)
        if self.dice.random() < 0.5:
            heard = Instance("web-0", self.town.now - 60, self.town.now)
            for path in self.town.pointers():
                sha256 = hashlib.sha256(path.read_bytes() if self.dice.random() < 0.8 else b"").hexdigest()
                heard.load(Target(path.parts[-3], path.parts[-2]), sha256, self.town.now)
            store = open_store(f"file://{self.town.shop.store}/registry/current")
            with store.locked(""):
                write_instance(store, heard, self.town.now)

    def page_gone(self) -> None:
        found = sorted(self.town.out.rglob("*.html"))
        if found:
            self.dice.choice(found).unlink()

    def kept_damaged(self) -> None:
        path = self.town.out / ".pointsman-site.json"
        if not path.exists():
            return
        left = json.loads(path.read_bytes())
        for how in self.dice.sample(["row", "sum", "others", "none"], 2):
            if how == "none":
                left.pop("rows", None)
            elif "rows" in left and how == "row":
                left["rows"][5] = {name: row[::-1] for name, row in left["rows"][5].items()}
            elif "rows" in left and how == "others":
                left["rows"][4] = []
            else:
                left["sum"] = "0" * 64
        path.write_text(json.dumps(left, separators=(",", ":")))

    def run_dies(self) -> None:
        """In the middle of its pages."""
        put, left = SiteFiles.put, self.dice.randrange(3)

        def dies(files: SiteFiles, path: str, made_from: str, text: str) -> None:
            nonlocal left
            put(files, path, made_from, text)
            left -= 1
            if left < 0:
                raise Problem("killed")

        with self.monkeypatch.context() as patched:
            patched.setattr(SiteFiles, "put", dies)
            with suppress(Problem):
                self.town.build(self.town.out)

    def another_tool(self) -> None:
        self.monkeypatch.setattr(site, "__version__", f"9.{self.dice.randrange(2)}")

    def step(self) -> str:
        often: list[Callable[[], None]] = [self.ship_and_sync, self.ship, self.sync, self.time_passes]
        rest: list[Callable[[], None]] = [
            self.open_pull, self.close_pull, self.merge_pull, self.roll_back, self.hold, self.release,
            self.clock_goes_back, self.a_day_passes, self.settings, self.pointer_edited, self.pointer_put_back,
            self.pointer_gone, self.pointer_of_another, self.manifest_by_hand, self.record_by_hand, self.signers,
            self.main_rewritten, self.claim, self.claim_by_hand, self.instance, self.page_gone, self.kept_damaged,
            self.run_dies, self.another_tool,
        ]  # fmt: skip
        change = self.dice.choice(self.dice.choice([often, rest]))
        change()
        if self.dice.random() < 0.3:
            self.town.sync()
            return f"{change.__name__} and a sync"
        return change.__name__


RINGS: dict[str, Callable[[Path], str]] = {
    "one place": lambda root: "",
    "rings": lambda root: rings_of(root, canary="", prod='after = "40m"'),
}


@pytest.mark.slow
@pytest.mark.parametrize("places", RINGS)
def test_a_walk_of_changes_never_leaves_a_page_that_a_new_site_would_not_have(
    tmp_path: Path, dice: random.Random, rounds: int, monkeypatch: pytest.MonkeyPatch, places: str
) -> None:
    monkeypatch.setattr(status_place, "_FEW", 1)  # as where there are very many
    town = Town(tmp_path, RINGS[places](tmp_path))
    town.ship(*TARGETS)
    town.sync()
    town.build(town.out)
    walk = Walk(town, dice, monkeypatch)
    done: list[str] = []
    for place in range(8 * max(rounds, 1)):
        done.append(" and ".join(walk.step() for _ in range(dice.randrange(1, 3))))
        town.build(town.out)
        town.build(tmp_path / f"fresh-{place}")
        mine, fresh = pages(town.out), pages(tmp_path / f"fresh-{place}")
        assert {name for name in mine.keys() | fresh.keys() if mine.get(name) != fresh.get(name)} == set(), done


def a_claim(town: Town) -> None:
    path = town.shop.store / "registry/current" / claim_key(GROCER)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def a_rollback_opens(town: Town) -> None:
    town.do(rollback.roll_back, rollback.Request((GROCER,), reason="worse"))


def a_hold_on_all(town: Town) -> None:
    town.do(hold.change_hold, hold.Request("all", until="2091-01-01T00:00:00Z", reason="a feed is broken", now=True))


def a_pointer_by_hand(town: Town) -> None:
    town.pointers()[0].write_text("{}")


def no_pointer(town: Town) -> None:
    town.pointers()[0].unlink()


def a_record_by_hand(town: Town) -> None:
    (path,) = {f"registry/{GROCER}/popularity/{path.stem}.json" for path in town.shop.store.glob(f"{GROCER}/*/*.json")
               if path.stem in town.pointers()[0].read_text()}  # fmt: skip
    old = git(town.shop.origin, "show", f"main:{path}") + "\n"
    town.by_hand("a record by hand", {path: old.replace('"end": "20', '"end": "21')})


def a_window_too_old(town: Town) -> None:
    town.now += 60 * MINUTE + 1


def other_settings(town: Town) -> None:
    text = git(town.shop.origin, "show", "main:pointsman.toml")
    town.by_hand("settings", {"pointsman.toml": text.replace('"30d"', '"29d"') + "\n"})


def an_instance(town: Town) -> None:
    hear(town, "0" * 64)


def hear(town: Town, sha256: str) -> None:
    """An instance says that it loaded a manifest."""
    heard = Instance("web-0", town.now - 60, town.now)
    heard.load(GROCER, sha256, town.now)
    store = open_store(f"file://{town.shop.store}/registry/current")
    with store.locked(""):
        write_instance(store, heard, town.now)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Town]:
    """A town with one target, shipped twice, whose site was built when all stood well."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_tags, "RACY", -(10**18))
        town = Town(tmp_path_factory.mktemp("twice") / "town")
        town.ship(GROCER)
        town.ship(GROCER)
        town.sync()
    copy, now = town.root.with_name("copy"), town.now
    shutil.copytree(town.root, copy, symlinks=True)

    def again() -> Town:
        shutil.rmtree(town.root)
        shutil.copytree(copy, town.root, symlinks=True)
        town.now = now
        town.build(town.out)
        return town

    return again


@pytest.mark.slow
@pytest.mark.parametrize(
    "happens",
    [
        a_claim, a_rollback_opens, a_hold_on_all, a_pointer_by_hand, no_pointer, a_record_by_hand, a_window_too_old,
        other_settings, an_instance,
    ],
)  # fmt: skip
def test_a_target_that_stood_well_is_looked_at_again_when_something_happens(
    twice: Callable[[], Town], tmp_path: Path, happens: Callable[[Town], None]
) -> None:
    town = twice()
    page = town.out / f"targets/{GROCER}.html"
    before = page.read_bytes()
    town.build(town.out)
    assert page.read_bytes() == before
    happens(town)
    town.build(town.out)
    town.build(tmp_path / "fresh")
    assert pages(town.out) == pages(tmp_path / "fresh")
    assert page.read_bytes() != before


@pytest.mark.slow
def test_a_hold_that_ended_is_gone_from_the_page_though_nothing_else_happened(
    twice: Callable[[], Town], tmp_path: Path
) -> None:
    town = twice()
    until = rfc3339(town.now + 10 * MINUTE)
    town.do(hold.change_hold, hold.Request(str(GROCER), until=until, reason="a feed is broken", now=True))
    town.build(town.out)
    assert f"hold until {until}, straight to main" in (town.out / f"targets/{GROCER}.html").read_text()
    for later, held in ((0, True), (10 * MINUTE - 1, True), (1, False), (-1, True)):
        town.now += later
        town.build(town.out)
        town.build(tmp_path / f"fresh-{later}")
        assert pages(town.out) == pages(tmp_path / f"fresh-{later}")
        assert (b"on hold until" in (town.out / "index.html").read_bytes()) == held


@pytest.mark.slow
def test_the_timeline_of_a_target_that_was_never_shipped_tells_its_holds(
    twice: Callable[[], Town], tmp_path: Path
) -> None:
    town = twice()
    other = town.pointers()[0].parents[1] / "other" / "manifest.json"
    other.parent.mkdir()
    other.write_text("{}")
    town.build(town.out)
    held = {"v": 1, "target": "grocer/other", "until": "2091-01-01T00:00:00Z", "reason": "not yet"}
    town.by_hand("hold", {"holds/grocer/other.json": json.dumps(held, indent=2) + "\n"})
    town.build(town.out)
    town.build(tmp_path / "fresh")
    assert pages(town.out) == pages(tmp_path / "fresh")
    assert b"hold until" in (town.out / "targets/grocer/other.html").read_bytes()


@pytest.mark.slow
def test_an_instance_is_told_as_long_as_it_is_heard(twice: Callable[[], Town], tmp_path: Path) -> None:
    town = twice()
    current = hashlib.sha256(town.pointers()[0].read_bytes()).hexdigest()
    said = [
        (0, current, b"1 of 1 instances"),
        (800, "", b"1 of 1 instances"),
        (200, "", b"0 of 0 instances"),
        (60, "0" * 64, b"0 of 1 instances"),
        (300, "", b"0 of 1 instances"),  # for five minutes more
    ]
    for place, (later, sha256, says) in enumerate(said):
        town.now += later
        if sha256:
            hear(town, sha256)
        town.build(town.out)
        town.build(tmp_path / f"fresh-{place}")
        assert pages(town.out) == pages(tmp_path / f"fresh-{place}")
        assert says in (town.out / f"targets/{GROCER}.html").read_bytes()


@pytest.mark.slow
def test_a_page_that_a_dying_run_left_is_made_again_when_its_target_is_what_it_was_before(
    twice: Callable[[], Town], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (file_tags, directory):  # as of a bucket: the same bytes have the same tag again
        monkeypatch.setattr(module, "tag_of", lambda status: f"{status.st_ino}-{status.st_size}")
    town = twice()
    pointer = town.pointers()[0]
    kept = pointer.with_name("kept")
    pointer.rename(kept)
    put = SiteFiles.put

    def dies(files: SiteFiles, path: str, made_from: str, text: str) -> None:
        put(files, path, made_from, text)
        raise Problem("killed")

    with monkeypatch.context() as patched:
        patched.setattr(SiteFiles, "put", dies)
        with pytest.raises(Problem, match="killed"):
            town.build(town.out)
    kept.rename(pointer)
    town.build(town.out)
    town.build(tmp_path / "fresh")
    assert pages(town.out) == pages(tmp_path / "fresh")


@pytest.mark.slow
def test_what_was_kept_counts_for_nothing_if_it_is_damaged_and_a_page_that_is_gone_is_made_again(
    twice: Callable[[], Town], tmp_path: Path
) -> None:
    town = twice()
    path = town.out / ".pointsman-site.json"
    assert path.read_bytes().count(b"in-sync") == 2
    path.write_bytes(path.read_bytes().replace(b"in-sync", b"drifted"))
    town.build(town.out)
    town.build(tmp_path / "fresh")
    assert pages(town.out) == pages(tmp_path / "fresh")
    (town.out / f"targets/{GROCER}.html").unlink()
    town.build(town.out)
    assert pages(town.out) == pages(tmp_path / "fresh")


STATE = ".pointsman-site.json"


def torn(out: Path) -> None:
    data = (out / STATE).read_bytes()
    (out / STATE).write_bytes(data[: len(data) // 2])


def empty(out: Path) -> None:
    (out / STATE).write_bytes(b"")


def too_long(out: Path) -> None:
    with (out / STATE).open("ab") as file:
        file.truncate(64_000_001)


def nested(out: Path) -> None:
    (out / STATE).write_bytes(b'{"pages":' + b"[" * 100_000)


def of_wrong_types(out: Path) -> None:
    (out / STATE).write_text('{"pages": [], "kept": {}}')


def of_another_version(out: Path) -> None:
    rewritten(out, v=0)


def of_wrong_faults(out: Path) -> None:
    kept = json.loads((out / STATE).read_bytes())["kept"]
    kept["audit"]["faults"] = [{"rule": 7, "path": [], "says": {}, "at": "", "commit": 1.5}]
    rewritten(out, kept=kept)


def of_a_count_that_is_none(out: Path) -> None:
    kept = json.loads((out / STATE).read_bytes())["kept"]
    rewritten(out, kept={**kept, "audit": {**kept["audit"], "commits": 1e300}})


def a_link(out: Path) -> None:
    (out / STATE).rename(out.parent / "state")
    (out / STATE).symlink_to("../state")


def naming_what_is_outside(out: Path) -> None:
    outside = ["../beside.html", str(out.parent / "beside.html"), "targets/../../beside.html", "targets/a/b/../x.html"]
    rewritten(out, pages=dict.fromkeys([*outside, "targets/old/shop.html", "targets/led/out.html"], "x"))


def of_another_repository(out: Path) -> None:
    other = Town(out.parent / "other")
    other.ship(Target("other", "home"))
    other.sync()
    other.build(other.out)
    for path in (out, other.root / "desk"):
        shutil.rmtree(path)
    other.out.rename(out)


def rewritten(out: Path, **more: object) -> None:
    (out / STATE).write_text(json.dumps({**json.loads((out / STATE).read_bytes()), **more}))


def named_there(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "left",
    [
        torn, empty, too_long, nested, of_wrong_types, of_another_version, of_wrong_faults, of_a_count_that_is_none,
        a_link, naming_what_is_outside, of_another_repository,
    ],
)  # fmt: skip
def test_whatever_stands_where_the_last_run_left_its_state_the_pages_are_those_of_a_new_run(
    twice: Callable[[], Town], tmp_path: Path, left: Callable[[Path], None]
) -> None:
    town = twice()
    out = tmp_path / "site" / "out"
    shutil.copytree(town.out, out)
    (out / "targets/old").mkdir()
    (out / "targets/old/shop.html").write_text("of a target that is no more")
    beside = tmp_path / "site" / "led"
    beside.mkdir()
    for path in (beside / "out.html", tmp_path / "site" / "beside.html"):
        path.write_text("of somebody else")
    left(out)
    if left is not of_another_repository:
        (out / "targets/led").symlink_to(beside)
    outside = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file() and out not in path.parents}
    town.build(out)
    town.build(tmp_path / "fresh")
    assert {path: path.read_bytes() for path in outside} == outside
    assert pages(out) == pages(tmp_path / "fresh")
    assert named_there(out).keys() == named_there(tmp_path / "fresh").keys()


@pytest.mark.slow
def test_once_a_day_pointers_are_read_whatever_their_tags_say(
    twice: Callable[[], Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (file_tags, directory):
        monkeypatch.setattr(module, "tag_of", lambda status: "the same")
    town = twice()
    a_pointer_by_hand(town)
    for later, seen in ((30 * MINUTE, False), (86400, True)):
        town.now += later
        town.build(town.out)
        assert (b"drifted" in (town.out / "index.html").read_bytes()) == seen


def work(repo: Repository, town: Town, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What a run reads: objects of git, calls of git, and objects of the store beyond the listing."""
    found: Counter[str] = Counter()
    read, run, of_store = Reader.read, repo.git.run, FileStore.read

    def told(reader: Reader, oids: object) -> object:
        found["objects"] += len(oids)  # type: ignore[arg-type]
        return read(reader, oids)  # type: ignore[arg-type]

    def ran(*words: str, **more: object) -> object:
        found[f"git {words[0]}"] += 1
        return run(*words, **more)  # type: ignore[arg-type]

    def stored(store: FileStore, *words: object) -> object:
        found["store"] += 1
        return of_store(store, *words)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "read", told)
        patched.setattr(repo.git, "run", ran)
        patched.setattr(FileStore, "read", stored)
        assert town.build(town.out, repo).written == 3  # its page, the overview, the audit
    return found


@pytest.mark.slow
def test_one_more_ship_costs_the_same_among_few_targets_and_among_twice_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for count in (8, 16):
        town = Town(tmp_path / str(count))
        town.ship(*(Target("grocer", f"shelf-{place}") for place in range(count)))
        town.sync()
        town.build(town.out)
        town.ship(Target("grocer", "shelf-3"))
        town.sync()
        with open_repository(str(town.shop.desk)) as repo:
            seen.append(work(repo, town, monkeypatch))
    assert seen[0] == seen[1]
    assert seen[0]["store"] < 8


@pytest.mark.slow
def test_the_pages_are_the_same_on_one_core_and_on_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = os.sched_getaffinity(0)
    town = Town(tmp_path)
    town.ship(*(Target("grocer", f"shelf-{place}") for place in range(20)))
    town.sync()
    monkeypatch.setattr(site, "_MANY", 0)

    def built() -> tuple[int, int]:
        many = town.build(tmp_path / "many")
        os.sched_setaffinity(0, {min(all_of_them)})
        try:
            one = town.build(tmp_path / "one")
        finally:
            os.sched_setaffinity(0, all_of_them)
        assert pages(tmp_path / "many") == pages(tmp_path / "one")
        return many.written, one.written

    assert built() == (22, 22)
    assert len(pages(tmp_path / "one")) == 22
    town.ship(Target("grocer", "shelf-3"))
    town.sync()
    assert built() == (3, 3), "the target, the audit and the overview, also where a process of its own looks at serving"
    town.build(tmp_path / "new")
    assert pages(tmp_path / "one") == pages(tmp_path / "new")


@pytest.mark.slow
def test_after_a_power_cut_no_page_is_taken_for_whole_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: set[int] = set()
    fsync = os.fsync

    def noted(fd: int) -> None:
        fsync(fd)
        durable.add(os.fstat(fd).st_ino)

    town = Town(tmp_path)
    town.ship(Target("grocer", "home"), Target("grocer", "cart"))
    town.sync()
    monkeypatch.setattr(os, "fsync", noted)
    for more in ([], [Target("grocer", "home")]):
        if more:
            town.ship(*more)
            town.sync()
        before = pages(town.out)
        town.build(town.out)
        for path in town.out.rglob("*.html"):
            if path.stat().st_ino not in durable:
                path.write_bytes(b"")
        for path in town.out.rglob("*.html"):
            changed = before.get(str(path.relative_to(town.out))) != path.read_bytes()
            assert not changed or path.parent.stat().st_ino in durable, "its old bytes could come back under its name"
        town.build(town.out)
        town.build(tmp_path / "new")
        assert pages(town.out) == pages(tmp_path / "new")

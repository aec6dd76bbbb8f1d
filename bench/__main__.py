"""`python -m bench [--quick] [--json FILE]`: measure, print the table, exit 1 if a limit is broken."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import collecting, crowd, group, history, levers, paging, people, scale, waiting, watching
from bench.measure import Figure, Job, beyond, interleave, pairwise, table

if TYPE_CHECKING:
    from pointsman.store.base import Store

HERE = Path(__file__).parent
MB = 1_000_000
KB = 1_000
TYPES = ("popularity", "implicit")
SMALL, LARGE = 1, 1_000  # targets
TOGETHER = 100  # targets of one publish
_ON_THEIR_OWN = (
    "an idle watch",
    "pages of all targets",
    "what waits in a ring",
    "what gc costs",
    "a night of many pipelines",
    "cold start",
    "what on-call pulls",
    "the store",
    "one small publish",
    "growth",
    "very many targets in one pull request",
)  # need no templates
PUSHES = 2  # in one publish: the records, then the ship branch


def _pointsman() -> list[str]:
    script = Path(sys.executable).with_name("pointsman")
    return [str(script)] if script.exists() else [sys.executable, "-m", "pointsman"]


def _git(*words: str | Path) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def _put(store: Store, which: tuple[str, int]) -> None:
    store.create(history.key(*which), history.blob(*which))


class Repositories:
    """Copies of a built repository that publishes run against, put back after each."""

    def __init__(self, root: Path, store: Path) -> None:
        self.root = root
        self.store = store

    def copy(self, template: Path, name: str) -> Path:
        """A repository with the same objects; git replaces files and never writes into one, so links are enough."""
        return Path(shutil.copytree(template, self.root / name, copy_function=os.link))

    def clone(self, template: Path, name: str) -> tuple[Path, Path]:
        """A clone and its origin, of which nobody else knows."""
        origin = self.copy(template, f"{name}-origin.git")
        clone = self.root / name
        _git("clone", "--quiet", "--no-checkout", origin, clone)
        return clone, origin

    def back(self, *places: Path) -> Callable[[], None]:
        """What puts these repositories and the store back to where they are now."""
        before = [(place, self._refs(place)) for place in places]

        def back() -> None:
            shutil.rmtree(self.store, ignore_errors=True)
            for place, refs in before:
                gone = self._refs(place).keys() - refs.keys()
                lines = [f"delete {ref}\n" for ref in gone] + [f"update {ref} {oid}\n" for ref, oid in refs.items()]
                subprocess.run(
                    ["git", "-C", place, "update-ref", "--stdin"], input="".join(lines), text=True, check=True
                )

        return back

    def _refs(self, place: Path) -> dict[str, str]:
        lines = _git("-C", place, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        pairs = (line.split() for line in lines)
        return {ref: oid for ref, oid in pairs if not ref.endswith("/HEAD")}


class Bench:
    """The measurements, each on its own files below one temporary directory."""

    def __init__(self, root: Path, *, quick: bool) -> None:
        self.root = root
        self.quick = quick
        self.store = root / "store"
        self.repositories = Repositories(root, self.store)
        self.targets = LARGE // 10 if quick else LARGE
        self.nights = 2 if quick else 10
        self.templates = {size: root / f"template-{size}.git" for size in (SMALL, self.targets)}

    def prepare(self) -> list[Figure]:
        """Nothing to measure yet."""
        for size, template in self.templates.items():
            self.build(template, size, ships=2)
        return []

    def build(self, template: Path, size: int, *, ships: int) -> None:
        history.build(template, f"file://{self.store}", of=size, each=100, ships=ships, artifact_bytes=1000 * MB)

    def artifact(self, artifact_type: str, size: int, surface: str) -> str:
        path = self.root / f"{artifact_type}-{size}-{surface}.json"
        if not path.exists():
            words = [artifact_type, str(size), surface, str(path)]
            subprocess.run([sys.executable, HERE / "artifacts.py", *words], check=True)
        return str(path)

    def publish(self, name: str, repository: Path, artifact: str, ready: Callable[[], None], every: int = 1) -> Job:
        return Job(name, [*_pointsman(), "-C", str(repository), "publish", artifact], ready, every)

    def crowd(self) -> list[Figure]:
        """Publishers that start at once and all push one main."""
        return crowd.night(_pointsman(), self.root, 16 if self.quick else 64)

    # artifacts of growing size

    def sizes(self) -> list[Figure]:
        sizes = {1 * MB: 1, 10 * MB: 2, **({} if self.quick else {100 * MB: 5})}
        repository = self.repositories.copy(self.templates[SMALL], "sizes.git")
        back = self.repositories.back(repository)
        new = self.root / "floor.json"
        figures: list[Figure] = []

        def gone() -> None:
            new.unlink(missing_ok=True)

        for artifact_type in TYPES:
            jobs: dict[tuple[str, int], Job] = {}
            for size, every in {KB: 1, **sizes}.items():
                file = self.artifact(artifact_type, size, "home")
                name = f"{artifact_type} {size}"
                jobs["publish", size] = self.publish(f"publish {name}", repository, file, back, every)
                floor = [sys.executable, str(HERE / "floor.py"), file]
                jobs["floor", size] = Job(
                    f"floor {name}", [*floor, str(new)], lambda: new.unlink(missing_ok=True), every
                )
                jobs["sha256", size] = Job(f"sha256 {name}", floor, every=every)
            interleave(list(jobs.values()), 5 if self.quick else 15)
            figures += self._of_sizes(artifact_type, list(sizes), jobs)
        return figures

    def _of_sizes(self, artifact_type: str, sizes: Sequence[int], jobs: dict[tuple[str, int], Job]) -> list[Figure]:
        group = f"publish of one {artifact_type} artifact"
        figures = [
            Figure(group, "1 KB, whole process", jobs["publish", KB].seconds() * 1000, "ms"),
            Figure(group, "1 KB, the floor's process", jobs["floor", KB].seconds() * 1000, "ms"),
        ]
        for size in sizes:
            publish, floor, sha256 = (jobs[what, size] for what in ("publish", "floor", "sha256"))
            said = f"{size // MB} MB"
            file = os.path.getsize(publish.command[-1])
            small = jobs["publish", KB], jobs["floor", KB]
            net = beyond(publish, small[0]) / beyond(floor, small[1])
            net_cpu = beyond(publish, small[0], cpu=True) / beyond(floor, small[1], cpu=True)
            grown = publish.peak() - small[0].peak()
            large, huge = size >= 10 * MB, size >= 100 * MB
            figures += [
                Figure(group, f"{said}, whole process", publish.seconds() * 1000, "ms"),
                Figure(group, f"{said}, whole processes", pairwise(publish, floor), "x floor"),
                Figure(group, f"{said}, less what 1 KB costs", net, "x floor", 2 if large else None),
                Figure(group, f"{said}, less what 1 KB costs, processor", net_cpu, "x floor", 2),
            ]
            if huge:
                slope = beyond(publish, small[0]) / beyond(sha256, jobs["sha256", KB])
                figures.append(Figure(group, f"{said}, less what 1 KB costs", slope, "x sha256", 14))
            if large:
                figures += [
                    Figure(group, f"{said}, peak memory", publish.peak() / file, "x file", 6),
                    Figure(group, f"{said}, peak memory, less what 1 KB takes", grown / file, "x file", 6),
                ]
        return figures

    # repositories of growing size

    def records(self) -> list[Figure]:
        jobs: dict[tuple[str, int], Job] = {}
        for size in (SMALL, self.targets):
            template, records = self.templates[size], size * 100
            target = list(history.targets(size))[size // 2]
            file = self._artifact_for(target)
            own = self.repositories.copy(template, f"own-{size}.git")
            clone, origin = self.repositories.clone(template, f"clone-{size}")
            pusher, receiver = self.repositories.clone(template, f"pusher-{size}")
            jobs["own", size] = self.publish(f"own {records}", own, file, self.repositories.back(own))
            jobs["clone", size] = self.publish(f"clone {records}", clone, file, self.repositories.back(clone, origin))
            command = ["git", "-C", str(pusher), "push", "--quiet", "origin", "push:main"]
            jobs["push", size] = Job(f"push {records}", command, self._pushable(pusher, receiver, target))
        interleave(list(jobs.values()), 3 if self.quick else 15)
        return self._of_records(jobs)

    def commits(self) -> list[Figure]:
        """As many records once more, but every version was shipped: what a long history adds. Not judged."""
        if self.quick:
            return []
        long, short = self.root / "long.git", self.repositories.copy(self.templates[self.targets], "short.git")
        self.build(long, self.targets, ships=100)
        file = self._artifact_for(list(history.targets(self.targets))[self.targets // 2])
        jobs = [self.publish(place.stem, place, file, self.repositories.back(place)) for place in (long, short)]
        interleave(jobs, 5)
        ships = [f"{self.targets * ships:,} ships" for ships in (100, 2)]
        group = f"publish of one 4 KB artifact into {self.targets * 100:,} records, its own origin"
        return [
            *(Figure(group, said, job.seconds() * 1000, "ms") for said, job in zip(ships, jobs, strict=True)),
            Figure(group, f"{ships[0]}, grows", pairwise(*jobs), f"x at {ships[1]}"),
        ]

    def together(self) -> list[Figure]:
        """Many targets at once: a pull request opened for each, against as many plain pushes."""
        targets = list(history.targets(self.targets))[: TOGETHER // 10 if self.quick else TOGETHER]
        files = [self._artifact_for(target) for target in targets]
        clone, origin = self.repositories.clone(self.templates[self.targets], "together")
        pusher, receiver = self.repositories.clone(self.templates[self.targets], "together-pusher")
        command = [*_pointsman(), "-C", str(clone), "publish", *files]
        publish = Job("publish together", command, self.repositories.back(clone, origin))
        words = ["git", "-C", str(pusher), "push", "--quiet", "origin", "push:main"]
        push = Job("push", words, self._pushable(pusher, receiver, targets[0]))
        interleave([publish, push], 3)
        group = f"publish of {len(files)} artifacts of as many targets into {self.targets * 100:,} records"
        return [
            Figure(group, "one git push", push.seconds() * 1000, "ms"),
            Figure(group, "whole process", publish.seconds() * 1000, "ms"),
            Figure(group, "for each target", publish.seconds() / len(files) / push.seconds(), "x git push", 3),
        ]

    # what people wait for

    def people(self) -> list[Figure]:
        repository = self.repositories.copy(self.templates[SMALL], "review.git")
        rounds = 3 if self.quick else 7
        figures = people.reviews(_pointsman(), repository, partial(self.artifact, surface="home"), 10 * MB, rounds)
        long = self.root / "long.git"
        return figures if self.quick else [*figures, *people.lookups(_pointsman(), long, rounds)]

    def levers(self) -> list[Figure]:
        return levers.rollbacks(_pointsman(), self.root, 3 if self.quick else 7)

    def group(self, targets: int) -> list[Figure]:
        return group.together(_pointsman(), self.root, targets // 5, targets)

    # one target, however much stands beside it

    def growth(self, records: int, commits: int, keep: Path | None) -> list[Figure]:
        """Nothing of a size that is 0."""
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        grown = scale.Growth(_pointsman(), self.root, 3 if self.quick else 7, keep and keep.resolve())
        return [*(grown.records(records) if records else ()), *(grown.commits(commits) if commits else ())]

    def collect(self, blobs: int) -> list[Figure]:
        """Dry runs of gc, over ten times as many blobs as over few, in a directory and on SeaweedFS."""
        most = blobs // 10 if self.quick else blobs
        return collecting.collections(_pointsman(), self.root, (most // 10, most), 3 if self.quick else 5)

    def idle(self) -> list[Figure]:
        return watching.idle(self.root, 500 if self.quick else 5_000)

    def paging(self) -> list[Figure]:
        return paging.sites(_pointsman(), self.root, 500 if self.quick else 5_000, 3)

    def waiting(self) -> list[Figure]:
        return waiting.waiting(_pointsman(), self.root, 500 if self.quick else 5_000, 3)

    def one_small(self) -> list[Figure]:
        return scale.one_small(_pointsman(), self.root, 3 if self.quick else 15)

    # the gate

    def gate(self) -> list[Figure]:
        """One open pull request in each of two repositories, and a history of many ships."""
        jobs: dict[int, Job] = {}
        for size in (SMALL, self.targets):
            target = list(history.targets(size))[size // 2]
            repository = self.repositories.copy(self.templates[size], f"gate-{size}.git")
            subprocess.run(
                [*_pointsman(), "-C", str(repository), "publish", self._artifact_for(target)], check=True, stdout=2
            )
            head = _git("-C", repository, "for-each-ref", "--format=%(objectname)", "refs/heads/ship")
            words = ["check", "--base", "refs/heads/main", "--head", head]
            jobs[size] = Job(f"check {size}", [*_pointsman(), "-C", str(repository), *words])
        past = self.root / "past.git"
        history.build(past, f"file://{self.store}", of=LARGE, each=self.nights, ships=self.nights, artifact_bytes=MB)
        audit = Job("audit", [*_pointsman(), "-C", str(past), "audit"])
        log = Job("git log", ["git", "-C", str(past), "log", "--raw", "--first-parent", "main"])
        interleave(list(jobs.values()), 3 if self.quick else 15)
        tree = Job("check all", [*_pointsman(), "-C", str(past), "check", "--offline"])
        interleave([audit, log, tree], 3 if self.quick else 7)
        few, many = f"{SMALL * 100:,} records", f"{self.targets * 100:,} records"
        checks = f"check of a pull request of one manifest in {few} and {many}"
        commits = f"{int(_git('-C', past, 'rev-list', '--count', 'main')):,} commits"
        audits, trees = f"audit of {commits}", f"check of all that stands, {LARGE:,} targets after {commits}"
        return [
            Figure(checks, few, jobs[SMALL].seconds() * 1000, "ms"),
            Figure(checks, many, jobs[self.targets].seconds() * 1000, "ms"),
            Figure(checks, "grows", pairwise(jobs[self.targets], jobs[SMALL]), f"x at {few}", 1.3),
            Figure(audits, "git log --raw", log.seconds() * 1000, "ms"),
            Figure(audits, "whole process", audit.seconds() * 1000, "ms"),
            Figure(audits, "whole processes", pairwise(audit, log), "x git log --raw", 20),
            Figure(trees, "whole process", tree.seconds() * 1000, "ms"),
            Figure(trees, "whole processes", pairwise(tree, log), "x git log --raw", 20),
        ]

    # the store

    def verify(self) -> list[Figure]:
        """Every recorded blob read again, against plainly reading and hashing the same, locally and on an S3 server."""
        # Imported late: what a process holds when it starts another is counted as the other's peak.
        sys.path.insert(0, str(HERE.parent / "tests" / "support"))
        from seaweed import BUCKET, Seaweed

        from pointsman.state.store_url import Access
        from pointsman.store.open import open_store
        from pointsman.store.parallel import ask_all

        keys = [
            (target, night) for target in history.targets(LARGE // 10) for night in range(10 if self.quick else 100)
        ]
        listed = self.root / "keys"
        listed.write_text("".join(f"{history.key(*each)}\n" for each in keys))
        figures = []
        with tempfile.TemporaryDirectory(prefix="pointsman-weed-") as directory:
            seaweed = Seaweed(Path(directory))
            seaweed.start()
            os.environ |= {**seaweed.server.environment, "AWS_REGION": "us-east-1"}
            try:
                for name, url, endpoint in (
                    ("a directory", f"file://{self.root}/blobs", ""),
                    ("SeaweedFS", f"s3://{BUCKET}", seaweed.server.endpoint),
                ):
                    store = open_store(url, Access(endpoint, "", bool(endpoint)))
                    list(ask_all(partial(_put, store), keys, at_once=8))
                    figures += self._verify(name, url, endpoint, listed, store.reads_at_once)
            finally:
                seaweed.kill()
        return figures

    def _verify(self, name: str, url: str, endpoint: str, listed: Path, threads: int) -> list[Figure]:
        repository = self.root / f"verify-{'s3' if endpoint else 'file'}.git"
        nights = len(listed.read_text().split()) // (LARGE // 10)
        history.build(repository, url, of=LARGE // 10, each=nights, ships=1, artifact_bytes=MB, endpoint=endpoint)
        verify = Job(f"verify {name}", [*_pointsman(), "-C", str(repository), "verify", "--all"])
        words = [url, endpoint, str(listed), str(threads)]
        read = Job(f"read {name}", [sys.executable, str(HERE / "reading.py"), *words])
        few = Job(f"verify few {name}", [*_pointsman(), "-C", str(repository), "verify", "--all", "--shard", "1/20"])
        start = Job("python -c pass", [sys.executable, "-c", "pass"])
        interleave([verify, read, few, start], 3 if self.quick else 7)
        slope = beyond(verify, few) * 20 / 19 / beyond(read, start)  # few: a twentieth
        cpu = median(verify.runs[each].cpu / read.runs[each].cpu for each in verify.runs)
        group = f"verify --all of {nights * LARGE // 10:,} blobs of 4 KB in {name}"
        return [
            Figure(group, "reading and hashing", read.seconds() * 1000, "ms"),
            Figure(group, "whole process", verify.seconds() * 1000, "ms"),
            Figure(group, "whole processes", pairwise(verify, read), "x reading and hashing", 3),
            Figure(group, "the same, processor", cpu, "x reading and hashing"),
            Figure(group, "less what a twentieth of them costs", slope, "x reading and hashing", 1.3),
            Figure(group, "peak memory", verify.peak() / few.peak(), "x a twentieth of them", 1.3),
        ]

    def _artifact_for(self, target: str) -> str:
        """A small artifact of that target: the one of `home`, with the two names and the version that it then has."""
        tenant, surface = target.split("/")
        path = self.root / f"small-{tenant}-{surface}.json"
        subprocess.run([sys.executable, HERE / "artifacts.py", "popularity", "4000", surface, path, tenant], check=True)
        return str(path)

    def _pushable(self, pusher: Path, receiver: Path, target: str) -> Callable[[], None]:
        main, count = _git("-C", receiver, "rev-parse", "refs/heads/main"), [0]

        def ready() -> None:
            count[0] += 1
            _git("-C", receiver, "update-ref", "refs/heads/main", main)
            _git("-C", pusher, "update-ref", "refs/remotes/origin/main", main)
            history.add_commit(pusher, target, count[0])

        return ready

    def _of_records(self, jobs: dict[tuple[str, int], Job]) -> list[Figure]:
        few, many = f"{SMALL * 100:,} records", f"{self.targets * 100:,} records"
        group = f"publish of one 4 KB artifact into {few} and {many}"
        figures = []
        for what, said in (("own", "its own origin"), ("clone", "separate origin"), ("push", "plain git push")):
            figures.append(Figure(group, f"{said}, {few}", jobs[what, SMALL].seconds() * 1000, "ms"))
            figures.append(Figure(group, f"{said}, {many}", jobs[what, self.targets].seconds() * 1000, "ms"))
        grown = PUSHES * (jobs["push", self.targets].seconds() - jobs["push", SMALL].seconds())
        own, clone, push = (pairwise(jobs[what, self.targets], jobs[what, SMALL]) for what in ("own", "clone", "push"))
        less = pairwise(jobs["clone", self.targets], jobs["clone", SMALL], less_one=max(grown, 0.0))
        ratio = f"x at {few}"
        return [
            *figures,
            Figure(group, "plain git push grows", push, ratio),
            Figure(group, "its own origin, grows", own, ratio, 1.3),
            Figure(group, "separate origin, grows", clone, ratio),
            Figure(group, "separate origin, less what two pushes grow", less, ratio, 1.3),
        ]

    # the cold start

    def start(self) -> list[Figure]:
        shown = Job("pointsman --help", [*_pointsman(), "--help"])
        bare = Job("python -c pass", [sys.executable, "-c", "pass"])
        interleave([shown, bare], 5 if self.quick else 21)
        group = "cold start"
        return [
            Figure(group, "pointsman --help", shown.seconds() * 1000, "ms"),
            Figure(group, "python -c pass", bare.seconds() * 1000, "ms"),
            Figure(group, "pointsman --help, whole processes", pairwise(shown, bare), "x python -c pass", 6),
        ]


def _clean_environment(root: Path) -> None:
    """Bytecode caches as everyone has them; nobody's git configuration; git's own automatic upkeep off."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    settings = "[user]\n\tname = Bench\n\temail = bench@example.org\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    (root / ".gitconfig").write_text(settings)
    os.environ["HOME"] = str(root)
    os.environ["XDG_CONFIG_HOME"] = str(root / ".config")


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, as ratios within one run.")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: a look, not a verdict")
    parser.add_argument("--json", metavar="FILE", type=Path, help="keep the figures")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the measurements with this text in their name")
    parser.add_argument("--records", metavar="N", type=int, default=100_000, help="records of the largest repository")
    parser.add_argument("--targets", metavar="N", type=int, default=1_000, help="targets of the largest pull request")
    parser.add_argument("--commits", metavar="N", type=int, default=10_000, help="commits of the longest history")
    parser.add_argument("--blobs", metavar="N", type=int, default=100_000, help="blobs of the largest store for gc")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="leave the repositories of growth there")
    asked = parser.parse_args()
    began = time.perf_counter()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as directory:
        root = Path(directory).resolve()
        _clean_environment(root)
        bench = Bench(root, quick=asked.quick)
        steps: list[tuple[str, Callable[[], list[Figure]]]] = [
            ("cold start", bench.start),
            ("repositories of growing size", bench.records),
            ("many targets at once", bench.together),
            ("the gate", bench.gate),
            ("artifacts of growing size", bench.sizes),
            ("a long history", bench.commits),
            ("what people wait for", bench.people),
            ("what on-call pulls", bench.levers),
            ("the store", bench.verify),
            ("what gc costs", partial(bench.collect, asked.blobs)),
            ("an idle watch", bench.idle),
            ("pages of all targets", bench.paging),
            ("what waits in a ring", bench.waiting),
            ("one small publish", bench.one_small),
            ("a night of many pipelines", bench.crowd),
            ("very many targets in one pull request", partial(bench.group, asked.targets)),
            ("growth", partial(bench.growth, asked.records, asked.commits, asked.keep)),
        ]
        steps = [(says, step) for says, step in steps if asked.only in says]
        if any(says not in _ON_THEIR_OWN for says, _ in steps):
            steps.insert(0, ("building repositories", bench.prepare))
        for says, step in steps:
            print(f"[{time.perf_counter() - began:3.0f} s] {says} …", file=sys.stderr, flush=True)
            found = step()
            if found:
                print(table(found), end="\n\n", flush=True)
            figures += found
    if asked.json:
        told = [{**asdict(figure), "ok": figure.ok} for figure in figures]
        asked.json.write_text(json.dumps({"quick": asked.quick, "figures": told}, indent=2) + "\n")
    broken = [figure for figure in figures if not figure.ok]
    judged = sum(figure.limit is not None for figure in figures)
    print(f"{judged - len(broken)} of {judged} limits hold, {time.perf_counter() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(_main())

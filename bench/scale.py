"""What one target costs in a large repository against a small one, and what one small publish starts and waits for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import counting, history
from bench.measure import Figure, Job, interleave, pairwise

HERE = Path(__file__).parent
_OWN = "pointsman"  # the directory in a git directory where Pointsman keeps what it derived
_RECORDS_EACH = 100
_MOST = 1.2  # times what it costs in a small repository, with what an earlier command left


@dataclass(frozen=True, slots=True)
class Place:
    """One repository, the store beside it, and a target in the middle of its last night."""

    repository: Path
    store: Path
    target: str
    artifact: Path


class Growth:
    """The same commands on one target of a small and of a large repository, in turn."""

    def __init__(self, pointsman: Sequence[str], root: Path, rounds: int, keep: Path | None = None) -> None:
        """`keep`: where repositories stay for the next run, because the largest take minutes to build."""
        self.pointsman = pointsman
        self.root = keep or root
        self.rounds = rounds

    def records(self, most: int) -> list[Figure]:
        """`most` records against 100, two ships a target."""
        few = self._place("few-records", targets=1, each=_RECORDS_EACH, ships=2)
        targets = max(most // _RECORDS_EACH, 1)
        many = self._place(f"many-records-{most}", targets=targets, each=_RECORDS_EACH, ships=2)
        return self._grown(f"{most:,} records against {_RECORDS_EACH:,}", few, many)

    def commits(self, most: int) -> list[Figure]:
        """`most` commits against 100, every version of a target shipped."""
        few = self._place("few-commits", targets=1, each=50, ships=50)
        many = self._place(f"many-commits-{most}", targets=max(most // 50, 1), each=50, ships=50)
        group = f"{most:,} commits against 100"
        return [*self._grown(group, few, many), *self._against_git(group, many)]

    def _against_git(self, group: str, place: Place) -> list[Figure]:
        """`log TARGET`, with what an earlier command left, against git's own log of the same manifest."""
        path = f"manifests/{place.target}/manifest.json"
        ours = self._jobs(place, fresh=False)["log"]
        theirs = Job("git log", ["git", "-C", str(place.repository), "log", "--format=%h", "main", "--", path])
        interleave([ours, theirs], self.rounds)
        cpu = median(ours.runs[each].cpu / theirs.runs[each].cpu for each in ours.runs)
        return [Figure(group, "log, index, processor", cpu, "x git log -- path", 0.3)]

    def _place(self, name: str, *, targets: int, each: int, ships: int) -> Place:
        repository, store = self.root / f"{name}.git", self.root / f"{name}-store"
        if not repository.is_dir():
            unfinished = repository.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            history.build(unfinished, f"file://{store}", of=targets, each=each, ships=ships, artifact_bytes=1_000_000)
            unfinished.rename(repository)
        target = list(history.targets(targets))[targets // 2]
        for night in (each - 2, each - 1):
            path = store / history.key(target, night)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(history.blob(target, night))
        tenant, surface = target.split("/")
        artifact = self.root / f"{name}.json"
        words = ["popularity", "4000", surface, str(artifact), tenant]
        subprocess.run([sys.executable, HERE / "artifacts.py", *words], check=True)
        return Place(repository, store, target, artifact)

    def _grown(self, group: str, few: Place, many: Place) -> list[Figure]:
        figures: list[Figure] = []
        for said, fresh in (("index", False), ("no index", True)):
            jobs = {place: self._jobs(place, fresh=fresh) for place in (few, many)}
            for name in jobs[few]:
                small, large = jobs[few][name], jobs[many][name]
                interleave([small, large], self.rounds)
                cpu = median(large.runs[each].cpu / small.runs[each].cpu for each in large.runs)
                figures += [
                    Figure(group, f"{name}, {said}, small", small.seconds() * 1000, "ms"),
                    Figure(group, f"{name}, {said}, processor", cpu, "x", None if fresh else _MOST),
                    Figure(group, f"{name}, {said}, peak memory", large.peak() / 1e6, "MB"),
                ]
        return figures

    def _jobs(self, place: Place, *, fresh: bool) -> dict[str, Job]:
        words = [*self.pointsman, "-C", str(place.repository)]
        main = _git(place.repository, "rev-parse", "refs/heads/main")
        subprocess.run([*words, "publish", str(place.artifact)], check=True, capture_output=True)
        base, head = (
            _git(place.repository, "for-each-ref", "--format=%(objectname)", ref)
            for ref in ("refs/heads/main", "refs/heads/ship")
        )
        kept = None
        back = _back(place, main, None)
        if not fresh:
            back()
            for _ in range(2):  # the first reads for itself, the second for all
                subprocess.run([*words, "log", place.target], check=True, capture_output=True)
            kept = place.repository.with_suffix(".kept")
            shutil.rmtree(kept, ignore_errors=True)
            (place.repository / _OWN).rename(kept)
            back = _back(place, main, kept)
        commands = {
            "publish": ["publish", str(place.artifact)],
            "publish --merge": ["publish", str(place.artifact), "--merge"],
            "status": ["status", place.target],
            "check": ["check", "--base", base, "--head", head],
            "log": ["log", place.target],
            "at": ["at", "main", place.target],
            "rollback": ["rollback", place.target, "--reason=bench"],
        }
        jobs = {name: Job(name, [*words, *command], back) for name, command in commands.items()}
        jobs["check"].ready = _back(place, base, kept)  # main has the record when a gate judges the ship
        return jobs


def _back(place: Place, main: str, kept: Path | None) -> Callable[[], None]:
    """What puts a repository back: main, and what an earlier command on that main `kept`, or nothing of it.

    What a publish kept is no use: main is put back to before its record, and goes another way from there.
    """

    def back() -> None:
        refs = _git(place.repository, "for-each-ref", "--format=%(refname)").splitlines()
        lines = [f"delete {ref}\n" for ref in refs if ref != "refs/heads/main"] + [f"update refs/heads/main {main}\n"]
        subprocess.run(
            ["git", "-C", place.repository, "update-ref", "--stdin"], input="".join(lines), text=True, check=True
        )
        shutil.rmtree(place.repository / _OWN, ignore_errors=True)
        if kept is not None:
            shutil.copytree(kept, place.repository / _OWN)

    return back


def one_small(pointsman: Sequence[str], root: Path, rounds: int) -> list[Figure]:
    """`publish --merge` of one small artifact, cold: programs, fsyncs, and git-lfs doing the like."""
    places = {said: _small(root / f"small-{said}", clone=said == "clone") for said in ("bare", "clone")}
    group = "publish --merge of one 4 KB artifact"
    figures: list[Figure] = []
    numbers = iter(range(1_000_000))

    def new(place: Path) -> None:
        _artifact(place / "new.json", next(numbers))

    jobs: dict[str, Job] = {}
    for said, place in places.items():
        command = [*pointsman, "-C", str(place / said), "publish", str(place / "new.json"), "--merge"]
        for _ in range(2):
            new(place)
            subprocess.run(command, check=True, capture_output=True)
        if counting.can_count():
            new(place)
            counted = counting.count(command)
            print("  ".join(f"{name} {times}" for name, times in counted.programs.most_common()), file=sys.stderr)
            figures += [
                Figure(group, f"{said}, processes", counted.processes, ""),
                Figure(group, f"{said}, fsyncs", counted.fsyncs, ""),
            ]
        jobs[said] = Job(said, command, lambda place=place: new(place))  # type: ignore[misc]
    if shutil.which("git-lfs") is not None:
        jobs["git-lfs"] = _lfs(root / "small-lfs", numbers.__next__)
    interleave(list(jobs.values()), rounds)
    figures += [Figure(group, f"{said}, whole process", job.seconds() * 1000, "ms") for said, job in jobs.items()]
    if "git-lfs" in jobs:
        for said in places:
            figures.append(
                Figure(
                    group,
                    f"{said}",
                    pairwise(jobs[said], jobs["git-lfs"]),
                    "x git-lfs add, commit, push",
                )
            )
    else:
        print("git-lfs is not installed: nothing to compare with (apt install git-lfs)", file=sys.stderr)
    return figures


def _small(place: Path, *, clone: bool) -> Path:
    """A repository with one shipped target; with `clone`, a clone of it as well."""
    place.mkdir()
    _git(place, "init", "--quiet", "--bare", "--initial-branch=main", "bare")
    settings = f'[store]\nurl = "file://{place}/store"\n[policy]\nkept_low = false\n'.encode()
    script = "commit refs/heads/main\ncommitter B <b@example.org> 1700000000 +0000\ndata 9\nsettings\n"
    script += f"M 100644 inline pointsman.toml\ndata {len(settings)}\n"
    subprocess.run(
        ["git", "-C", place / "bare", "fast-import", "--quiet"], input=script.encode() + settings, check=True
    )
    if clone:
        _git(place, "clone", "--quiet", "bare", "clone")
    return place


def _artifact(path: Path, number: int) -> None:
    items = [{"item_id": f"item-{place:04d}", "count": number + 200 - place} for place in range(100)]
    window = {"start": "2026-03-02T00:00:00Z", "end": "2026-03-03T00:00:00Z"}
    head = {"v": 1, "artifact_type": "popularity", "tenant": "shop", "surface": "home", "segment": "default"}
    body = {**head, "window": window, "items": items, "build": {"built_at": "", "version": ""}}
    version = hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps({**body, "build": {"built_at": "2026-03-03T00:05:00Z", "version": version}}))


def _lfs(place: Path, number: Callable[[], int]) -> Job:
    """git-lfs in a clone of a bare repository on this machine: add, commit and push of one such file."""
    place.mkdir()
    _git(place, "init", "--quiet", "--bare", "--initial-branch=main", "bare")
    _git(place, "clone", "--quiet", "bare", "clone")
    clone = place / "clone"
    _git(clone, "checkout", "--quiet", "-b", "main")
    for words in (
        ["lfs", "install", "--local"],
        ["lfs", "track", "*.json"],
        ["add", "."],
        ["commit", "--quiet", "-m", "settings"],
        ["push", "--quiet", "origin", "main"],
    ):
        _git(clone, *words)
    command = f"cd {clone} && git add home.json && git commit --quiet -m ship && git push --quiet origin main"
    return Job("git-lfs", ["sh", "-c", command], lambda: _artifact(clone / "home.json", number()))


def _git(place: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", place, *words], check=True, capture_output=True, text=True, env=os.environ
    ).stdout.strip()

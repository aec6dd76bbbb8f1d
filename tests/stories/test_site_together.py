"""Many runs of `site` in one directory: they wait for each other, and the pages are those of one run."""

from __future__ import annotations

import errno
import fcntl
import shutil
from pathlib import Path

import pytest
import world
from clocks import clock_at
from town import Town, pages
from world import Child, Ended

from pointsman.errors import Unreachable
from pointsman.progress import SILENCE
from pointsman.report.site.turn import turn
from pointsman.state.names import Target
from pointsman.verbs import site
from pointsman.workspace import Workspace

TARGETS = [Target("grocer", name) for name in ("cart", "home")]


@pytest.mark.slow
def test_all_of_many_runs_in_one_directory_end_well_and_leave_what_a_new_run_makes(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.ship(*TARGETS)
    town.sync()

    def one() -> Ended:
        return world.perform(
            town.shop.desk, lambda repo: site.site(Workspace(repo, clock=clock_at(town.now)), str(town.out))
        )

    running: list[Child] = []
    for _ in range(4):
        running += [Child(one) for _ in range(world.how_many(8) // 4)]
        town.ship(TARGETS[0])
        town.sync()
    ended = [each.wait() for each in running]
    assert {each.code for each in ended} == {0}, ended
    assert one().code == 0
    town.build(tmp_path / "fresh")
    assert pages(town.out) == pages(tmp_path / "fresh")
    assert not list(town.out.rglob("*.new"))


def test_a_run_that_waits_too_long_for_another_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_LOCK_TIMEOUT", "0.01")
    out = str(tmp_path / "out")
    says = r"another pointsman site works in .* \(POINTSMAN_LOCK_TIMEOUT\)"
    with turn(out, SILENCE), pytest.raises(Unreachable, match=says), turn(out, SILENCE):
        raise AssertionError("both have it")
    with turn(out, SILENCE):
        pass


def test_whoever_waited_has_the_directory_that_stands_there_now(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[str] = []

    class Removes:
        """Ends the first run when the second one begins to wait; what it worked in goes."""

        def __call__(self, line: str) -> None:
            told.append(line)
            shutil.rmtree(out)
            first.__exit__(None, None, None)

        def counted(self, what: str, done: int, total: int | None) -> None:
            return

    first = turn(str(out), SILENCE)
    first.__enter__()
    with turn(str(out), Removes()):
        (out / "index.html").write_text("it is there")
    assert told == [f"waiting for another run that works in {out}"]


def test_where_the_file_system_gives_no_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(fd: int, how: int) -> None:
        raise OSError(errno.EBADF, "as NFS says of a directory")

    monkeypatch.setattr(fcntl, "flock", none)
    with turn(str(tmp_path), SILENCE), turn(str(tmp_path), SILENCE):
        pass

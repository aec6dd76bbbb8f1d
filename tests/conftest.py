"""What every test stands on: no skip in silence, one printed seed, and a machine without habits of its own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
import reviews
import seaweed
from attacks.gates import Stage
from attacks.states import Ground
from seaweed import Server
from shop import Kept, once_shipped, twice_shipped

Case = TypeVar("Case")
UNIT = Path(__file__).parent / "unit"
# Tests write small files by the hundred thousand, and git makes each durable: on a disk half of the kernel's time.
MEMORY = "/dev/shm"  # noqa: S108 - pytest makes a directory of its own there
ROOM = 4 << 30  # bytes; a whole run leaves half a gigabyte
REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"
SEED = int(os.environ.get("POINTSMAN_SEED") or random.SystemRandom().randrange(2**32))
os.environ["POINTSMAN_SEED"] = str(SEED)  # the workers have the same, and the one that is printed
SHUFFLED = os.environ.get("POINTSMAN_SHUFFLE") == "1"
ROUNDS = int(os.environ.get("POINTSMAN_ROUNDS") or 0) or (2 if REQUIRE_ALL else 1)
SLOW = REQUIRE_ALL or bool(os.environ.get("POINTSMAN_ROUNDS"))  # whoever asks for rounds wants the tests that have them

# Their asserts show values, as those of tests do.
pytest.register_assert_rewrite("store_suite", "forge_suite")

# A slow machine is no fault of the code; a failure says how to see it again.
hypothesis.settings.register_profile("pointsman", deadline=None, print_blob=True, max_examples=100 if SLOW else 25)
hypothesis.settings.load_profile("pointsman")


def half(cases: Sequence[Case]) -> list[Case]:
    """Half of the cases, drawn anew by each run's seed; all of them where POINTSMAN_ROUNDS is set."""
    if "POINTSMAN_ROUNDS" in os.environ:
        return list(cases)
    drawn = set(random.Random(SEED).sample(range(len(cases)), -(-len(cases) // 2)))
    return [case for place, case in enumerate(cases) if place in drawn]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as there are processors, as each collects every test; for the slow ones one more, as these often wait."""
    return (os.cpu_count() or 1) + SLOW


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(SEED)  # before hypothesis reads it
    if _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)  # the parent of `tmp_path`, for pytest


def _has_room(directory: str) -> bool:
    """Whether a directory in memory holds what tests write, and may run the programs among it."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    noexec = getattr(os, "ST_NOEXEC", 0)
    return found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & noexec and os.access(directory, os.W_OK)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests are left out, unless everything is required or rounds are asked for. The order is mixed on request.

    They are not skipped: to begin and report three thousand skips takes seconds.
    """
    if not SLOW:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    if SHUFFLED:
        _shuffle(items)


def _shuffle(items: list[pytest.Item]) -> None:
    """Files in random order, and in each its tests: what a file shares is made once all the same."""
    dice = random.Random(SEED)
    by_file: dict[Path, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(item.path, []).append(item)
    files = list(by_file.values())
    dice.shuffle(files)
    for tests in files:
        dice.shuffle(tests)
    items[:] = [item for tests in files for item in tests]


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"seed: {SEED} (again with POINTSMAN_SEED={SEED})",
        f"order: {'mixed by the seed' if SHUFFLED else 'as written'} (POINTSMAN_SHUFFLE=1 mixes it)",
        f"slow tests: {'run, too' if SLOW else 'left out'} (REQUIRE_ALL=1 or POINTSMAN_ROUNDS runs them)",
        f"rounds of each race: {ROUNDS} (set POINTSMAN_ROUNDS)",
        f"files of tests: below {os.environ.get('PYTEST_DEBUG_TEMPROOT', 'the usual place')} (PYTEST_DEBUG_TEMPROOT)",
        "skips are failures (REQUIRE_ALL=1)" if REQUIRE_ALL else "skips are allowed (REQUIRE_ALL=1 forbids them)",
    ]


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nREQUIRE_ALL=1: a skip is a failure"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A unit test starts no process and opens no connection: it fails if it tries."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.is_relative_to(UNIT):
            patch.setattr(subprocess.Popen, "__init__", _no_unit)
            patch.setattr(socket.socket, "connect", _no_unit)
        yield


def _no_unit(*words: object, **more: object) -> None:
    pytest.fail("a test below tests/unit starts no process and opens no connection: move it to tests/parts")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def _machine_without_habits(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """A home without a name, hooks or signing: none of the developer's reach a test. Nor is there any housekeeping.

    What a shell left to its children is as usual, too: whom a file is for, and that an interrupt is heard.
    """
    os.umask(0o022)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for what a shell runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GIT_", "AWS_")) or name == "XDG_CONFIG_HOME" or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # each of many processes would compile everything anew
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        (Path(os.environ["HOME"]) / ".gitconfig").write_text("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n")
        patch.setenv("GIT_TEMPLATE_DIR", "")  # sample hooks, sixteen files for every repository
        yield


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Randomness of this test alone: the same for the same seed, whatever ran before."""
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture
def rounds() -> int:
    """How often a race is run: once every day, a few times where everything is required, many with POINTSMAN_ROUNDS."""
    return ROUNDS


@pytest.fixture
def conformance() -> Path:
    """The folder of documents whose versions are known."""
    return Path(__file__).parent / "conformance"


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Server:
    """One S3 server for the whole run; its workers share it through a directory that is the run's own."""
    base = tmp_path_factory.getbasetemp()
    if worker_id == "master":
        return seaweed.shared(base / "s3", os.getpid())
    return seaweed.shared(base.parent / "s3", os.getppid())


@pytest.fixture
def s3(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The S3 server of the run, its owner's credentials in the environment."""
    for name, value in _server.environment.items():
        monkeypatch.setenv(name, value)
    return _server


@pytest.fixture(scope="session")
def one_ship(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A shop with one ship, made once for all who begin with one."""
    return Kept(tmp_path_factory.mktemp("one-ship"), once_shipped)


@pytest.fixture(scope="session")
def two_ships(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The same with two ships of the samples."""
    return Kept(tmp_path_factory.mktemp("two-ships"), twice_shipped)


@pytest.fixture(scope="session")
def reviewable(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The same under guardrails that let the artifacts of reviews pass, and measure them."""
    return Kept(tmp_path_factory.mktemp("reviewable"), reviews.twice_shipped)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    """Where the corpus is played."""
    stage = Stage(Ground(tmp_path_factory.mktemp("ground")))
    yield stage
    stage.close()

"""The library: texts in, values out, and what is raised says whether calling again is right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shop import DAYS, STAGING, Shop, popularity

from pointsman import api
from pointsman.outcome import Outcome
from pointsman.values import ShipOutcome, ShippedTarget, ToldFault

RUN = "https://ci.example/runs/1"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def target(outcome: ShipOutcome, *rules: str, says: str | None = None) -> ShippedTarget:
    faults = [ToldFault(rule, "manifests/grocer/home/manifest.json", "is broken") for rule in rules]
    return ShippedTarget("grocer/home", outcome, None, None, None, faults or None, says)


@pytest.mark.parametrize(
    "stopped,code,raised",
    [
        ([target("waits", says="no answer")], 3, api.Unreachable),
        ([target("moved-first", says="main moved")], 4, api.MovedFirst),
        ([target("waits", "bad-json")], 1, api.Refused),
        ([target("refused", "on-hold"), target("moved-first", says="main moved")], 5, api.MovedFirst),
        ([target("waits", "unapproved")], 5, api.Refused),
    ],
)
def test_what_is_not_done_is_raised_as_what_a_scheduler_must_know(
    stopped: list[ShippedTarget], code: int, raised: type[api.Problem]
) -> None:
    published = api.Published([], [target("opened"), *stopped])
    with pytest.raises(api.Problem) as problem:
        api.require_done(Outcome(published, code))
    assert type(problem.value) is raised
    done = Outcome(api.Published([], [target("opened")]))
    assert api.require_done(done) is done.value


def test_a_file_that_names_no_target_is_not_done() -> None:
    published = api.Published([], [target("opened")], [ToldFault("bad-json", "a.json", "is no JSON")])
    with pytest.raises(api.Refused, match=r"^a\.json: bad-json: is no JSON$"):
        api.require_done(Outcome(published, 5))


def test_one_bad_artifact_is_told_and_the_other_goes_on_once(shop: Shop, tmp_path: Path) -> None:
    good = popularity(tmp_path / "good.json", 3)
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with api.open_repository(shop.origin) as repository:
        outcome = repository.publish([good, bad], run=RUN)
        assert outcome.exit_code == 5
        with pytest.raises(api.Refused, match="bad-json") as refused:
            api.require_done(outcome)
        assert {fault.rule for fault in refused.value.faults} == {"bad-json"}
        assert api.require_done(repository.publish([good], run=RUN)).targets[0].outcome == "unchanged"


@pytest.mark.slow
def test_the_methods_do_what_the_commands_do(shop: Shop) -> None:
    with api.open_repository(shop.desk) as repository:
        for day in (1, 2):
            staged = repository.publish([STAGING / "grocer"], windows=[DAYS[day]], run=f"{RUN}{day}", merge=True)
            assert api.require_done(staged).targets[0].outcome == "merged"
        assert repository.publish(drops=["grocer/home:cooc"], dry_run=True).value.targets[0].outcome == "dry-run"
        assert [each.outcome for each in repository.sync().value.targets] == ["written"]
        (state,) = repository.status(["grocer/*"]).targets
        assert (state.target, state.serving) == ("grocer/home", "in-sync")
        assert [event.run for event in repository.log(["grocer/home"], most=1)] == [f"{RUN}2"]
        first = repository.log(run=f"{RUN}1")[0].commit
        assert repository.at("now", "grocer/home").commit != first
        back = repository.roll_back(run=f"{RUN}2", now=True, reason="half is gone")
        assert back.value.targets[0].outcome == "merged"
        assert repository.status().targets[0].serving == "behind"
        assert repository.sync(dry_run=True).value.dry_run
        assert repository.sync().exit_code == 0
    assert shop.manifest == shop.serving


def test_what_its_caller_must_mend_is_a_problem_and_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    before = shop.everything()
    good = popularity(tmp_path / "good.json", 3)
    with api.open_repository(shop.origin) as repository:
        for call in (
            lambda: repository.publish([tmp_path / "nothing.json"]),
            lambda: repository.publish([]),
            lambda: repository.publish(str(good)),
            lambda: repository.publish([good], run="https://ann:secret@ci.example/1"),
            lambda: repository.publish([good], run="7"),
            lambda: repository.publish([good], reason="\ud800"),
            lambda: repository.at("\ud800", "grocer/home"),
            lambda: repository.status(["grocer/\ud800"]),
            lambda: repository.publish(drops=["grocer/home"]),
            lambda: repository.status(["grocer"]),
            lambda: repository.log("grocer/home"),
            lambda: repository.at("noon", "grocer/home"),
            lambda: repository.roll_back(["grocer/home"], now=True),
        ):
            with pytest.raises(api.Problem) as problem:
                call()
            assert (type(problem.value), problem.value.exit_code) == (api.Problem, 2)
            assert "secret" not in str(problem.value)
    with pytest.raises(api.Problem, match="there is no directory"), api.open_repository(tmp_path / "nowhere"):
        pass
    assert shop.everything() == before


def test_an_origin_that_is_away_is_worth_another_try(shop: Shop, tmp_path: Path) -> None:
    with api.open_repository(shop.desk) as repository:
        shutil.move(shop.origin, tmp_path / "away.git")
        with pytest.raises(api.Unreachable):
            repository.publish([popularity(tmp_path / "good.json", 3)])
        shutil.move(tmp_path / "away.git", shop.origin)
        assert api.require_done(repository.publish([tmp_path / "good.json"])).targets[0].outcome == "opened"


def test_what_the_disk_refuses_is_unreachable(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no-such-directory"))
    with pytest.raises(api.Unreachable, match="no-such-directory"), api.open_repository(f"file://{shop.origin}"):
        pass


def test_many_threads_may_open_their_first_repository_at_once(shop: Shop) -> None:
    program = (
        "import sys, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pointsman import api\n"
        "together = threading.Barrier(16)\n"
        "def first(number):\n"
        "    together.wait()\n"
        "    with api.open_repository(sys.argv[1]) as repository:\n"
        "        return repository.status() is not None\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    print(sum(pool.map(first, range(16))))\n"
    )
    env = {**os.environ, **{f"GIT_OF_NOBODY_{number}": "" for number in range(100)}}
    command = [sys.executable, "-c", program, str(shop.origin)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("16\n", "")

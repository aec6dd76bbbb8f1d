"""The demo of rings: it tells what it does, with a Prometheus and without one, and stops where the story goes wrong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.serving.prometheus import NoValues, Prometheus
from pointsman.state.check import Check
from pointsman.state.store_url import Access
from pointsman.verbs import demo as module
from pointsman.verbs import demo_rings
from pointsman.verbs.demo_services import Service, watched

Run = tuple[Path, list[str], Mapping[str, Any]]
QUERY = 'sum(rate(recsys_recommendation_requests_total{ring="canary",outcome="empty"}[4s]))'


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, Run]:
    """Both runs at once, for most of a run is waiting. With a Prometheus? → where, what was said, and the document."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus here: apt-get install prometheus")

    def run(prometheus: str | None) -> Run:
        root, lines = tmp_path_factory.mktemp("demo", numbered=True) / "a café", list[str]()
        return root, lines, demo_rings.demo_rings(str(root), lines.append, prometheus).document

    with ThreadPoolExecutor() as pool:
        real, stand_in = pool.map(run, (program, None))
    return {True: real, False: stand_in}


@pytest.mark.slow
def test_a_bad_day_is_stopped_in_canary_and_prod_never_has_it(told: Mapping[bool, Run]) -> None:
    for is_real, (root, lines, document) in told.items():
        _goes_as_it_should(root, lines, document, is_real=is_real)


def _goes_as_it_should(root: Path, lines: list[str], document: Mapping[str, Any], *, is_real: bool) -> None:
    text = "\n".join(lines)
    assert ("Prometheus is not installed here, so a stand-in answers" in text) is not is_real
    stopped = [step["command"] for step in document["steps"] if step["exit_code"] == 1]
    assert stopped == ["pointsman rollout --check"]
    assert "empty-results: pass: 0, below 0.02" in text
    share = r"0\.[0-9]+" if is_real else r"0\.4"  # Prometheus extrapolates
    assert re.search(rf"check empty-results fails: {share}( to {share})?, and it must be below 0\.02 in canary", text)
    revert = [step["command"] for step in document["steps"]].index("git revert --no-edit 'HEAD~1'")
    assert document["steps"][revert + 3]["command"] == "pointsman sync"
    explained = text.rpartition("$ pointsman log grocer/home")[2]
    assert "restore  grocer/home" in explained
    assert "reason: check empty-results fails" in explained
    assert '"rollout":' in explained  # the hold, as git shows it
    digests = [line.split()[1] for line in lines if line.startswith("sha256 ")]
    assert digests == [document["serving"]["sha256"]] * 2
    places = ("rings/canary", "registry/current")
    canary, prod = (root / "store" / each / "grocer/home/manifest.json" for each in places)
    assert canary.read_bytes() == prod.read_bytes()
    assert json.loads(prod.read_bytes())["current"]["popularity"].rpartition("/")[2].startswith("c3fec4c5e827")
    assert subprocess.check_output(["git", "-C", str(root / "manifests"), "status", "--porcelain"]) == b""


def service(root: Path, items: int, name: str = "canary") -> Service:
    """A service whose pointer names so many popular items."""
    url = f"file://{root}"
    (root / name).mkdir()
    (root / name / "blob.json").write_text(json.dumps({"items": [{}] * items}))
    (root / name / "manifest.json").write_text(json.dumps({"current": {"popularity": f"{url}/{name}/blob.json"}}))
    return Service(module.Serving(url, Access(), f"{name}/manifest.json"))


def test_a_visitor_who_has_seen_all_that_there_is_gets_nothing(tmp_path: Path) -> None:
    few, many = service(tmp_path, 6), service(tmp_path, 10, "prod")
    for each in (few, many):
        each.tick()
    assert (few.counted, many.counted) == ({"success": 6, "empty": 4}, {"success": 10})
    nothing = Service(module.Serving(f"file://{tmp_path}", Access(), "nothing.json"))
    nothing.tick()
    assert nothing.counted == {}


def test_the_stand_in_has_the_share_of_the_ring_asked_about_and_no_value_without_traffic(tmp_path: Path) -> None:
    canary, prod = service(tmp_path, 50), service(tmp_path, 50, "prod")
    canary.ticks.extend((1_000_000 + second, 4 * second, 10 * second) for second in range(100))
    with watched(tmp_path, {"prod": prod, "canary": canary}, None) as url:
        check, asked = Check("empty", url, QUERY, 0.02, True, 3), Prometheus()
        values = asked.values(check, QUERY, range(1_000_050, 1_000_054), "grocer")
        assert values == dict.fromkeys(range(1_000_050, 1_000_054), 0.4)
        with pytest.raises(NoValues, match="the query has no value"):
            asked.values(check, QUERY, range(1_100_050, 1_100_054), "grocer")
        asked.close()


def test_what_is_not_said_in_time_ends_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    story = module.Story(tmp_path, lambda _: None)
    story.until("git version", "git", "--version")
    with pytest.raises(Problem, match=r"the demo stops: `git --version` does not say 'no such words'"):
        story.until("no such words", "git", "--version")


def test_a_prometheus_that_does_not_start_ends_the_demo(tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match=r"false is not ready; .*log may say why"),
        watched(tmp_path, {}, shutil.which("false")),
    ):
        pass


def test_the_command_tells_this_story_with_rings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_rings, "_set_up", _stop)
    assert main(["demo", "--rings", str(tmp_path / "new")]) == 2
    assert "enough" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["staging"]


def _stop(*_: object) -> None:
    raise Problem("enough")


def test_rings_have_their_store_in_the_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--rings", "--store", f"file://{tmp_path}/store", str(tmp_path / "new")]) == 2
    assert "--rings has its store in DIR: leave --store out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""What `init --with monitoring` writes: Prometheus takes the rules, and they fire on what the commands tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from shop import GROCER, Shop, git, popularity

from pointsman.report import passes
from pointsman.report import status as status_text
from pointsman.report.target_state import Instances, MainSeen, ServedAt, ShippedStep, Status, TargetState, Window
from pointsman.retention.summary import Summary
from pointsman.serving.outcomes import Synced, SyncedPlace
from pointsman.state.objects import Oid
from pointsman.verbs import sync
from pointsman.verbs.status import status
from pointsman.workspace import Workspace

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tool" / "pointsman" / "templates" / "monitoring"
AT = "2026-03-03T12:00:00Z"
COMMIT = Oid("3f2a91c0" * 5)
RECSYS = {"recsys_artifact_manifest_age_seconds"}  # what recsys-service tells itself
PASSES = ("pointsman_status_timestamp_seconds", "pointsman_sync_timestamp_seconds")  # what each pass renews
SELECTOR = re.compile(r"\b((?:pointsman|recsys)_\w+)(?:\{([^}]*)\})?")


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: Debian's package prometheus has it")
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
    return found


def asked() -> Iterator[str]:
    """Every expression of the rules and of the dashboard."""
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["expr"] for each in dashboard()["annotations"]["list"])
    yield dashboard()["templating"]["list"][1]["query"]["query"].removeprefix("label_values(").removesuffix(", target)")


def told() -> Mapping[str, Metric]:
    """Every gauge that the commands can show."""
    target = TargetState(
        target="grocer/home",
        current={"cooc": "a" * 64},
        window=Window("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", 36 * 3600, None, []),
        shipped=ShippedStep(COMMIT, AT, "Ann <a@b.example>", "Ann <a@b.example>", run="", kind="ship", reason=""),
        serving="in-sync",
        behind=None,
        drift=None,
        refused=[],
        holds=[],
        pull_requests=[],
        claim=None,
        instances=Instances(1, 0, 1, []),
        updated_at=AT,
        places=[ServedAt("eu", "in-sync", None, None)],
    )
    gc = Summary(AT, *[0] * 12)
    so_far = passes.Passes()
    synced = Synced(COMMIT, dry_run=False, targets=[], calls=[], places=[SyncedPlace("eu", True, "")])
    so_far.end(1.0, synced, whole=True)
    seen = MainSeen("eu", COMMIT, AT, 60, 3600, frozen=False)
    registries = (status_text.registry_of(Status(COMMIT, AT, [target], gc, [seen])), passes.registry_of(so_far))
    return {family.name: family for each in registries for family in each.collect()}


# prometheus


@pytest.mark.slow
def test_prometheus_takes_the_rules_and_each_fires_for_what_it_is_named_after() -> None:
    assert (ran := promtool("check", "rules", FILES / "alerts.yml")).returncode == 0, ran
    assert (ran := promtool("test", "rules", FILES / "alerts.test.yml")).returncode == 0, ran
    fire = {*re.findall(r'alertname="(\w+)"', (FILES / "alerts.test.yml").read_text())}
    assert fire == {rule["alert"] for rule in rules()}


def test_every_expression_is_one_that_prometheus_can_read(tmp_path: Path) -> None:
    records = [{"record": f"r{count}", "expr": each.replace("$target", ".*")} for count, each in enumerate(asked())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": records}]}))
    assert (ran := promtool("check", "rules", tmp_path / "rules.yml")).returncode == 0, ran


# what is told


def test_what_is_asked_for_is_what_the_commands_tell() -> None:
    found = told()
    for expression in asked():
        for name, matchers in SELECTOR.findall(expression):
            if name in RECSYS:
                continue
            assert name in found, f"{name} is told by nobody"
            labels: dict[str, set[str]] = {}
            for sample in found[name].samples:
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
            for label, operator, value in re.findall(r'(\w+)\s*(=~|!=|=)"([^"]*)"', matchers):
                assert label in labels, f"{name} has no label {label}"
                assert operator == "=~" or value in labels[label], f"{name}: {label} is never {value}"
    grouped = {label for each in asked() for by in re.findall(r"by \(([^)]+)\)", each) for label in by.split(", ")}
    assert grouped <= {"target", "place", "ring", "state", "outcome"}


def test_the_page_has_every_gauge_and_every_alert() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    for name, family in told().items():
        labels = ", ".join(label for label in family.samples[0].labels if label != "place")
        assert f"| `{name}` | {labels} |" in page, name
    assert {*re.findall(r"`(pointsman_\w+)`", page)} <= {*told()}
    named = {*re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)}
    assert {rule["alert"] for rule in rules()} <= named


def series(text: str, since: float) -> list[dict[str, str]]:
    """What a command told Prometheus, as it would tell it for 90 minutes. Times count from `since`."""
    found = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{label}="{value}"' for label, value in sample.labels.items())
            value = sample.value - since if sample.name.endswith("_timestamp_seconds") else sample.value
            more = 60 if sample.name in PASSES else 0
            found.append({"series": f"{sample.name}{{{labels}}}", "values": f"{value:.0f}+{more}x90"})
    return found


def firing(told: list[dict[str, str]], tmp_path: Path) -> set[tuple[str, str]]:
    """The alerts that fire after 90 minutes of it, by promtool: it says what it got in place of nothing."""
    tests = [{"interval": "1m", "input_series": told, "promql_expr_test": [
        {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "90m", "exp_samples": []}]}]  # fmt: skip
    shutil.copy(FILES / "alerts.yml", tmp_path)
    test = tmp_path / "test.yml"
    test.write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}))
    ran = promtool("test", "rules", test)
    said = ran.stdout + ran.stderr
    got = re.findall(r'alertname="(\w+)", alertstate="firing"(?:, \w+="[^"]*")*?(?:, target="([^"]+)")?\}', said)
    assert bool(got) == bool(ran.returncode), ran
    return {*got}


@pytest.mark.slow
def test_the_rules_fire_on_what_status_and_sync_really_tell(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.publish(popularity(tmp_path / "c.json", 5, surface="cart"), merge=True)
    so_far = passes.Passes()

    def looked() -> set[tuple[str, str]]:
        with shop.open() as repo:
            done = sync.sync(Workspace(repo), sync.Orders(heal=False))
            found = status(Workspace(repo), []).value
        now = datetime.fromisoformat(found.at).timestamp()
        so_far.end(now, done.value, whole=True)
        text = status_text.render_prometheus(found) + "\n"
        text += generate_latest(passes.registry_of(so_far)).decode()
        return firing(series(text, now), tmp_path)

    # The windows of the shop are of early 2026 and no limit is set: nothing else is wrong.
    assert looked() == set()
    (shop.store / "registry" / "current" / "grocer" / "cart" / "manifest.json").write_text("{}")
    shop.pull()
    manifest = shop.desk / GROCER.manifest_path
    manifest.write_text(manifest.read_text().replace('"tenant"', ' "tenant"'))
    git(shop.desk, "commit", "-qam", "by hand")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert looked() == {
        ("PointsmanDrifted", "grocer/cart"),
        ("PointsmanRefused", "grocer/home"),
        ("PointsmanSyncRefuses", ""),
    }


# grafana


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    assert {each["name"] for each in board["templating"]["list"]} == {"datasource", "target"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken = set[tuple[int, int]]()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert "$target" in target["expr"] or re.search("pointsman_(sync|store|gc)_", target["expr"])

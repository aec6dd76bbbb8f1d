"""Evidence: real keys, real ssh-keygen, real git. The attacks on it are in tests/attacks/evidence-missing.toml."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from output_schemas import validate
from shop import GROCER, Kept, Shop, git, only, popularity
from signers import ATTESTS, key_of, signer

from pointsman.cli.attest import render
from pointsman.cli.log import render as render_log
from pointsman.cli.log import render_csv
from pointsman.cli.show import render as render_shown
from pointsman.errors import Problem, Refused
from pointsman.outcome import as_document
from pointsman.report.audit import html as audit_html
from pointsman.report.review import markdown
from pointsman.verbs import attest, audit, check, log, pr, review, show, sync
from pointsman.workspace import Workspace

SETTINGS = """[audit]
allowed_signers = "allowed_signers"
[evidence.offline-eval]
types = ["popularity"]
where = { decision = "ship" }
[policy]
kept_low = false
size_jump = false
window_regressed = false
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def waiting(root: Path) -> Shop:
        shop = Shop(root, SETTINGS)
        (shop.desk / "allowed_signers").write_text(signer("eval", options=f'namespaces="{ATTESTS}"'))
        shop.push("who attests")
        assert shop.publish(day=1, merge=True).exit_code == 5
        return shop

    return Kept(tmp_path_factory.mktemp("evidence"), waiting)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def run(shop: Shop, verb: Callable[..., Any], *words: Any) -> Any:
    with shop.open() as repo:
        return verb(Workspace(repo), *words)


def found(shop: Shop, decision: str, subjects: tuple[str, ...] = ("grocer/home",), key: str = "eval") -> Any:
    path = shop.root / "found.json"
    path.write_text(json.dumps({"decision": decision, "cases": 3}))
    request = attest.Request(subjects, "offline-eval", str(path), key=str(key_of(key)))
    return run(shop, attest.attest, request)


def versions(shop: Shop) -> dict[str, str]:
    says = run(shop, pr.show, "grocer/home").document["says"]
    return dict(line.split(" ")[2].split("@") for line in says if line.startswith("Record: "))


def report(shop: Shop, decision: str, **changes: Any) -> attest.Request:
    """What recsys-eval writes about the open ship (internal/domain/report/model.go, decision/model.go)."""
    refs = [
        {"type": slot, "uri": f"file://{shop.store}/{slot}", "version": version, "checksum": version}
        for slot, version in versions(shop).items()
    ]
    artifacts = {"tenant": "grocer", "surface": "home", "artifacts": refs, **changes}
    metrics = [{"name": "ndcg@10", "value": 0.25, "user_ids": ["secret-user"]}]
    (shop.root / "report.json").write_text(json.dumps({
        "run_id": "offline-1", "mode": "offline", "created_at": "2026-03-03T00:00:00Z", "version": "1",
        "summary": {"cases_evaluated": 3}, "offline": {"metrics": metrics}, "artifacts": artifacts,
    }))  # fmt: skip
    guardrails = [{"metric": "empty_rate", "value": 0.01, "threshold": 0.02, "passed": True}]
    decided = {"decision": decision, "reason": "ok", "control_variant": "a", "candidate_variant": "b"}
    (shop.root / "decision.json").write_text(json.dumps({**decided, "guardrails": guardrails}))
    files = str(shop.root / "report.json"), str(shop.root / "decision.json")
    return attest.Request(report=files[0], decision=files[1], key=str(key_of("eval")))


def test_a_ship_waits_for_evidence_that_speaks_for_it(shop: Shop) -> None:
    with pytest.raises(Refused, match="offline-eval of popularity is missing"):
        shop.merge()
    held = found(shop, "hold")
    validate("attest", held.document)
    assert {each.type for each in held.value.evidence} >= {"popularity", "cooc"}
    assert "offline-eval by eval@example.org" in render(held.value)
    with pytest.raises(Refused, match=r"offline-eval of popularity, by eval@example\.org, says decision = hold"):
        shop.merge()
    told = run(shop, review.review, "grocer/home").value
    assert "by eval@example.org says decision = hold" in html.unescape(markdown.render(told).splitlines()[0])
    found(shop, "ship")
    shop.merge()
    assert run(shop, sync.sync).exit_code == 0
    assert run(shop, audit.audit).exit_code == 0
    version = next(each.version for each in held.value.evidence if each.type == "popularity")
    shown = run(shop, show.show, version)
    assert [each.predicate["decision"] for each in shown.value.evidence].count("ship") == 1
    assert "offline-eval by eval@example.org" in render_shown(shown.value)


@pytest.mark.slow
def test_how_old_evidence_is_counts_at_the_time_of_the_merge(shop: Shop) -> None:
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace("where = {", 'max_age = "30d"\nwhere = {'))
    shop.push("evidence that is fresh")
    found(shop, "ship")
    landed, day = int(git(shop.origin, "log", "-1", "--format=%ct", "main")), 86400
    branch = run(shop, pr.show, "grocer/home").document["branch"]

    def stops(clock: int) -> set[str]:
        with shop.open() as repo:
            base, gate = repo.refresh(), Workspace(repo).gate
            return only(list(gate.judge_change(base, repo.heads[f"refs/heads/{branch}"], clock=clock).faults))

    assert [stops(landed + 30 * day), stops(landed + 30 * day + 1)] == [set(), {"evidence-missing"}]


@pytest.mark.slow
def test_of_a_target_with_an_open_ship_its_versions_are_meant_whatever_else_is_open(shop: Shop) -> None:
    shop.publish(popularity(shop.root / "cart.json", 9, surface="cart"))
    wanted = versions(shop)
    told = found(shop, "ship").document["evidence"]
    assert {(each["target"], each["type"]) for each in told} == {("grocer/home", slot) for slot in wanted}


@pytest.mark.slow
def test_a_dry_run_checks_and_signs_and_lands_nothing(shop: Shop) -> None:
    before = shop.main
    asked = replace(report(shop, "ship"), dry_run=True)
    told = run(shop, attest.attest, asked)
    assert told.document["dry_run"]
    assert told.document["evidence"]
    assert shop.main == before
    assert run(shop, attest.attest, replace(asked, dry_run=False)).document["evidence"] == told.document["evidence"]
    assert shop.main != before


@pytest.mark.slow
def test_log_and_audit_tell_what_was_measured_of_each_ship(shop: Shop) -> None:
    found(shop, "ship")
    shop.merge()
    (event,) = run(shop, log.log, log.Query()).document["events"]
    said = [{"type": "popularity", "name": "offline-eval", "by": "eval@example.org", "meets": True, "says": ""}]
    assert event["evidence"] == said
    assert "approvals" not in event
    with shop.open() as repo:
        told = log.log(Workspace(repo), log.Query()).value
        audited = audit.audit(Workspace(repo)).value
    assert "    evidence: offline-eval of popularity by eval@example.org" in render_log(told)
    assert "offline-eval of popularity by eval@example.org" in render_csv(told)
    (ship,) = [each for each in as_document(audited)["events"] if each["kind"] == "ship"]
    assert ship["evidence"] == said
    assert "evidence: offline-eval of popularity by eval@example.org" in audit_html.render(audited)


@pytest.mark.slow
def test_recsys_eval_says_itself_what_it_measured(shop: Shop) -> None:
    told = run(shop, attest.attest, report(shop, "ship")).value
    assert {each.type: each.version for each in told.evidence} == versions(shop)
    files = git(shop.origin, "grep", "-l", "payload", "main", "--", "registry")
    assert files
    shown = run(shop, show.show, versions(shop)["popularity"]).value
    (one,) = shown.evidence
    assert "secret" not in json.dumps(one.predicate)
    assert one.predicate["report"]["metrics"] == [{"name": "ndcg@10", "value": 0.25}]
    shop.merge()


@pytest.mark.slow
def test_what_cannot_be_attested_is_told_in_a_sentence(shop: Shop, tmp_path: Path) -> None:
    main = shop.main
    unknown = report(shop, "ship", artifacts=[{"type": "popularity", "checksum": "0" * 64}])
    with pytest.raises(Problem, match="is not recorded on main"):
        run(shop, attest.attest, unknown)
    for changes, says in (
        ({"artifacts": []}, "names no artifacts"),
        ({"artifacts": [{"type": "popularity"}]}, "has no checksum of popularity"),
        ({"tenant": "../x"}, "not a name"),
    ):
        with pytest.raises(Problem, match=says):
            run(shop, attest.attest, report(shop, "ship", **changes))
    with pytest.raises(Problem, match="recsys-eval decides ship, hold, fail"):
        run(shop, attest.attest, report(shop, "maybe"))
    with pytest.raises(Problem, match="may not attest"):
        found(shop, "ship", key="ann")
    with pytest.raises(Problem, match="no version 0123 is recorded"):
        found(shop, "ship", subjects=("0123",))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(Problem, match="no JSON object"):
        run(
            shop,
            attest.attest,
            attest.Request(("grocer/home",), "x", str(tmp_path / "list.json"), key=str(key_of("eval"))),
        )
    for predicate, read, decided in ((None, None, None), ("f", None, None), (None, "r", None), ("f", "r", "d")):
        with pytest.raises(Problem):
            attest.Request(predicate=predicate, report=read, decision=decided)
    assert shop.main == main


@pytest.mark.slow
def test_what_another_tool_attested_is_kept_byte_for_byte_as_the_page_says(shop: Shop, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
    (section,) = re.findall(r"(?ms)^## What another tool attested\n(.*?)^## ", page)
    commands = "\n".join(re.findall(r"(?m)^ {4}(.*)$", section))
    bundle = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",\r\n "dsseEnvelope": {}} \xff\n' * 300
    (tmp_path / "provenance.json").write_bytes(bundle)
    (version,) = (each for slot, each in versions(shop).items() if slot == "popularity")
    more = {"attestation": str(tmp_path / "provenance.json"), "version": version, "key": str(key_of("eval"))}
    environment = {**os.environ, **more, "POINTSMAN_REPO": str(shop.desk)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    ran = subprocess.run(
        ["sh", "-euc", commands], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "attestation.json").read_bytes() == bundle
    shown = run(shop, show.show, version).value.evidence
    assert [each.predicate["sha256"] for each in shown] == [hashlib.sha256(bundle).hexdigest()]
    assert run(shop, audit.audit).exit_code == 0


@pytest.mark.slow
def test_lack_of_evidence_can_be_accepted_by_name_and_a_hold_still_stands_first(shop: Shop) -> None:
    found(shop, "hold", tuple(versions(shop).values()))
    shop.publish(day=1, accept=("evidence-missing",), reason="measured by hand")
    (opened,) = shop.pulls()
    told = markdown.render(run(shop, review.review, opened["id"]).value).splitlines()
    assert html.unescape(told[0]).startswith(
        "**Accepts evidence-missing: offline-eval by eval@example.org says decision"
    )
    assert told[2].startswith("> **Accepts evidence-missing**")
    shop.merge(opened["id"])
    assert f"Accept: {GROCER} evidence-missing measured by hand" in git(shop.origin, "log", "-1", "--format=%B", "main")
    assert run(shop, sync.sync).exit_code == 0


@pytest.mark.slow
def test_evidence_that_is_copied_to_another_version_is_stopped_in_words_that_fit(shop: Shop) -> None:
    found(shop, "ship")
    shop.pull()
    for path in sorted((shop.desk / "registry").rglob("*.evidence.*")):
        path.with_name("0" * 64 + path.name[64:]).write_bytes(path.read_bytes())
    shop.push("copied")
    with shop.open() as repo:
        faults = check.check(Workspace(repo), base="HEAD~1", head="HEAD").document["faults"]
    assert {each["rule"] for each in faults} == {"wrong-place"}
    assert all("(it is about other versions)" in each["says"] for each in faults)

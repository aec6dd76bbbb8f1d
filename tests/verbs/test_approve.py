"""Approvals: real keys, real ssh-keygen, real git. The attacks on them are in tests/attacks/unapproved.toml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from output_schemas import validate
from shop import DAYS, GROCER, STAGING, Kept, Shop, git
from signers import approval, key_of, signer

from pointsman.cli.approve import render, render_list
from pointsman.cli.main import main
from pointsman.errors import Problem, Refused
from pointsman.gate.policies import Policies
from pointsman.repo.process import require_git
from pointsman.serving.states import LEFT_KEY
from pointsman.state.claim import NAMESPACE
from pointsman.verbs import (
    approve,
    audit,
    break_glass,
    config,
    doctor,
    log,
    pr,
    refresh,
    rollback,
    rollback_plan,
    ship,
    status,
    sync,
)
from pointsman.workspace import Workspace

SETTINGS = '[audit]\nallowed_signers = "allowed_signers"\n'
CALM = "kept_low = false\nsize_jump = false\nwindow_regressed = false\n"
MANIFEST = GROCER.manifest_path


def demanding(shop: Shop, approvals: int = 2) -> None:
    """Main demands approvals of ann, ben and cat from now on."""
    shop.pull()
    text = (shop.desk / "pointsman.toml").read_text().partition("[audit]")[0].partition("[policy]")[0]
    (shop.desk / "pointsman.toml").write_text(f"{text}{SETTINGS}[policy]\napprovals = {approvals}\n{CALM}")
    (shop.desk / "allowed_signers").write_text("".join(map(signer, ("ann", "ben", "cat"))))
    shop.push("who approves")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def shipped(root: Path) -> Shop:
        shop = Shop(root)
        shop.publish(day=1, merge=True)
        run(shop, sync.sync)
        demanding(shop)
        shop.publish(day=2)
        return shop

    return Kept(tmp_path_factory.mktemp("approvals"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def run(shop: Shop, verb: Callable[..., Any], *words: Any, where: Path | None = None, **more: Any) -> Any:
    with shop.open(where or shop.desk) as repo:
        return verb(Workspace(repo), *words, **more)


def back(shop: Shop, where: Path | None = None, **more: Any) -> Any:
    request = rollback_plan.Request((GROCER,), now=True, reason="not that one", **more)
    return run(shop, rollback.roll_back, request, where=where)


def agree(shop: Shop, *names: str, what: str = "grocer/home") -> Any:
    return [run(shop, approve.approve, what, str(key_of(name))) for name in names][-1]


def rules(outcome: Any) -> set[str]:
    document = outcome.document
    found = [document] if "faults" in document else document["targets"]
    return {fault["rule"] for each in found for fault in each.get("faults") or ()}


def head(shop: Shop) -> str:
    return git(shop.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/ship")


def on_main(shop: Shop, message: str, **texts: tuple[str, str]) -> None:
    """A push past every gate that replaces a text in files of the root."""
    shop.pull()
    for name, (old, new) in texts.items():
        path = shop.desk / ("pointsman.toml" if name == "settings" else name)
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    shop.push(message)


def vows(shop: Shop, commit: str) -> list[str]:
    """The lines of a ship that are approved."""
    lines = git(shop.origin, "log", "-1", "--format=%B", commit).splitlines()
    return [line for line in lines if line.split(" ")[0] in ("Manifest:", "Supersedes:", "Record:", "Drop:", "Accept:")]


def past_the_gate(shop: Shop) -> None:
    """The ship on main by plain git, whatever lacks."""
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "cherry-pick", head(shop))
    git(shop.desk, "push", "-q", "origin", "HEAD:main")


@pytest.mark.slow
def test_a_publisher_is_told_whose_approval_comes_next_and_by_which_id(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-C", str(shop.desk), "publish", str(STAGING / "grocer"), "--window", DAYS[2]]
    who = "ann@example.org, ben@example.org, cat@example.org may approve"

    def told(*more: str) -> str:
        main([*words, *more])
        return capsys.readouterr().out.splitlines()[-1]

    digits = shop.pulls()[0]["id"]
    is_open = f"grocer/home: unchanged, ship/grocer/home/{digits} is open"
    assert told() == f"{is_open}; 0 of 2 approvals; {who}; next: pointsman -C {shop.desk} approve {digits}"
    branch = is_open.replace("unchanged, ", "")
    assert told("--merge") == f"{branch}; 0 of 2 approvals; {who}; next: pointsman -C {shop.desk} approve {digits}"
    agree(shop, "ann", "ben")
    assert told() == f"{is_open}; next: pointsman -C {shop.desk} pr merge {digits}"


@pytest.mark.slow
def test_a_rollback_that_needs_approvals_says_whose_come_next(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    agree(shop, "ann", "ben")
    shop.merge()
    back(shop)
    words = ["-C", str(shop.desk), "rollback", "grocer/home", "--to", "main~1"]  # what the rollback took out
    for outcome in ("opened", "unchanged"):
        assert main([*words]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"grocer/home: {outcome}")
        assert "; 0 of 2 approvals; ann@example.org, " in said
        assert f"next: pointsman -C {shop.desk} approve " in said
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate("rollback", document)
    assert document["targets"][0]["approvals"]["needed"] == 2


@pytest.mark.slow
def test_a_ship_waits_for_two_persons_and_then_goes_its_whole_way(shop: Shop) -> None:
    waits = shop.publish(day=2, merge=True)
    assert waits.exit_code == 5
    (target,) = waits.document["targets"]
    assert (target["outcome"], [each["rule"] for each in target["faults"]]) == ("waits", ["unapproved"])
    assert target["pull_request"]["branch"]
    assert (target["approvals"]["needed"], target["approvals"]["by"]) == (2, [])
    with pytest.raises(Refused, match="0 of 2 approvals"):
        shop.merge()
    one = agree(shop, "ann")
    assert [each.by for each in one.value.approvals] == ["ann@example.org"]
    assert "1 of 2 approvals, 1 more needed, of ben@example.org, cat@example.org" in render(one.value)
    assert one.notes == ()
    assert agree(shop, "ann").value.approvals == one.value.approvals  # once more is nothing more
    listed = run(shop, pr.list_pulls).document["pull_requests"][0]["approvals"]
    assert (listed["needed"], listed["lacking"]) == (2, ["ben@example.org", "cat@example.org"])
    pending = run(shop, approve.pending)
    assert "1 of 2 approvals (by ann@example.org); ben@example.org, cat@example.org may approve" in render_list(
        pending.value
    )
    both = agree(shop, "cat")
    validate("approve", both.document)
    assert both.notes == (f"next: pointsman pr merge {pending.value.pull_requests[0].id}",)
    validate("approve-list", pending.document)
    assert [each.by for each in both.value.approvals] == ["ann@example.org", "cat@example.org"]
    assert shop.publish(day=2, merge=True).exit_code == 0
    assert rules(run(shop, sync.sync)) == set()
    assert shop.serving == shop.manifest
    assert rules(run(shop, audit.audit)) == set()
    newest = run(shop, log.log, log.Query()).document["events"][0]
    assert newest["approvals"] == ["ann@example.org", "cat@example.org"]
    assert "evidence" not in newest
    ship = [each for each in run(shop, audit.audit).document["events"] if each["kind"] == "ship"][-1]
    assert ship["approvals"] == newest["approvals"]


def test_what_is_approved_can_be_computed_with_sort_and_sha256sum(shop: Shop) -> None:
    subject = agree(shop, "ann").value.approval.subject
    kinds = "Manifest|Supersedes|Record|Drop|Accept|Reship|Restores"
    pipe = f"git log -1 --format=%B {head(shop)} | grep -E '^({kinds}): ' | LC_ALL=C sort -u | sha256sum"
    ran = subprocess.run(["sh", "-c", pipe], cwd=shop.origin, capture_output=True, check=True)
    assert ran.stdout.split()[0].decode() == subject


@pytest.mark.slow
@pytest.mark.parametrize("how", ["squash", "merge", "rebase", "cherry-pick"])
def test_however_a_forge_merges_audit_and_sync_say_the_same(shop: Shop, how: str) -> None:
    ship = head(shop)
    agree(shop, "ann", "ben")
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin", ship)
    text = git(shop.desk, "log", "-1", "--format=%B", ship)
    if how == "squash":
        git(shop.desk, "merge", "-q", "--squash", ship)
        git(shop.desk, "commit", "-q", "-m", f"ship (#7)\n\n* {text}\n\n---------\n\nCo-authored-by: A <a@example.org>")
    elif how == "merge":
        git(shop.desk, "merge", "-q", "--no-ff", "-m", "Merge pull request #7", ship)
    elif how == "rebase":
        git(shop.desk, "checkout", "-q", "-B", "theirs", ship)
        git(shop.desk, "rebase", "-q", "main")
        git(shop.desk, "checkout", "-q", "-B", "main", "theirs")
    else:
        git(shop.desk, "cherry-pick", ship)
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert rules(run(shop, audit.audit)) == set()
    assert rules(run(shop, sync.sync)) == set()
    assert shop.serving == shop.manifest


def test_what_nobody_approved_is_not_served_and_going_back_needs_nobody(shop: Shop) -> None:
    agree(shop, "ann")
    before = shop.serving
    past_the_gate(shop)
    refused = run(shop, sync.sync)
    assert refused.exit_code == 5
    assert rules(refused) == {"unapproved"}
    assert shop.serving == before
    judged = run(shop, audit.audit)
    assert rules(judged) == {"unapproved"}
    assert {"pointsman rollback grocer/home" in fault["says"] for fault in judged.document["faults"]} == {True}
    back(shop)
    assert run(shop, sync.sync).exit_code == 0
    assert shop.serving == before == shop.manifest


@pytest.mark.slow
def test_an_approval_that_comes_after_the_merge_comes_too_late(shop: Shop) -> None:
    agree(shop, "ann")
    past_the_gate(shop)
    shop.pull()
    path, data = approval(vows(shop, "main"), "ben")
    assert len(list((shop.desk / "approvals").glob(f"{Path(path).name[:64]}.*"))) == 1, "it is of what ann approved"
    (shop.desk / path).write_bytes(data)
    shop.push("approve")
    assert rules(run(shop, sync.sync)) == {"unapproved"}
    assert rules(run(shop, audit.audit)) == {"unapproved"}
    back(shop)
    assert run(shop, sync.sync).exit_code == 0


@pytest.mark.slow
def test_sync_goes_on_by_the_settings_that_were_approved_when_someone_drops_them(shop: Shop) -> None:
    run(shop, sync.sync)
    before = shop.serving
    on_main(shop, "no approvals", settings=("approvals = 2\n", "\n"))
    assert shop.publish(day=2, merge=True).exit_code == 0  # the gate reads the settings of main
    for _ in range(2):  # the fence has moved past that by the second time
        refused = run(shop, sync.sync)
        assert rules(refused) == {"unapproved"}
        assert "pointsman.toml on main does not count" in refused.notes[-1]
        assert shop.serving == before
    on_main(shop, "approvals again", settings=("[policy]\n\n", "[policy]\napprovals = 2\n"))
    back(shop)
    healed = run(shop, sync.sync)
    assert (healed.exit_code, healed.notes) == (0, ())


@pytest.mark.slow
def test_a_key_that_nobody_approved_claims_nothing_and_is_not_left_for_break_glass(shop: Shop) -> None:
    agree(shop, "ann", "ben")
    shop.merge()
    run(shop, sync.sync)
    claims = f'namespaces="{NAMESPACE}"'
    on_main(shop, "a key for claims", allowed_signers=("ann@", f"{signer('eve', options=claims)}ann@"))
    run(shop, ship.ship, ship.Request(GROCER, again=True))
    agree(shop, "ann", "ben")
    shop.merge()
    run(shop, sync.sync)
    served = shop.serving
    assert "eve" not in (shop.store / "registry" / "current" / LEFT_KEY).read_text()
    request = break_glass.Request(GROCER, "mine", key=str(key_of("eve")))
    break_glass.break_glass(shop.desk, request, tell=lambda line: None)
    assert shop.serving != served
    (told,) = run(shop, sync.sync).document["targets"]
    assert (told["outcome"], told["claim"]["holds"]) == ("healed", False)
    assert shop.serving == served


@pytest.mark.slow
def test_settings_that_nobody_approved_are_not_told_as_those_in_force(shop: Shop) -> None:
    says = "pointsman.toml on main does not count"
    on_main(shop, "one is enough", settings=("approvals = 2\n", "approvals = 1\n"))
    told = run(shop, config.config)
    (found,) = (each for each in told.value.settings if each.key == "policy.approvals")
    assert found.value == "2"
    assert says in told.notes[0]
    assert says in run(shop, status.status, ()).notes[0]


@pytest.mark.slow
def test_a_history_that_was_written_anew_without_approvals_serves_nothing_even_where_that_is_accepted(
    shop: Shop,
) -> None:
    run(shop, sync.sync)
    before = shop.serving
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "--orphan", "anew")
    path = shop.desk / "pointsman.toml"
    path.write_text(path.read_text().replace("approvals = 2\n", ""))
    git(shop.desk, "rm", "-q", "-r", "--cached", "manifests")
    shutil.rmtree(shop.desk / "manifests")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-q", "-m", "all anew")
    git(shop.desk, "push", "-q", "-f", "origin", "HEAD:main")
    git(shop.desk, "branch", "-q", "-M", "main")
    git(
        shop.desk,
        "push",
        "-q",
        "origin",
        "--delete",
        git(shop.origin, "for-each-ref", "--format=%(refname)", "refs/heads/ship"),
    )
    assert shop.publish(day=2, merge=True).exit_code == 0
    with pytest.raises(Refused, match="rewritten-history"):
        run(shop, sync.sync)
    for _ in range(2):
        refused = run(shop, sync.sync, sync.Orders(accept_rewrite=True))
        assert rules(refused) == {"unapproved"}
        assert shop.serving == before


SIGNING = ("ssh-keygen", "approvals", "settings approved")


def signing(shop: Shop) -> dict[str, tuple[bool, str]]:
    checks = run(shop, doctor.doctor).value.checks
    return {each.name: (each.ok, each.says) for each in checks if each.name in SIGNING}


@pytest.mark.slow
def test_doctor_tells_whether_signatures_can_be_verified_and_enough_people_may_sign(
    shop: Shop, without_keygen: Callable[[], None]
) -> None:
    assert signing(shop)["approvals"] == (True, "3 people may approve, and each change needs 2")
    demanding(shop, 4)
    assert signing(shop)["approvals"] == (True, "3 people may approve, and each change needs 2")
    found = signing(shop)["settings approved"]
    assert not found[0]
    assert "pointsman.toml on main does not count" in found[1]
    without_keygen()
    assert not signing(shop)["ssh-keygen"][0]
    demanding(shop, 0)
    assert signing(shop) == {}


@pytest.fixture
def without_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes ssh-keygen off the PATH when it is called."""

    def take() -> None:
        place = tmp_path / "bin"
        place.mkdir()
        for name in ("git", "sh"):
            (place / name).symlink_to(shutil.which(name) or "")
        monkeypatch.setenv("PATH", str(place))

    return take


@pytest.mark.slow
def test_without_ssh_keygen_ships_wait_and_restores_go_on(shop: Shop, without_keygen: Callable[[], None]) -> None:
    agree(shop, "ann", "ben")
    shop.merge()
    run(shop, sync.sync)
    shop.publish(day=3, accept=("items-drop",), reason="a small day")
    agree(shop, "ann", "ben")
    first = git(shop.origin, "log", "--format=%H", "main", "--", MANIFEST).split()[-1]
    second, mirror = shop.serving, shop.root / "mirror.git"
    git(shop.root, "clone", "-q", "--bare", str(shop.origin), str(mirror))
    git(mirror, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    without_keygen()
    with pytest.raises(Refused, match="ssh-keygen cannot be run"):
        run(shop, pr.merge, "grocer/home", where=mirror)
    past_the_gate(shop)
    assert rules(run(shop, sync.sync, where=mirror)) == {"unapproved"}
    assert shop.serving == second
    back(shop, mirror)
    assert run(shop, sync.sync, where=mirror).exit_code == 0
    back(shop, mirror, to=first)  # to what is older than all approvals
    assert run(shop, sync.sync, where=mirror).exit_code == 0
    assert shop.serving == shop.manifest != second


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, int]]:
    """How often git and ssh-keygen were started since it was last asked, but for what a process asks git once."""
    require_git()
    place, log = tmp_path / "shims", tmp_path / "started"
    place.mkdir()
    for name in ("git", "ssh-keygen"):
        (place / name).write_text(f'#!/bin/sh\necho {name} >> {log}\nexec {shutil.which(name)} "$@"\n')
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    def count() -> dict[str, int]:
        started = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return {name: started.count(name) for name in ("git", "ssh-keygen")}

    return count


@pytest.mark.slow
def test_each_signature_is_verified_once(shop: Shop, counted: Callable[[], dict[str, int]]) -> None:
    agree(shop, "ann", "ben")
    git(shop.desk, "fetch", "-q", "origin")
    (shop.desk / ".git" / "pointsman" / "signatures").unlink()
    shop.pull()
    for name in ("eve", "mallory"):  # who may not approve costs nothing
        path, data = approval(vows(shop, head(shop)), name)
        (shop.desk / path).write_bytes(data)
    shop.push("approvals of strangers")
    counted()
    told = run(shop, pr.list_pulls).document["pull_requests"][0]["approvals"]
    assert len(told["void"]) == 2, "they are of this change"
    assert counted()["ssh-keygen"] == 2
    shop.merge()
    run(shop, sync.sync)
    run(shop, audit.audit)
    assert counted()["ssh-keygen"] == 0
    (shop.desk / ".git" / "pointsman" / "signatures").write_bytes(b"\xff garbage \n")
    run(shop, audit.audit)
    assert counted()["ssh-keygen"] == 2


@pytest.mark.slow
def test_where_nothing_is_demanded_nothing_is_asked(
    tmp_path: Path, counted: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def story(root: Path) -> dict[str, int]:
        shop = Shop(root)
        counted()
        shop.publish(day=1, merge=True)
        shop.publish(day=2)
        run(shop, pr.list_pulls)
        shop.merge()
        run(shop, sync.sync)
        back(shop)
        run(shop, sync.sync)
        return counted()

    as_built = story(tmp_path / "one")
    monkeypatch.setattr(Policies, "at", lambda *_: None)
    assert story(tmp_path / "two") == as_built
    assert as_built["ssh-keygen"] == 0


@pytest.mark.slow
def test_settings_are_approved_by_their_branch(shop: Shop) -> None:
    shop.pull()
    git(shop.desk, "checkout", "-q", "-b", "one-is-enough")
    path = shop.desk / "pointsman.toml"
    path.write_text(path.read_text().replace("approvals = 2", "approvals = 1"))
    git(shop.desk, "commit", "-q", "-a", "-m", "one is enough")
    told = agree(shop, "ann", "ben", what="one-is-enough").value
    assert [line.partition(" sha256:")[0] for line in told.approval.lines] == ["Changes: pointsman.toml"]
    git(shop.desk, "checkout", "-q", "main")
    shop.pull()
    git(shop.desk, "merge", "-q", "--squash", "one-is-enough")
    shop.push("one is enough")
    agree(shop, "cat")
    shop.merge()
    assert rules(run(shop, sync.sync)) == rules(run(shop, audit.audit)) == set()
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_audit_notes_whose_key_is_gone_that_approved_what_counts_still(shop: Shop) -> None:
    agree(shop, "ann", "ben")
    shop.merge()
    assert not any("ben" in note for note in run(shop, audit.audit).notes)
    shop.pull()
    git(shop.desk, "checkout", "-q", "-b", "without-ben")
    (shop.desk / "allowed_signers").write_text("".join(map(signer, ("ann", "cat"))))
    git(shop.desk, "commit", "-q", "-a", "-m", "without ben")
    agree(shop, "ann", "cat", what="without-ben")
    git(shop.desk, "checkout", "-q", "main")
    shop.pull()
    git(shop.desk, "merge", "-q", "--squash", "without-ben")
    shop.push("without ben")
    judged = run(shop, audit.audit)
    assert judged.exit_code == 0
    (note,) = (each for each in judged.notes if "has no more" in each)
    assert note.startswith(
        "signed by keys that allowed_signers has no more, and counted then: ben@example.org (1, such as ap"
    )
    assert "ann" not in note


@pytest.mark.slow
def test_an_approval_before_a_rebuild_is_void(shop: Shop) -> None:
    first = git(shop.origin, "log", "-1", "--format=%H", "main", "--", MANIFEST)
    agree(shop, "ann", "ben")
    shop.merge()
    shop.publish(day=3, accept=("items-drop",), reason="a small day")
    agree(shop, "ann", "ben")
    back(shop, to=first)
    told = run(shop, refresh.refresh, None).document["pull_requests"]
    assert [each["outcome"] for each in told] == ["rebuilt"]
    (left,) = run(shop, pr.list_pulls).document["pull_requests"]
    assert (left["stale"], left["approvals"]["by"]) == (False, [])


@pytest.mark.slow
def test_whoever_cannot_approve_is_told_why(shop: Shop, tmp_path: Path) -> None:
    main = shop.main
    for key, says in (
        (str(key_of("eve")), "may not approve, that needs a line of allowed_signers"),
        (str(tmp_path / "none"), "there is no key"),
        (None, "no key to sign with: name an SSH key with --key FILE"),
    ):
        with pytest.raises(Problem, match=says):
            run(shop, approve.approve, "grocer/home", key)
    with pytest.raises(Problem, match="no open pull request nothing"):
        run(shop, approve.approve, "nothing", str(key_of("ann")))
    (tmp_path / "broken").write_text("no key\n")
    with pytest.raises(Problem, match="ssh-keygen does not sign with"):
        run(shop, approve.approve, "grocer/home", str(tmp_path / "broken"))
    assert shop.main == main
    git(shop.desk, "config", "user.signingkey", str(key_of("ann")))
    git(shop.desk, "config", "gpg.format", "ssh")
    assert run(shop, approve.approve, "grocer/home").value.approval.by == "ann@example.org"
    demanding(shop, 0)
    with pytest.raises(Problem, match=r"\[policy\] approvals of main demands none"):
        run(shop, approve.approve, "grocer/home")


@pytest.mark.slow
def test_a_dry_run_tries_the_key_and_lands_nothing(shop: Shop) -> None:
    before = shop.main
    seen: list[str] = []
    told = run(shop, approve.approve, "grocer/home", str(key_of("ann")), dry_run=True, show=seen.extend)
    assert seen == told.document["approval"]["lines"]
    assert (shop.main, told.document["approvals"], told.document["dry_run"]) == (before, [], True)
    assert "can approve this, nothing was written" in render(told.value)
    seen.clear()
    with pytest.raises(Problem):
        run(shop, approve.approve, "grocer/home", str(key_of("mallory")), dry_run=True, show=seen.extend)
    assert seen == told.document["approval"]["lines"], "it is shown before a key is asked for anything"
    assert run(shop, approve.approve, "grocer/home", str(key_of("ann"))).document["approvals"]
    assert shop.main != before

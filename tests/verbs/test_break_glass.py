"""While git is down: an earlier state in front of serving, held by a signed claim, until main decides again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from broken_glass import below, break_it, claim_of, manifests, outcome_of, shipped
from msgspec.structs import replace
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.cli import sync as sync_words
from pointsman.cli.main import main as command_line
from pointsman.errors import Problem, Refused
from pointsman.report import status as status_text
from pointsman.retention import markers
from pointsman.serving.claims import claim_key, open_claims
from pointsman.serving.states import LEFT_KEY, read_states, state_key
from pointsman.state.claim import NAMESPACE, has_ended
from pointsman.state.names import Target
from pointsman.trust import keygen
from pointsman.verbs import audit, break_glass, ratify, status
from pointsman.workspace import Workspace


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("glass"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def left(shop: Shop) -> list[bytes]:
    """The manifests of the states that sync left."""
    return [each.manifest for each in read_states(below(shop, state_key(GROCER)).read_bytes())]


def forge(shop: Shop, key: str = "ann", **changes: Any) -> None:
    """A claim as somebody might write it past the command, signed by a key."""
    claim = claim_of(shop)
    assert claim is not None
    claim = replace(claim, **{"signature": "", **changes})
    if key:
        claim = claim.sign(keygen.sign(claim.signed, NAMESPACE, str(shop.root / key)))
    below(shop, claim_key(GROCER)).write_bytes(claim.render())


# the states


@pytest.mark.slow
def test_sync_leaves_the_last_good_states_beside_the_pointers(shop: Shop) -> None:
    states = read_states(below(shop, state_key(GROCER)).read_bytes())
    assert [each.manifest for each in states] == manifests(shop)
    left = json.loads(below(shop, LEFT_KEY).read_text())
    assert NAMESPACE in left["allowed_signers"]
    assert left["stores"] == [f"file://{shop.store}"]


@pytest.mark.slow
def test_states_that_a_rollback_took_out_are_no_longer_left(shop: Shop) -> None:
    third, second, first = manifests(shop)
    shop.roll_back(now=True, reason="broken")
    shop.sync()
    states = read_states(below(shop, state_key(GROCER)).read_bytes())
    assert [each.manifest for each in states] == [second, first]
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    shop.sync()
    states = read_states(below(shop, state_key(GROCER)).read_bytes())
    assert [each.manifest for each in states] == [shop.manifest, second, first]
    assert third not in [each.manifest for each in states]


@pytest.mark.slow
def test_states_are_as_many_as_are_kept_and_read_anew_where_a_rollback_goes_further_back(shop: Shop) -> None:
    (shop.desk / "pointsman.toml").write_text(
        (shop.desk / "pointsman.toml").read_text() + "[retention]\nkeep_ships = 2\n"
    )
    shop.pull()
    shop.push("keep two")
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    shop.sync()
    third = manifests(shop)[1]
    assert [each.manifest for each in read_states(below(shop, state_key(GROCER)).read_bytes())] == [
        shop.manifest,
        third,
    ]
    oldest = git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).splitlines()[-2]
    shop.roll_back(to=oldest, now=True, reason="broken")
    shop.sync()
    *_, second, first = manifests(shop)
    assert left(shop) == [second, first]


# the command


def test_the_state_before_is_served_and_sync_keeps_it(shop: Shop) -> None:
    third, second, _ = manifests(shop)
    done = break_it(shop)
    assert outcome_of(done) == "claimed"
    assert done.document["targets"][0]["claim"]["holds"]
    assert shop.serving == second
    synced = shop.sync()
    assert (synced.exit_code, outcome_of(synced)) == (5, "claimed")
    assert shop.serving == second
    assert shop.manifest == third


@pytest.mark.slow
def test_it_needs_neither_origin_nor_checkout(shop: Shop, tmp_path: Path) -> None:
    second = manifests(shop)[1]
    shutil.rmtree(shop.origin)
    shutil.rmtree(shop.desk)
    assert outcome_of(break_it(shop, store=f"file://{shop.store}")) == "claimed"
    assert shop.serving == second
    serving = f"file://{shop.store}/registry/current/{{tenant}}/{{surface}}/manifest.json"
    assert outcome_of(break_it(shop, serving=serving)) == "unchanged"
    with pytest.raises(Problem, match="there is no checkout here: name the store with --store URL"):
        break_it(shop)


@pytest.mark.parametrize(
    "where",
    [
        "directory removed",
        pytest.param("port closed", marks=pytest.mark.slow),
        pytest.param("hanging transport", marks=pytest.mark.slow),
    ],
)
def test_an_origin_that_is_gone_blocks_nothing(shop: Shop, where: str, tmp_path: Path) -> None:
    second = manifests(shop)[1]
    if where == "directory removed":
        shutil.rmtree(shop.origin)
    elif where == "port closed":
        git(shop.desk, "remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    else:
        git(shop.desk, "config", "core.sshCommand", "sleep 600;")
        git(shop.desk, "remote", "set-url", "origin", "ssh://git.example/x.git")
    assert outcome_of(break_it(shop)) == "claimed"
    assert shop.serving == second


@pytest.mark.slow
def test_a_git_that_hangs_altogether_blocks_nothing(shop: Shop, tmp_path: Path) -> None:
    second = manifests(shop)[1]
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    command = ["rollback", "grocer/home", "--break-glass", "--reason", "broken", "--key", str(shop.root / "ann")]
    ran = subprocess.run(
        [str(Path(sys.executable).parent / "pointsman"), "-C", str(shop.desk), *command],
        env={**os.environ, "PATH": f"{hanging.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, shop.serving) == (0, second), ran.stderr


@pytest.mark.slow
def test_running_it_again_finishes_and_goes_no_further_back(shop: Shop) -> None:
    second = manifests(shop)[1]
    break_it(shop)
    claim = below(shop, claim_key(GROCER)).read_bytes()
    assert outcome_of(break_it(shop)) == "unchanged"
    assert (shop.serving, below(shop, claim_key(GROCER)).read_bytes()) == (second, claim)


@pytest.mark.slow
@pytest.mark.parametrize("signed, name", [(False, "Ann Ops"), (False, "Ben"), (True, "Ben")])
def test_a_claim_that_holds_nothing_is_signed_by_whoever_runs_it_again_with_a_key(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, signed: bool, name: str
) -> None:
    second = manifests(shop)[1]
    break_it(shop, **({"key": str(shop.root / "eve")} if signed else {"signed": False}))
    git(shop.desk, "config", "user.name", name)
    assert break_it(shop).document["targets"][0]["claim"]["holds"]
    assert (shop.serving, outcome_of(shop.sync())) == (second, "claimed")


def test_a_claim_of_nobody_steers_nobody(shop: Shop) -> None:
    third, second, first = manifests(shop)
    oldest = git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).splitlines()[-1]
    break_it(shop, signed=False, to=oldest)
    forge(shop, key="eve", by="Eve")
    below(shop, "grocer/home/manifest.json").write_bytes(third)
    break_it(shop)
    assert shop.serving == second != first


@pytest.mark.slow
def test_a_claim_of_what_serving_has_anyway_is_no_way_back(shop: Shop) -> None:
    newest = git(shop.origin, "rev-parse", "main")
    break_it(shop, signed=False, to=newest[:12])
    break_it(shop)
    assert shop.serving == manifests(shop)[1]


@pytest.mark.slow
def test_to_names_a_commit_a_version_or_a_time(shop: Shop) -> None:
    third, second, first = manifests(shop)
    commits = git(shop.origin, "log", "--format=%H %cI", "main", "--", GROCER.manifest_path).splitlines()
    version = next(iter(json.loads(first)["current"].values())).rpartition("/")[2].removesuffix(".json")
    break_it(shop, to=commits[1].split()[0][:12])
    assert shop.serving == second
    break_it(shop, to=version[:12])
    assert shop.serving == first
    break_it(shop, to=commits[0].split()[1])
    assert shop.serving == third
    for wrong, says in (
        ("f" * 12, "no state of grocer/home there is f"),
        ("yesterday", "is no commit, version or time"),
    ):
        with pytest.raises(Problem, match=says):
            break_it(shop, to=wrong)


@pytest.mark.slow
def test_what_is_current_is_not_claimed(shop: Shop) -> None:
    done = break_it(shop, to=manifests_commit(shop, 0))
    assert (done.exit_code, outcome_of(done), claim_of(shop)) == (0, "unchanged", None)
    assert "nothing to claim" in done.value.targets[0].says
    assert done.value.targets[0].claim is None
    break_it(shop)
    below(shop, "grocer/home/manifest.json").write_bytes(shop.manifest)  # as if it had been killed before the pointer
    assert outcome_of(break_it(shop, to=manifests_commit(shop, 0))) == "claimed", "in the place of the other claim"
    claim = claim_of(shop)
    assert claim is not None
    assert (shop.serving, claim.to) == (shop.manifest, hashlib.sha256(shop.manifest).hexdigest())


@pytest.mark.slow
def test_a_blob_that_is_missing_or_altered_is_not_pointed_to(shop: Shop) -> None:
    third, second, _ = manifests(shop)
    blob = Path(json.loads(second)["current"]["popularity"].removeprefix("file://"))
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + b" ")
    with pytest.raises(Refused, match="it is not what its name says"):
        break_it(shop)
    blob.unlink()
    with pytest.raises(Refused, match="no blob is there"):
        break_it(shop)
    assert shop.serving == third
    assert has_ended(below(shop, claim_key(GROCER)).read_bytes())
    assert shop.sync().exit_code == 0
    blob.write_bytes(data)
    assert outcome_of(break_it(shop)) == "claimed"


@pytest.mark.slow
def test_it_waits_for_gc_after_its_claim_and_then_looks_into_the_trash(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    third, second, _ = manifests(shop)
    blob = Path(json.loads(second)["current"]["popularity"].removeprefix("file://"))
    marker = shop.store / ".pointsman/gc/other-0.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps({"v": 1, "versions": [blob.stem]}))
    trash = shop.store / ".pointsman/trash/2030-01-01" / blob.relative_to(shop.store)

    def pause(_: float) -> None:
        assert claim_of(shop) is not None
        assert shop.serving == third
        trash.parent.mkdir(parents=True)
        blob.rename(trash)
        marker.unlink()

    defaults = {**(markers.wait_for_markers.__kwdefaults__ or {}), "pause": pause}
    monkeypatch.setattr(markers.wait_for_markers, "__kwdefaults__", defaults)
    assert outcome_of(break_it(shop)) == "claimed"
    assert (shop.serving, blob.exists(), marker.exists()) == (second, True, False)


@pytest.mark.slow
def test_nothing_earlier_and_nothing_left_are_told(shop: Shop) -> None:
    first = manifests(shop)[2]
    state = read_states(below(shop, state_key(GROCER)).read_bytes())[2]
    break_it(shop, to=state.commit)
    below(shop, claim_key(GROCER)).unlink()
    assert shop.serving == first
    with pytest.raises(Problem, match="has no earlier state there"):
        break_it(shop)
    below(shop, state_key(GROCER)).write_text("{}")
    with pytest.raises(Problem, match=r"states/grocer/home\.json cannot be read as states: somebody else wrote it"):
        break_it(shop)
    below(shop, state_key(GROCER)).unlink()
    with pytest.raises(Problem, match="has no earlier states of grocer/home: sync leaves them"):
        break_it(shop)
    below(shop, state_key(Target("grocer", "homes"))).write_text("{}")
    with pytest.raises(Problem, match=r"has no earlier states of grocer/home: did you mean grocer/homes\?$"):
        break_it(shop)
    with pytest.raises(Problem, match="no sync was ever at"):
        break_it(shop, store=f"file://{shop.root}/elsewhere")


@pytest.mark.slow
def test_a_state_that_somebody_planted_is_not_served_if_it_names_no_blob(shop: Shop) -> None:
    served, path = shop.serving, below(shop, state_key(GROCER))
    document = json.loads(path.read_text())
    manifest = json.loads(document["states"][1]["manifest"])
    manifest["current"]["popularity"] = "file:///etc/passwd"
    document["states"][1]["manifest"] = json.dumps(manifest)
    path.write_text(json.dumps(document))
    for dry_run in (True, False):
        with pytest.raises(Refused, match="popularity points to file:///etc/passwd, which is no blob of grocer/home"):
            break_it(shop, dry_run=dry_run)
        assert shop.serving == served
    assert claim_of(shop) is None


@pytest.mark.slow
def test_somebody_elses_claim_that_holds_is_not_replaced(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second, first = manifests(shop)
    break_it(shop)
    git(shop.desk, "config", "user.name", "Bo")
    with pytest.raises(Refused, match="claimed grocer/home at"):
        break_it(shop, to=read_states(below(shop, state_key(GROCER)).read_bytes())[2].commit)
    assert shop.serving == second
    forge(shop, key="eve")  # but one that nobody may sign is
    break_it(shop, to=read_states(below(shop, state_key(GROCER)).read_bytes())[2].commit)
    assert shop.serving == first


@pytest.mark.slow
def test_what_the_command_says_beforehand(shop: Shop) -> None:
    told: list[str] = []
    request = break_glass.Request(GROCER, "broken", key=str(shop.root / "ann"))
    break_glass.break_glass(shop.desk, request, told.append)
    request = break_glass.Request(GROCER, "broken", key=str(shop.root / "eve"), to=manifests_commit(shop, 2))
    break_glass.break_glass(shop.desk, request, told.append)
    below(shop, claim_key(GROCER)).unlink()
    break_glass.break_glass(shop.desk, break_glass.Request(GROCER, "broken", to=manifests_commit(shop, 1)), told.append)
    assert told[0].startswith("the claim holds until ")
    assert "do not let this key sign for pointsman-claim" in told[1]
    assert told[2] == "the next sync that reaches git undoes this: its claim is not signed; sign it with --key FILE"
    below(shop, LEFT_KEY).unlink()
    request = break_glass.Request(GROCER, "broken", key=str(shop.root / "ann"), to=manifests_commit(shop, 2))
    break_glass.break_glass(shop.desk, request, told.append)
    assert "/.pointsman/break-glass.json names no allowed signers" in told[3]


@pytest.mark.slow
def test_a_clock_that_is_behind_by_more_than_a_claim_lasts_is_told_beforehand(shop: Shop) -> None:
    told: list[str] = []
    request = break_glass.Request(GROCER, "the day is broken", key=str(shop.root / "ann"))

    def clock() -> datetime:
        return datetime.now(UTC) - timedelta(hours=25)

    (target,) = break_glass.break_glass(shop.desk, request, told.append, clock=clock).document["targets"]
    assert not target["claim"]["holds"]
    (line,) = told
    assert "set this machine's clock" in line
    assert shop.serving != shop.manifest
    shop.sync()
    assert shop.serving == shop.manifest


@pytest.mark.slow
@pytest.mark.parametrize(
    "key,says", [("ann", "the claim would hold until "), ("eve", "the next sync that reaches git would undo this: ")]
)
def test_a_dry_run_tells_all_that_and_writes_nothing(shop: Shop, key: str, says: str) -> None:
    _, second, _ = manifests(shop)
    blob = Path(json.loads(second)["current"]["popularity"].removeprefix("file://"))
    trash = shop.store / ".pointsman/trash/2030-01-01" / blob.relative_to(shop.store)
    trash.parent.mkdir(parents=True)
    blob.rename(trash)
    told: list[str] = []
    before = shop.everything()
    request = break_glass.Request(GROCER, "broken", key=str(shop.root / key), dry_run=True)
    (done,) = break_glass.break_glass(shop.desk, request, told.append).value.targets
    assert (done.outcome, done.to) == ("dry-run", hashlib.sha256(second).hexdigest())
    assert done.claim is not None
    assert done.claim.holds == (key == "ann")
    assert "".join(told).startswith(says)
    assert shop.everything() == before
    trash.write_bytes(b"altered")
    with pytest.raises(Refused, match="no blob is there"):
        break_glass.break_glass(shop.desk, request, told.append)
    trash.rename(blob)
    with pytest.raises(Refused, match="it is not what its name says"):
        break_glass.break_glass(shop.desk, request, told.append)
    assert claim_of(shop) is None


def manifests_commit(shop: Shop, place: int) -> str:
    return git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).splitlines()[place]


# what sync makes of a claim


def _expired(shop: Shop) -> None:
    forge(shop, at="2020-01-01T00:00:00Z", until="2020-01-01T12:00:00Z")


def _of_another_target(shop: Shop) -> None:
    forge(shop, target="grocer/cart")


def _of_another_place(shop: Shop) -> None:
    forge(shop, place="eu")


def _for_longer(shop: Shop) -> None:
    until = datetime.now(UTC) + timedelta(days=30)
    forge(shop, until=f"{until:%Y-%m-%dT%H:%M:%SZ}")


def _later(shop: Shop) -> None:
    at = datetime.now(UTC) + timedelta(days=300)
    forge(shop, at=f"{at:%Y-%m-%dT%H:%M:%SZ}", until=f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")


def _never_had(shop: Shop) -> None:
    forge(shop, to="1" * 64)


def _of_a_commit_that_is_no_state(shop: Shop) -> None:
    forge(shop, state="1" * 40)


def _knows_a_future(shop: Shop) -> None:
    forge(shop, main="1" * 40)


def _knows_a_branch(shop: Shop) -> None:
    shop.publish(popularity(shop.root / "p4.json", 20, day=4))
    forge(shop, main=git(shop.origin, "for-each-ref", "--format=%(objectname)", "refs/heads/ship"))


def _changed_after(shop: Shop) -> None:
    path = below(shop, claim_key(GROCER))
    path.write_text(path.read_text().replace("the day is broken", "another reason"))


def _another_namespace(shop: Shop) -> None:
    claim = claim_of(shop)
    assert claim is not None
    claim = claim.sign(keygen.sign(claim.signed, "git", str(shop.root / "ann")))
    below(shop, claim_key(GROCER)).write_bytes(claim.render())


def _nonsense(shop: Shop) -> None:
    below(shop, claim_key(GROCER)).write_bytes(b'{"v": 1, "holds": "for ever"}')


EVERYDAY = [lambda shop: forge(shop, key="eve"), _never_had]
SLOWLY = [
    lambda shop: forge(shop, key=""),
    _changed_after,
    _another_namespace,
    _expired,
    _for_longer,
    _later,
    _of_another_target,
    _of_another_place,
    _of_a_commit_that_is_no_state,
    _knows_a_future,
    _knows_a_branch,
    _nonsense,
]


@pytest.mark.parametrize("void", [*EVERYDAY, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOWLY)])
def test_a_claim_that_is_void_holds_nothing(shop: Shop, void: Callable[[Shop], None]) -> None:
    third = manifests(shop)[0]
    break_it(shop)
    void(shop)
    synced = shop.sync()
    assert synced.exit_code == 0
    (target,) = synced.document["targets"]
    assert target["outcome"] in ("healed", "written")
    assert not target["claim"]["holds"]
    assert target["claim"]["says"]
    assert shop.serving == third
    assert has_ended(below(shop, claim_key(GROCER)).read_bytes())
    again = shop.sync().document["targets"][0]
    assert (again["outcome"], again.get("claim")) == ("unchanged", None)


@pytest.mark.slow
def test_an_unsigned_claim_of_the_command_is_healed(shop: Shop) -> None:
    assert outcome_of(break_it(shop, signed=False)) == "claimed"
    for dry_run, said in ((True, "would be healed"), (False, "healed")):
        synced = shop.sync(dry_run=dry_run)
        assert outcome_of(synced) == "healed"
        assert synced.document["targets"][0]["claim"]["was_served"] is True
        first, why, what, *_ = sync_words.render(synced.value).splitlines()
        assert first == f"grocer/home: {said} after a break-glass that holds nothing"
        assert why.endswith(" holds nothing: it is not signed")
        assert what == "  it was for: the day is broken; to go back on main: pointsman rollback grocer/home"


@pytest.mark.slow
def test_what_somebody_wrote_over_an_unsigned_break_glass_is_not_told_as_its(shop: Shop) -> None:
    break_it(shop, signed=False)
    (shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json").write_text("by hand")
    synced = shop.sync()
    assert (outcome_of(synced), synced.document["targets"][0]["claim"].get("was_served")) == ("healed", None)
    assert sync_words.render(synced.value).startswith("grocer/home: healed\n")


@pytest.mark.slow
def test_main_decides_as_soon_as_it_has_what_the_claim_did_not_know(shop: Shop) -> None:
    break_it(shop)
    claim = below(shop, claim_key(GROCER)).read_bytes()
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    synced = shop.sync()
    (target,) = synced.document["targets"]
    assert (synced.exit_code, target["outcome"]) == (0, "written")
    assert "main has a ship that it did not know" in target["claim"]["says"]
    assert shop.serving == shop.manifest
    below(shop, claim_key(GROCER)).write_bytes(claim)  # replayed
    assert not shop.sync().document["targets"][0]["claim"]["holds"]
    assert shop.serving == shop.manifest


@pytest.mark.slow
def test_a_pointer_that_someone_edits_under_a_claim_is_put_back_to_what_is_claimed(shop: Shop) -> None:
    second = manifests(shop)[1]
    break_it(shop)
    below(shop, "grocer/home/manifest.json").write_text("{}")
    assert outcome_of(shop.sync()) == "claimed"
    assert shop.serving == second


@pytest.mark.slow
def test_a_claim_without_its_pointer_changes_nothing_until_it_is_finished(shop: Shop) -> None:
    third, second, _ = manifests(shop)
    break_it(shop)
    below(shop, "grocer/home/manifest.json").write_bytes(third)  # as if it had been killed before the pointer
    assert (outcome_of(shop.sync()), shop.serving) == ("unchanged", third)
    assert outcome_of(break_it(shop)) == "claimed"
    assert shop.serving == second


@pytest.mark.slow
def test_people_are_told_of_a_claim_and_of_its_end_once(shop: Shop, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    settings = shop.desk / "pointsman.toml"
    shop.pull()
    settings.write_text(settings.read_text() + f'[notify]\ncommand = "tee -a {heard}"\n')
    shop.push("notify")
    shop.sync()
    break_it(shop)
    for _ in range(2):
        shop.sync()
    with shop.open() as repo:
        ratify.ratify(Workspace(repo))
    for _ in range(2):
        shop.sync()
    events = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [event["event"] for event in events] == ["claim", "claim-end"]
    assert events[0]["claim"]["reason"] == "the day is broken"


@pytest.mark.slow
def test_status_audit_and_gc_see_an_open_claim(shop: Shop) -> None:
    break_it(shop)
    with shop.open() as repo:
        found = status.status(Workspace(repo), [GROCER])
        settings = Workspace(repo).gate.documents.settings
        assert found.document["targets"][0]["claim"]["holds"]
        text = status_text.render(found.value)
        assert ": the day is broken; next: pointsman rollback --ratify" in text
        assert 'pointsman_claims{target="grocer/home"} 1.0' in status_text.render_prometheus(found.value)
        audited = audit.audit(Workspace(repo))
        assert any("grocer/home: claimed by ann@example.org" in note for note in audited.notes)
        (told,) = audited.document["claims"]
        assert (told["target"], told["place"], told["claim"]["holds"]) == ("grocer/home", "", True)
        assert "claims" not in audit.audit(Workspace(repo, offline=True)).document
        from pointsman.repo.snapshot import Snapshot

        head = Snapshot(repo, repo.refresh())
        assert [target for _, target, _ in open_claims(settings(head))] == [GROCER]
    forge(shop, key="eve")
    with shop.open() as repo:
        found = status.status(Workspace(repo), [])
    assert "holds nothing: nobody signed it" in status_text.render(found.value)
    shop.sync()
    with shop.open() as repo:
        assert status.status(Workspace(repo), [GROCER]).document["targets"][0]["claim"] is None
        audited = audit.audit(Workspace(repo))
    assert not [note for note in audited.notes if "claim" in note]
    assert audited.document["claims"] == []


# main gets it


@pytest.mark.slow
def test_ratify_makes_main_what_is_served_and_ends_the_claim(shop: Shop) -> None:
    second = manifests(shop)[1]
    break_it(shop)
    before = shop.everything()
    with shop.open() as repo:
        told = ratify.ratify(Workspace(repo), dry_run=True)
    assert (outcome_of(told), shop.everything()) == ("dry-run", before)
    with shop.open() as repo:
        done = ratify.ratify(Workspace(repo))
    assert outcome_of(done) == "merged"
    assert shop.manifest == second == shop.serving
    message = git(shop.origin, "log", "-1", "--format=%B", "main")
    assert "Broke-Glass: grocer/home 20" in message
    assert "Reason: the day is broken" in message
    with shop.open() as repo:
        again = ratify.ratify(Workspace(repo))
    assert outcome_of(again) == "unchanged"
    assert git(shop.origin, "log", "-1", "--format=%H", "main").strip() == again.value.targets[0].commit
    assert outcome_of(shop.sync()) == "unchanged"
    assert has_ended(below(shop, claim_key(GROCER)).read_bytes())
    with shop.open() as repo, pytest.raises(Problem, match="no claim holds, so there is nothing to ratify"):
        ratify.ratify(Workspace(repo))


@pytest.mark.slow
def test_ratify_opens_a_pull_request_where_main_may_not_be_pushed(shop: Shop) -> None:
    break_it(shop)
    hook = shop.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ngrep -q ' refs/heads/main$' && { echo 'protected branch'; exit 1; }\nexit 0\n")
    hook.chmod(0o755)
    with shop.open() as repo:
        done = ratify.ratify(Workspace(repo), [GROCER])
    assert outcome_of(done) == "opened"
    assert len(shop.pulls()) == 1


@pytest.mark.slow
def test_ratify_says_why_a_claim_is_not_ratified(shop: Shop) -> None:
    break_it(shop, signed=False)
    with shop.open() as repo, pytest.raises(Problem, match="holds nothing: it is not signed"):
        ratify.ratify(Workspace(repo))


# several places


@pytest.mark.slow
def test_at_several_places_it_is_done_at_each_and_one_that_is_away_stops_no_other(shop: Shop) -> None:
    first = shop.manifest
    place = '[[serving]]\nname = "{0}"\nmanifest = "file://{1}/{0}/{{tenant}}/{{surface}}/manifest.json"\n'
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text() + place.format("us", shop.root) + place.format("eu", shop.root))
    shop.push("two places")
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    assert shop.sync().exit_code == 0
    pointers = [shop.root / name / "grocer" / "home" / "manifest.json" for name in ("us", "eu")]
    shop.pull()
    told: list[str] = []
    request = break_glass.Request(GROCER, "the day is broken", key=str(shop.root / "ann"))
    done = break_glass.break_glass(shop.desk, request, told.append)
    assert [line.partition(" until ")[0] for line in told] == ["us: the claim holds", "eu: the claim holds"]
    assert [each["outcome"] for each in done.document["targets"][0]["places"]] == ["claimed", "claimed"]
    assert [each.read_bytes() for each in pointers] == [first, first]
    synced = shop.sync()
    assert [each["outcome"] for each in synced.document["targets"][0]["places"]] == ["claimed", "claimed"]
    shutil.rmtree(shop.root / "us")
    without = break_it(shop)
    assert (without.exit_code, [each["place"] for each in without.document["targets"][0]["places"]]) == (5, ["eu"])
    (shop.root / "us").symlink_to(shop.root / "us")
    again = break_it(shop)
    assert again.exit_code == 3
    assert [each["place"] for each in again.document["targets"][0]["places"]] == ["eu"]


# the command line


@pytest.mark.slow
def test_the_command_line_takes_only_what_goes_together(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, str]:
        code = command_line(["-C", str(shop.desk), "rollback", *words])
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    shop.origin.rename(shop.root / "away")
    code, told = run("grocer/home", "--now", "--reason", "x")
    assert code == 3
    assert "without git: pointsman" in told
    assert "rollback grocer/home --break-glass --reason TEXT" in told
    (shop.root / "away").rename(shop.origin)
    assert run("grocer/home", "--break-glass")[0] == 2
    assert "needs --reason" in run("grocer/home", "--break-glass")[1]
    for words, says in (
        (("grocer/home", "--break-glass", "--now", "--reason", "x"), "--break-glass does not go with --now"),
        (("--break-glass", "--reason", "x"), "--break-glass is for one target"),
        (("grocer/*", "--break-glass", "--reason", "x"), "--break-glass is for one target"),
        (("grocer/home", "--key", "x"), "--key is for --break-glass"),
        (("--ratify", "--now"), "--ratify does not go with --now"),
    ):
        code, output = run(*words)
        assert (code, says in output) == (2, True), output
    broken = ("grocer/home", "--break-glass", "--reason", "broken", "--key", str(shop.root / "ann"))
    code, output = run(*broken, "--dry-run")
    assert (code, "grocer/home: serving would have " in output) == (0, True), output
    code, output = run(*broken)
    assert code == 0, output
    assert "grocer/home: serving has " in output
    code, output = run("--ratify", "--dry-run")
    assert (code, output.startswith("grocer/home: would be rolled back to ")) == (0, True), output
    assert output.endswith("; nothing was written\n"), output
    code, output = run("--ratify")
    assert (code, "rolled back on main" in output) == (0, True), output

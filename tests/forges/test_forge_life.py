"""The life of a pull request on every forge: the same commands and outcomes, from publish to the Revert button."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from forge_server import ForgeServer
from forge_team import BY_ITSELF, PUSHED, SETTINGS, Team, outcomes
from shop import GROCER, cooc
from signers import key_of, signer

from forges.stand_ins import KINDS
from pointsman.errors import MovedFirst, Problem, Refused, Unreachable
from pointsman.verbs import approve, hold, log, pr, retire, rollback, status
from pointsman.verbs.retire_plan import Request as Retirement
from pointsman.workspace import Workspace

pytestmark = pytest.mark.slow
Any = Team[ForgeServer]
PUSHES = [("gitea", PUSHED), ("forgejo", PUSHED)]  # where a rule of main can let records alone be pushed


@pytest.mark.parametrize(
    "kind, settings",
    [*((kind, SETTINGS) for kind in KINDS), *PUSHES],
    indirect=["kind"],
    ids=lambda value: "push" if value == PUSHED else "pull-request" if value == SETTINGS else value,
)
def test_the_whole_loop_and_back_to_the_same_bytes(tmp_path: Path, hub: ForgeServer, settings: str) -> None:
    team = Team(tmp_path, hub, settings)
    hub.protect()
    first = team.shipped(1)
    before = team.sync()
    (told,) = team.publish(team.day(2), run="https://ci.example/7").document["targets"]
    number = int(told["pull_request"]["id"])
    assert told["outcome"] == "opened"
    assert told["pull_request"]["url"] == hub.address(number)
    shown = hub.shown(number)
    assert shown.title.startswith("ship: grocer/home popularity ")
    assert shown.labels == ["ship", "grocer/home"]
    assert "| target | type |" in shown.body, "the review"
    assert "Record: grocer/home popularity@" in shown.body
    landed = [hub.is_merged(each) for each in hub.numbers("records/")]
    assert landed == ([] if settings == PUSHED else [True, True])

    with pytest.raises(Unreachable, match=r"does not merge .*it needs an approval first") as caught:
        team.merge(number)
    assert caught.value.exit_code == 3
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    hub.approve(number)
    merged = team.merge("grocer/home", team.url).document["commit"]  # as a bot that has nothing but the URL
    assert hub.head("main") == merged
    message = hub.git("log", "-1", "--format=%B", "main")
    assert message.startswith("ship: grocer/home popularity")
    assert message.partition("\n")[0].endswith(f"({hub.sign}{number})")
    assert re.search(r"^Manifest: grocer/home sha256:[0-9a-f]{64}$", message, re.MULTILINE)
    assert hub.head(hub.branch(number)) == ""
    for name in (str(number), hub.branch(number), "grocer/home"):
        again = team.merge(name)
        assert (again.exit_code, again.document["outcome"], again.document["commit"]) == (0, "unchanged", merged)
    assert outcomes(team.publish(team.day(2))) == ["unchanged"]
    assert team.sync() != before

    revert = hub.revert(number)
    for _ in range(2):
        (looked_at,) = team.refresh(hub.branch(revert))
        assert looked_at["outcome"] == "fresh"
    assert hub.shown(revert).labels == ["rollback", "grocer/home"]
    (said,) = hub.shown(revert).comments
    assert "undoes" in said
    assert hub.head(hub.branch(revert)) in said.partition("\n")[0]
    hub.approve(revert)
    hub.button(revert)
    assert team.sync() == before
    assert len(hub.numbers("ship/")) == 2
    assert first != number
    assert team.judged(f"{merged}^") == set()


def test_records_that_wait_for_someone_end_publish_with_what_to_do_next(
    team: Any, hub: ForgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.records_need_review = True
    monkeypatch.setenv("POINTSMAN_RECORDS_TIMEOUT", "0")
    with pytest.raises(MovedFirst, match=rf"the records wait in {hub.address(1)}, .* run the same command again"):
        team.publish(team.day(1))
    assert not hub.numbers("ship/")
    hub.approve(1)
    assert outcomes(team.publish(team.day(1))) == ["opened"]
    assert hub.numbers("records/") == [1]
    assert hub.is_merged(1)


def test_a_newer_window_closes_the_older_one_and_says_so(team: Any, hub: ForgeServer) -> None:
    team.publish(team.day(1))
    (older,) = hub.numbers("ship/")
    team.publish(team.day(2))
    (newer,) = hub.numbers("ship/", "open")
    assert newer != older
    assert hub.head(hub.branch(older)) == ""
    assert hub.branch(newer) in hub.shown(older).comments[0]
    hub.calls.clear()
    heads = hub.git("for-each-ref")
    superseded = team.publish(team.day(1))
    assert (superseded.exit_code, outcomes(superseded)) == (4, ["superseded"])
    assert {method for method, _ in hub.calls} == {"GET"}, "nothing is opened, told or closed"
    assert hub.git("for-each-ref") == heads


def test_what_main_has_overtaken_is_built_anew_and_says_which_approval_that_costs(team: Any, hub: ForgeServer) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(together, "bea")
    assert [each["outcome"] for each in team.refresh()] == ["fresh", "fresh"]
    hub.approve(popular)
    hub.button(popular)
    (told,) = team.refresh()
    assert told["outcome"] == "rebuilt"
    assert "bea" in hub.shown(together).comments[0]
    assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    assert len(hub.shown(together).comments) == 1
    hub.approve(together)
    hub.button(together)
    assert b"popularity" in team.sync()
    assert b"cooc" in team.sync()


def test_a_commit_of_a_human_on_a_ship_branch_stays_and_stops_the_refresh(team: Any, hub: ForgeServer) -> None:
    team.publish(team.day(1))
    team.publish(cooc(team.root / "cooc.json", 30))
    popular, together = hub.numbers("ship/", "open")
    hub.approve(popular)
    hub.button(popular)
    commit = hub.push(hub.branch(together), "a word\n")
    for _ in range(2):
        (told,) = team.refresh()
        assert told["outcome"] == "left"
        assert f"a commit that no publish made ({commit[:12]} by " in told["says"]
        assert hub.head(hub.branch(together)) == commit
    assert hub.numbers("ship/", "open") == [together]


def test_closed_by_hand_it_is_opened_anew_and_withdrawn_it_is_gone(team: Any, hub: ForgeServer) -> None:
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/")
    hub.shut(number)
    with team.open() as repo:
        assert pr.list_pulls(Workspace(repo)).document["pull_requests"] == []
    team.publish(team.day(1))
    (again,) = hub.numbers("ship/", "open")
    hub.git("update-ref", "-d", f"refs/heads/{hub.branch(again)}")
    team.publish(team.day(1))
    (third,) = hub.numbers("ship/", "open")
    with team.open() as repo:
        pr.close(Workspace(repo), str(third))
    assert hub.numbers("ship/", "open") == []
    assert hub.head(hub.branch(third)) == ""
    with pytest.raises(Problem, match="no open pull request 77"):
        team.merge(77)


def test_a_hold_is_a_pull_request_with_a_label_of_its_own_and_is_found_again(team: Any, hub: ForgeServer) -> None:
    team.shipped(1)
    for reason, outcome in (("broken", "opened"), ("broken", "unchanged"), ("still broken", "updated")):
        with team.open() as repo:
            request = hold.Request("grocer/home", until="2999-01-01", reason=reason)
            told = hold.change_hold(Workspace(repo), request).document
        assert (told["outcome"], told["pull_request"]["id"]) == (outcome, str(hub.numbers("hold/")[0]))
    (number,) = hub.numbers("hold/")
    assert hub.shown(number).labels == ["hold"]
    hub.approve(number)
    team.merge(number)
    with team.open() as repo:
        assert hold.change_hold(Workspace(repo), request).document["outcome"] == "unchanged"
    with pytest.raises(Refused, match="on-hold: grocer/home is on hold until 2999"):
        team.publish(team.day(2))


def test_a_rollback_and_a_retirement_are_pull_requests_and_are_found_again(tmp_path: Path, hub: ForgeServer) -> None:
    team = Team(tmp_path, hub, f"{SETTINGS}[retention]\nkeep_days = 0\nkeep_ships = 1\n")
    hub.protect()
    for day in (1, 2, 3):
        team.shipped(day)
    version = hub.git("show", "main~4:manifests/grocer/home/manifest.json").partition("popularity/")[2][:64]
    main = hub.head("main")
    now = rollback.Request((GROCER,), now=True, reason="half of it is gone")
    with team.open() as repo, pytest.raises(Unreachable, match=r"pull request|protected branch"):
        rollback.roll_back(Workspace(repo), now)
    assert hub.head("main") == main, "what is protected goes by pull requests"
    for outcome in ("opened", "unchanged"):
        with team.open() as repo:
            (told,) = retire.retire(Workspace(repo), Retirement(versions=(version,))).document["targets"]
        assert (told["outcome"], told["pull_request"]["id"]) == (outcome, str(hub.numbers("retire/")[0]))
    (number,) = hub.numbers("retire/")
    assert hub.shown(number).labels[:1] == ["retire"]
    hub.approve(number)
    team.merge(number)
    assert f"{version}.retired.json" in hub.git("ls-tree", "-r", "--name-only", "main")
    for outcome in ("opened", "unchanged"):
        with team.open() as repo:
            (told,) = rollback.roll_back(Workspace(repo), rollback.Request((GROCER,))).document["targets"]
        assert (told["outcome"], told["pull_request"]["id"]) == (outcome, str(hub.numbers("rollback/")[0]))
    assert hub.shown(hub.numbers("rollback/")[0]).labels == ["rollback", "grocer/home"]


def test_a_signed_approval_lands_by_a_pull_request_of_its_own(tmp_path: Path, hub: ForgeServer) -> None:
    team = Team(tmp_path, hub)
    with (team.desk / "pointsman.toml").open("a") as settings:
        settings.write('approvals = 1\n[audit]\nallowed_signers = "allowed_signers"\n')
    (team.desk / "allowed_signers").write_text(signer("ann"))
    team.push("who approves")
    hub.protect()
    opened = team.publish(team.day(1))
    number = opened.document["targets"][0]["pull_request"]["id"]
    hub.approve(int(number))
    with pytest.raises(Problem, match="unapproved"):
        team.merge(number)
    for _ in range(2):
        with team.open() as repo:
            told = approve.approve(Workspace(repo), number, str(key_of("ann"))).document
        assert told["approval"]["by"] == "ann@example.org"
    assert hub.git("ls-tree", "-r", "--name-only", "main", "approvals/").splitlines() == [told["approval"]["path"]]
    assert hub.numbers("records/", "open") == []
    team.merge(number)
    team.sync()


def test_log_tells_who_approved_and_status_what_it_can(team: Any, hub: ForgeServer) -> None:
    number = int(team.publish(team.day(1)).document["targets"][0]["pull_request"]["id"])
    hub.approve(number)
    hub.approve(number, "bea")
    hub.button(number)
    team.publish(team.day(2))
    with team.open() as repo:
        (event,) = log.log(Workspace(repo), log.Query(approvals=True)).value.events
        assert event.approved_by == ("ann", "bea")
        hub.calls.clear()
        assert "approved_by" not in log.log(Workspace(repo), log.Query()).document["events"][0]
        assert hub.calls == [], "git alone"
    with team.open() as repo:
        (told,) = status.status(Workspace(repo), []).document["targets"]
    assert [each["url"] for each in told["pull_requests"]] == [hub.address(hub.numbers("ship/", "open")[0])]
    hub.rule = lambda method, path: "401"
    with team.open() as repo:
        (told,) = status.status(Workspace(repo), []).document["targets"]
        assert any("branches alone" in note for note in repo.notes)
    assert [each["url"] for each in told["pull_requests"]] == [None]


@pytest.mark.parametrize("kind", ["github", "gitlab"], indirect=True)  # those with owners who can be required
def test_the_review_names_the_owners(team: Any, hub: ForgeServer) -> None:
    (team.desk / "CODEOWNERS").write_text("/manifests/ @shop/reviewers\n")
    team.push("owners")
    number = int(team.publish(team.day(1)).document["targets"][0]["pull_request"]["id"])
    assert "Must be approved by one of <code>&#64;shop/reviewers</code>" in hub.shown(number).body


def test_with_auto_merge_it_is_merged_at_once_where_nothing_is_missing(tmp_path: Path, hub: ForgeServer) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    hub.needs_review = False
    assert outcomes(team.publish(team.day(1))) == ["merged"]
    team.sync()


def test_a_hold_stops_what_would_merge_by_itself(tmp_path: Path, hub: ForgeServer) -> None:
    team = Team(tmp_path, hub, BY_ITSELF)
    team.publish(team.day(1))
    (number,) = hub.numbers("ship/", "open")

    def change(until: str | None) -> None:
        with team.open() as repo:
            hold.change_hold(Workspace(repo), hold.Request(str(GROCER), until, "half of it is gone", now=True))

    change("1d")
    (told,) = team.refresh()
    assert [fault["rule"] for fault in told["faults"]] in ([], ["on-hold"])
    hub.approve(number)
    assert not hub.is_merged(number)
    change(None)
    assert [each["outcome"] for each in team.refresh()] == ["merged"], "it is approved, so nothing is left to wait for"
    team.sync()

"""Each write to a forge, with its answer lost before and after it: it takes place once, and the next run goes on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import half
from forge_server import ForgeServer
from forge_team import PUSHED, SETTINGS, Team, adapted
from shop import popularity
from world import how_many

from forges.stand_ins import OWN, fast
from pointsman.errors import MovedFirst, Unreachable
from pointsman.forge.base import Opened, Page
from pointsman.forge.http import Denied

pytestmark = pytest.mark.slow
MESSAGE = "title\n\nbody\n"
DOES: dict[str, Callable[[Any, Opened], object]] = {
    "open": lambda forge, opened: forge.open("ship/grocer/home/new", forge.repo.heads[_NEW], Page("new", lambda: "b")),
    "update": lambda forge, opened: forge.update(opened, Page("another", lambda: "body")),
    "label": lambda forge, opened: forge.label(opened, ["a", "b"]),
    "make a label": lambda forge, opened: forge.label(opened, ["a", "b"]),
    "comment": lambda forge, opened: forge.comment(opened, "refresh", "said"),
    "merge": lambda forge, opened: forge.merge(opened, forge.repo.main, MESSAGE, ""),
    "auto-merge": lambda forge, opened: forge.auto_merge(opened, MESSAGE),
    "stop": lambda forge, opened: forge.stop_auto_merge(opened),
}
_NEW = "refs/heads/ship/grocer/home/new"
_GITEA = {
    "open": "POST /pulls",
    "update": "PATCH /pulls/1",
    "make a label": "POST /labels",
    "label": "POST /issues/1/labels",
    "comment": "POST /issues/1/comments",
    "merge": "POST /pulls/1/merge",
    "auto-merge": "POST /pulls/1/merge",
    "stop": "DELETE /pulls/1/merge",
}
CALLS = {
    "github": {
        "open": "POST /pulls",
        "update": "PATCH /pulls/1",
        "label": "POST /issues/1/labels",
        "comment": "POST /issues/1/comments",
        "merge": "PUT /pulls/1/merge",
        "auto-merge": "POST /api/graphql",
        "stop": "POST /api/graphql",
    },
    "gitlab": {
        "open": "POST /merge_requests",
        "update": "PUT /merge_requests/1",
        "label": "PUT /merge_requests/1",
        "comment": "POST /merge_requests/1/notes",
        "merge": "PUT /merge_requests/1/merge",
        "auto-merge": "PUT /merge_requests/1/merge",
        "stop": "POST /merge_requests/1/cancel_merge_when_pipeline_succeeds",
    },
    "gitea": _GITEA,
    **({"forgejo": _GITEA} if "POINTSMAN_ROUNDS" in os.environ else {}),  # it answers as Gitea does
}
EACH = [(kind, purpose) for kind, purposes in CALLS.items() for purpose in purposes]
KINDS = ("500", "500 after", "cut", "cut after", "malformed after", "limited")
HANGING = [(*each, kind) for each in EACH if each[1] in ("open", "merge") for kind in ("hang", "hang after")]


@pytest.fixture
def forge(
    tmp_path: Path, hub: ForgeServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[Any, Opened]]:
    if "hang" in request.node.name:
        monkeypatch.setenv("POINTSMAN_REMOTE_TIMEOUT", "2")
    with adapted(Team(tmp_path, hub), fast) as found:
        yield found


def prepared(forge: tuple[Any, Opened], hub: ForgeServer, purpose: str) -> tuple[str, str]:
    """The call that the purpose makes; all that it needs is there."""
    method, _, path = CALLS[hub.kind][purpose].partition(" ")
    hub.needs_review = purpose != "merge"
    hub.first = "running" if purpose in ("auto-merge", "stop") else "success"
    if purpose == "stop":
        forge[0].auto_merge(forge[1], MESSAGE)
    return method, path


@pytest.mark.parametrize(
    "kind, purpose, fault", half([*((*each, kind) for each in EACH for kind in KINDS), *HANGING]), indirect=["kind"]
)
def test_a_call_whose_answer_is_lost_takes_place_once(
    forge: tuple[Any, Opened], hub: ForgeServer, purpose: str, fault: str
) -> None:
    call = prepared(forge, hub, purpose)
    left = [fault]
    hub.rule = lambda method, path: left.pop() if left and (method, path) == call else None
    DOES[purpose](*forge)
    assert not left, "the fault was met"
    hub.calls.clear()
    if purpose == "merge":
        assert hub.is_merged(1)
        assert len(hub.git("log", "--format=%H", "main").splitlines()) == 2
    elif purpose != "auto-merge" or hub.kind in ("github", "gitlab"):
        DOES[purpose](*forge)  # again: it looks, and finds it done
        asked = [method for method, path in hub.calls if path != "/api/graphql"]
        assert asked
        assert {*asked} == {"GET"}
    assert len(hub.numbers("ship/")) == 1 + (purpose == "open")
    assert all(len(hub.shown(number).comments) <= 1 for number in hub.numbers("ship/"))
    assert hub.repeated() == []


@pytest.mark.parametrize(
    "kind, purpose, fault",
    half([(*each, kind) for each in EACH for kind in ("502", "cut", "malformed", "limited", "401")]),
    indirect=["kind"],
)
def test_a_call_that_never_succeeds_ends_with_3_and_names_what_to_do(
    forge: tuple[Any, Opened], hub: ForgeServer, purpose: str, fault: str
) -> None:
    call = prepared(forge, hub, purpose)
    forge[0].client.pacer.left = 60
    hub.rule = lambda method, path: fault if (method, path) == call else None
    with pytest.raises(Unreachable) as caught:
        DOES[purpose](*forge)
    assert caught.value.exit_code == 3
    says = {"limited": "run it again after", "401": "does not accept the token|may not (merge|stop)"}
    assert pytest.raises(AssertionError) is not None
    assert hub.token not in str(caught.value)
    assert any(each in str(caught.value) for each in says.get(fault, "answer").split("|")) or "may not" in str(
        caught.value
    )
    hub.rule = lambda method, path: None
    forge[0].client.pacer.left = 60
    DOES[purpose](*forge)
    assert len(hub.numbers("ship/")) == 1 + (purpose == "open")


READS: dict[str, Callable[[Any, Opened], object]] = {
    "find": lambda forge, opened: forge.find(),
    "find one": lambda forge, opened: forge.find([opened.branch]),
    "approvals": lambda forge, opened: forge.approvals(opened),
    "merged": lambda forge, opened: forge.merged("1"),
    "merged as": lambda forge, opened: forge.merged_as(forge.repo.main),
    "me": lambda forge, opened: forge.client.me,
    **{name: DOES[name] for name in ("open", "label", "comment", "merge", "auto-merge", "stop")},
}


@pytest.mark.parametrize("answer", ["another", "objects", "list", "text", "null", "deep"])
def test_an_answer_of_another_shape_is_trouble_of_the_server_and_no_bug(
    forge: tuple[Any, Opened], hub: ForgeServer, answer: str
) -> None:
    hub.rule = lambda method, path: answer
    told = {}
    for name, does in READS.items():
        forge[0].client.pacer.left = 60
        try:  # whoever misses a member that need not be there goes on
            does(*forge)
        except Unreachable as error:
            told[name] = str(error)
    empty = {"find", "find one", "open"} if (hub.kind, answer) == ("gitea", "null") else set()  # it answers so, too
    for name in {"find", "find one", "open", "label", "merge"} - empty:
        assert f"{hub.url} answered " in told[name]
        assert "such as a proxy" in told[name] or "is not JSON" in told[name]


@pytest.mark.parametrize("kind", ["gitea"], indirect=True)
@pytest.mark.parametrize("times", [1, 2])
def test_a_branch_that_was_away_for_a_moment_has_its_pull_request_and_what_stays_hidden_is_said(
    forge: tuple[Any, Opened], hub: ForgeServer, times: int
) -> None:
    call = prepared(forge, hub, "open")
    left = ["gone"] * times
    hub.rule = lambda method, path: left.pop() if left and (method, path) == call else None
    told = "" if times == 1 else "Gitea has no /api/v1/repos/o/r/pulls that this token may see"
    with pytest.raises(Denied, match=told) if told else contextlib.nullcontext():
        DOES["open"](*forge)
    assert not left, "the fault was met"
    assert len(hub.numbers("ship/")) == (1 if told else 2)


@pytest.mark.parametrize(
    "kind, settings", [*((kind, SETTINGS) for kind in OWN), ("gitea", PUSHED)], indirect=["kind"],
    ids=[*OWN, "gitea, pushed"],
)  # fmt: skip
def test_a_run_with_a_fault_at_any_call_converges_when_it_is_run_again(
    tmp_path: Path, hub: ForgeServer, settings: str
) -> None:
    team = Team(tmp_path, hub, settings)
    hub.calls.clear()
    team.publish(team.day(1))
    kinds = ("500 after", "cut", "401")
    step = 1 if how_many(1) > 1 else 2  # the stand-ins have much the same calls: each begins at another
    for place in range([*OWN, "gitea"].index(hub.kind) % step, len(hub.calls), step):
        for kind in kinds if how_many(1) > 1 else kinds[place % 3 :][:1]:
            salt = popularity(team.root / f"{place}-{kind[:3]}.json", 30, day=1, salt=f"{place}{kind[:3]}")
            seen = [0]

            def rule(
                method: str, path: str, place: int = place, kind: str = kind, seen: list[int] = seen
            ) -> str | None:
                seen[0] += 1
                return kind if seen[0] == place + 1 else None

            hub.rule = rule
            with contextlib.suppress(Unreachable, MovedFirst):
                team.publish(salt)
            hub.rule = lambda method, path: None
            team.publish(salt)
            assert len(hub.numbers("ship/", "open")) == 1
            assert hub.numbers("records/", "open") == []

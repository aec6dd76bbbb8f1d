"""A team of any forge whose ships two must approve, whatever button merges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shop import git
from signers import key_of, signer

from pointsman.verbs import approve, audit, check, sync
from pointsman.workspace import Workspace

DEMANDS = '\n[audit]\nallowed_signers = "allowed_signers"\n'


def demand(team: Any) -> None:
    """Main demands approvals of two from here on; of ann and ben."""
    desk, origin = team.desk, str(team.hub.repo)
    git(desk, "fetch", "-q", origin, "main")
    git(desk, "reset", "-q", "--hard", "FETCH_HEAD")
    text = (desk / "pointsman.toml").read_text()
    (desk / "pointsman.toml").write_text(text.replace("[policy]\n", f"{DEMANDS}[policy]\napprovals = 2\n"))
    (desk / "allowed_signers").write_text(signer("ann") + signer("ben"))
    team.push("two approve")


def agree(team: Any, who: str) -> None:
    with team.open() as repo:
        approve.approve(Workspace(repo), "grocer/home", str(key_of(who)))


def approved_ship(team: Any, before: Callable[[int], object], button: Callable[[int], object]) -> None:
    """A ship that two approve is merged by a button; sync serves it and audit finds nothing, as for every other button.

    `before`: what people do at the forge before its checks have run again.
    """
    team.shipped(1)
    served = team.sync()
    demand(team)
    team.publish(team.day(2))
    (number,) = team.hub.numbers("ship/", "open")
    assert "0 of 2 approvals" in team.hub.shown(number).body
    before(number)
    agree(team, "ann")
    agree(team, "ben")
    assert [each["outcome"] for each in team.refresh()] == ["fresh"]
    assert "2 of 2 approvals" in team.hub.shown(number).body, "whoever looks at it sees who approved"
    base = team.hub.head("main")
    button(number)
    assert team.hub.head("main") != base
    with team.open() as repo:
        repo.refresh()
        assert check.check(Workspace(repo), base=base, head=repo.main).document["faults"] == []
        assert audit.audit(Workspace(repo)).document["faults"] == []
        assert sync.sync(Workspace(repo)).exit_code == 0
    assert team.served != served

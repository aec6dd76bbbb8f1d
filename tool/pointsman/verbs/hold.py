"""Holds: small reviewed files that stop ships of a target, or of all, until a moment. Restores pass.

A hold is set and released by a pull request, or with `now` on main. A target has at most one such pull request open:
what is asked last takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem, Refused
from pointsman.history.times import read_time
from pointsman.outcome import Outcome
from pointsman.repo.moves import Move
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.retry import until_settled
from pointsman.repo.snapshot import Snapshot
from pointsman.report.going_on import GoesOn, going_on
from pointsman.shipping import pulls
from pointsman.shipping.branches import hold_branch
from pointsman.shipping.options import NOT_NOW, check_now, check_words
from pointsman.shipping.pulls import Pull
from pointsman.state.documents import HOLD_ON_ALL, Hold, read_hold, rfc3339
from pointsman.state.message import check_value, compose
from pointsman.state.names import NAME, Target, short
from pointsman.state.objects import PLAIN_FILE, Entry, Oid
from pointsman.state.paths import is_target
from pointsman.state.times import HOW_LONG, duration
from pointsman.values import CommitId, HoldTerms, PullRequest, Shape, ToldFault
from pointsman.workspace import Workspace

_SHOWN = 3  # targets
_LONGEST_REASON = 1000  # characters
_MINUTE = 60  # what "2h" means is rounded up to it, so that asking again is asking for the same


class Request(Struct, frozen=True):
    """Which hold: `target` "tenant/surface" or "all", and how. Without `until` and `rollout` it is released."""

    target: str
    until: str | None = None
    reason: str = ""
    now: bool = False
    rollout: str = ""  # the commit of a ship that shall reach no further ring
    dry_run: bool = False  # judge it, write nothing

    def __post_init__(self) -> None:
        check_words("", (), self.reason)
        check_now(self.now, self.reason)


Became = Annotated[
    Literal["opened", "updated", "merged", "unchanged", "dry-run", "refused", "failed"],
    "it binds, or is released, once it is on main: with merged, or with unchanged where pull_request is null; "
    "of many: refused: the gate refuses it, failed: says tells why",
]


class HoldChange(Struct, frozen=True, kw_only=True):
    """What became of the hold on a target, or on all."""

    target: Annotated[str, Shape("", "tenant/surface, or all", f"^(all|{NAME}/{NAME})$")]
    hold: Annotated[HoldTerms | None, "the hold that was asked for, or that stands if nothing changed; null: none"]
    was: Annotated[HoldTerms | None, "the hold on main before"]
    pull_request: PullRequest | None
    commit: CommitId | None
    says: Annotated[
        str | None,
        "of a release: what else stops ships of the target; of all, which targets have a hold of their own; "
        "of one that failed: why",
    ] = None
    outcome: Became
    faults: Annotated[Sequence[ToldFault] | None, "of a refused one"] = None
    goes_on: Annotated[
        Sequence[GoesOn] | None, "with rings: what is on main already and still reaches one; left out if nothing does"
    ] = None


class HoldChanges(Struct, frozen=True):
    """What became of the hold on each of many targets."""

    targets: Sequence[HoldChange]


def read_until(text: str, clock: int) -> str:
    """The moment that a user means by "2h", "3d" or a time, as a hold has it; Problem if it is past or none.

    `clock`: seconds since 1970. A date alone is its first second.
    """
    seconds = duration(text)
    end = read_time(text) if seconds is None else -(-(clock + seconds) // _MINUTE) * _MINUTE
    if end is None:
        raise Problem(f"--until {text} is no time: {HOW_LONG}, or 2026-03-01 or 2026-03-01T05:10:00Z")
    if end <= clock:
        raise Problem(f"--until {text} is past, it is {rfc3339(clock)} now: a hold ends later")
    return rfc3339(end)


def hold_on(target: str, until: str, reason: str, clock: int) -> Hold:
    """The hold that a request asks for; Problem if its time or its reason cannot be one."""
    return Hold(target, read_until(until, clock), check_value(reason, "--reason"))


def is_same(one: Hold | None, other: Hold | None) -> bool:
    """Whether two holds say the same, but for the minute within which the same words were said again."""
    if one is None or other is None:
        return one is other
    if not one.until or not other.until:
        return one == other
    apart = datetime.fromisoformat(other.until) - datetime.fromisoformat(one.until)
    return replace(one, until=other.until) == other and 0 <= apart.total_seconds() <= _MINUTE


def _with(wanted: Hold, was: Hold, clock: int) -> Hold:
    """What is wanted, and what the hold that stands says beside it: only a release, or its time, ends either."""
    if not wanted.until and was.binds(clock):
        reason = was.reason if wanted.reason in was.reason else f"{was.reason}; {wanted.reason}"
        return replace(wanted, until=was.until, reason=reason[:_LONGEST_REASON].rstrip())
    return replace(wanted, rollout=wanted.rollout or was.rollout)


def standing(repo: Repository, entry: Entry | None, path: str) -> Hold | None:
    """The hold in a tree entry; None if there is none or it cannot be read."""
    data = repo.content(entry)
    found = read_hold(data, path) if data is not None else None
    return found if isinstance(found, Hold) else None


def change_hold(workspace: Workspace, request: Request) -> Outcome[HoldChange]:
    """Set or release a hold. Main, or its pull request, that says so already stays as it is."""
    wanted = wanted_of(request, workspace.now)
    repo = workspace.repo
    repo.skips_tables = True
    repo.refresh()
    (done,), notes = with_rings(workspace, request, [settled(workspace, request, wanted)])
    return Outcome(done, notes=notes)


def with_rings(
    workspace: Workspace, request: Request, done: Sequence[HoldChange]
) -> tuple[Sequence[HoldChange], tuple[str, ...]]:
    """The same holds, each with what rings are still given, and notes: what is on main already goes on."""
    if request.until is None:
        return done, ()
    found, notes = going_on(workspace, [each.target for each in done])
    still = {each.target: [it for it in found if each.target in ("all", it.target)] for each in done}
    return [replace(each, goes_on=still[each.target] or None) for each in done], notes


def wanted_of(request: Request, clock: int) -> Hold | None:
    """The hold that a request asks for; None: none."""
    if request.until is not None:
        return hold_on(request.target, request.until, request.reason, clock)
    if request.rollout:
        return Hold(request.target, "", check_value(request.reason, "--reason"), request.rollout)
    return None


def settled(workspace: Workspace, request: Request, wanted: Hold | None) -> HoldChange:
    """What became of one hold; tried again while only other things of main move."""
    repo = workspace.repo
    offer = (lambda: repo.main) if request.now and not request.dry_run else None
    return until_settled(repo, lambda: _change(workspace, request, wanted), offer=offer, urgent=True)


def _change(workspace: Workspace, request: Request, wanted: Hold | None) -> HoldChange:
    repo = workspace.repo
    main, path = repo.main, HOLD_ON_ALL if request.target == "all" else Target.parse(request.target).hold_path
    base = Snapshot(repo, main)
    entry = base.entry(path)
    was = standing(repo, entry, path)
    if wanted is not None and was is not None:
        wanted = _with(wanted, was, workspace.now)
    if entry is None or (wanted is not None and is_same(was, wanted)):
        _known(repo, base, request.target)
    others = _others(repo, base, request.target, workspace.now) if wanted is None else ""

    def told(hold: Hold | None, outcome: Became, commit: Oid | None = None, pull: Pull | None = None) -> HoldChange:
        return HoldChange(
            target=request.target,
            hold=HoldTerms.of(hold),
            was=HoldTerms.of(was),
            pull_request=pulls.reference(pull) if pull is not None else None,
            commit=commit,
            says=others or None,
            outcome=outcome,
        )

    if (entry is None) if wanted is None else is_same(was, wanted):
        return told(was, "unchanged")
    branch = hold_branch(request.target)
    ref = f"refs/heads/{branch}"
    there = repo.heads.get(ref)
    asked = there is not None and not request.now and _asks_for(repo, there, path, entry, wanted)
    if there is not None and asked and not request.dry_run:
        return told(wanted, "unchanged", there, pulls.show_on_forge(workspace, branch, there))
    commit = _commit(repo, main, request, path, wanted)
    verdict = workspace.gate.judge_change(main, commit, notes=False)
    if verdict.faults:
        raise Refused(verdict.faults)
    if request.dry_run:
        return told(wanted, "dry-run")
    if request.now:
        overtaken = [Move(ref, None, there)] if there is not None else []
        repo.move([Move(MAIN, commit, main), *overtaken], NOT_NOW)
        return told(wanted, "merged", commit)
    if pulls.replace_head(workspace, branch, commit, there):
        repo.notes.append(f"{branch} does not merge by itself any more: {pulls.OLD_MESSAGE}")
    pull = pulls.show_on_forge(workspace, branch, commit, updated=there is not None)
    return told(wanted, "opened" if there is None else "updated", commit, pull)


def _asks_for(repo: Repository, there: Oid, path: str, on_main: Entry | None, wanted: Hold | None) -> bool:
    """Whether an open pull request makes of main's hold what is wanted; Problem if it does anything else, too."""
    fork = repo.merge_base(repo.main, there)
    changes = repo.differences(fork, there) if fork is not None else []
    if [change.path for change in changes] != [path]:
        name = short(there)
        raise Problem(f"the branch of this hold has another change in it ({name}): close it with pointsman pr close")
    (change,) = changes
    asked = standing(repo, change.new, path)
    says_so = change.new is None if wanted is None else is_same(asked, wanted)
    return says_so and change.old == on_main


def _commit(repo: Repository, main: Oid, request: Request, path: str, wanted: Hold | None) -> Oid:
    subject = f"hold: {request.target} {HoldTerms.of(wanted)}" if wanted is not None else f"release: {request.target}"
    tree = repo.tree_with(repo.tree_of(main), {path: wanted.render() if wanted is not None else None})
    return repo.commit(
        tree, [main], compose(subject, [], reason=request.reason, held_now=[request.target] if request.now else ())
    )


def _others(repo: Repository, base: Snapshot, target: str, clock: int) -> str:
    """What else stops ships of a target, "" if nothing does; of "all", the holds that targets have of their own."""
    if target != "all":
        hold = standing(repo, base.entry(HOLD_ON_ALL), HOLD_ON_ALL)
        held = hold is not None and hold.binds(clock)
        return (
            f"everything is on hold until {hold.until} ({hold.reason}): pointsman release all" if held and hold else ""
        )
    paths = (Target.parse(each).hold_path for each in held_targets(base))
    found = (standing(repo, base.entry(path), path) for path in paths)
    own = sorted(hold.target for hold in found if hold is not None and hold.binds(clock))
    if not own:
        return ""
    some = ", ".join(own[:_SHOWN]) + (" …" if len(own) > _SHOWN else "")
    return f"{len(own)} {'target has a hold of its' if len(own) == 1 else 'targets have holds of their'} own: {some}"


def held_targets(base: Snapshot) -> Iterator[str]:
    """The targets that have the file of a hold, whether it binds or is over."""
    for tenant in base.names("holds"):
        names = (name.removesuffix(".json") for name in base.files(f"holds/{tenant}") if name.endswith(".json"))
        yield from (f"{tenant}/{name}" for name in names if is_target(tenant, name))


def _known(repo: Repository, base: Snapshot, text: str) -> None:
    """Problem, with the nearest, unless the target has or had a manifest or has a record."""
    if text == "all":
        return
    target = Target.parse(text)
    there = base.entry(target.manifest_path)
    if (there is not None and there.mode == PLAIN_FILE) or base.names(f"registry/{target}"):
        return
    from pointsman.history.events import (  # costs 12 ms to import, and nearly every target is known
        shipped_ever,
        unknown,
    )

    known = shipped_ever(repo, repo.main)
    if str(target) not in known:
        raise Problem(unknown(target, known))

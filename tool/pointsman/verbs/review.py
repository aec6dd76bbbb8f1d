"""Review: what a change means for the people who get the recommendations, and what is unusual about it.

Records say most of it. What only the contents of two versions can tell is fetched once, and where it cannot be had the
review says so instead of failing. How a review reads is for `review_terminal`, `review_markdown` and `review_html`.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.forge.links import called, pages_of
from pointsman.gate.gate import Gate, Verdict
from pointsman.history.earlier_states import earlier
from pointsman.history.events import shipped_ever, unknown
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.report.review.document import describe
from pointsman.report.review.in_rings import in_rings
from pointsman.report.review.value import Review
from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange
from pointsman.shipping import pulls
from pointsman.shipping.pulls import Pull
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.workspace import Workspace


class Subject(Struct, frozen=True):
    """What is reviewed: a change from a commit to another, or what one target has at each."""

    base: Oid
    head: Oid
    pull: Pull | None = None
    target: Target | None = None


def review(
    workspace: Workspace, named: str | None, *, base: str | None = None, head: str | None = None
) -> Outcome[Review]:
    """What a pull request, a change or the way from an earlier state of a target to another means.

    `named`: a pull request, or a target, for which `base` may be a commit, a version or a time. Without it `head`
    (HEAD, or main of a bare repository) is held against `base`, main unless given.
    """
    gate = workspace.gate
    workspace.repo.refresh()
    subject = _subject(workspace, named, base, head)
    if subject.target is not None:
        verdict = _compared(gate, subject, subject.target)
    else:
        verdict = gate.judge_change(subject.base, subject.head)
    found = describe(gate, subject.base, subject.head, verdict, compared=subject.target is not None)
    pull = pulls.reference(subject.pull) if subject.pull is not None else None
    repo = workspace.repo
    settings = gate.documents.settings(Snapshot(repo, repo.main))
    return Outcome(
        replace(
            found,
            pull_request=pull,
            rings=in_rings(workspace, [each.target for each in found.targets]),
            repository=called(repo),
            at=rfc3339(repo.time_of(subject.head)),
            commit_pages=pages_of(settings, repo),
        )
    )


def _subject(workspace: Workspace, named: str | None, base: str | None, head: str | None) -> Subject:
    repo, gate = workspace.repo, workspace.gate
    if named is None:
        new = repo.resolve(head) if head else repo.resolve("HEAD") if repo.worktree is not None else repo.main
        old = repo.resolve(base) if base else repo.main
        if repo.merge_base(old, new) == new:
            raise Problem("there is nothing to review, main has all of it: name a pull request or a target")
        return Subject(old, new)
    if base is None and head is None:
        pull = _pull(workspace, named)
        if pull is not None:
            return Subject(repo.main, pull.head, pull)
    if set("*?") & set(named):
        raise Problem(f"{named} is a pattern, and here it takes a target, such as grocer/home, or a pull request")
    target = Target.parse(named)
    new = repo.resolve(head) if head else repo.main
    last = gate.lineage(new, target).last
    if last is None:
        raise Problem(unknown(target, shipped_ever(repo, repo.main)))
    if base is not None:
        return Subject(earlier(gate, target, base).commit, new, target=target)
    if not last.commit.parents:
        raise Problem(f"{target} came with the first commit: there is nothing before it to compare with")
    return Subject(last.commit.parents[0], last.commit.oid, target=target)


def _pull(workspace: Workspace, named: str) -> Pull | None:
    """The pull request that is named; None for a target that has none open."""
    if pulls.is_target(named) and not any(named in map(str, pull.targets) for pull in pulls.open_pulls(workspace)):
        return None
    return pulls.find(workspace, named)


def _compared(gate: Gate, subject: Subject, target: Target) -> Verdict:
    """Two states of a target, which nobody proposes and so no rule judges."""
    old, new = Snapshot(gate.repo, subject.base), Snapshot(gate.repo, subject.head)
    documents, settings = gate.documents, gate.documents.settings(Snapshot(gate.repo, gate.repo.main))
    before, after = documents.manifest(old, target), documents.manifest(new, target)
    last = gate.lineage(subject.base, target).last
    change = TargetChange(
        target,
        Kind.RESTORE,
        before,
        after,
        None,
        last.commit.oid if last else None,
        records=documents.slots(new, target, after),
        references=[documents.records(old, target, before)],
    )
    evidence = Evidence(Checkpoint.CHANGE, settings, targets=[change], clock=gate.repo.time_of(subject.head))
    return Verdict((), evidence=evidence)

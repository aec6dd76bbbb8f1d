"""`approve`: one person's signed consent to one change, landed on main as a small file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem, Refused
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.report.approvals import approvals_of
from pointsman.shipping.additions import AddedFile, Additions
from pointsman.shipping.landing import add_to_main
from pointsman.shipping.pulls import NoneOpen, find, open_pulls
from pointsman.shipping.signing import signed_by
from pointsman.state.consent import NAMESPACE, payload_of
from pointsman.state.names import short
from pointsman.state.objects import Oid
from pointsman.values import Approvals, ApprovedBy, PullRequest, Sha256, TargetName
from pointsman.workspace import Workspace

_ASIDE = ("unapproved", "evidence-missing", "on-hold")  # what may still come, or pass by itself


class OneApproval(Struct, frozen=True):
    """What was signed, by whom, and where the signature is."""

    subject: Annotated[Sha256, "the SHA-256 over the lines"]
    lines: Annotated[Sequence[str], "what was approved"]
    by: Annotated[str, "whose key it is, by the file of signers on main"]
    path: Annotated[str, "the file on main"]


class Approved(Struct, frozen=True):
    """One approval, and all that the change has now."""

    approval: OneApproval
    approvals: Sequence[ApprovedBy]
    needed: Annotated[int, "persons"]
    lacking: Annotated[Sequence[str], "who else may approve"]
    dry_run: Annotated[bool, "nothing landed, and approvals lack this one"] = False


class Waiting(PullRequest, frozen=True):
    """An open pull request that needs approvals."""

    targets: Sequence[TargetName]
    title: str
    approvals: Approvals


class Pending(Struct, frozen=True):
    """All open pull requests that need approvals, approved or not."""

    pull_requests: Sequence[Waiting]


def pending(workspace: Workspace) -> Outcome[Pending]:
    """The open pull requests that need approvals, and who has given one."""
    gate, main = workspace.gate, workspace.repo.refresh()
    found = []
    every = open_pulls(workspace)
    workspace.repo.expect(sum(len(pull.targets) for pull in every))
    for pull in every:
        approvals = approvals_of(gate, main, gate.consent(main, pull.head))
        if approvals is not None:
            targets = list(map(str, pull.targets))
            found.append(Waiting(pull.id, pull.opened.url, pull.branch, targets, pull.title, approvals))
    return Outcome(Pending(found))


def approve(
    workspace: Workspace,
    text: str,
    key: str | None = None,
    *,
    dry_run: bool = False,
    show: Callable[[Sequence[str]], None] = lambda _: None,
) -> Outcome[Approved]:
    """Sign a change and land the signature. Problem if it needs no approval, or if the key may not give one.

    `text`: a pull request, or a revision, because a pull request of settings is none of ours. Refused if the gate
    would stop the change all the same. With `dry_run` the key is tried, and nothing lands. `show` gets the lines that
    are signed before the key is asked for.
    """
    repo, gate = workspace.repo, workspace.gate
    main = repo.refresh()
    head, pull = _named(workspace, text)
    verdict = gate.judge_change(main, head, notes=False)
    if faults := [fault for fault in verdict.faults if fault.rule not in _ASIDE]:
        raise Refused(faults)
    consent = verdict.evidence.consent if verdict.evidence is not None else None
    if consent is None:
        needs = gate.documents.settings(Snapshot(repo, main)).approvals
        says = "this change needs none" if needs else "[policy] approvals of main demands none"
        raise Problem(f"nothing to approve: {says}")
    show(consent.lines)
    signed, by = signed_by(workspace, payload_of(consent.lines), NAMESPACE, key)
    file = AddedFile(signed.approval_path, signed.render())
    if not dry_run and not {*by.split(" = ")} & {name for each in consent.by for name in each.names}:
        subject = f"approve: {short(consent.subject)} by {by}"
        add_to_main(workspace, Snapshot(repo, main).settings(), Additions([file], lambda _: subject))
    main = repo.main
    now = approvals_of(gate, main, gate.consent(main, head))
    assert now is not None
    one = OneApproval(consent.subject, list(consent.lines), by, file.path)
    passes = not dry_run and len(now.by) >= now.needed and all(each.rule == "unapproved" for each in verdict.faults)
    notes = (f"next: pointsman pr merge {pull}",) if pull and passes else ()
    return Outcome(Approved(one, now.by, now.needed, now.lacking, dry_run), notes=notes)


def _named(workspace: Workspace, text: str) -> tuple[Oid, str]:
    """The head of the change that is named, and the id of its pull request; "" if it is none of ours."""
    try:
        pull = find(workspace, text)
        return pull.head, pull.id
    except NoneOpen as none:
        try:
            return workspace.repo.resolve(text), ""
        except Problem:
            raise none from None

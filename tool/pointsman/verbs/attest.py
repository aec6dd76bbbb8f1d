"""`attest`: what somebody found out about versions, signed, beside their records on main."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Struct

from pointsman.errors import Fault, Problem
from pointsman.files import read_file, why
from pointsman.gate.attestations import NAMESPACE
from pointsman.history.events import shipped_ever, unknown
from pointsman.history.versions import find_version, read_version
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.shipping.additions import AddedFile, Additions
from pointsman.shipping.landing import add_to_main
from pointsman.shipping.pulls import open_pulls
from pointsman.shipping.signing import signed_by
from pointsman.state import recsys_eval, strict_json
from pointsman.state.names import Target, check_name, short
from pointsman.state.statement import Statement, Subject
from pointsman.values import SlotName, TargetName, Version
from pointsman.workspace import Workspace

_MOST_BYTES = 16_000_000  # of a report
_MOST_SUBJECTS = 100


class Request(Struct, frozen=True):
    """About what, and what was found. `predicate` and `report` with `decision` are files, one or the other."""

    subjects: tuple[str, ...] = ()
    name: str = ""
    predicate: str | None = None
    report: str | None = None
    decision: str | None = None
    key: str | None = None
    dry_run: bool = False  # try all, land nothing

    def __post_init__(self) -> None:
        if (self.predicate is None) == (self.report is None):
            raise Problem("say what was found with --predicate FILE, or with --recsys-eval REPORT --decision FILE")
        if (self.report is None) != (self.decision is None):
            raise Problem("--recsys-eval and --decision belong together: the report says what was measured")
        if self.predicate is not None and not (self.subjects and self.name):
            raise Problem("--predicate needs --name NAME, and the targets or versions that it is about")
        if self.report is not None and self.subjects:
            raise Problem("the report says which versions it is about: leave the targets and versions out")
        if self.name:
            check_name(self.name, "--name")


class OneAttested(Struct, frozen=True):
    """Evidence about one version, and the file that has it."""

    target: TargetName
    type: SlotName
    version: Version
    name: str
    path: str


class AttestedVersions(Struct, frozen=True):
    """All that was attested, and by whom."""

    evidence: Sequence[OneAttested]
    by: str
    dry_run: Annotated[bool, "nothing landed"] = False


def attest(workspace: Workspace, request: Request) -> Outcome[AttestedVersions]:
    """Sign a statement about versions of main and land it beside the record of each."""
    repo = workspace.repo
    repo.refresh()
    head = Snapshot(repo, repo.main)
    statement = _statement(workspace, head, request)
    for target, slot, version in statement.subjects:
        if head.entry(target.record_path(slot, version)) is None:
            raise Problem(f"{target} {slot} {short(version)} is not recorded on main: publish it first")
    signed, by = signed_by(workspace, statement.render(), NAMESPACE, request.key)
    data, settings = signed.render(), workspace.gate.documents.settings(head)
    if len(data) > settings.state_file_bytes:
        says = f"the limit is {settings.state_file_bytes} ([limits] state_file_bytes)"
        raise Problem(f"this evidence has {len(data)} bytes, and {says}: leave out what nobody decides by")
    paths = {subject: signed.evidence_path(*subject) for subject in statement.subjects}
    subject = f"attest: {statement.name} of {len(paths)} version{'s' if len(paths) > 1 else ''} by {by}"
    files = [AddedFile(path, data) for path in paths.values()]
    if not request.dry_run:
        add_to_main(workspace, settings, Additions(files, lambda _: subject))
    told = [OneAttested(str(each[0]), each[1], each[2], statement.name, path) for each, path in paths.items()]
    return Outcome(AttestedVersions(told, by, request.dry_run))


def _statement(workspace: Workspace, head: Snapshot, request: Request) -> Statement:
    if request.report is not None and request.decision is not None:
        name = request.name or "offline-eval"
        return recsys_eval.statement_of(name, _read(request.report), _read(request.decision))
    assert request.predicate is not None
    predicate = _predicate(request.predicate)
    subjects = dict.fromkeys(each for text in request.subjects for each in _subjects(workspace, head, text))
    if len(subjects) > _MOST_SUBJECTS:
        raise Problem(f"{len(subjects)} versions at once: name at most {_MOST_SUBJECTS}")
    return Statement(request.name, tuple(subjects), predicate)


def _read(path: str) -> bytes:
    try:
        return read_file(path, _MOST_BYTES)
    except OSError as error:
        raise Problem(f"{path} cannot be read: {why(error)}") from error


def _predicate(path: str) -> Mapping[str, Any]:
    found = strict_json.read(_read(path), path)
    if isinstance(found, Fault):
        raise Problem(str(found))
    if not isinstance(found, dict):
        raise Problem(f"{path} is no JSON object: what was found has members with names")
    return found


def _subjects(workspace: Workspace, head: Snapshot, text: str) -> list[Subject]:
    """The versions that a user means: one, or of a target those of its open ship, else those that are current."""
    if "/" not in text or read_version(text) is not None:
        found = find_version(head, text)
        return [(found.target, found.slot, found.version)]
    target = Target.parse(text)
    pulls = [pull for pull in open_pulls(workspace) if target in pull.targets and pull.branch.startswith("ship/")]
    if len(pulls) > 1:
        names = ", ".join(pull.branch for pull in pulls[:_MOST_SUBJECTS])
        raise Problem(f"{target} has {len(pulls)} open ships ({names}): name the versions")
    for said in pulls[0].message.said if pulls else ():
        if said.target == target and said.records:
            return [(target, slot, version) for slot, version in sorted(said.records.items())]
    manifest = workspace.gate.documents.manifest(head, target)
    if manifest is None:
        if str(target) not in (ever := shipped_ever(workspace.repo, workspace.repo.main)):
            raise Problem(unknown(target, ever))
        raise Problem(f"{target} has no open ship, and no manifest on main: name a version")
    return [(target, slot, version) for slot, version in sorted(manifest.versions.items())]

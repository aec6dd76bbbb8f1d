"""Rules about targets: what manifests may point to, and what may follow what. Pure functions on a case."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import Fault
from pointsman.rules.evidence import Blob, Evidence, Kind
from pointsman.state.documents import Manifest, Record
from pointsman.state.message import Said


def record_not_landed(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for slot, record in change.records.items():
            if record is None and change.after is not None and slot in change.after.versions:
                version = change.after.versions[slot]
                place = change.target.record_path(slot, version)
                says = f"{slot} {version[:12]} has no record on main ({place}): publish it first"
                yield Fault(change.target.manifest_path, "record-not-landed", says)
    for path in sorted(evidence.unrecorded):
        yield Fault(path, "record-not-landed", "main has no record of this version: there is nothing to retire")


def stale_base(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.said is None or (change.kind is not Kind.SHIP and change.said.supersedes is None):
            continue
        replaces, last = change.said.supersedes, change.last or "none"
        if replaces != last:
            again = "publish" if change.kind is Kind.SHIP else "roll back"
            says = (
                f"{change.target} was built on a manifest that is no longer current (it replaces "
                f"{(replaces or 'nothing it names')[:12]}, main has {last[:12]}): {again} again"
            )
            yield Fault(change.target.manifest_path, "stale-base", says)


def unvouched_manifest(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.EDIT and change.after is not None:
            says = (
                "nothing vouches for these bytes: no Manifest: line of the change names them and main never had them "
                "in a good state (a hand edit, a merge that blended two ships, or a squash that lost the message): "
                "make changes with pointsman publish, and put back what is on main with pointsman rollback"
            )
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif (
            change.kind is Kind.SHIP and change.after is not None and (slot := _contradicts(change.after, change.said))
        ):
            says = f"its message says something else of {slot} than its bytes: publish it again"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)
        elif not change.restores_known:
            says = "a Restores: line names a version that this slot never had: use pointsman rollback"
            yield Fault(change.target.manifest_path, "unvouched-manifest", says)


def _contradicts(after: Manifest | None, said: Said | None) -> str | None:
    """The first slot that a message speaks of in a Record: or Drop: line otherwise than the manifest does."""
    if said is None or after is None:
        return None
    wrong = [slot for slot, version in said.records.items() if after.versions.get(slot) != version]
    return next(iter([*wrong, *(slot for slot in said.drops if slot in after.current)]), None)


def manifest_removed(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.REMOVAL and not change.undoes_first:
            says = (
                "the manifest is removed: serving would have nothing; to take out one type use pointsman publish "
                "--drop, to undo a ship git revert; if it is meant, the message says "
                f"'Accept: {change.target} manifest-removed <why>'"
            )
            yield Fault(change.target.manifest_path, "manifest-removed", says)


def rolled_back(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        if change.kind is Kind.SHIP and change.after is not None:
            for slot in sorted(change.taken_out):
                version = change.after.versions[slot]
                says = f"{slot} {version[:12]} was rolled back: publish with --reship if it is good after all"
                yield Fault(change.target.manifest_path, "rolled-back", says)


def on_hold(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for path, hold in change.holds.items() if change.kind is Kind.SHIP else ():
            if hold is None:
                says = f"the hold {path} cannot be read, and may be one on {change.target}: mend or remove it first"
                yield Fault(change.target.manifest_path, "on-hold", says)
            elif hold.binds(evidence.clock):
                says = (
                    f"{change.target} is on hold until {hold.until} ({hold.reason}): ship it later, or end it before "
                    f"its time with pointsman release {hold.target}; restores pass"
                )
                yield Fault(change.target.manifest_path, "on-hold", says)


def retired(evidence: Evidence) -> Iterator[Fault]:
    for change in evidence.targets:
        for slot in sorted(change.retired):
            version = change.after.versions[slot] if change.after is not None else ""
            place = change.target.tombstone_path(slot, version)
            says = f"{slot} {version[:12]} was retired ({place}): use another version"
            yield Fault(change.target.manifest_path, "retired", says)
    for path in sorted(evidence.pointed_to):
        yield Fault(path, "retired", "main's manifest points to this version: ship another before retiring it")


def rewritten_history(evidence: Evidence) -> Iterator[Fault]:
    for seen_by, commit in evidence.lost.items():
        says = (
            f"main did not grow from {commit[:12]}, {seen_by}: it was rewritten, or a merge was pushed that has it "
            "as a side (git pull without --rebase), or the remote answered with an old state; find out which, then "
            "--accept-rewrite goes on from what main is now"
        )
        yield Fault("main", "rewritten-history", says)


def blob_missing(evidence: Evidence) -> Iterator[Fault]:
    for path, slot, record, blob in _blobs(evidence):
        if blob.size is None:
            yield Fault(path, "blob-missing", f"{slot}: no blob at {record.uri}: publish its artifact again")
        elif blob.size != record.size:
            says = f"{slot}: the blob at {record.uri} has {blob.size} bytes, its record says {record.size}: restore it"
            yield Fault(path, "blob-missing", says)


def blob_altered(evidence: Evidence) -> Iterator[Fault]:
    for path, slot, record, blob in _blobs(evidence):
        if blob.sha256 is not None and blob.sha256 != record.version:
            says = f"{slot}: the bytes at {record.uri} are not those of its version: the store was altered, restore it"
            yield Fault(path, "blob-altered", says)


def _blobs(evidence: Evidence) -> Iterator[tuple[str, str, Record, Blob]]:
    """Path to blame, slot, record and blob, for every blob that was looked at."""
    for change in evidence.targets:
        for slot, record in change.records.items():
            if (
                record is not None
                and change.after is not None
                and (blob := evidence.blobs.get(change.after.current[slot]))
            ):
                yield change.target.manifest_path, slot, record, blob
    for document in evidence.documents:
        if (
            isinstance(document.value, Record)
            and (found := evidence.blobs.get(document.value.uri))
            and not evidence.targets
        ):
            yield document.path, document.value.type, document.value, found

"""State files: manifests, records, tombstones, holds and what somebody signed. Bytes in, checked values out."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Fault
from pointsman.patterns import pattern
from pointsman.state import strict_json
from pointsman.state.names import Target
from pointsman.state.statement import Statement, read_statement

if TYPE_CHECKING:
    import jsonschema_rs

HOLD_ON_ALL = "holds/all.json"
_MOST_FAULTS = 20  # of one document
_LONGEST = 300  # characters of what is wrong with it
_LATEST_UPDATE = "9999-12-31"
_APPROVED = pattern(r"(?:[A-Z][A-Za-z-]+: [^\x00-\x1f\x7f-\x9f\u2028\u2029]+\n)+")
_VERSION_IN_URI = pattern(r"/([0-9a-f]{64})\.json\Z")


class Manifest(Struct, frozen=True):
    """What one target serves: artifact type → absolute URI of a blob."""

    tenant: str
    surface: str
    current: Mapping[str, str]
    updated_at: str  # RFC 3339, UTC, always six digits of fraction

    @property
    def versions(self) -> dict[str, str]:
        """Artifact type → version, for each slot with a version at the end of its URI."""
        found = ((slot, version_in(uri)) for slot, uri in self.current.items())
        return {slot: version for slot, version in found if version is not None}

    def render(self) -> bytes:
        return _render(
            {
                "v": 1,
                "tenant": self.tenant,
                "surface": self.surface,
                "current": dict(sorted(self.current.items())),
                "updated_at": self.updated_at,
            }
        )


class Record(Struct, frozen=True):
    """One artifact version: where its blob is, and what readers need to know without fetching it."""

    tenant: str
    surface: str
    segment: str
    type: str
    version: str
    window_start: str
    window_end: str
    uri: str
    size: int  # bytes of the blob
    built_at: str
    source_hash: str
    summary: Mapping[str, int]
    recorded_at: str
    run: str
    commit: str
    tool: str

    @property
    def target(self) -> Target:
        return Target(self.tenant, self.surface)

    @property
    def path(self) -> str:
        return self.target.record_path(self.type, self.version)

    def render(self) -> bytes:
        return _render(
            {
                "v": 1,
                "tenant": self.tenant,
                "surface": self.surface,
                "segment": self.segment,
                "type": self.type,
                "version": self.version,
                "window": {"start": self.window_start, "end": self.window_end},
                "uri": self.uri,
                "size": self.size,
                "built_at": self.built_at,
                "source_hash": self.source_hash,
                "summary": dict(sorted(self.summary.items())),
                "recorded_at": self.recorded_at,
                "producer": {"run": self.run, "commit": self.commit, "tool": self.tool},
            }
        )


class Tombstone(Struct, frozen=True):
    """One artifact version taken out of use: no manifest may point to it while main has this. To erase is for good."""

    tenant: str
    surface: str
    type: str
    version: str
    reason: str
    erase: bool | None = None  # its bytes must go, whatever a rollback may need; None: left out, which means no

    @property
    def path(self) -> str:
        return Target(self.tenant, self.surface).tombstone_path(self.type, self.version)

    def render(self) -> bytes:
        return _render(
            {
                "v": 1,
                "tenant": self.tenant,
                "surface": self.surface,
                "type": self.type,
                "version": self.version,
                "reason": self.reason,
                **({"erase": self.erase} if self.erase is not None else {}),
            }
        )


class Hold(Struct, frozen=True):
    """No ships of `target` ("tenant/surface", or "all") before `until`, and no ring more for the ship `rollout`."""

    target: str
    until: str  # RFC 3339, UTC; "": ships pass
    reason: str
    rollout: str = ""  # the commit of a ship that stays, with all before it, in the rings that have it; "": none

    @property
    def path(self) -> str:
        return HOLD_ON_ALL if self.target == "all" else Target.parse(self.target).hold_path

    def binds(self, clock: int) -> bool:
        """Whether this hold stops a ship committed at `clock`, in seconds since 1970."""
        return bool(self.until) and clock < datetime.fromisoformat(self.until).timestamp()

    def render(self) -> bytes:
        until, rollout = (
            {name: each} if each else {} for name, each in (("until", self.until), ("rollout", self.rollout))
        )
        return _render({"v": 1, "target": self.target, **until, "reason": self.reason, **rollout})


class Signed(Struct, frozen=True):
    """What somebody signed, evidence or an approval. Whose signature it is, and whether it is right, is not said."""

    payload: bytes
    signature: str  # as ssh-keygen writes it, with its line ends
    statement: Statement | None = None  # of evidence: what is signed

    @property
    def digest(self) -> str:
        """The SHA-256 of the file; its first digits are in its name."""
        return hashlib.sha256(self.render()).hexdigest()

    @property
    def approval_path(self) -> str:
        """The path of an approval: the SHA-256 of what was approved, and the first digits of its own."""
        return f"approvals/{hashlib.sha256(self.payload).hexdigest()}.{self.digest[:16]}.json"

    def evidence_path(self, target: Target, slot: str, version: str) -> str:
        """The path of evidence about a version, beside its record."""
        return f"registry/{target}/{slot}/{version}.evidence.{self.digest[:12]}.json"

    def render(self) -> bytes:
        return _render({"v": 1, "payload": base64.b64encode(self.payload).decode(), "signature": self.signature})


def version_in(uri: str) -> str | None:
    """The version at the end of the URI of a blob, if one is there."""
    found = _VERSION_IN_URI.search(uri)
    return found[1] if found is not None else None


def read_manifest(data: bytes, path: str) -> Manifest | list[Fault]:
    """The manifest in `data`, or all faults of its JSON and schema. `path` is used only in the faults."""
    document = _read(data, path, "manifest")
    if isinstance(document, list):
        return document
    if fault := _invalid_date(document["updated_at"], "$.updated_at", path):
        return [fault]
    if document["updated_at"] >= _LATEST_UPDATE:
        return [Fault(path, "schema", "$.updated_at: no later manifest could follow this one; write the current time")]
    return Manifest(document["tenant"], document["surface"], document["current"], document["updated_at"])


def read_record(data: bytes, path: str) -> Record | list[Fault]:
    """The record in `data`, or all faults of its JSON and schema. `path` is used only in the faults."""
    document = _read(data, path, "record")
    if isinstance(document, list):
        return document
    window, producer = document.pop("window"), document.pop("producer")
    if fault := _invalid_date(document["recorded_at"], "$.recorded_at", path):
        return [fault]
    for end, text in window.items():
        # Any year is allowed here, even 0000, which Python refuses. So the rest is checked in 2000, a leap year.
        if fault := _invalid_date(text, f"$.window.{end}", path, checked=f"2000{text[4:]}"):
            return [fault]
    del document["v"]
    return Record(**document, window_start=window["start"], window_end=window["end"], **producer)


def read_tombstone(data: bytes, path: str) -> Tombstone | list[Fault]:
    """The tombstone in `data`, or all faults of its JSON and schema. `path` is used only in the faults."""
    document = _read(data, path, "tombstone")
    if isinstance(document, list):
        return document
    del document["v"]
    return Tombstone(**document)


def read_hold(data: bytes, path: str) -> Hold | list[Fault]:
    """The hold in `data`, or all faults of its JSON and schema. `path` is used only in the faults."""
    document = _read(data, path, "hold")
    if isinstance(document, list):
        return document
    if "until" in document and (fault := _invalid_date(document["until"], "$.until", path)):
        return [fault]
    del document["v"]
    return Hold(**{"until": "", **document})


def read_evidence(data: bytes, path: str) -> Signed | list[Fault]:
    """The evidence in `data`, or all faults of its JSON, its schema, and the statement that is signed."""
    found = _read_signed(data, path)
    if isinstance(found, list):
        return found
    statement = read_statement(found.payload, path)
    return [statement] if isinstance(statement, Fault) else replace(found, statement=statement)


def read_approval(data: bytes, path: str) -> Signed | list[Fault]:
    """The approval in `data`, or all faults of its JSON, its schema, and the lines that are signed."""
    found = _read_signed(data, path)
    if isinstance(found, Signed) and not _APPROVED.fullmatch(found.payload.decode("utf-8", "replace")):
        return [Fault(path, "schema", "$.payload: these are no lines of a change: approve it with pointsman approve")]
    return found


def _read_signed(data: bytes, path: str) -> Signed | list[Fault]:
    document = _read(data, path, "signed")
    if isinstance(document, list):
        return document
    try:
        payload = base64.b64decode(document["payload"], validate=True)
    except ValueError:
        return [Fault(path, "schema", "$.payload: this is not base64")]
    return Signed(payload, document["signature"])


def _read(data: bytes, path: str, kind: str) -> Any:
    document, has_double = strict_json.read_noting_doubles(data, path)
    if isinstance(document, Fault):
        return [document]
    if _validator(kind).is_valid(document):
        # JSON Schema takes 1.0 for an integer. Go, which reads the pointers, does not.
        double = _first_double(document, "$") if has_double else None
        return (
            [Fault(path, "schema", f"{double}: write a whole number without point or exponent")] if double else document
        )
    # The fast validator says only whether a document is valid. The slow one says why; its import costs 50 ms.
    from jsonschema import Draft202012Validator

    errors = islice(Draft202012Validator(_schema(kind)).iter_errors(document), _MOST_FAULTS)
    faults = [Fault(path, "schema", f"{_cut(error.json_path)}: {_cut(error.message)}") for error in errors]
    return faults or [Fault(path, "schema", f"this is not a {kind}: a name or a time ends in a line break")]


def _cut(text: str) -> str:
    """A message may quote the whole document."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 60]}...{text[-57:]}"


def _first_double(value: object, place: str) -> str | None:
    """The place of the first number with a point or an exponent. State documents have only integers."""
    if isinstance(value, float):
        return place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for name, each in inner if (found := _first_double(each, f"{place}.{name}"))), None)


def _invalid_date(text: str, place: str, path: str, *, checked: str | None = None) -> Fault | None:
    """A fault for a text that has the form of a time, but a day or an hour that does not exist."""
    try:
        datetime.fromisoformat(checked or text)
    except ValueError:
        return Fault(path, "schema", f"{place}: {text} is not a valid date")
    return None


@cache
def _schema(kind: str) -> Any:
    # Opened as a plain file: importlib.resources would cost every command 13 ms.
    with open(os.path.join(os.path.dirname(os.path.dirname(__file__)), "schemas", f"{kind}.schema.json"), "rb") as file:
        return json.load(file)


@cache
def _validator(kind: str) -> jsonschema_rs.Validator:
    import jsonschema_rs

    return jsonschema_rs.validator_for(_schema(kind))


def _render(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def moment(time: datetime) -> str:
    """RFC 3339 in UTC, always with six digits of fraction."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339(seconds: int) -> str:
    """A git time in UTC, without fraction. A time before 1970 or after 9999 becomes the nearest one between."""
    clamped = min(max(seconds, 0), 253402300799)
    return datetime.fromtimestamp(clamped, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def later_moment(now: datetime, than: str | None) -> str:
    """`now`, or one microsecond after `than` if the clock is not past it: `updated_at` grows with every ship."""
    if than is not None and moment(now) <= than:
        now = datetime.strptime(than, "%Y-%m-%dT%H:%M:%S.%f%z") + timedelta(microseconds=1)
    return moment(now)

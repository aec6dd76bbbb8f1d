"""Artifacts: read strictly, compared with their place, named by the hash of their canonical form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import Struct

from pointsman.artifact import built_in, exact
from pointsman.artifact.built_in import LAYOUTS, Document
from pointsman.artifact.exact import Claims
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault, Problem
from pointsman.patterns import pattern
from pointsman.state import strict_json
from pointsman.state.names import is_name
from pointsman.state.strict_json import shown
from pointsman.state.suggest import did_you_mean
from pointsman.state.times import rfc3339_instant

_LONGEST_NAME = 64  # characters of a type that are compared with the names of those there are
_control = pattern("[\x00-\x1f\x7f-\x9f]")
_limit_names = tuple(f"max_{name}_{what}" for name, layout in LAYOUTS.items() for what in layout.counted)


class Artifact(Struct, frozen=True):
    """A document that was read. Every value has the right type, and `version` is the SHA-256 of `canonical`.

    Its names may break the grammar of names: check them before publishing it.
    """

    tenant: str
    surface: str
    segment: str  # empty if there is none
    type: str
    window_start: str  # as written: the text is hashed, not the instant
    window_end: str
    version: str
    canonical: bytes
    built_at: str
    source_hash: str
    claimed_version: str  # the value of build.version: empty or `version`
    summary: Mapping[str, int]  # rows, then leaves over all rows: {"users": 10, "items": 200}; lists and maps by name


class Reference(Struct, frozen=True):
    """The place of an artifact, from a staged path or a record. Windows are RFC 3339 times."""

    tenant: str
    surface: str
    segment: str
    type: str
    version: str
    window_start: str
    window_end: str

    def fault(self, path: str) -> Fault | None:
        """A `bad-path` fault if no artifact at all can have this place."""
        for what in ("tenant", "surface", "segment", "type", "version"):
            name: str = getattr(self, what)
            if not name and what == "segment":
                continue
            if not name.strip():
                return Fault(path, "bad-path", f"the reference's {what} must be set; it is {shown(name)}")
            if "/" in name or "\\" in name or ".." in name or _control.search(name):
                says = f"{shown(name)} cannot be a part of a path; use no slashes, '..' or control characters"
                return Fault(path, "bad-path", f"the reference's {what} {says}")
        wrong = window_trouble(self.window_start, self.window_end)
        return Fault(path, "bad-path", f"the reference's {wrong}") if wrong else None


def read(
    data: bytes,
    path: str,
    *,
    types: Mapping[str, UserType | Fault] | None = None,
    reference: Reference | None = None,
    limits: Mapping[str, int] | None = None,
    any_source_hash: bool = False,
) -> Artifact | Fault:
    """The artifact in `data`, or the first fault about it. `path` is used only in the fault.

    Faults have the rules `bad-json`, `schema`, `wrong-place` (the document differs from `reference`),
    `version-mismatch` (the document claims a version that it does not have) and `bad-path` (`reference` is wrong).
    An artifact whose type has a fault as its schema cannot be read, and is told that fault.
    `limits` bound list lengths, 0 for no bound: max_popularity_items, max_cooc_rows, max_cooc_neighbors, and so on for
    `LAYOUTS[...].counted`. A wrong `build.source_hash` is a fault unless `any_source_hash`: it is not part of the hash.

    `data` is freed after decoding. That saves memory only if the caller keeps no reference to it:
    `read(file.read_bytes(), …)`.
    """
    judge = _Judge(path, types or {}, reference, limits or {}, any_source_hash)
    fault = judge.before_reading()
    if fault:
        return fault
    plain = built_in.decode(data)
    if plain:
        del data
        return _of_document(*plain, judge)
    tree = strict_json.read_exactly(data, path)
    del data
    return tree if isinstance(tree, Fault) else _of_tree(tree, judge)


def _of_document(document: Document, leaves: Sequence[int], judge: _Judge) -> Artifact | Fault:
    claims = Claims(
        v=document.v,
        type=document.artifact_type,
        tenant=document.tenant,
        surface=document.surface,
        segment=document.segment or "",
        window_start=document.window.start,
        window_end=document.window.end,
        built_at=document.build.built_at,
        version=document.build.version,
        source_hash=document.build.source_hash or "",
    )
    fault = judge.of_kind(claims) or judge.of_place(claims) or judge.of_lengths(claims.type, leaves)
    return fault or judge.of_hash(claims, built_in.canonical(document), _summary(claims.type, leaves))


def _of_tree(tree: object, judge: _Judge) -> Artifact | Fault:
    if not isinstance(tree, dict):
        return judge.fault("schema", f"$: is {exact.kind(tree)}; an artifact is an object")
    claims = exact.claims(tree, judge.path)
    if isinstance(claims, Fault):
        return claims
    fault = judge.of_kind(claims)
    if fault:
        return fault
    if claims.type not in LAYOUTS:
        own = judge.types[claims.type]
        if isinstance(own, Fault):
            return own
        members = own.body(tree, judge.path)
        if isinstance(members, Fault):
            return members
        canonical = exact.canonical(claims, members)
        return judge.of_place(claims) or judge.of_hash(claims, canonical, own.summary(members))
    body = exact.body(tree, LAYOUTS[claims.type], judge.path)
    if isinstance(body, Fault):
        return body
    fault = judge.of_place(claims) or judge.of_lengths(claims.type, body.leaves) or body.broken
    canonical = exact.canonical(claims, body.members)
    return fault or judge.of_hash(claims, canonical, _summary(claims.type, body.leaves))


def _summary(artifact_type: str, leaves: Sequence[int]) -> dict[str, int]:
    return dict(zip(LAYOUTS[artifact_type].counted, (len(leaves), sum(leaves)), strict=False))


class _Judge(Struct, frozen=True):
    """The checks of a document, in the order of recsys-pipelines: reference, v, type, version, key, window."""

    path: str
    types: Mapping[str, UserType | Fault]
    reference: Reference | None
    limits: Mapping[str, int]
    any_source_hash: bool

    def before_reading(self) -> Fault | None:
        for name in self.limits:
            if name not in _limit_names:
                raise Problem(f"no such limit: {name!r} (one of {', '.join(_limit_names)})")
        if self.reference is None:
            return None
        return self.reference.fault(self.path) or self._unknown(self.reference.type, "the reference's type")

    def of_kind(self, claims: Claims) -> Fault | None:
        if wrong := v_trouble(claims.v):
            return self.fault("schema", f"$.v: {wrong}")
        if self.reference and claims.type != self.reference.type:
            return self._misplaced("artifact_type", claims.type, self.reference.type)
        return self._unknown(claims.type, "$.artifact_type")

    def of_place(self, claims: Claims) -> Fault | None:
        window = claims.window_start, claims.window_end
        return self._of_claimed_version(claims) or self._of_key(claims) or self._of_window(*window)

    def of_lengths(self, artifact_type: str, leaves: Sequence[int]) -> Fault | None:
        """A fault if there are more rows, or more leaves in a row, than the limits allow."""
        layout = LAYOUTS[artifact_type]
        rows, *inner = (self.limits.get(f"max_{artifact_type}_{what}", 0) for what in layout.counted)
        if 0 < rows < len(leaves):
            says = f"{len(leaves)} {layout.counted[0]} exceed the limit of {rows}"
            return self.fault("schema", f"$.{layout.rows}: {says}; shorten the list or raise the limit")
        for most in inner:
            index = next((i for i, many in enumerate(leaves) if 0 < most < many), None)
            if index is not None:
                says = f"{leaves[index]} {layout.counted[1]} exceed the limit of {most}"
                where = f"$.{layout.rows}[{index}].{layout.leaves}"
                return self.fault("schema", f"{where}: {says}; shorten the list or raise the limit")
        return None

    def of_hash(self, claims: Claims, canonical: bytes, summary: Mapping[str, int]) -> Artifact | Fault:
        """The artifact, or a fault if it claims a version that it does not have."""
        version = hashlib.sha256(canonical).hexdigest()
        for member, claimed in (("version", claims.version), ("source_hash", claims.source_hash)):
            if claimed not in ("", version) and not (member == "source_hash" and self.any_source_hash):
                says = f"$.build.{member}: is {shown(claimed)}, but the document hashes to {version}; build it again"
                return self.fault("version-mismatch", says)
        return Artifact(
            tenant=claims.tenant,
            surface=claims.surface,
            segment=claims.segment,
            type=claims.type,
            window_start=claims.window_start,
            window_end=claims.window_end,
            version=version,
            canonical=canonical,
            built_at=claims.built_at,
            source_hash=claims.source_hash,
            claimed_version=claims.version,
            summary=summary,
        )

    def _of_claimed_version(self, claims: Claims) -> Fault | None:
        if self.reference is None or claims.version == self.reference.version:
            return None
        says = (
            f"$.build.version: is {shown(claims.version)}, but its path or record says {shown(self.reference.version)}"
        )
        return self.fault("version-mismatch", f"{says}; move it to its own place or build it again")

    def _of_key(self, claims: Claims) -> Fault | None:
        for member in ("tenant", "surface", "segment"):
            name: str = getattr(claims, member)
            if not name and member != "segment":
                return self.fault("schema", f"$.{member}: {empty(member)}")
            if self.reference and name != getattr(self.reference, member):
                return self._misplaced(member, name, getattr(self.reference, member))
        return None

    def _of_window(self, start: str, end: str) -> Fault | None:
        wrong = window_trouble(start, end)
        if wrong:
            return self.fault("schema", f"$.{wrong}")
        if self.reference is None:
            return None
        for member, text in (("start", start), ("end", end)):
            expected: str = getattr(self.reference, f"window_{member}")
            if rfc3339_instant(text) != rfc3339_instant(expected):
                return self._misplaced(f"window.{member}", text, expected)
        return None

    def _unknown(self, artifact_type: str, where: str) -> Fault | None:
        wrong = type_trouble(artifact_type, self.types)
        return self.fault("schema", f"{where}: {wrong}") if wrong else None

    def _misplaced(self, member: str, found: str, expected: str) -> Fault:
        says = f"$.{member}: is {shown(found)}, but its path or record says {shown(expected)}; move it to its own place"
        return self.fault("wrong-place", says)

    def fault(self, rule: str, says: str) -> Fault:
        return Fault(self.path, rule, says)


def empty(member: str) -> str:
    """What is said of a tenant or surface without a letter."""
    return f"is empty; name the {member}"


def v_trouble(v: int) -> str | None:
    """Why a document with this `v` cannot be read."""
    return None if v == 1 else f"is {shown(v)}; this version reads only artifacts with v 1"


def type_trouble(artifact_type: str, types: Mapping[str, UserType | Fault]) -> str | None:
    """Why a document of this type cannot be read: nobody declares it, or its schema cannot be used."""
    own_type = types.get(artifact_type)
    if isinstance(own_type, Fault):
        return f"the schema of this type cannot be used: {own_type}"
    if artifact_type in LAYOUTS or own_type is not None:
        return None
    known = (*LAYOUTS, *types)
    near = did_you_mean(artifact_type[:_LONGEST_NAME], known, most=3, always=False)
    meant = near or f"; there are {', '.join(known)}."
    own = ""
    if is_name(artifact_type):
        file = f"registry/schemas/{artifact_type}.schema.json"
        own = f" Or declare it in {file}, which pointsman type new {artifact_type} --from FILE writes"
    return f"unknown artifact type {shown(artifact_type)}{meant}{own}"


def window_trouble(start: str, end: str) -> str | None:
    """What is wrong with a window, with the member's name first; None if nothing is."""
    for member, text in (("start", start), ("end", end)):
        instant = rfc3339_instant(text)
        if instant is None:
            return f"window.{member}: {shown(text)} is not an RFC 3339 time; write it as 2026-01-01T00:00:00Z"
        if instant == (0, 0):
            return f"window.{member}: the zero time counts as unset; set it"
    if (rfc3339_instant(start) or ()) >= (rfc3339_instant(end) or ()):
        return f"window: the end {shown(end)} must be after the start {shown(start)}; give a later end"
    return None

"""All that is wrong with a document, for whoever has to mend it: `read` stops at the first fault.

The first fault stays first. What is said of many entries of a list alike is told once, with their number. Of very many
faults only the first ones are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from pointsman.artifact import exact
from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.exact import ENVELOPE, Refusal, integer, kind, missing_member, string, wrong_members
from pointsman.artifact.reader import empty, type_trouble, v_trouble, window_trouble
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault
from pointsman.state import strict_json
from pointsman.state.strict_json import Trail

MOST = 20  # of one document
_SEEN = 10_000  # faults that are looked at
_TEXTS = ("artifact_type", "tenant", "surface", "segment")


def every_fault(data: bytes, path: str, first: Fault, types: Mapping[str, UserType | Fault]) -> list[Fault]:
    """`first`, which `read` found in `data`, and what else is wrong there, at most `MOST` faults."""
    tree = strict_json.read_exactly(data, path) if first.rule in ("schema", "version-mismatch") else first
    if not isinstance(tree, dict):
        return [first]
    alike: dict[tuple[object, ...], dict[Fault, None]] = {}  # faults that differ in an index alone
    for refusal in islice(_every(tree, types), _SEEN):
        faults = alike.setdefault((*_names(refusal.trail), refusal.rule, refusal.says), {})
        faults.setdefault(refusal.fault(path))
    kept = next((faults for faults in alike.values() if first in faults), None)
    groups = [{first: None}] if kept is None else []
    groups += sorted(alike.values(), key=lambda faults: faults is not kept)
    found = [_together(next(iter(faults)) if faults is not kept else first, len(faults)) for faults in groups]
    if len(found) > MOST:
        found[MOST:] = [Fault(path, "schema", f"and more: these are the first {MOST}")]
    return found


def _names(trail: Trail) -> Iterator[str | None]:
    """The steps of a place, None for each index."""
    while trail:
        trail, step = trail
        yield None if isinstance(step, int) else step


def _together(fault: Fault, count: int) -> Fault:
    more = f" (the same is wrong at {count - 1} more {'place' if count == 2 else 'places'} like this)"
    return Fault(fault.path, fault.rule, fault.says + more) if count > 1 else fault


def _every(tree: dict[str, object], types: Mapping[str, UserType | Fault]) -> Iterator[Refusal]:
    yield from _envelope(tree, types)
    name = tree.get("artifact_type")
    own = types.get(name) if isinstance(name, str) else None
    if isinstance(name, str) and name in LAYOUTS:
        yield from exact.body_faults({**_EMPTY, **tree}, LAYOUTS[name], _SEEN)
    elif isinstance(own, UserType):
        yield from own.faults(tree, _SEEN)


# A whole envelope, which takes the place of what a document lacks of it: that is told once.
_EMPTY: Mapping[str, object] = dict.fromkeys(ENVELOPE)


def _envelope(tree: dict[str, object], types: Mapping[str, UserType | Fault]) -> Iterator[Refusal]:
    missing = [name for name in ENVELOPE if name not in tree and name != "segment"]
    yield from (missing_member((), name) for name in missing)
    reads: list[Callable[[], object]] = []
    if "v" in tree:
        reads.append(lambda: integer(((), "v"), tree["v"]))
    if type(v := tree.get("v")) is int and (wrong := v_trouble(v)):
        yield Refusal(((), "v"), wrong)
    if isinstance(name := tree.get("artifact_type"), str) and (wrong := type_trouble(name, types)):
        yield Refusal(((), "artifact_type"), wrong)
    yield from (Refusal(((), name), empty(name)) for name in ("tenant", "surface") if tree.get(name) == "")
    reads += [lambda name=name: string(((), name), tree[name]) for name in _TEXTS if name in tree]  # type: ignore[misc]
    for name, required, optional in (
        ("window", ("start", "end"), ()),
        ("build", ("built_at", "version"), ("source_hash",)),
    ):
        inner = tree.get(name)
        if name not in tree:
            continue
        if not isinstance(inner, dict):
            yield Refusal(((), name), f"is {kind(inner)}; write an object")
        else:
            yield from wrong_members(((), name), inner, required, optional)
            reads += [
                lambda at=(((), name), key), v=value: string(at, v)  # type: ignore[misc]
                for key, value in inner.items()
                if key in (*required, *optional)
            ]
    for read in reads:
        try:
            read()
        except Refusal as refusal:
            yield refusal
    window = tree.get("window")
    if isinstance(window, dict):
        start, end = window.get("start"), window.get("end")
        if isinstance(start, str) and isinstance(end, str) and (wrong := window_trouble(start, end)):
            where, _, says = wrong.partition(": ")
            inner_trail = (((), "window"), "end" if where.endswith("end") else "start")
            yield Refusal(inner_trail if "." in where else ((), "window"), says)

"""All that is wrong with a document, for whoever has to mend it: `read` stops at the first fault.

The first fault stays first. Of very many only the first ones are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pointsman.artifact import exact
from pointsman.artifact.built_in import LAYOUTS
from pointsman.artifact.exact import ENVELOPE, Refusal, closed, integer, string
from pointsman.artifact.reader import window_trouble
from pointsman.artifact.user_type import UserType
from pointsman.errors import Fault
from pointsman.state import strict_json
from pointsman.state.strict_json import shown

MOST = 20  # of one document
_TEXTS = ("artifact_type", "tenant", "surface", "segment")


def every_fault(data: bytes, path: str, first: Fault, types: Mapping[str, UserType | Fault]) -> list[Fault]:
    """`first`, which `read` found in `data`, and what else is wrong there, at most `MOST` faults."""
    tree = strict_json.read_exactly(data, path) if first.rule in ("schema", "version-mismatch") else first
    if not isinstance(tree, dict):
        return [first]
    found = [first]
    for refusal in _every(tree, types):
        if (fault := refusal.fault(path)) not in found:
            found.append(fault)
        if len(found) > MOST:
            found[MOST:] = [Fault(path, "schema", f"and more: these are the first {MOST}")]
            break
    return found


def _every(tree: dict[str, object], types: Mapping[str, UserType | Fault]) -> Iterator[Refusal]:
    yield from _envelope(tree)
    name = tree.get("artifact_type")
    own = types.get(name) if isinstance(name, str) else None
    if isinstance(name, str) and name in LAYOUTS:
        yield from exact.body_faults({**_EMPTY, **tree}, LAYOUTS[name], MOST + 1)
    elif isinstance(own, UserType):
        yield from own.faults(tree, MOST + 1)


# A whole envelope, which takes the place of what a document lacks of it: that is told once.
_EMPTY: Mapping[str, object] = dict.fromkeys(ENVELOPE)


def _envelope(tree: dict[str, object]) -> Iterator[Refusal]:
    missing = [name for name in ENVELOPE if name not in tree and name != "segment"]
    yield from (Refusal((), f"the member {shown(name)} is missing; add it") for name in missing)
    reads: list[Callable[[], object]] = []
    if "v" in tree:
        reads.append(lambda: integer(((), "v"), tree["v"]))
    reads += [lambda name=name: string(((), name), tree[name]) for name in _TEXTS if name in tree]  # type: ignore[misc]
    for name, required, optional in (
        ("window", ("start", "end"), ()),
        ("build", ("built_at", "version"), ("source_hash",)),
    ):
        inner = tree.get(name)
        if name not in tree:
            continue
        reads.append(lambda at=((), name), v=inner, r=required, o=optional: closed(at, v, r, o))  # type: ignore[misc]
        if isinstance(inner, dict):
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

"""The recorded versions of main, found by their first digits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.repo.snapshot import Snapshot
from pointsman.state.names import NAME, Target, is_name, is_version, short
from pointsman.state.suggest import ask, did_you_mean

_FEWEST_DIGITS = 4
_ALIKE = 2  # first digits in common of a version that may have been meant
_NAMES_SHOWN = 3
_NAMED = pattern(rf"(?:(?P<slot>{NAME})@|sha256:)?(?P<digits>[0-9a-f]{{4,64}})")
_STANDS_AT = pattern(rf"/(?P<slot>{NAME})/(?P<digits>[0-9a-f]{{64}})\.(?:[a-z0-9.]+\.)?json$")


class Recorded(Struct, frozen=True, order=True):
    """One recorded version. It has one place only, because it is a hash of bytes that name its target and type."""

    version: str
    target: Target
    slot: str


class Asked(Struct, frozen=True):
    """A version as somebody named it, by its first digits. `slot`: the type that was named with it, "" if none was."""

    digits: str
    slot: str = ""


def read_version(text: str) -> Asked | None:
    """What names a version; None if it is nothing of the kind.

    Besides digits: what is printed of one, such as TYPE@VERSION, a digest, the path of its record, the URI of its blob.
    """
    if match := _NAMED.fullmatch(text):
        return Asked(match["digits"], match["slot"] or "")
    match = _STANDS_AT.search(text)
    return Asked(match["digits"], match["slot"]) if match else None


def find_version(head: Snapshot, text: str) -> Recorded:
    """The one recorded version that `text` names. Problem if there is none or more; it names the nearest."""
    (found,) = find_versions(head, [text])
    return found


def find_versions(head: Snapshot, texts: Sequence[str]) -> list[Recorded]:
    """The same for each of several texts. The records are listed once."""
    wanted = [_asked(text) for text in texts]
    every = sorted(recorded(head))
    names = [each.version for each in every]
    found: dict[Recorded, None] = {}
    for asked in wanted:
        first = bisect_left(names, asked.digits)
        here = every[first : bisect_left(names, f"{asked.digits}g", first)]  # "g" is after every hex digit
        one = _one([each for each in here if asked.slot in ("", each.slot)], asked.digits)
        if one is None and here:
            others = " and of ".join(f"{each.target} {each.slot}" for each in here[:_NAMES_SHOWN])
            raise Problem(f"{asked.digits} is a version of {others}, not of {asked.slot}")
        if one is None:
            raise Problem(f"no version {asked.digits} is recorded here{_nearest(every, asked.digits)}")
        found[one] = None
    return list(found)


def find_version_of(head: Snapshot, text: str, target: Target, slot: str) -> Recorded:
    """The same for one type of one target. The Problem says which of target, type and version is unknown."""
    here = list(recorded_of(head, target))
    if not here:
        known = sorted({str(each.target) for each in recorded(head)})
        raise Problem(f"no version of {target} is recorded{did_you_mean(str(target), known, most=_NAMES_SHOWN)}")
    mine = [each for each in here if each.slot == slot]
    if not mine:
        raise Problem(
            f"no {slot} of {target} is recorded{did_you_mean(slot, {each.slot: 0 for each in here}, most=_NAMES_SHOWN)}"
        )
    found = _one([each for each in mine if each.version.startswith(text)], text)
    if found is None:
        others = sorted({f"{each.target} {each.slot}" for each in recorded(head) if each.version.startswith(text)})
        if others:
            raise Problem(f"{text} is a version of {' and of '.join(others[:_NAMES_SHOWN])}, not of {target} {slot}")
        raise Problem(f"no version {text} of {target} {slot} is recorded{_nearest(mine, text)}")
    return found


def _asked(text: str) -> Asked:
    asked = read_version(text)
    if asked is None:
        raise Problem(f"{text!r} is not a version: give at least {_FEWEST_DIGITS} of its 64 hex digits, in lower case")
    return asked


def _one(found: Sequence[Recorded], text: str) -> Recorded | None:
    """The only one; None if there is none, Problem if there are more."""
    if len(found) > 1:
        digits, first = max(12, len(text) + 4), sorted(found)[:_NAMES_SHOWN]
        some = ", ".join(f"{each.version[:digits]} ({each.target} {each.slot})" for each in first)
        more = " …" if len(found) > _NAMES_SHOWN else ""
        raise Problem(f"{len(found)} versions begin with {text} ({some}{more}): give more digits")
    return found[0] if found else None


def recorded(head: Snapshot) -> Iterator[Recorded]:
    """Every version that has a record."""
    for target in head.targets("registry"):
        yield from recorded_of(head, target)


def recorded_of(head: Snapshot, target: Target) -> Iterator[Recorded]:
    """Every version of a target that has a record."""
    for slot in head.names(f"registry/{target}"):
        for name in head.files(f"registry/{target}/{slot}"):
            version = name.removesuffix(".json")
            if is_name(slot) and is_version(version):
                yield Recorded(version, target, slot)


def alike(one: str, other: str) -> int:
    """How many digits are the same from the beginning on."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _nearest(known: Sequence[Recorded], text: str) -> str:
    close = [each for each in known if alike(each.version, text) >= _ALIKE]
    near = sorted(close, key=lambda each: (-alike(each.version, text), each))[:_NAMES_SHOWN]
    names = [f"{short(each.version)} ({each.target} {each.slot})" for each in near]
    return ask(names) or ": pointsman log --records lists them"

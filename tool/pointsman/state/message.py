"""Commit messages: the lines that say what a change ships, what it replaces and what it accepts.

The lines have an exact grammar. They are found anywhere in a message, because forges add text around them when they
squash, and also where a forge has wrapped them at blanks. A `Manifest:` line starts a block about one target. Later
lines about that target belong to the block, up to its next `Manifest:` line.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.names import NAME, VERSION, Target, short

_T = rf"(?P<target>{NAME}/{NAME})"
_RULE = r"[a-z]+(?:-[a-z]+)*"
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_TEXT = rf"[^\s{_CONTROLS}][^{_CONTROLS}]*"  # control characters could hide or forge a line
_LINES = {
    "manifest": rf"Manifest: {_T} sha256:(?P<value>{VERSION})",
    "supersedes": rf"Supersedes: {_T} (?P<value>none|[0-9a-f]{{40}}|[0-9a-f]{{64}})",
    "record": rf"Record: {_T} (?P<type>{NAME})@(?P<value>{VERSION})",
    "reship": rf"Reship: {_T} (?P<type>{NAME})@(?P<value>{VERSION})",
    "restores": rf"Restores: {_T} (?P<type>{NAME})@(?P<value>{VERSION})",
    "drop": rf"Drop: {_T} (?P<value>{NAME})",
    "accept": rf"Accept: {_T} (?P<type>{_RULE}) (?P<value>{_TEXT})",
    "now": rf"Rollback-Now: {_T}(?P<value>)",
    "held_now": rf"Hold-Now: (?P<value>all|{NAME}/{NAME})",
    "broke_glass": rf"Broke-Glass: {_T} (?P<value>{_TEXT})",
    "run": rf"Run: (?P<value>{_TEXT})",
    "reason": rf"Reason: (?P<value>{_TEXT})",
}
_EXACT = {kind: pattern(line) for kind, line in _LINES.items()}
_KINDS = {line.partition(":")[0]: kind for kind, line in _LINES.items()}
_RUN = pattern(r"https?://(?P<user>[^/?#@]*@)?[^\s/?#@:]+(:\d+)?([/?#]\S*)?", re.IGNORECASE)
_CONTROL = pattern(f"[{_CONTROLS}]")
_SURROGATE = pattern("[\ud800-\udfff]")
_ENDS_IN_TEXT = ("accept", "broke_glass", "run", "reason")
_BEGINNING = pattern(rf"(?:^|\s)({'|'.join(_KINDS)}):(?=\s|$)")  # what a wrapped value must not bring to a line's front
_WIDTH = 72  # columns: where forges and people wrap messages
_MOST_PIECES = 8  # of one wrapped line: a word each, and a word that is cut
_MOST_PIECES_OF_TEXT = 64


class Said(Struct):
    """One block: what a message says about one target. `manifest`: SHA-256 of the manifest it vouches for, or ""."""

    target: Target
    manifest: str = ""
    supersedes: str | None = None
    records: dict[str, str] = msgspec.field(default_factory=dict)
    drops: set[str] = msgspec.field(default_factory=set)
    accepts: dict[str, str] = msgspec.field(default_factory=dict)
    reships: set[tuple[str, str]] = msgspec.field(default_factory=set)
    restores: dict[str, str] = msgspec.field(default_factory=dict)
    now: bool = False

    @property
    def is_ship(self) -> bool:
        """Whether it vouches for new bytes, and not only to put versions back."""
        return bool(self.manifest) and not (self.restores and not self.records and not self.drops)

    @property
    def rebuildable(self) -> list[str]:
        """The lines that stay the same if the change is rebuilt. The branch is named by their hash."""
        return [
            *(f"Record: {self.target} {slot}@{version}" for slot, version in sorted(self.records.items())),
            *(f"Drop: {self.target} {slot}" for slot in sorted(self.drops)),
            *(f"Accept: {self.target} {rule} {reason}" for rule, reason in sorted(self.accepts.items())),
            *(f"Reship: {self.target} {slot}@{version}" for slot, version in sorted(self.reships)),
        ]

    def lines(self) -> list[str]:
        head = [f"Manifest: {self.target} sha256:{self.manifest}"] if self.manifest else []
        if self.supersedes is not None:
            head.append(f"Supersedes: {self.target} {self.supersedes}")
        restored = [f"Restores: {self.target} {slot}@{version}" for slot, version in sorted(self.restores.items())]
        return [*head, *self.rebuildable, *restored, *([f"Rollback-Now: {self.target}"] if self.now else [])]


@dataclass(frozen=True, slots=True)
class Message:
    """All that the commit messages of one change say."""

    said: tuple[Said, ...] = ()
    run: str = ""
    reason: str = ""
    held_now: frozenset[str] = frozenset()  # "tenant/surface" or "all": hold set or released without review
    broke_glass: tuple[tuple[str, str], ...] = ()  # "tenant/surface" → when break-glass put it in serving, and who did
    vows: frozenset[str] = field(default=frozenset(), compare=False)  # the lines that say what it does to a target
    _blocks: dict[Target, list[Said]] = field(init=False, repr=False, compare=False)
    _shipped: tuple[Target, ...] = field(init=False, repr=False, compare=False)  # the first two

    def __post_init__(self) -> None:
        blocks: dict[Target, list[Said]] = {}  # a message of many targets is asked about each of them
        for said in self.said:
            blocks.setdefault(said.target, []).append(said)
        object.__setattr__(self, "_blocks", blocks)
        object.__setattr__(self, "_shipped", tuple({said.target: None for said in self.said if said.is_ship})[:2])

    def of(self, target: Target, manifest: str) -> Said | None:
        """The block that vouches for the manifest with this SHA-256; None if there is none."""
        return next((said for said in self._blocks.get(target, ()) if said.manifest == manifest), None)

    def accepts(self, target: Target, manifest: str = "") -> Mapping[str, str]:
        """Rule → reason, for each rule that the change may break for a target.

        `manifest`: SHA-256 of the manifest that the change leaves. If given, blocks about other bytes do not count.
        """
        blocks = (said for said in self._blocks.get(target, ()) if not manifest or said.manifest in ("", manifest))
        return {rule: reason for said in blocks for rule, reason in said.accepts.items()}

    def names_another(self, target: Target) -> bool:
        """Whether a block is about a target other than this one."""
        return any(other != target for other in self._blocks)

    def ships_another(self, target: Target) -> bool:
        """Whether a block is that of a ship of a target other than this one."""
        return any(other != target for other in self._shipped)

    def about(self, target: Target) -> Said | None:
        """The last block about a target that vouches for no bytes; None if there is none.

        A revert may quote the lines of what it takes back: those are about other bytes.
        """
        return next((said for said in reversed(self._blocks.get(target, ())) if not said.manifest), None)


def parse(text: str) -> Message:
    """Read the lines of the grammar from a message. All other lines are prose and are ignored."""
    blocks: list[Said] = []
    latest: dict[Target, Said] = {}
    run = reason = ""
    held_now, vows, glass = set(), set(), {}
    for kind, found in _found([line.removesuffix("\r") for line in text.split("\n")]):
        value = found["value"]
        if kind == "run":
            run = value
            continue
        if kind == "reason":
            reason = value
            continue
        if kind == "broke_glass":
            glass[found["target"]] = value
            continue
        if kind == "held_now":
            held_now.add(value)
            continue
        try:
            target = Target.parse(found["target"])
        except Problem:
            continue
        if kind == "manifest" or target not in latest:
            latest[target] = Said(target)
            blocks.append(latest[target])
        _add(latest[target], kind, value, found)
        if kind != "now":
            vows.add(found[0])
    return Message(tuple(blocks), run, reason, frozenset(held_now), tuple(glass.items()), frozenset(vows))


def _found(pieces: Sequence[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Each line of the grammar with its kind, whole or put together from the pieces that it was wrapped into."""
    for place, piece in enumerate(pieces):
        if kind := _kind(piece):
            read, most = (_text, _MOST_PIECES_OF_TEXT) if kind in _ENDS_IN_TEXT else (_words, _MOST_PIECES)
            if (found := read(pieces[place : place + most], kind)) is not None:
                yield kind, found


def _kind(piece: str) -> str:
    """The kind of line that a piece begins; "" if it begins none."""
    word, colon, rest = piece.partition(":")
    return _KINDS.get(word, "") if colon and rest[:1] in ("", " ") else ""


def _words(pieces: Sequence[str], kind: str) -> re.Match[str] | None:
    """A line of words that each have an exact form, so that pieces can be put together to it in one way only.

    A word that is longer than a line may be cut where the line ends.
    """
    lines = {pieces[0]}
    for last, piece in itertools.pairwise([*pieces, ""]):
        cut = {line + piece for line in lines if piece} if len(last) == _WIDTH else set()
        if found := [match for line in lines if (match := _EXACT[kind].fullmatch(line))]:
            return found[0] if len(found) == 1 and not any(map(_EXACT[kind].fullmatch, cut)) else None
        if not piece or _kind(piece):
            return None
        lines = {f"{line.rstrip(' ')} {piece}" for line in lines} | cut
    return None


def _text(pieces: Sequence[str], kind: str) -> re.Match[str] | None:
    """A line that ends in text. It goes on in the next line only if the next word had no room in this one."""
    line = pieces[0]
    for before, piece in itertools.pairwise(pieces):
        last = before.rstrip(" ")
        fits = len(last) + 1 + len(piece.partition(" ")[0]) <= _WIDTH
        if fits or (len(last) > _WIDTH and " " in last) or not piece.strip() or _kind(piece):
            break
        line = f"{line.rstrip(' ')} {piece}"
    return _EXACT[kind].fullmatch(line)


def _add(said: Said, kind: str, value: str, found: re.Match[str]) -> None:
    match kind:
        case "manifest":
            said.manifest = value
        case "supersedes":
            said.supersedes = value
        case "record":
            said.records[found["type"]] = value
        case "reship":
            said.reships.add((found["type"], value))
        case "restores":
            said.restores[found["type"]] = value
        case "drop":
            said.drops.add(value)
        case "accept":
            said.accepts[found["type"]] = value
        case "now":
            said.now = True


def vouching(message: Message, target: Target, data: bytes) -> Said | None:
    """The block that vouches for `data` as the manifest of `target`; None if there is none."""
    return message.of(target, hashlib.sha256(data).hexdigest())


def is_restore(said: Said, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether the block restores every slot that changes. States are slot → version. False if nothing changes."""
    slots = {slot for slot in {*before, *after} if before.get(slot) != after.get(slot)}
    return bool(slots) and all(slot in after and said.restores.get(slot) == after[slot] for slot in slots)


def unsaid(said: Said | None, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The slots that change although no Record:, Restores: or Drop: line of the block says so."""
    slots = sorted(slot for slot in {*before, *after} if before.get(slot) != after.get(slot))
    if said is None:
        return slots
    return [
        slot
        for slot in slots
        if (slot not in said.drops if slot not in after else after[slot] not in _versions(said, slot))
    ]


def _versions(said: Said, slot: str) -> tuple[str | None, str | None]:
    return said.records.get(slot), said.restores.get(slot)


def check_value(text: str, what: str) -> str:
    """`text` if it fits into one line of a message; Problem if not, because it could forge a line."""
    if _SURROGATE.search(text):
        raise Problem(f"{what} is not UTF-8: {text!r}")
    if _CONTROL.search(text):
        raise Problem(f"{what} has a line break or another control character: write it as one line of text")
    if not text.strip() or text != text.strip():
        raise Problem(f"{what} is empty, or begins or ends with white space: write it without")
    if found := _BEGINNING.search(text):
        says = "which begins a line of its own in a commit message: leave out its colon"
        raise Problem(f"{what} has the word {found[1]}:, {says}")
    if len(text) > 1000:
        raise Problem(f"{what} has {len(text)} characters: write at most 1000")
    return text


def check_run(text: str) -> str:
    """`text` if it is the URL of a pipeline run, which is stored for ever; Problem if not, or if it has a password."""
    found = _RUN.fullmatch(text)
    if found is None:
        raise Problem(f"{text!r} is not a URL, such as https://ci.example/runs/7")
    if found["user"] is not None:
        raise Problem("a URL here is stored for ever: leave out the user and the password")
    return text


def compose(
    subject: str,
    said: Iterable[Said],
    *,
    run: str = "",
    reason: str = "",
    note: str = "",
    held_now: Iterable[str] = (),
    broke_glass: Iterable[str] = (),
) -> str:
    """A commit message: subject, prose, then the lines."""
    lines = [line for each in said for line in each.lines()]
    lines += [f"Hold-Now: {held}" for held in held_now]
    lines += [f"Broke-Glass: {each}" for each in broke_glass]
    lines += [f"Run: {run}"] if run else []
    lines += [f"Reason: {reason}"] if reason else []
    body = f"{note}\n\n" if note else ""
    return f"{subject}\n\n{body}" + "\n".join(lines) + "\n"


def subject_of(
    slots: Sequence[tuple[Target, str, str]], gone: Sequence[str] = (), targets: Sequence[Target] = ()
) -> str:
    """The part of a subject about slots: one target and its versions, or the number of targets and the first three."""
    every = list(dict.fromkeys([*(target for target, _, _ in slots), *targets]))
    if len(every) > 1:
        return f"{len(every)} targets, {', '.join(map(str, every[:3]))}{' …' if len(every) > 3 else ''}"
    return f"{every[0]} " + ", ".join([*(f"{slot} {short(version)}" for _, slot, version in slots), *gone])

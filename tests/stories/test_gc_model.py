"""The protocol of gc with publishers, break-glass and reverts as a model: every interleaving, every death, every pause.

One version, whose blob stood in the store for long before anybody began. What goes wrong: a pointer names the version,
its blob is gone, and nobody who is still at work is due to put it back. Each safeguard that is left out is seen to let
that happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

DEAD, DONE = "dead", "done"


@dataclass(frozen=True)
class Safeguards:
    """What the protocol does. Every one of them can be left out."""

    marker: bool = True  # gc's flag, before it looks, and publishers wait for it
    look_after: bool = True  # the publisher looks for its blob after it has seen no marker
    record_first: bool = True  # the publisher's flag, before it looks at markers
    life: bool = True  # gc takes nothing once its marker has died
    trash: bool = True  # what is taken can come back
    next_run: bool = True  # and the next gc brings it back
    glass_waits: bool = True  # break-glass waits for markers
    glass_proves_last: bool = True  # and proves the blob after that, not before its claim
    gc_reads_claims: bool = True
    sets_aside: bool = True  # a purge takes it out of the trash before it looks
    purge_looks: bool = True
    branch_first: bool = True  # the flag of a revert, before it looks whether there are bytes
    other_place: bool = True  # what comes back is not where a purge that is paused still deletes
    aside_is_away: bool = True  # and what is set aside is not there, for it
    aside_comes_back: bool = True  # what a purge that died set aside is found by the next gc


@dataclass(frozen=True)
class World:
    """All that there is. `blob`: "old", "young" or "" for gone. `actors`: name → where it is in its work."""

    blob: str = "old"
    trash: bool = False
    markers: frozenset[str] = frozenset()
    record: bool = False
    tombstone: bool = False  # ripe: the version was recorded, and its blob may go
    claim: bool = False
    aside: frozenset[str] = frozenset()  # by which purges the bytes are set aside
    returned: bool = False  # from there to the trash, under another day
    branch: bool = False  # that takes the tombstone back
    pointer: bool = False
    actors: tuple[tuple[str, str], ...] = ()
    healed: bool = True  # a run of gc has begun since anything was taken

    def at(self, name: str, step: str, **changes: object) -> World:
        """The same with one actor elsewhere."""
        actors = tuple((each, step if each == name else was) for each, was in self.actors)
        return replace(self, actors=actors, **changes)  # type: ignore[arg-type]

    @property
    def rests(self) -> bool:
        return all(step in (DONE, DEAD) for _, step in self.actors)


Moves = Iterator[tuple[str, World]]


def publisher(world: World, name: str, step: str, how: Safeguards) -> Moves:
    """Blob, record, markers, look, pointer."""
    if step == "begin":
        yield "puts or finds the blob", world.at(name, "has put", blob=world.blob or "young")
    elif step == "has put":
        record = world.record or how.record_first
        yield "lands the record", world.at(name, "has recorded", record=record, healed=world.healed and not record)
    elif step == "has recorded" and not (world.markers and how.marker):
        yield "sees no marker", world.at(name, "may look")
    elif step == "may look":
        blob = world.blob or ("young" if how.look_after else "")
        yield "looks, and puts again what is gone", world.at(name, "may point", blob=blob)
    elif step == "may point":
        yield "points", world.at(name, DONE, pointer=True, record=True)


def collector(world: World, name: str, step: str, how: Safeguards, *, pauses: bool) -> Moves:
    """Marker, look, copy into the trash, delete, marker away. One that is paused wakes up after its marker died."""
    mine = name in world.markers
    if step == "begin" and world.blob == "old":
        yield "writes its marker", world.at(name, "marked", markers=world.markers | ({name} if how.marker else set()))
    elif step == "marked":
        needed = (world.record and not world.tombstone) or world.pointer or (world.claim and how.gc_reads_claims)
        yield f"looks, and {'spares it' if needed else 'takes it'}", world.at(name, "over" if needed else "takes")
    elif step == "takes":
        yield "copies into the trash", world.at(name, "copied", trash=world.trash or how.trash)
    elif step == "copied":
        if mine or not how.marker or not how.life or pauses:
            yield "deletes", world.at(name, "over", blob="", healed=False)
        if not mine and how.life:
            yield "sees that its marker has died, and stops", world.at(name, DONE)
    elif step == "over":
        yield "takes its marker away", world.at(name, DONE, markers=world.markers - {name})
    if mine and (step == DEAD or pauses or not how.life):
        yield "its marker dies", replace(world, markers=world.markers - {name})


def glass(world: World, name: str, step: str, how: Safeguards) -> Moves:
    """Break-glass, which reads no git: claim, markers, proof, pointer."""
    order = ["begin", "claim", "wait", "prove", "point"] if how.glass_proves_last else [
        "begin", "prove", "claim", "wait", "point"
    ]  # fmt: skip
    after = dict(zip(order, [*order[1:], DONE], strict=True))
    if step == "claim":
        yield "claims", world.at(name, after[step], claim=True)
    elif step == "wait" and not (world.markers and how.glass_waits):
        yield "sees no marker", world.at(name, after[step])
    elif step == "prove":
        yield "proves the blob", world.at(name, after[step] if world.blob else DEAD)
    elif step == "point":
        yield "points", world.at(name, DONE, pointer=True)
    elif step == "begin":
        yield "begins", world.at(name, after[step])


def reverter(world: World, name: str, step: str, how: Safeguards) -> Moves:
    """Branch, look for the bytes, merge."""
    there = bool(world.blob) or world.trash or world.returned or bool(world.aside and not how.aside_is_away)
    if step == "begin" and how.branch_first:
        yield "shows its branch", world.at(name, "may look", branch=True)
    elif step == ("may look" if how.branch_first else "begin"):
        yield "looks for the bytes", world.at(name, "may merge" if there else DONE)
    elif step == "may merge":
        yield "merges", world.at(name, DONE, branch=False, tombstone=False, healed=False)


def purger(world: World, name: str, step: str, how: Safeguards) -> Moves:
    """Set aside, look, delete or bring back. No clock counts: each of them may be paused at any step for ever."""
    needed = not world.tombstone or world.branch or not how.purge_looks
    if step == "begin" and how.sets_aside and (world.trash or world.aside):  # what others had set aside is due, too
        sources = [*(["trash"] if world.trash else []), *sorted(world.aside)]
        yield f"copies what is in {sources}", world.at(name, " ".join(sources), aside=world.aside | {name})
    elif step == "begin" and world.trash:
        yield "looks", world.at(name, DONE if needed else "deletes")
    elif copied := set(step.split(" ")) & {"trash", "q1", "q2"}:
        trash = world.trash and "trash" not in copied
        yield "deletes what it copied", world.at(name, "set aside", trash=trash, aside=world.aside - copied)
    elif step == "set aside":
        keeps = needed and how.purge_looks
        yield (
            f"looks, and {'brings it back' if keeps else 'deletes it'}",
            world.at(name, "back" if keeps else "deletes"),
        )
    elif step == "back":
        trash, returned = world.trash or not how.other_place, world.returned or how.other_place
        after = world.at(name, DONE, trash=trash, returned=returned) if name in world.aside else world.at(name, DONE)
        yield "brings it back", replace(after, aside=world.aside - {name})
    elif step == "deletes":
        trash = world.trash and how.sets_aside
        yield "deletes", world.at(name, DONE, trash=trash, aside=world.aside - {name})


def moves(world: World, how: Safeguards, *, pauses: bool) -> Moves:
    """Every step that anybody may take now."""
    for name, step in world.actors:
        found = {
            "p": lambda n=name, s=step: publisher(world, n, s, how),
            "g": lambda n=name, s=step: collector(world, n, s, how, pauses=pauses),
            "b": lambda n=name, s=step: glass(world, n, s, how),
            "r": lambda n=name, s=step: reverter(world, n, s, how),
            "q": lambda n=name, s=step: purger(world, n, s, how),
        }[name[0]]()
        for says, after in found:
            yield f"{name} {says}", after
        if step not in (DONE, DEAD):
            yield f"{name} dies", world.at(name, DEAD)
    if how.next_run and pauses and world.rests and not world.healed:
        needed = world.pointer or (world.record and not world.tombstone)
        bytes_left = world.trash or world.returned or bool(world.aside and how.aside_comes_back)
        back = "young" if needed and bytes_left and not world.blob else world.blob
        yield "the next gc puts back what is needed", replace(world, blob=back, healed=True)


def lost(world: World, how: Safeguards, *, pauses: bool) -> bool:
    """Whether a pointer names what is gone. Of paused collectors only at rest: the trash is what counts."""
    reverted = any(name[0] == "r" for name, _ in world.actors) and not world.tombstone
    gone = (world.pointer or reverted) and not world.blob
    if not pauses:
        return gone
    return gone and world.rests and (world.healed or not how.next_run)


def search(start: World, how: Safeguards, *, pauses: bool = False) -> tuple[int, list[str]]:
    """How many worlds there are, and the shortest way to one where something is lost; no steps if there is none."""
    came: dict[World, tuple[str, World] | None] = {start: None}
    ahead = deque([start])
    while ahead:
        world = ahead.popleft()
        if lost(world, how, pauses=pauses):
            steps = []
            while (before := came[world]) is not None:
                steps.append(before[0])
                world = before[1]
            return len(came), steps[::-1]
        for says, after in moves(world, how, pauses=pauses):
            if after not in came:
                came[after] = says, world
                ahead.append(after)
    return len(came), []


def together(*names: str, record: bool = False, tombstone: bool = False) -> World:
    return World(actors=tuple((name, "begin") for name in names), record=record, tombstone=tombstone)


PUBLISHING = ("p1", "p2", "g1", "g2")
RETIRED = {"record": True, "tombstone": True}
REVERT = replace(together("r1", "q1", **RETIRED), blob="", trash=True)
REVERTS = replace(together("r1", "r2", "q1", "q2", **RETIRED), blob="", trash=True)


@pytest.mark.parametrize(
    "start,pauses",
    [
        pytest.param(together(*PUBLISHING), False, id="two publishers, two collectors", marks=pytest.mark.slow),
        pytest.param(together("p1", "g1", "g2", "g3"), False, id="three collectors", marks=pytest.mark.slow),
        pytest.param(together("p1", "p2", "p3", "g1"), False, id="three publishers", marks=pytest.mark.slow),
        pytest.param(together(*PUBLISHING), True, id="collectors that are paused", marks=pytest.mark.slow),
        pytest.param(together("p1", "g1"), False, id="a publisher and a collector"),
        pytest.param(together("p1", "g1"), True, id="a publisher and a collector that is paused"),
        pytest.param(together("b1", "g1", "g2", **RETIRED), False, id="break-glass of a retired version"),
        pytest.param(REVERT, True, id="a revert and a purge that is paused"),
        pytest.param(REVERTS, True, id="two reverts, two purges that are paused", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_lost_in_any_interleaving(start: World, *, pauses: bool) -> None:
    worlds, steps = search(start, Safeguards(), pauses=pauses)
    assert steps == []
    assert worlds > 50


@pytest.mark.parametrize(
    "without,start,pauses",
    [
        ("marker", together("p1", "g1"), False),
        ("look_after", together("p1", "g1"), False),
        ("record_first", together("p1", "g1"), False),
        ("life", together("p1", "g1"), False),
        ("trash", together("p1", "g1"), True),
        ("next_run", together("p1", "g1"), True),
        ("glass_waits", together("b1", "g1", **RETIRED), False),
        ("glass_proves_last", together("b1", "g1", **RETIRED), False),
        ("gc_reads_claims", together("b1", "g1", **RETIRED), False),
        ("sets_aside", REVERT, True),
        ("purge_looks", REVERT, True),
        ("branch_first", REVERT, True),
        ("other_place", REVERTS, True),
        ("aside_is_away", REVERT, True),
        ("aside_comes_back", REVERT, True),
    ],
)
def test_without_one_of_its_safeguards_something_is_lost(without: str, start: World, *, pauses: bool) -> None:
    how = replace(Safeguards(), **{without: False})
    _, steps = search(start, how, pauses=pauses)
    assert steps, f"the model does not need {without}"

"""Seen: what the instances of recsys-service have loaded, from their own log lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from msgspec import Struct

from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot
from pointsman.serving.fence import SYNCED
from pointsman.serving.instances import FORGOTTEN, MOST_INSTANCES, Instance, drop_forgotten, write_instance
from pointsman.serving.pointers import open_place
from pointsman.settings import Settings
from pointsman.state.documents import rfc3339
from pointsman.state.log_line import MOST, Form
from pointsman.state.names import check_name
from pointsman.state.place import Place
from pointsman.store.base import Store
from pointsman.values import Count, Moment, Sha256, TargetName
from pointsman.verbs.log_lines import LONG, Sources
from pointsman.workspace import Workspace

EVERY = 60.0  # seconds between two writes


class SeenLoad(Struct, frozen=True):
    """The manifest that an instance loaded last, and when it was first and last told so."""

    sha256: Sha256
    first: Moment
    last: Moment


class SeenInstance(Struct, frozen=True):
    """What is known of one instance."""

    instance: str
    ring: Annotated[str, '"": there are no rings']
    first: Moment
    last: Moment
    targets: Mapping[TargetName, SeenLoad]


class SeenInstances(Struct, frozen=True):
    """What lines told."""

    instances: Sequence[SeenInstance]
    lines: Annotated[Count, "how many were read"]
    skipped: Annotated[Mapping[str, Count], "how many told nothing, by the reason"]
    dry_run: Annotated[bool, "nothing was kept"] = False


class Request(Struct, frozen=True):
    """What to read. `instance`: whose lines they are that name none. `place`: where the instances read pointers."""

    files: tuple[str, ...]
    follow: bool = False
    form: Form = Form()
    instance: str = ""
    place: str = ""
    dry_run: bool = False  # read the lines, keep nothing


def seen(
    workspace: Workspace,
    request: Request,
    *,
    stopped: Callable[[], bool] = lambda: False,
    missed: Callable[[str], object] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome[SeenInstances]:
    """Read the lines to their end, or until `stopped`, and keep what they tell.

    Unreachable if in the end something could not be written; `missed` is told of what could not before that.
    """
    check_name(request.instance, "instance")
    settings = Snapshot(workspace.repo, workspace.repo.refresh()).settings()
    place = _place(settings, request.place)
    ledger = _Ledger(workspace, request, open_place(place), place.name if settings.rings else "")
    due = clock() + EVERY
    with Sources(request.files, request.follow, stopped) as sources:
        for line in sources:
            if line is not None:
                ledger.take(line)
            if clock() >= due:
                if trouble := ledger.write():
                    missed(f"{trouble}; it is tried again")
                due = clock() + EVERY
    if trouble := ledger.write():
        raise trouble
    return Outcome(ledger.told(), notes=tuple(ledger.notes()))


def _place(settings: Settings, name: str) -> Place:
    """The place with this name; "": the only one."""
    names = [place.name for place in settings.serving]
    if not name and len(names) == 1:
        return settings.serving[0]
    if name not in names or not name:
        known = ", ".join(filter(None, names)) or "none with a name"
        raise Problem(f"--place: say where these instances read their pointers: the places are {known}")
    return settings.serving[names.index(name)]


class _Ledger:
    """What was heard, and what of it is still to be written."""

    def __init__(self, workspace: Workspace, request: Request, store: Store, ring: str) -> None:
        self.store = store
        self._ring = ring
        self._workspace = workspace
        self._request = request
        self._instances: dict[str, Instance] = {}
        self._changed: set[str] = set()
        self._lines = 0
        self._swept = False  # whether what nobody has heard for long was dropped
        self._skipped = Counter[str]()

    def take(self, line: bytes) -> None:
        """One line."""
        self._lines += 1
        heard = self._request.form.read(line) if line != LONG else f"longer than {MOST} bytes"
        if isinstance(heard, str):
            self._skipped[heard] += 1
            return
        now = self._workspace.now
        at = min(int(heard.at), now) if heard.at is not None else now
        name = heard.instance or self._request.instance
        if now - at > FORGOTTEN:
            self._skipped["older than 7 days"] += 1
        elif name not in self._instances and len(self._instances) >= MOST_INSTANCES:
            self._skipped[f"of more than {MOST_INSTANCES} instances"] += 1
        else:
            instance = self._instances.setdefault(name, Instance(name, at, at))
            instance.hear(at)
            self._changed.add(name)
            if heard.load is not None and not instance.load(*heard.load, at):
                self._skipped["of too many targets"] += 1

    def write(self) -> Problem | None:
        """Write what is new; the first trouble, if there is any. The trouble of one instance stops no other."""
        trouble: Problem | None = None
        now = self._workspace.now
        try:
            if self.store.size(SYNCED) is None:
                says = "sync has never written there, or it is not mounted: run pointsman sync first"
                return Unreachable(f"{self.store.url}: {says}")
            if self._request.dry_run:
                return None
            with self.store.locked(""):
                for name in sorted(self._changed):
                    try:
                        write_instance(self.store, self._instances[name], now)
                        self._changed.discard(name)
                    except Problem as problem:
                        trouble = trouble or problem
                if not self._swept and trouble is None:
                    drop_forgotten(self.store, now)
                    self._swept = True
        except Unreachable as problem:
            return trouble or problem
        for name in [each.name for each in self._instances.values() if now - each.last > FORGOTTEN]:
            del self._instances[name]
        return trouble

    def told(self) -> SeenInstances:
        """What was heard, as a document has it."""
        return SeenInstances(
            [_told(each, self._ring) for _, each in sorted(self._instances.items())],
            self._lines,
            dict(self._skipped),
            self._request.dry_run,
        )

    def notes(self) -> list[str]:
        """What told nothing, and why."""
        notes = [
            f"{count} line{' was' if count == 1 else 's were'} skipped: {why}"
            for why, count in sorted(self._skipped.items())
        ]
        if self._lines and self._skipped.total() == self._lines:
            notes.append(
                "no line was one of recsys-service: it writes JSON with ENV=production; for lines in an envelope give "
                "--field line=PATH"
            )
        return notes


def _told(instance: Instance, ring: str) -> SeenInstance:
    loads = {
        str(target): SeenLoad(load.sha256, rfc3339(load.first), rfc3339(load.last))
        for target, load in sorted(instance.loads.items())
    }
    return SeenInstance(instance.name, ring, rfc3339(instance.first), rfc3339(instance.last), loads)

"""Cases: a start state, a change made of commits, and the rule that must stop it. Read from TOML files."""

from __future__ import annotations

import codecs
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signers import public

from attacks.plain_git import EXECUTABLE, FILE, LINK, SUBMODULE, Files, Leaf
from attacks.states import (
    HOME,
    Artifact,
    State,
    digest,
    manifest,
    manifest_path,
    read,
    rendered,
    slots_of,
    tombstone,
    tombstone_path,
)

HERE = Path(__file__).parent
_NAME = r"(?!registry/)[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?<!\.git)(?<!\.lock)(?<!\.LOCK)"
_MANIFEST = re.compile(rf"manifests/({_NAME}/){{2}}manifest\.json")
_PLACE = re.compile(r"\{\{([A-Za-z][^{}]*)\}\}")


class Work:
    """A change under construction: commits on a branch that leaves main at some commit."""

    def __init__(self, state: State, start: str | None = None) -> None:
        self.state = state
        self.fork = state.labels[start] if start else state.tip
        self.head = self.fork
        self.files: Files = dict(state.trees[self.fork])
        self.time = state.time + 3600
        self.messages: list[str] = []
        self.root: str | None = None  # a tree written by hand, for the next commit
        self.main: str | None = None  # what a push past the gate leaves as main, where that is no squash of the branch
        self._touched: list[str] = []  # manifests, in the order in which this commit changes them

    # files

    def put(self, path: str, data: bytes, mode: str = FILE) -> None:
        self.leaf(path, self.state.objects.blob(data, mode))

    def leaf(self, path: str, leaf: Leaf | None) -> None:
        if leaf is None:
            del self.files[path]
        else:
            self.files[path] = leaf
        if path.startswith("manifests/") and path.endswith("/manifest.json"):
            self._touched = [*(each for each in self._touched if each != path), path]

    def read(self, path: str) -> bytes:
        content = self.state.content(self.files[path])
        assert content is not None
        return content

    def before(self, path: str) -> bytes | None:
        """What main has at a path."""
        return self.state.read(path)

    # documents

    def ship(self, target: str = HOME, *, at: str | None = None, drop: Sequence[str] = (), **slots: int | str) -> None:
        """The manifest that a ship of these versions makes of the one that is there, whole."""
        leaf = self.files.get(manifest_path(target))
        current = {slot: uri for slot, uri in slots_of(self.state.content(leaf)).items() if slot not in drop}
        for slot, number in slots.items():
            uri = f"{self.state.url}/{Artifact(target, slot, number).key}" if isinstance(number, int) else number
            current[slot] = uri
        # Later than all that main has, and later with every commit of the branch.
        default = f"2026-03-05T00:{(self.time - self.state.time) // 60 % 60:02}:{len(self.messages):02}.000000Z"
        self.put(manifest_path(target), manifest(target, current, at or default))

    def record(self, name: str, *, at: str | None = None, **changes: Any) -> None:
        artifact = Artifact.named(name)
        self.put(at or artifact.path, rendered(_changed(artifact.record(self.state.url), changes)))

    def undo(self, label: str) -> None:
        """What `git revert` of a commit of main does to the tree."""
        commit = self.state.labels[label]
        after = self.state.trees[commit]
        before = self.state.trees[self.state.parents[commit][0]]
        for path in sorted({*before, *after}):
            if before.get(path) != after.get(path):
                assert self.files.get(path) == after.get(path), f"the revert of {label} conflicts"
                self.leaf(path, before.get(path))

    # commits

    def lines(self, target: str | None = None) -> str:
        """The lines that vouch for every manifest that this commit leaves changed, right in every respect."""
        paths = [manifest_path(target)] if target else [path for path in self._touched if path in self.files]
        targets = ["/".join(path.split("/")[1:3]) for path in paths]
        return "\n".join(self.state.lines(target, self.read(manifest_path(target))) for target in targets)

    def commit(
        self, message: str = "{{vouch}}", *, merge: Sequence[str] = (), time: int | None = None, fields: str = "",
        raw: bytes | None = None,
    ) -> str:  # fmt: skip
        text = self.fill(message)
        self.time += 60
        tree = self.root or self.state.objects.tree(self.files)
        parents = [self.head, *merge]
        self.head = self.state.objects.commit(tree, parents, raw or text + "\n", time=time or self.time, fields=fields)
        self.messages.append(text)
        self.root, self._touched = None, []
        return self.head

    def merge_main(self, message: str = "Merge branch 'main'") -> None:
        """What `git merge main` does where the two sides changed different paths; where both did, the branch wins."""
        was = self.state.trees[self.fork]
        for path in sorted({*was, *self.state.files}):
            if self.files.get(path) == was.get(path) != self.state.files.get(path):
                self.leaf(path, self.state.files.get(path))
        self.commit(message, merge=[self.state.tip])

    def squashed(self) -> str:
        """The commit that a merge without a gate leaves on main: its own paths, all of its messages."""
        if self.main is not None:
            return self.main
        was, files = self.state.trees[self.fork], dict(self.state.files)
        for path in sorted({*was, *self.files}):
            if was.get(path) != self.files.get(path):
                if path in self.files:
                    files[path] = self.files[path]
                else:
                    files.pop(path, None)
        tree = self.state.objects.tree(files)
        message = "\n".join(self.messages) + "\n"
        return self.state.objects.commit(tree, [self.state.tip], message, time=self.time + 60)

    def mended(self) -> str:
        """The same, and after it a commit that puts main's settings back: without them no command says a thing."""
        broken = self.squashed()
        tree = self.state.objects.tree(self.state.files)
        return self.state.objects.commit(tree, [broken], "mend\n", time=self.time + 120)

    def touches(self, path: str) -> bool:
        """Whether the change leaves something else at a path than main has."""
        return self.files.get(path) != self.state.files.get(path)

    @property
    def manifests(self) -> set[str]:
        """The targets whose manifest the change leaves another than main has."""
        paths = {*self.files, *self.state.files}
        return {"/".join(path.split("/")[1:3]) for path in paths
                if _MANIFEST.fullmatch(path) and self.touches(path)}  # fmt: skip

    # words

    def fill(self, text: str) -> str:
        """`text` with every {{placeholder}} replaced."""
        return _PLACE.sub(lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        word, _, rest = name.partition(" ")
        target = rest or HOME
        match word:
            case "vouch":
                return self.lines(rest or None)
            case "store":
                return self.state.url
            case "sha256":
                return digest(self.read(manifest_path(target)))
            case "last":
                return self.state.lasts.get(manifest_path(target), "none")
            case "commit":
                return self.state.labels[rest]
            case "main" if rest.startswith("sha256"):
                return digest(self.before(manifest_path(rest[7:] or HOME)) or b"")
            case "main":
                return self.state.tip
            case "head":
                return self.head
            case "uri":
                return f"{self.state.url}/{Artifact.named(rest).key}"
            case "size":
                return str(len(Artifact.named(rest).payload))
            case "path":
                return Artifact.named(rest).path
            case "tombstone":
                return tombstone_path(rest)
            case "key":
                return public(rest)
        return Artifact.named(name).version


def _changed(document: dict[str, Any], changes: Mapping[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """A document with members set, `a.b` inside of `a`, in their old place where they have one."""
    for path, value in changes.items():
        inner = document
        *outer, last = path.split(".")
        for name in outer:
            inner = inner[name]
        inner[last] = value
    for path in without:
        inner = document
        *outer, last = path.split(".")
        for name in outer:
            inner = inner[name]
        del inner[last]
    return document


def _bytes(text: str) -> bytes:
    r"""Bytes written with Python's escapes: '\xff\xfe\n'."""
    data, _ = codecs.escape_decode(text.encode())
    assert isinstance(data, bytes)
    return data


Edit = Mapping[str, Any]


def _put(work: Work, edit: Edit) -> None:
    data = _bytes(edit["raw"]) if "raw" in edit else edit["text"].encode()
    work.put(edit["put"], data, edit.get("mode", FILE))


def _move(work: Work, edit: Edit) -> None:
    leaf = work.files[edit["move"]]
    work.leaf(edit["move"], None)
    work.leaf(edit["to"], leaf)


def _sub(work: Work, edit: Edit) -> None:
    old, new = (work.fill(each).encode() for each in edit["sub"])
    path = work.fill(edit["of"])
    data, count = re.subn(old, lambda _: new, work.read(path), count=1)
    assert count == 1, f"{old!r} is not in {path}"
    work.put(path, data, work.files[path].mode)


def _swap(work: Work, edit: Edit) -> None:
    old, new = map(_bytes, edit["swap"])
    path = work.fill(edit["of"])
    data = work.read(path)
    assert old in data, f"{old!r} is not in {path}"
    work.put(path, data.replace(old, new, 1))


def _json(work: Work, edit: Edit) -> None:
    document = _changed(read(work.read(edit["json"])), edit.get("set", {}), edit.get("without", ()))
    work.put(edit["json"], rendered(document))


def _many(work: Work, edit: Edit) -> None:
    counts = {f"count{number:05}": number for number in range(edit["many"])}
    work.put(edit["of"], rendered(_changed(read(work.read(edit["of"])), {"summary": counts})))


def _layout(work: Work, edit: Edit) -> None:
    text = json.dumps(read(work.read(edit["layout"])), **edit["dumps"]) + edit.get("end", "\n")
    work.put(edit["layout"], text.encode())


def _ship(work: Work, edit: Edit) -> None:
    work.ship(edit["ship"], at=edit.get("at"), drop=edit.get("drop", ()), **edit.get("slots", {}))


def _record(work: Work, edit: Edit) -> None:
    artifact = Artifact.named(edit["record"])
    document = _changed(artifact.record(work.state.url), edit.get("set", {}), edit.get("without", ()))
    work.put(edit.get("at", artifact.path), rendered(document))


def _hold(work: Work, edit: Edit) -> None:
    hold = {"v": 1, "target": edit["hold"], "until": "2026-12-01T00:00:00.000000Z", "reason": "stocktaking"}
    document = _changed(hold, edit.get("set", {}), edit.get("without", ()))
    work.put(edit.get("at", f"holds/{edit['hold']}.json"), rendered(document))


def _retire(work: Work, edit: Edit) -> None:
    document = _changed(read(tombstone(edit["retire"])), edit.get("set", {}), edit.get("without", ()))
    work.put(edit.get("at", tombstone_path(edit["retire"])), rendered(document))


def _restore(work: Work, edit: Edit) -> None:
    path = manifest_path(edit["restore"])
    work.leaf(path, work.state.trees[work.state.labels[edit["to"]]][path])


# The edits of the data files by the member that names them; README.md describes them.
EDITS: Mapping[str, Callable[[Work, Edit], None]] = {
    "put": _put,
    "link": lambda work, edit: work.put(edit["link"], edit["to"].encode(), LINK),
    "submodule": lambda work, edit: work.leaf(edit["submodule"], Leaf(SUBMODULE, work.state.tip)),
    "executable": lambda work, edit: work.leaf(
        edit["executable"], Leaf(EXECUTABLE, work.files[edit["executable"]].oid)
    ),
    "copy": lambda work, edit: work.leaf(edit["to"], work.files[edit["copy"]]),
    "move": _move,
    "delete": lambda work, edit: work.leaf(edit["delete"], None),
    "sub": _sub,
    "swap": _swap,
    "json": _json,
    "many": _many,
    "blanks": lambda work, edit: work.put(edit["of"], work.read(edit["of"]) + b" " * edit["blanks"]),
    "layout": _layout,
    "ship": _ship,
    "record": _record,
    "hold": _hold,
    "retire": _retire,
    "undo": lambda work, edit: work.undo(edit["undo"]),
    "restore": _restore,
}


def _edit(work: Work, edit: Edit) -> None:
    """Do one edit of a data file. What `sub` and `swap` look for is taken as it stands."""
    kind = next(kind for kind in EDITS if kind in edit)
    EDITS[kind](work, edit if kind in ("sub", "swap") else _filled(work, edit))


def _filled(work: Work, value: Any) -> Any:
    if isinstance(value, str):
        return work.fill(value)
    if isinstance(value, dict):
        return {work.fill(key): _filled(work, inner) for key, inner in value.items()}
    return [_filled(work, inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Case:
    """One change. `rule` is "" for an innocent one."""

    name: str
    rule: str
    build: Callable[[Work], None]
    start: str = "shipped-twice"
    branch_from: str | None = None  # the label of an older commit of main
    also: frozenset[str] = frozenset()  # rules that this change cannot help breaking too, at the pull request
    served: frozenset[str] = frozenset()  # targets of a joint ship with which nothing is wrong
    mended: bool = False  # what breaks every command is judged by audit after it was mended
    not_at: Mapping[str, str] = field(default_factory=dict)  # gate → why this change cannot be judged there
    store: Sequence[Mapping[str, Any]] = ()  # what happened to the store
    prepare: Callable[[Work, Path], None] | None = None  # what happened to the repository: gets its git directory
    head: str = ""  # a name for the branch, where it is part of the attack
    asks: str = ""  # what `check --head` is asked instead of the branch: "id", "HEAD"

    def work(self, state: State) -> Work:
        work = Work(state, self.branch_from)
        self.build(work)
        return work


def _case(name: str, rule: str, table: Mapping[str, Any]) -> Case:
    commits = table.get("commit", [{"edit": table.get("edit", []), "message": table.get("message")}])

    def build(work: Work) -> None:
        for commit in commits:
            if commit.get("merge") == "main":
                work.merge_main(commit.get("message", "Merge branch 'main'"))
                continue
            for edit in commit.get("edit", []):
                _edit(work, edit)
            message = commit.get("message") or table.get("message") or "ordinary words"
            work.commit(message, time=commit.get("time"))

    return Case(
        name, rule, build, table.get("start", "shipped-twice"), table.get("from"), frozenset(table.get("also", ())),
        frozenset(table.get("served", ())), table.get("mended", False), table.get("not_at", {}), table.get("store", ()),
    )  # fmt: skip


_KEYS = {"name", "rule", "also", "start", "from", "edit", "message", "commit", "each", "served", "mended"}
_KEYS |= {"not_at", "store"}


def _each(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A table once for each of its `each`, whose members replace {{member}} everywhere in it."""

    def put(value: Any, given: Mapping[str, Any]) -> Any:
        if isinstance(value, str):
            whole = re.fullmatch(r"\{\{(\w+)\}\}", value)
            if whole and whole[1] in given:
                return given[whole[1]]
            return _PLACE.sub(lambda found: str(given.get(found[1], found[0])), value)
        if isinstance(value, dict):
            return {put(key, given): put(inner, given) for key, inner in value.items()}
        return [put(inner, given) for inner in value] if isinstance(value, list) else value

    for given in table.get("each", [{}]):
        yield {key: put(value, given) for key, value in table.items() if key != "each"}


def read_cases(path: Path, rule: str) -> Iterator[Case]:
    tables = tomllib.loads(path.read_text("utf-8"))
    defaults = {key: value for key, value in tables.items() if key != "case"}
    for table in tables["case"]:
        unknown = {*table, *defaults} - _KEYS
        assert not unknown, f"{path.name}: {table['name']}: unknown {unknown}"
        for one in _each({**defaults, **table}):
            yield _case(one["name"], rule and one.get("rule", rule), one)


def attacks() -> list[Case]:
    """Every attack of the data files: a file is named after the rule that stops what it holds."""
    return [case for path in sorted(HERE.glob("*.toml")) for case in read_cases(path, path.stem)]


def innocents() -> list[Case]:
    return [case for path in sorted((HERE / "innocent").glob("*.toml")) for case in read_cases(path, "")]

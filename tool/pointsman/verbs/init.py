"""`init`: a manifest repository ready to push."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.files import unwritten
from pointsman.forge.cloud import check_cloud
from pointsman.forge.generated import EXTRAS, FIRST_MESSAGE, LOCK_PATH, Lock, generated
from pointsman.forge.open import KINDS
from pointsman.outcome import Outcome
from pointsman.repo.git import Git
from pointsman.repo.moves import Move
from pointsman.repo.open import open_repository
from pointsman.repo.origin import MAIN
from pointsman.settings import SETTINGS_PATH, read_settings
from pointsman.state.objects import Oid
from pointsman.state.toml_text import table_text, value_text
from pointsman.values import CommitId

_OWN_STORE = ".pointsman/store"
_HEADER = """\
# The settings of this manifest repository. Commands read them from main of the origin, gates from the base of a change.
# No secret stands here: credentials come from the environment.
"""


class StoreTable(TypedDict):
    """The table `[store]`, with at least this in it."""

    url: str


class ForgeTable(TypedDict):
    """The table `[forge]`, with at least this in it."""

    kind: str
    records: str
    group: str


class Tables(TypedDict):
    """The tables of pointsman.toml, with at least these among them."""

    store: StoreTable
    forge: ForgeTable


class Made(Struct, frozen=True):
    """The repository that was made."""

    directory: Annotated[str, "absolute path"]
    commit: CommitId
    settings: Annotated[Tables, "the tables of pointsman.toml"]


def init(
    directory: str,
    *,
    store: str | None,
    serving: str | None,
    forge: str,
    sets: Sequence[tuple[str, str]],
    extras: Sequence[str] = (),
    rings: Sequence[str] = (),
    cloud: str | None = None,
) -> Outcome[Made]:
    """Make a manifest repository in a new or empty directory, its first commit on main; nothing is left if it fails.

    `extras`: names of EXTRAS. Problem for one that is not there. `rings`: NAME or NAME:AFTER, in their order; the last
    one reads the pointers of [serving]. `cloud`: to which the workflows log in, one of CLOUDS.
    """
    for name in extras:
        if name not in EXTRAS:
            raise Problem(f"--with {name}: there are {', '.join(EXTRAS)}")
    if forge not in KINDS:
        raise Problem(f"--forge {forge}: this version knows {', '.join(KINDS)} (local: a branch is a pull request)")
    if "site" in extras and KINDS[forge].files is not KINDS["github"].files:
        how = "set the variable POINTSMAN_SITE to pages" if forge == "gitlab" else "run pointsman site"
        raise Problem(f"--with site writes a workflow for GitHub Pages; with --forge {forge} {how}")
    if cloud is not None:
        check_cloud(cloud, forge, store)
    root = Path(os.path.abspath(directory))
    tables = _tables(root, store, serving, forge, sets)
    if rings:
        before = [_ring(each, tables["store"]["url"]) for each in rings[:-1]]
        tables["ring"] = [*before, _ring(rings[-1])]
    try:
        written = "".join(table_text(name, table) for name, table in tables.items())
        text = (_HEADER + written + others(tables)).encode()
    except UnicodeEncodeError as error:
        raise Problem(
            f"{directory!r} is not UTF-8: keep the blobs elsewhere, with --store file:///absolute/path"
        ) from error
    read_settings(text, "the settings to write")
    files = generated(forge, [*extras, "rollout"] if rings else extras, cloud)
    files[LOCK_PATH] = Lock.of(files, cloud=cloud).render()
    made = _claim(root, directory)
    try:
        commit = _first_commit(str(root), {**files, SETTINGS_PATH: text})
    except BaseException:
        _clear(root, made)
        raise
    return Outcome(Made(str(root), commit, cast(Tables, tables)))


def others(tables: Mapping[str, Any]) -> str:
    """The tables that are not written, with their defaults, as comments."""
    text = resources.files("pointsman").joinpath("templates", "settings.toml").read_text("utf-8")
    found = {part: re.search(r"^#\[(\w+)\]$", part, re.MULTILINE) for part in text.split("\n\n")}
    kept = (part for part, head in found.items() if head is None or head[1] not in tables)
    return "\n\n".join(kept).rstrip("\n") + "\n"


def _first_commit(directory: str, files: Mapping[str, bytes]) -> Oid:
    git = Git(directory)
    try:
        git.ask("init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template=")
    finally:
        git.close()
    with open_repository(directory) as repo:
        commit = repo.commit(repo.tree_with(None, files), [], FIRST_MESSAGE)
        repo.git.ask("read-tree", "-m", "-u", commit)
        repo.move([Move(MAIN, commit, None)])
        return commit


def _claim(root: Path, directory: str) -> Path | None:
    """Make `root` ours by making its .git, and return the topmost directory that had to be made for it."""
    made = None
    try:
        for each in (*reversed(root.parents), root):
            if not each.is_dir():
                each.mkdir()
                made = made or each
        if any(root.iterdir()):
            raise Problem(f"{directory} is not empty: name a new directory")
        (root / ".git").mkdir()
    except OSError as error:
        with contextlib.suppress(OSError):  # only what is empty: someone else may be at work here
            for each in (root, *root.parents) if made is not None else ():
                each.rmdir()
                if each == made:
                    break
        raise unwritten(error, directory, "make") from error
    return made


def _clear(root: Path, made: Path | None) -> None:
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
        return
    for each in root.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)


# settings


def _tables(
    root: Path, store: str | None, serving: str | None, forge: str, sets: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    tables: dict[str, Any] = {"store": {"url": store or f"file://{root / _OWN_STORE}"}}
    if serving is not None:
        tables["serving"] = {"manifest": serving}
    tables["forge"] = {"kind": forge, "records": KINDS[forge].records, "group": "target"}
    for key, value in sets:
        _merge(tables, _parse(key, value))
    return tables


def _ring(text: str, store: str = "") -> dict[str, str]:
    """The table of a ring. `store`: the URL of the blobs; "": the ring reads the pointers of [serving]."""
    name, _, after = text.partition(":")
    own = {} if not store else {"serving": f"{store}/rings/{name}/{{tenant}}/{{surface}}/manifest.json"}
    return {"name": name, **own, **({"after": after} if after else {})}


def _parse(key: str, value: str) -> dict[str, Any]:
    """KEY = VALUE as TOML; a value that is none is text."""
    try:
        tomllib.loads(f"{key} = 0")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        such = 'such as forge.group or policy."grocer/home".items_drop'
        raise Problem(f"--set {key}={value}: {key!r} is no key ({such})") from error
    try:
        parsed = tomllib.loads(f"{key} = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):
        parsed = tomllib.loads(f"{key} = {value_text(value)}")
    if not all(isinstance(table, dict) for table in parsed.values()):
        raise Problem(f"--set {key}={value}: {key} is a table, name a key in it, such as forge.group")
    return parsed


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            _merge(there, value)
        else:
            into[key] = value

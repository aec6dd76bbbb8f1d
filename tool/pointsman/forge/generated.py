"""The files that `init` writes and `upgrade` replaces, and the lock that says which bytes they had."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable

from msgspec import Struct

from pointsman import __version__
from pointsman.errors import Fault, Problem
from pointsman.forge.cloud import CLOUDS, with_login
from pointsman.forge.open import KINDS
from pointsman.patterns import pattern
from pointsman.settings import SETTINGS_PATH
from pointsman.state import strict_json
from pointsman.state.objects import Oid, object_id
from pointsman.state.paths import path_kind

LOCK_PATH = ".pointsman.lock"
TOOL = "tool/pointsman/"
FIRST_MESSAGE = "Set up the manifest repository\n"  # of the commit that init makes
# Path in a manifest repository → its file under templates/, whose name means nothing to git and other tools there.
_FILES = {
    "CODEOWNERS": "CODEOWNERS",
    "LICENSE": "LICENSE",
    "README.md": "README.md",
    ".gitattributes": "gitattributes",
    ".gitignore": "gitignore",
    ".pre-commit-config.yaml": "pre-commit-config.yaml",
    "manifests/README.md": "manifests.md",
    "pyproject.toml": "pyproject",
    "registry/README.md": "registry.md",
    "requirements.txt": "requirements.txt",
}
# What `init --with` writes besides, by its name: paths in the new repository, and under templates/.
_CONTAINER = ("deploy/Dockerfile", "deploy/Dockerfile.dockerignore")
EXTRAS: Mapping[str, Sequence[str]] = {
    "container": _CONTAINER,
    "kubernetes": (
        *_CONTAINER,
        *(f"deploy/kubernetes/{name}.yaml" for name in ("gc", "kustomization", "publish", "seen", "sync")),
    ),
    "monitoring": tuple(f"monitoring/{name}" for name in ("alerts.test.yml", "alerts.yml", "dashboard.json")),
    # That of its forge alone.
    "rollout": tuple(f".{forge}/workflows/rollout.yml" for forge in ("github", "gitea", "forgejo")),
    "site": (".github/workflows/site.yml",),
    "systemd": (
        "deploy/systemd/pointsman.env",
        *(f"deploy/systemd/pointsman-{name}.service" for name in ("gc", "publish", "seen", "status", "sync")),
        *(f"deploy/systemd/pointsman-{name}.timer" for name in ("gc", "publish")),
    ),
}
_CLOUD_PAGE = "docs/cloud.md"
_EXTRA_FILES = {  # whose file under templates/ is called otherwise
    ".github/workflows/site.yml": "pages/site.yml",
    ".github/workflows/rollout.yml": "rollout/github.yml",
    ".gitea/workflows/rollout.yml": "rollout/gitea.yml",
    ".forgejo/workflows/rollout.yml": "rollout/gitea.yml",
}
_VERSION = pattern(r"\d{1,6}(\.\d{1,6}){0,3}[0-9A-Za-z.+-]{0,40}")
_ID = pattern(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Lock(Struct, frozen=True):
    """Which version wrote the generated files last, the blob of each as that version wrote it, and for which cloud."""

    version: str
    files: Mapping[str, Oid]
    cloud: str | None = None

    @classmethod
    def of(cls, files: Mapping[str, bytes], length: int = 40, cloud: str | None = None) -> Lock:
        """The lock of files that this version writes, in a repository with ids of `length` digits."""
        return cls(__version__, {path: object_id("blob", data, length) for path, data in files.items()}, cloud)

    def render(self) -> bytes:
        """The file."""
        chosen = {} if self.cloud is None else {"cloud": self.cloud}
        document = {"v": 1, "version": self.version, **chosen, "files": dict(sorted(self.files.items()))}
        return (json.dumps(document, indent=2) + "\n").encode()


def read_lock(data: bytes, signers: str) -> Lock:
    """The lock in a file; Problem if it is none, or names what no `init` wrote. `signers`: the path of their file."""
    document = strict_json.read(data, LOCK_PATH)
    if isinstance(document, Fault):
        raise Problem(f"{LOCK_PATH} on main: {document.says}: {_MEND}")
    if not isinstance(document, dict) or document.get("v") != 1:
        raise Problem(f"{LOCK_PATH} on main is not of a form that this version knows: {_MEND}")
    version, files = document.get("version"), document.get("files")
    if not isinstance(version, str) or not _VERSION.fullmatch(version) or not isinstance(files, dict):
        raise Problem(f'{LOCK_PATH} on main lacks its "version" or its "files": {_MEND}')
    for path, oid in files.items():
        if path in (SETTINGS_PATH, LOCK_PATH, signers) or path_kind(path) not in ("other", "readme"):
            raise Problem(f"{LOCK_PATH} on main names {path}, which no version generates: {_MEND}")
        if not isinstance(oid, str) or not _ID.fullmatch(oid):
            raise Problem(f"{LOCK_PATH} on main has no blob id for {path}: {_MEND}")
    cloud = document.get("cloud")
    if cloud is not None and cloud not in CLOUDS:
        raise Problem(f"{LOCK_PATH} on main names a cloud that this version does not know: install a newer one")
    return Lock(version, files, cloud)


_MEND = "put back the one of an earlier commit, or delete it"


def generated(forge: str, extras: Iterable[str] = (), cloud: str | None = None) -> dict[str, bytes]:
    """Every file that this version writes into a repository with one kind of forge, but for settings and lock.

    The gate runs the tool of the base of a change, so the repository holds its own. `cloud`: one of CLOUDS, to
    which the workflows log in.
    """
    files = {f"{TOOL}{path}": data for path, data in _files(resources.files("pointsman"))}
    written = {path: template(forge, name) for path, name in templates(forge, extras).items()}
    if cloud is not None:
        written[_CLOUD_PAGE] = template(forge, "cloud.md")
    return files | {path: with_login(path, data, cloud) for path, data in written.items()}


def templates(forge: str, extras: Iterable[str] = ()) -> Mapping[str, str]:
    """Path in a manifest repository → its file under templates/, for one kind of forge."""
    files = KINDS[forge].files
    more = (path for name in extras for path in EXTRAS[name] if not path.startswith(".") or _is_for(path, files))
    return {**_FILES, **KINDS[forge].files, **{path: _EXTRA_FILES.get(path, path) for path in more}}


def _is_for(path: str, files: Iterable[str]) -> bool:
    """Whether a workflow is for the forge that has these files."""
    folder = path.partition("/")[0]
    return any(each.startswith(f"{folder}/") for each in files)


def extras_among(paths: Collection[str]) -> list[str]:
    """The extras that a repository with these generated files has."""
    return [
        name
        for name, files in EXTRAS.items()
        if any(path in paths for path in files if name == "container" or path not in _CONTAINER)
    ]


def template(forge: str, name: str) -> bytes:
    """A file under templates/, in the words of one kind of forge."""
    data = resources.files("pointsman").joinpath("templates", name).read_bytes()
    for old, new in KINDS[forge].words:
        data = data.replace(old.encode(), new.encode())
    return data


def _files(directory: Traversable) -> Iterator[tuple[str, bytes]]:
    """Every file below a directory of the installed package, by its path there; bytecode is no part of it."""
    for entry in directory.iterdir():
        if entry.is_file():
            yield entry.name, entry.read_bytes()
        elif entry.name != "__pycache__":
            yield from ((f"{entry.name}/{path}", data) for path, data in _files(entry))

"""Names of the domain, checked once: targets, artifact types, versions."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
VERSION = r"[0-9a-f]{64}"

_name = pattern(NAME)
_version = pattern(VERSION)
_pattern = pattern(r"[A-Za-z0-9._*?-]+")

BUILT_IN_TYPES = ("popularity", "cooc", "implicit", "content_sim", "session_seq")


@lru_cache(maxsize=1 << 14)
def is_name(text: str) -> bool:
    """Whether `text` may name a tenant, surface, segment or artifact type."""
    return _name.fullmatch(text) is not None and not text.casefold().endswith((".lock", ".git"))


def is_version(text: str) -> bool:
    """Whether `text` is a lower-case hex SHA-256."""
    return _version.fullmatch(text) is not None


def check_name(text: str, what: str) -> str:
    """`text` if it is a valid name. Problem if not; `what` says in the message what it would name."""
    if not is_name(text):
        raise Problem(
            f"not a name for a {what}: {text!r} (letters, digits, '.', '_', '-'; it begins with a letter or digit, "
            "has at most 128 characters and does not end in .lock or .git)"
        )
    return text


def branch_place(name: str) -> str:
    """A name as part of a branch name, where git does not allow `..`."""
    return name.replace("..", ".%2E")


class Target(Struct, frozen=True, order=True):
    """One tenant and one surface. Each target has one manifest."""

    tenant: str
    surface: str

    def __post_init__(self) -> None:
        check_name(self.tenant, "tenant")
        check_name(self.surface, "surface")
        if self.tenant.casefold() in ("registry", "schemas"):
            user = "the serving pointers" if self.tenant.casefold() == "registry" else "artifact schemas"
            raise Problem(f"a tenant cannot be called {self.tenant!r}: {user} use this name; choose another")

    @classmethod
    def parse(cls, text: str) -> Target:
        """The target written as tenant/surface; Problem if `text` has another form."""
        tenant, slash, surface = text.partition("/")
        if not slash or "/" in surface:
            raise Problem(f"not a target: {text!r} (write tenant/surface, such as grocer/home)")
        return cls(tenant, surface)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.surface}"

    @property
    def place(self) -> str:
        """The part of its branch names after ship/, rollback/ or hold/."""
        return branch_place(str(self))

    @property
    def manifest_path(self) -> str:
        return f"manifests/{self.tenant}/{self.surface}/manifest.json"

    def record_path(self, artifact_type: str, version: str) -> str:
        return f"registry/{self.tenant}/{self.surface}/{artifact_type}/{version}.json"

    def tombstone_path(self, artifact_type: str, version: str) -> str:
        return f"registry/{self.tenant}/{self.surface}/{artifact_type}/{version}.retired.json"

    @property
    def hold_path(self) -> str:
        return f"holds/{self.tenant}/{self.surface}.json"

    def blob_key(self, artifact_type: str, version: str) -> str:
        return f"{self.tenant}/{self.surface}/{artifact_type}/{version}.json"


class Pattern(Struct, frozen=True):
    """A pattern of targets, such as bookshop/*. `*` is any characters, `?` is one; neither is a slash."""

    tenant: str
    surface: str

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """The pattern written as tenant/surface; Problem if `text` has another form."""
        tenant, slash, surface = text.partition("/")
        if not slash or not _pattern.fullmatch(tenant) or not _pattern.fullmatch(surface):
            form = "write tenant/surface with '*' or '?', such as 'grocer/*', or '*/*' for all"
            raise Problem(f"not a pattern of targets: {text!r} ({form})")
        return cls(tenant, surface)

    def matches(self, target: Target) -> bool:
        return fnmatchcase(target.tenant, self.tenant) and fnmatchcase(target.surface, self.surface)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.surface}"


def target_or_pattern(text: str) -> Target | Pattern:
    """The target written as tenant/surface, or the pattern if it has a `*` or a `?`; Problem for another form."""
    return (Pattern if "*" in text or "?" in text else Target).parse(text)


def slot_of(text: str) -> tuple[Target, str]:
    """The target and the artifact type written as tenant/surface:type; Problem for another form."""
    target, colon, slot = text.partition(":")
    if not colon:
        raise Problem(f"{text!r} is not TARGET:TYPE, such as grocer/home:cooc")
    return Target.parse(target), check_name(slot, "type")


def short(name: str) -> str:
    """The first 12 digits of a version, a commit id or a hash: what messages show of it."""
    return name[:12]

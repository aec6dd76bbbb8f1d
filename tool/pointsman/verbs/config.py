"""`config`: every setting in force, and where it comes from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.files import read_file
from pointsman.guardrails.limits import Age, Jump, Limit
from pointsman.guardrails.policy import table_name
from pointsman.guardrails.table import DEFAULTS
from pointsman.history.events import shipped_ever, unknown
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.settings import KNOWN, SETTINGS_PATH, Settings
from pointsman.state.names import Target
from pointsman.state.toml_text import Path, key_text, lines_of, value_text
from pointsman.values import ArtifactType, CommitId, TargetName
from pointsman.workspace import Workspace

_LARGEST = 1 << 20  # bytes of the settings of a checkout
_SECONDS = {
    "POINTSMAN_REMOTE_TIMEOUT": "300",
    "POINTSMAN_STORE_TIMEOUT": "8",
    "POINTSMAN_LOCK_TIMEOUT": "600",
    "POINTSMAN_LANDING_TIMEOUT": "600",
    "POINTSMAN_RECORDS_TIMEOUT": "600",
    "POINTSMAN_FORGE_PATIENCE": "1800",
}
_PLAIN = ("POINTSMAN_REPO", "POINTSMAN_PAGER", "PAGER", "XDG_CACHE_HOME", "NO_COLOR", "POINTSMAN_APP_ID")
_OF_FORGES = {
    "local": (),
    "github": ("GH_HOST", "GITHUB_SERVER_URL", "GITHUB_API_URL", "GITHUB_GRAPHQL_URL"),
    "gitlab": ("GITLAB_HOST", "CI_SERVER_URL"),
    "gitea": ("GITEA_SERVER_URL",),
    "forgejo": ("FORGEJO_SERVER_URL",),
}
_OF_STORES = {
    "file": (),
    "s3": ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME",),
}
_SECRETS = {
    "github": ("POINTSMAN_APP_KEY", "GH_TOKEN", "GITHUB_TOKEN"),
    "gitlab": ("GITLAB_TOKEN", "CI_JOB_TOKEN"),
    "gitea": ("GITEA_TOKEN",),
    "forgejo": ("FORGEJO_TOKEN",),
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gs": ("GOOGLE_BEARER_TOKEN",),
    "az": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
}
_HEADERS = (
    "POINTSMAN_INVALIDATE_HEADERS",
    "POINTSMAN_NOTIFY_HEADERS",
    "POINTSMAN_PROMETHEUS_HEADERS",
)  # they hold tokens

Origin = Annotated[Literal["default", "file", "environment"], "file: pointsman.toml on main"]


class Setting(Struct, frozen=True):
    """One setting in force."""

    key: Annotated[str, "the table and the key, such as policy.items_drop"]
    type: Annotated[ArtifactType | None, "of a limit that is another for this type; else null"]
    value: Annotated[str | None, "as TOML; null: none"]
    from_: Origin
    table: Annotated[str | None, "the table of pointsman.toml that decides"]
    line: Annotated[int | None, "its line there"]


class Variable(Struct, frozen=True):
    """One environment variable that decides something here."""

    name: str
    value: Annotated[str | None, "null: not set, or a secret"]
    set: bool
    secret: Annotated[bool, "its value is never shown"]
    default: Annotated[str | None, "what holds if it is not set"]


class Config(Struct, frozen=True):
    """All that is in force."""

    commit: Annotated[CommitId, "main, from which the settings are read"]
    target: Annotated[TargetName | None, "for which the limits are; null: those that hold for all"]
    settings: Sequence[Setting]
    environment: Sequence[Variable]


def config(workspace: Workspace, target: Target | None = None) -> Outcome[Config]:
    """Every setting in force on main, for one target or in general, and what of the environment counts."""
    repo = workspace.repo
    repo.skips_tables = True
    main = repo.refresh()
    head = Snapshot(repo, main)
    settings, data = head.settings(), head.read(SETTINGS_PATH) or b""
    if (policy := workspace.gate.consents.policies.approved(head)) is not None:
        settings, data = policy.settings, policy.text
    slots: set[str] = set()
    if target is not None:
        slots = {*versions_in(repo, head.entry(target.manifest_path)), *head.names(f"registry/{target}")}
        tables = settings.policy.tables
        if not slots and str(target) not in tables and str(target) not in (known := shipped_ever(repo, main)):
            raise Problem(unknown(target, known))
        slots |= {place.rpartition("|")[2] for place in tables if "|" in place}
    text = data.decode()
    found = _Found(settings, tomllib.loads(text), lines_of(text))
    told = [*found.tables(), *found.policy(target, sorted(slots))]
    return Outcome(
        Config(main, str(target) if target is not None else None, told, _environment(settings)),
        notes=_notes(workspace, head, data),
    )


class _Found:
    """What the settings say, and where."""

    def __init__(self, settings: Settings, tables: Mapping[str, Any], lines: Mapping[Path, int]) -> None:
        self._settings, self._tables, self._lines = settings, tables, lines

    def tables(self) -> Iterator[Setting]:
        """All but the guardrails: each key with a default, and what tables of any name have in them."""
        defaults = _defaults(self._settings)
        for name, known in KNOWN.items():
            table = self._tables.get(name, {})
            if isinstance(table, list) or not known:
                yield from self._several(name, table)
                continue
            by_rings = name == "serving" and "ring" in self._tables
            for key in known:
                if (name != "policy" or key not in DEFAULTS) and (key in table or not by_rings):
                    yield self._one((name, key), defaults.get(f"{name}.{key}"))

    def _one(self, path: tuple[str, str], default: object) -> Setting:
        name, key = path
        table = self._tables.get(name, {})
        if key in table:
            return self._written(f"{name}.{key}", table[key], f"[{name}]", path)
        variable = {"store.endpoint": "AWS_ENDPOINT_URL", "store.region": "AWS_REGION"}.get(f"{name}.{key}")
        if variable and self._settings.store.startswith("s3:") and (value := os.environ.get(variable)):
            return Setting(f"{name}.{key}", None, value_text(value), "environment", variable, None)
        told = value_text(default) if default not in (None, "") else None
        return Setting(f"{name}.{key}", None, told, "default", None, None)

    def _several(self, name: str, table: object) -> Iterator[Setting]:
        """The keys of tables with double brackets, or with names of their own, as they are written."""
        if isinstance(table, list):
            for place, each in enumerate(table):
                for key, value in each.items():
                    label = f"{name}.{key_text(str(each.get('name', place)))}.{key}"
                    yield self._written(label, value, f"[[{name}]]", (name, place, key))
        elif isinstance(table, dict):
            for inner, each in table.items():
                for key, value in each.items() if isinstance(each, dict) else ():
                    where = f"{name}.{key_text(inner)}"
                    yield self._written(f"{where}.{key}", value, f"[{where}]", (name, inner, key))

    def policy(self, target: Target | None, slots: Sequence[str]) -> Iterator[Setting]:
        """The limits of all guardrails, and those of a type where they are others."""
        policy = self._settings.policy
        for name in DEFAULTS:
            if target is None:
                places = [place for place, limits in policy.tables.items() if name in limits and place]
                general = policy.tables.get("", {}).get(name)
                yield self._limit(name, None, "" if general is not None else None, general)
                yield from (self._limit(name, None, place, policy.tables[place][name]) for place in sorted(places))
                continue
            place, limit = policy.source(target, name)
            yield self._limit(name, None, place, limit)
            for slot in slots:
                own, other = policy.source(target, name, slot)
                if own != place:
                    yield self._limit(name, slot, own, other)

    def _limit(self, name: str, slot: str | None, place: str | None, limit: Limit | None) -> Setting:
        if place is None or limit is None:
            return Setting(f"policy.{name}", slot, _limit_text(DEFAULTS[name]), "default", None, None)
        path = ("policy", *(each for each in place.split("|") if each), name)
        return Setting(f"policy.{name}", slot, _limit_text(limit), "file", table_name(place), self._lines.get(path))

    def _written(self, key: str, value: object, table: str, path: Path) -> Setting:
        return Setting(key, None, value_text(value), "file", table, self._lines.get(path))


def _limit_text(limit: Limit) -> str:
    match limit:
        case Jump():
            return f"{{ shrink = {limit.shrink:g}, grow = {limit.grow:g} }}"
        case Age():
            return value_text(limit.text)
    return value_text(limit)


def _defaults(settings: Settings) -> Mapping[str, object]:
    """What holds where the file says nothing; what follows from other settings as it follows."""
    places = settings.serving
    return {
        "store.former": [],
        "store.allow_http": False,
        "serving.manifest": places[0].manifest if places else None,
        "serving.instance_ttl": "15m",
        "forge.kind": settings.forge,
        "forge.repository": settings.repository,
        "forge.records": settings.records,
        "forge.group": settings.group,
        "forge.auto_merge": settings.auto_merge,
        "limits.artifact_bytes": settings.artifact_bytes,
        "limits.state_file_bytes": settings.state_file_bytes,
        "policy.approvals": settings.approvals,
        "audit.signed": [],
        "retention.keep_days": settings.keep_days,
        "retention.keep_ships": settings.keep_ships,
        "retention.wait_days": settings.wait_days,
        "retention.trash_days": settings.trash_days,
    }


def _environment(settings: Settings) -> list[Variable]:
    scheme = settings.store.partition("://")[0]
    shown = [*_SECONDS, *_PLAIN, *_OF_FORGES.get(settings.forge, ()), *_OF_STORES.get(scheme, ())]
    secret = [*_SECRETS.get(settings.forge, ()), *_SECRETS.get(scheme, ()), *_HEADERS]
    return [_variable(name, secret=False) for name in shown] + [_variable(name, secret=True) for name in secret]


def _variable(name: str, *, secret: bool) -> Variable:
    value = os.environ.get(name) or None
    return Variable(name, None if secret else value, value is not None, secret, _SECONDS.get(name))


def _notes(workspace: Workspace, head: Snapshot, data: bytes) -> tuple[str, ...]:
    """Whether the file of main or of the checkout is another one, whose changes count for nothing yet."""
    if note := workspace.gate.consents.policies.note(head):
        return (note,)
    worktree = workspace.repo.worktree
    if worktree is None:
        return ()
    try:
        same = read_file(worktree / SETTINGS_PATH, _LARGEST) == data
    except OSError:
        return ()
    return () if same else (f"{SETTINGS_PATH} of this checkout differs: what counts is that of main of the origin",)

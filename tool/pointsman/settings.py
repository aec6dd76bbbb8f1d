"""`pointsman.toml`: the settings of a manifest repository, read from main of the origin."""

from __future__ import annotations

import re
import shlex
import tomllib
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from pointsman.errors import Problem
from pointsman.guardrails.limits import Limit
from pointsman.guardrails.policy import Policy, read_policy
from pointsman.guardrails.table import DEFAULTS
from pointsman.patterns import pattern
from pointsman.state.check import Check
from pointsman.state.check_settings import read_checks
from pointsman.state.demands import EvidenceDemand, read_approvals, read_audit, read_demands
from pointsman.state.hook_url import check_hook
from pointsman.state.names import Target
from pointsman.state.other_forms import recognised
from pointsman.state.place import Place
from pointsman.state.ring import Ring
from pointsman.state.ring_settings import RING_KEYS, read_rings, ring_places
from pointsman.state.serving_settings import (
    EACH_KEYS,
    ONE_KEYS,
    RING,
    SERVING,
    read_places,
    shared_urls,
    with_access,
)
from pointsman.state.store_url import Access, can_be_asked
from pointsman.state.suggest import did_you_mean
from pointsman.state.url_settings import read_access, read_url

SETTINGS_PATH = "pointsman.toml"
NEWER = "a newer pointsman may know it"

_OTHER_POLICY = ("approvals",)  # what is no guardrail there
KNOWN: dict[str, tuple[str, ...]] = {
    "store": ("url", "former", "endpoint", "region", "allow_http"),
    "serving": ONE_KEYS,
    "ring": (),  # tables with double brackets
    "check": (),  # tables by names of their own
    "forge": ("kind", "repository", "records", "group", "auto_merge"),
    "limits": ("artifact_bytes", "state_file_bytes"),
    "policy": (*DEFAULTS, *_OTHER_POLICY),
    "evidence": (),  # tables by names of their own
    "audit": ("since", "allowed_signers", "signed"),
    "retention": ("keep_days", "keep_ships", "wait_days", "trash_days"),
    "notify": ("command", "format", "webhook"),
}
_SEVERAL = {"serving": EACH_KEYS, "ring": RING_KEYS}  # tables that may stand more than once
_FORMATS = ("pointsman", "cloudevents")  # of the messages of [notify]
_BY_NAME = ("evidence", "check", "policy")  # whoever reads such a table says what is unknown in it
KEYS = tuple(f"{table}.{key}" for table, keys in KNOWN.items() for key in keys)
_MOST_BYTES = 1_000_000
_MOST_PARTS = 64
_LONGEST_KEPT = 100_000  # days, or ships
_LONG_KEY = pattern(rb"(?:[\w\"'-]{1,99}[ \t]*\.[ \t]*){%d}" % _MOST_PARTS)  # tomllib needs time by their square
FORGES = ("local", "github", "gitlab", "gitea", "forgejo")  # forge.open describes each
_ON_FORGE = pattern(r"(?:(?!\.+(?:/|$))[A-Za-z0-9._-]{1,255}(?:/(?!$)|$)){2,20}")  # groups of GitLab may be nested
_LOCAL = "local"  # the forge where only commands merge, and nothing is merged by itself


class Settings(Struct, frozen=True):
    """The settings of one manifest repository. URLs have no trailing slash."""

    store: str
    access: Access = Access()
    former: tuple[str, ...] = ()
    serving: tuple[Place, ...] = ()  # in their order, those of rings, too; the one of [serving] has no name
    rings: tuple[Ring, ...] = ()  # in their order; none: every place follows main
    checks: Mapping[str, Check] = field(default_factory=dict)  # by name
    forge: str = _LOCAL
    repository: str = ""  # its path on the forge, where the remote's URL does not tell it
    records: str = "push"
    group: str = "target"
    auto_merge: bool = False
    artifact_bytes: int = 10_000_000  # the most that recsys-service loads
    state_file_bytes: int = 65536
    audit_since: str = ""  # this commit and all before it are not judged; their manifests count as good
    allowed_signers: str = ""  # path of a file on main
    signed: tuple[str, ...] = ()  # paths of files and directories, "." for all
    approvals: int = 0  # persons who must approve a change; 0: nobody
    evidence: tuple[EvidenceDemand, ...] = ()
    keep_days: int = 90  # so long a version may not be retired after it was current
    keep_ships: int = 10  # nor while one of the last ships of its target has it
    wait_days: int = 7  # so long after a tombstone landed gc leaves its bytes alone
    trash_days: int = 7  # so long gc keeps in the trash what it took
    notify_command: str = ""
    notify_webhook: str = ""
    notify_format: str = "pointsman"
    policy: Policy = Policy()

    def limit(self, target: Target, name: str, slot: str | None = None) -> Limit:
        """The limit of the guardrail `name` for a type of a target; without `slot`, for the target as a whole."""
        return self.policy.limit(target, name, slot)

    def uri(self, target: Target, artifact_type: str, version: str) -> str:
        """The URI of the blob of a version, in the current store."""
        return f"{self.store}/{target.blob_key(artifact_type, version)}"

    def places(self, target: Target, artifact_type: str, version: str) -> tuple[str, ...]:
        """All URIs that the blob of a version may have: first in the store, then in the former ones."""
        return tuple(f"{store}/{target.blob_key(artifact_type, version)}" for store in (self.store, *self.former))


def read_settings(data: bytes, where: str = SETTINGS_PATH, *, skip: list[str] | None = None) -> Settings:
    """Settings from the text of a `pointsman.toml`. Problem, with the key and how to fix it, if one is wrong.

    `skip`: go on without the tables that are unknown, and name them there: what goes back or stops must not wait.
    """
    if len(data) > _MOST_BYTES:
        raise Problem(f"{where}: {len(data):,} bytes, and settings have at most {_MOST_BYTES:,}: make it smaller")
    if _LONG_KEY.search(data):
        raise Problem(f"{where}: a key has more than {_MOST_PARTS} parts joined by dots: settings have three at most")
    if data.startswith(BOM_UTF8):
        raise Problem(f"{where}: begins with a byte order mark: save it as UTF-8 without one")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem(f"{where}: {recognised(data) or f'not UTF-8 at byte {error.start}'}") from error
    except RecursionError as error:
        raise Problem(f"{where}: not TOML: lists and tables nest too deep") from error
    except tomllib.TOMLDecodeError as error:
        says = recognised(data) or _one_and_several(data) or f"not TOML: {error}"
        raise Problem(f"{where}: {says}") from error
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise Problem(f"{where}: not TOML: a number has too many digits") from error
    if skip is not None:
        skip += sorted(tables.keys() - KNOWN)
        tables = {name: table for name, table in tables.items() if name in KNOWN}
    _refuse_unknown(tables, where)
    store = tables.get("store", {})
    if "url" not in store:
        raise Problem(
            f'{where}: [store] url is missing: say where blobs are stored, such as url = "file:///srv/recsys"'
        )
    url = read_url(store["url"], "[store] url", where)
    former = store.get("former", [])
    if not isinstance(former, list):
        raise Problem(f"{where}: [store] former must be a list of URLs")
    forge, limits = tables.get("forge", {}), tables.get("limits", {})
    default = Settings(url)
    policy = tables.get("policy", {})
    formers = tuple(_former(each, where) for each in former)
    serving, written = tables.get("serving", {}), SERVING
    if rings := tables.get("ring", []):
        serving, written = ring_places(rings, serving, where), RING
    places = read_places(serving, url, where, written)
    access = read_access(store, (url, *formers, *shared_urls(places, serving)), where)
    places = with_access(places, serving, access, where, written)
    return Settings(
        store=url,
        access=access,
        former=formers,
        serving=places,
        rings=read_rings(rings, places if rings else (), tables.get("check", {}), where),
        checks=read_checks(tables.get("check", {}), where),
        **_forge(forge, where),
        artifact_bytes=_count(limits, "artifact_bytes", default.artifact_bytes, where),
        state_file_bytes=_count(limits, "state_file_bytes", default.state_file_bytes, where),
        **read_audit(tables.get("audit", {}), where),
        approvals=read_approvals(policy, tables.get("audit", {}), where),
        evidence=read_demands(tables.get("evidence", {}), tables.get("audit", {}), where),
        **_retention(tables.get("retention", {}), where),
        **_hooks(tables.get("notify", {}), where),
        policy=read_policy(policy, where, _OTHER_POLICY),
    )


def _one_and_several(data: bytes) -> str:
    """What is wrong where a table stands with single and with double brackets, which no TOML may have; else ""."""
    for name in _SEVERAL:
        head = re.compile(rb"^[ \t]*(\[\[?)[ \t]*%s[ \t]*\]" % name.encode(), re.MULTILINE)
        if len({found[1] for found in head.finditer(data)}) == 2:
            return f"[{name}] and [[{name}]] are both there: several are written [[{name}]], each of them"
    return ""


def _forge(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of [forge]."""
    kind, group = table.get("kind", _LOCAL), table.get("group", "target")
    if kind not in FORGES:
        known = " or ".join(f'"{each}"' for each in FORGES)
        raise Problem(f"{where}: [forge] kind is {kind!r}, and this version knows only {known}")
    records = table.get("records", records_by_default(kind))
    auto_merge = table.get("auto_merge", False)
    if group not in ("target", "run"):
        raise Problem(f'{where}: [forge] group must be "target" or "run"')
    if records not in ("push", "pull-request"):
        raise Problem(f'{where}: [forge] records must be "push" or "pull-request"')
    if not isinstance(auto_merge, bool):
        raise Problem(f"{where}: [forge] auto_merge must be true or false")
    if kind == _LOCAL and (records != "push" or auto_merge):
        says = 'records = "pull-request" and auto_merge = true need a forge that merges by itself, and kind is "local"'
        raise Problem(f"{where}: [forge] {says}: take them out, or publish with --merge")
    repository = table.get("repository", "")
    if not isinstance(repository, str) or (repository and not _ON_FORGE.fullmatch(repository)):
        raise Problem(f'{where}: [forge] repository must be "owner/name", as the forge shows it')
    return {"forge": kind, "repository": repository, "records": records, "group": group, "auto_merge": auto_merge}


def records_by_default(kind: str) -> str:
    """How records reach main: "pull-request" on a forge that merges by itself, "push" on one that does not."""
    return "push" if kind == _LOCAL else "pull-request"


def _refuse_unknown(tables: Mapping[str, Any], where: str) -> None:
    for name, table in tables.items():
        if name not in KNOWN:
            near = did_you_mean(name, KNOWN, always=False)
            raise Problem(f"{where}: unknown table [{name}]{f'{near} Or {NEWER}' if near else f': {NEWER}'}")
        if name in _SEVERAL and _is_several(table):
            for key in (key for each in table for key in each):
                _refuse_key(key, _SEVERAL[name], f"[[{name}]]", where)
            continue
        if name == "ring":
            raise Problem(f"{where}: [ring] must be written [[ring]], with double brackets, once for each ring")
        if not isinstance(table, dict):
            raise Problem(f"{where}: [{name}] must be a table, not a value")
        for key in table:
            if name not in _BY_NAME:
                if name == "serving" and key in EACH_KEYS and key not in ONE_KEYS:
                    says = f"unknown key {key} in [serving]: several places are [[serving]], each with a name"
                    raise Problem(f"{where}: {says}")
                _refuse_key(key, KNOWN[name], f"[{name}]", where)


def _refuse_key(key: str, known: Sequence[str], place: str, where: str) -> None:
    if key not in known:
        raise Problem(f"{where}: unknown key {key} in {place}{did_you_mean(key, known)}")


def _is_several(table: object) -> bool:
    """Whether it is written as tables with double brackets, one at least."""
    return isinstance(table, list) and bool(table) and all(isinstance(each, dict) for each in table)


def _former(value: object, where: str) -> str:
    if not isinstance(value, str) or "://" not in value:
        raise Problem(f"{where}: [store] former must be a list of URLs, not {value!r}")
    if can_be_asked(value):
        return read_url(value, "[store] former", where)
    return value.rstrip("/")


def _count(table: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Problem(f"{where}: [limits] {key} must be a whole number of bytes above 0, not {value!r}")
    return value


def _retention(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LONGEST_KEPT:
            raise Problem(f"{where}: [retention] {key} must be a whole number from 0 to {_LONGEST_KEPT}, not {value!r}")
    return dict(table)


def _hooks(notify: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields about the calls of sync that [notify] asks for."""
    command, webhook = notify.get("command", ""), notify.get("webhook", "")
    form = notify.get("format", _FORMATS[0])
    if form not in _FORMATS:
        raise Problem(f'{where}: [notify] format must be "pointsman" or "cloudevents", not {form!r}')
    if webhook != "":
        check_hook(webhook, "[notify] webhook", where)
    try:
        if (
            not isinstance(command, str)
            or re.search(r"[\x00-\x1f\x7f]", command)
            or (command and not shlex.split(command))
        ):
            raise Problem(f"{where}: [notify] command must be one line, a program and its arguments, not {command!r}")
    except ValueError as error:
        raise Problem(f"{where}: [notify] command: {error}: {command!r}") from error
    return {"notify_command": command, "notify_webhook": webhook, "notify_format": form}

"""`pointsman.toml`: the settings of a manifest repository, read from main of the origin."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.errors import Problem
from pointsman.guardrails.limits import Limit
from pointsman.guardrails.table import DEFAULTS, read_limits
from pointsman.state.hook_url import check_hook, check_invalidate
from pointsman.state.names import NAME, Target
from pointsman.state.other_forms import recognised
from pointsman.state.store_url import Access, can_be_asked, split_url
from pointsman.state.suggest import did_you_mean

SETTINGS_PATH = "pointsman.toml"

_KNOWN: dict[str, tuple[str, ...]] = {
    "store": ("url", "former", "endpoint", "region", "allow_http"),
    "serving": ("manifest", "invalidate"),
    "forge": ("kind", "records", "group", "auto_merge"),
    "limits": ("artifact_bytes", "state_file_bytes"),
    "policy": tuple(DEFAULTS),
    "audit": ("since", "allowed_signers", "signed"),
    "retention": ("keep_days", "keep_ships", "wait_days", "trash_days"),
    "notify": ("command", "webhook"),
}
KEYS = tuple(f"{table}.{key}" for table, keys in _KNOWN.items() for key in keys)
_MOST_BYTES = 1_000_000
_MOST_PARTS = 64
_LONGEST_KEPT = 100_000  # days, or ships
_LONG_KEY = re.compile(rb"(?:[\w\"'-]{1,99}[ \t]*\.[ \t]*){%d}" % _MOST_PARTS)  # tomllib needs time by their square
FORGES = ("local", "github")  # forge.open describes each
_LOCAL = "local"  # the forge where only commands merge, and nothing is merged by itself


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one manifest repository. URLs have no trailing slash."""

    store: str
    access: Access = Access()  # noqa: RUF009 - frozen
    former: tuple[str, ...] = ()
    serving: str = ""
    forge: str = _LOCAL
    records: str = "push"
    group: str = "target"
    auto_merge: bool = False
    artifact_bytes: int = 10_000_000  # the most that recsys-service loads
    state_file_bytes: int = 65536
    audit_since: str = ""  # this commit and all before it are not judged; their manifests count as good
    allowed_signers: str = ""  # path of a file on main
    signed: tuple[str, ...] = ()  # paths of files and directories, "." for all
    keep_days: int = 90  # so long a version may not be retired after it was current
    keep_ships: int = 10  # nor while one of the last ships of its target has it
    wait_days: int = 7  # so long after a tombstone landed gc leaves its bytes alone
    trash_days: int = 7  # so long gc keeps in the trash what it took
    invalidate: tuple[str, ...] = ()  # URLs with {tenant}, optionally {surface}: one for each replica of serving
    notify_command: str = ""
    notify_webhook: str = ""
    policy: Mapping[str, Limit] = field(default_factory=dict)
    target_policy: Mapping[Target, Mapping[str, Limit]] = field(default_factory=dict)

    def limit(self, target: Target, name: str) -> Limit:
        """The limit of the guardrail `name` for one target."""
        return self.target_policy.get(target, {}).get(name, self.policy.get(name, DEFAULTS[name]))

    def uri(self, target: Target, artifact_type: str, version: str) -> str:
        """The URI of the blob of a version, in the current store."""
        return f"{self.store}/{target.blob_key(artifact_type, version)}"

    def places(self, target: Target, artifact_type: str, version: str) -> tuple[str, ...]:
        """All URIs that the blob of a version may have: first in the store, then in the former ones."""
        return tuple(f"{store}/{target.blob_key(artifact_type, version)}" for store in (self.store, *self.former))

    @property
    def serving_root(self) -> str:
        """The directory of the serving template that all targets share, without a trailing slash."""
        return self.serving[: self.serving.index("{")].rpartition("/")[0]

    def serving_key(self, target: Target) -> str:
        """The key of a target's pointer below `serving_root`."""
        return self._serving_rest.replace("{tenant}", target.tenant).replace("{surface}", target.surface)

    @property
    def _serving_rest(self) -> str:
        return self.serving[len(self.serving_root) + 1 :]

    @property
    def serving_depth(self) -> int:
        return self._serving_rest.count("/") + 1

    def serving_target(self, key: str) -> Target | None:
        """The target whose pointer has this key below `serving_root`; None if no target has it."""
        pattern = re.escape(self._serving_rest).replace(r"\{tenant\}", f"(?P<tenant>{NAME})")
        found = re.fullmatch(pattern.replace(r"\{surface\}", f"(?P<surface>{NAME})"), key)
        try:
            return Target(found["tenant"], found["surface"]) if found else None
        except Problem:
            return None


def read_settings(data: bytes, where: str = SETTINGS_PATH) -> Settings:
    """Settings from the text of a `pointsman.toml`. Problem, with the key and how to fix it, if one is wrong."""
    if len(data) > _MOST_BYTES:
        raise Problem(f"{where}: {len(data):,} bytes, and settings have at most {_MOST_BYTES:,}: make it smaller")
    if _LONG_KEY.search(data):
        raise Problem(f"{where}: a key has more than {_MOST_PARTS} parts joined by dots: settings have three at most")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem(f"{where}: {recognised(data) or f'not UTF-8 at byte {error.start}'}") from error
    except RecursionError as error:
        raise Problem(f"{where}: not TOML: lists and tables nest too deep") from error
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{where}: {recognised(data) or f'not TOML: {error}'}") from error
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise Problem(f"{where}: not TOML: a number has too many digits") from error
    _refuse_unknown(tables, where)
    store = tables.get("store", {})
    if "url" not in store:
        raise Problem(
            f'{where}: [store] url is missing: say where blobs are stored, such as url = "file:///srv/recsys"'
        )
    url = _url(store["url"], "[store] url", where)
    former = store.get("former", [])
    if not isinstance(former, list):
        raise Problem(f"{where}: [store] former must be a list of URLs")
    forge, limits = tables.get("forge", {}), tables.get("limits", {})
    default = Settings(url)
    policy = tables.get("policy", {})
    formers = tuple(_former(each, where) for each in former)
    serving = _template(tables.get("serving", {}).get("manifest"), url, where)
    return Settings(
        store=url,
        access=_access(store, (url, *formers, serving), where),
        former=formers,
        serving=serving,
        **_forge(forge, where),
        artifact_bytes=_count(limits, "artifact_bytes", default.artifact_bytes, where),
        state_file_bytes=_count(limits, "state_file_bytes", default.state_file_bytes, where),
        **_audit(tables.get("audit", {}), where),
        **_retention(tables.get("retention", {}), where),
        **_hooks(tables.get("serving", {}), tables.get("notify", {}), where),
        policy=read_limits({key: value for key, value in policy.items() if "/" not in key}, "[policy]", where),
        target_policy={
            _target(key, where): read_limits(value, f'[policy."{key}"]', where)
            for key, value in policy.items()
            if isinstance(value, dict) and "/" in key
        },
    )


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
    return {"forge": kind, "records": records, "group": group, "auto_merge": auto_merge}


def records_by_default(kind: str) -> str:
    """How records reach main: "pull-request" on a forge that merges by itself, "push" on one that does not."""
    return "push" if kind == _LOCAL else "pull-request"


def _refuse_unknown(tables: Mapping[str, Any], where: str) -> None:
    for name, table in tables.items():
        if name not in _KNOWN:
            raise Problem(f"{where}: unknown table [{name}]{did_you_mean(name, _KNOWN)}")
        if not isinstance(table, dict):
            raise Problem(f"{where}: [{name}] must be a table, not a value")
        for key, value in table.items():
            if name == "policy" and "/" in key and isinstance(value, dict):
                for inner in value:
                    _refuse_key("policy", inner, f'[policy."{key}"]', where)
            else:
                _refuse_key(name, key, f"[{name}]", where)


def _refuse_key(table: str, key: str, place: str, where: str) -> None:
    if key not in _KNOWN[table]:
        raise Problem(f"{where}: unknown key {key} in {place}{did_you_mean(key, _KNOWN[table])}")


def _url(value: object, key: str, where: str) -> str:
    if not isinstance(value, str):
        raise Problem(f"{where}: {key} must be a string")
    try:
        split_url(value)
    except Problem as error:
        raise Problem(f"{where}: {key}: {error}") from error
    url = value.rstrip("/")
    if url == "file:":
        raise Problem(f"{where}: {key}: {value!r} is the root of the file system: name a directory in it")
    if re.search(r"[\x00-\x1f\x7f{}]|//|/\.{1,2}(/|$)", url.partition("://")[2]):
        raise Problem(
            f"{where}: {key}: {value!r} has an empty or dotted part, a brace or a control character: take it out"
        )
    return url


def _former(value: object, where: str) -> str:
    if not isinstance(value, str) or "://" not in value:
        raise Problem(f"{where}: [store] former must be a list of URLs, not {value!r}")
    if can_be_asked(value):
        return _url(value, "[store] former", where)
    return value.rstrip("/")


def _access(table: Mapping[str, Any], urls: Sequence[str], where: str) -> Access:
    """How to reach the buckets of s3:// URLs. Problem if a key is set that no URL here uses."""
    access = Access(
        _text(table, "endpoint", where).rstrip("/"), _text(table, "region", where), table.get("allow_http", False)
    )
    if not isinstance(access.allow_http, bool):
        raise Problem(f"{where}: [store] allow_http must be true or false")
    if access != Access() and not any(url.startswith("s3://") for url in urls):
        raise Problem(
            f"{where}: endpoint, region and allow_http in [store] are for s3:// URLs: take them out, there is none here"
        )
    if re.search("[@?#]", access.endpoint):
        raise Problem(
            f"{where}: [store] endpoint has credentials or a query: take them out, they come from the environment"
        )
    if access.endpoint and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._/-]*)?", access.endpoint):
        raise Problem(f"{where}: [store] endpoint must be like https://host:port, not {access.endpoint!r}")
    if access.endpoint.startswith("http://") != access.allow_http:
        says = "an http:// endpoint needs allow_http = true, and only such an endpoint: others can read what is sent"
        raise Problem(f"{where}: [store] endpoint: {says}")
    if not re.fullmatch(r"[A-Za-z0-9-]*", access.region):
        raise Problem(f"{where}: [store] region must be a name such as us-east-1, not {access.region!r}")
    return access


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise Problem(f"{where}: [store] {key} must be a string")
    return value


def _template(value: object, store: str, where: str) -> str:
    if value is None:
        return f"{store}/registry/current/{{tenant}}/{{surface}}/manifest.json"
    if not isinstance(value, str):
        raise Problem(f"{where}: [serving] manifest must be a string")
    if (
        value.count("{tenant}") != 1
        or value.count("{surface}") != 1
        or re.search("[{}]", re.sub(r"\{(tenant|surface)\}", "", value))
    ):
        raise Problem(f"{where}: [serving] manifest must have {{tenant}} and {{surface}} once each: {value!r}")
    between = re.search(r"\{(?:tenant|surface)\}(.*)\{(?:tenant|surface)\}", value)
    if between is None or "/" not in between[1]:
        raise Problem(f"{where}: [serving] manifest needs a slash between {{tenant}} and {{surface}}: {value!r}")
    constant = value[: value.index("{")]
    if re.search(r"/(\.|/|$)|[\x00-\x1f\x7f]", value[len(constant.rpartition("/")[0]) :]):
        says = "a name in it, from the first brace on, is empty, begins with a dot or has a control character"
        raise Problem(f"{where}: [serving] manifest: {says}: {value!r}")
    _url(constant, "[serving] manifest", where)
    if not value.startswith("file://"):
        _url(value.replace("{tenant}", "t").replace("{surface}", "s"), "[serving] manifest", where)
        if constant.count("/") < 3:
            raise Problem(
                f"{where}: [serving] manifest: the bucket name cannot contain {{tenant}} or {{surface}}: {value!r}"
            )
    return value


def _count(table: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Problem(f"{where}: [limits] {key} must be a whole number of bytes above 0, not {value!r}")
    return value


def _audit(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    since, signers, signed = table.get("since", ""), table.get("allowed_signers", ""), table.get("signed", [])
    if since != "" and not (isinstance(since, str) and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", since)):
        raise Problem(f"{where}: [audit] since must be a full commit id, as git rev-parse prints it, not {since!r}")
    if signers != "" and not _is_path(signers):
        says = 'must be the path of a file of this repository, such as "allowed_signers"'
        raise Problem(f"{where}: [audit] allowed_signers {says}, not {signers!r}")
    if not isinstance(signed, list) or not all(each == "." or _is_path(each) for each in signed):
        says = 'must be a list of files and directories of this repository, such as ["manifests/"]'
        raise Problem(f"{where}: [audit] signed {says}, not {signed!r}")
    if signed and not signers:
        raise Problem(f"{where}: [audit] signed needs allowed_signers: set it to the file that lists who may sign")
    return {"audit_since": since, "allowed_signers": signers, "signed": tuple(signed)}


def _retention(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LONGEST_KEPT:
            raise Problem(f"{where}: [retention] {key} must be a whole number from 0 to {_LONGEST_KEPT}, not {value!r}")
    return dict(table)


def _hooks(serving: Mapping[str, Any], notify: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields about the calls of sync: [serving] invalidate and [notify]."""
    given = serving.get("invalidate", [])
    urls = [each for each in (given if isinstance(given, list) else [given]) if each != ""]
    for url in urls:
        check_invalidate(url, where)
    command, webhook = notify.get("command", ""), notify.get("webhook", "")
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
    return {"invalidate": tuple(dict.fromkeys(urls)), "notify_command": command, "notify_webhook": webhook}


def _is_path(value: object) -> bool:
    """Whether a value is the path of a file or directory in a repository, as git writes it."""
    return isinstance(value, str) and not re.search(r"^$|^/|//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f*?\[\\]", value)


def _target(text: str, where: str) -> Target:
    try:
        return Target.parse(text)
    except Problem as error:
        raise Problem(f'{where}: [policy."{text}"]: {error}') from error

"""What stands on the command line: types of arguments, each refusing in one sentence what it cannot be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.state.times import duration

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from pointsman.state.names import Target

    _ParamType = click.ParamType[Any]  # generic only for the type checker: older clicks have a plain class
else:
    _ParamType = click.ParamType

_DIGITS = pattern(r"[0-9a-f]{4,64}")
_EVERY = ": '*/*' is all of them"
_DIGITS_ARE = "4 to 64 hex digits, in lower case"
_NUMBER = pattern(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_LONGEST = 366 * 86400  # seconds
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f]")


class _Named(_ParamType):
    """An argument that names something of main. `offers`: the function of `complete` that lists those."""

    offers = ""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pointsman.cli import complete  # imported when the shell asks

        return complete.offer(getattr(complete, self.offers), ctx, incomplete) if self.offers else []


class _Text(_Named):
    """One line of text that may end up in a commit message."""

    name = "text"

    def __init__(self, offers: str = "") -> None:
        self.offers = offers

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(f"{value!r} is not UTF-8", param, ctx)
        if not value.strip():
            self.fail("it is empty: write a value, or leave the option out", param, ctx)
        if _CONTROL.search(value):
            self.fail(f"{value!r} is not one line of text", param, ctx)
        return str(value)


class _Url(_Text):
    """An address of the web, which is stored for ever, so without a user and a password."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from pointsman.state.message import check_run

        try:
            return check_run(super().convert(value, param, ctx))
        except Problem as problem:
            self.fail(str(problem), param, ctx)


class _Target(_Named):
    name = "target"
    offers = "targets"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        from pointsman.state.names import Target

        if set("*?") & set(value):
            self.fail(f"{value} is a pattern, and here it takes a target, such as grocer/home", param, ctx)
        try:
            return Target.parse(value)
        except Problem as problem:
            self.fail(str(problem), param, ctx)


class _Targets(_Target):
    """A target, or a pattern of targets."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pointsman.state.names import is_name, target_or_pattern

        try:
            return target_or_pattern(value)
        except Problem as problem:
            meant = f": '{value}/*' is every target of {value}" if is_name(value) else ""
            if _DIGITS.fullmatch(value):
                meant = f": pointsman show {value} tells of a version"
            self.fail(f"{problem}{_EVERY if value == 'all' else meant}", param, ctx)


class _Holdable(_Targets):
    """A target, a pattern of targets, or everything."""

    offers = "holdable"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "all" if value == "all" else super().convert(value, param, ctx)


class _Pulls(_Text):
    """A pull request by its id, branch or target, or a pattern of targets."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = super().convert(value, param, ctx)
        return TARGETS.convert(text, param, ctx) if "*" in text or "?" in text else text


class _Drop(_Named):
    name = "target:type"
    offers = "slots"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Target, str]:
        from pointsman.state.names import slot_of

        try:
            return slot_of(value)
        except Problem as problem:
            self.fail(str(problem), param, ctx)


class _Version(_Named):
    """A recorded version of a type, by its first digits."""

    name = "type@version"
    offers = "recorded_versions"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from pointsman.state.names import check_name

        slot, sign, version = value.partition("@")
        if not sign or not _DIGITS.fullmatch(version):
            self.fail(f"{value!r} is not TYPE@VERSION, such as cooc@3f2a91c0 ({_DIGITS_ARE})", param, ctx)
        try:
            return check_name(slot, "type"), version
        except Problem as problem:
            self.fail(str(problem), param, ctx)


class _VersionOrTarget(_Targets):
    """A recorded version by its first digits, a target, or a pattern of targets."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pointsman.history.versions import read_version

        if isinstance(value, str) and read_version(value) is not None:
            return value
        if isinstance(value, str) and "/" not in value:
            self.fail(f"{value!r} is no version ({_DIGITS_ARE}) and no target, such as grocer/home", param, ctx)
        return super().convert(value, param, ctx)


class _Rule(_ParamType):
    """A guardrail that a change may accept by name, for every target or for those before a colon."""

    name = "[target:]rule"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pointsman.cli.complete import choose
        from pointsman.shipping.options import ACCEPTABLE

        where, colon, _ = incomplete.rpartition(":")
        return choose((f"{where}{colon}{rule}" for rule in ACCEPTABLE), incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from pointsman.shipping.options import check_acceptable

        where, _, rule = str(value).rpartition(":")
        try:
            check_acceptable(rule)
        except Problem as problem:
            self.fail(str(problem), param, ctx)
        if where:
            TARGETS.convert(where, param, ctx)
        return str(value)


class _FailOn(_ParamType):
    """Names of what status may fail on, with commas between them."""

    name = "what"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pointsman.cli.complete import choose
        from pointsman.verbs.status import FAILURES

        before, comma, _ = incomplete.rpartition(",")
        return choose((f"{before}{comma}{name}" for name in FAILURES), incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        from pointsman.verbs.status import FAILURES

        names = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        for name in names:
            if name not in FAILURES:
                self.fail(f"{name!r} is not one of {', '.join(FAILURES)}", param, ctx)
        return names


class _Address(_ParamType):
    """A port, or a host and a port, to listen on; this machine alone can reach it unless a host is named."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not port.isascii() or not port.isdigit() or not 0 <= int(port) < 65536:
            self.fail(f"{value!r} is not [HOST:]PORT, such as 9464 or 0.0.0.0:9464", param, ctx)
        return host.strip("[]") or "127.0.0.1", int(port)


class _Seconds(_ParamType):
    """A number of seconds, or a length of time with its unit, of which none is too long to wait for."""

    name = "seconds"

    def __init__(self, *, zero: bool) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        length = duration(text, zero=True)
        seconds = float(text) if _NUMBER.fullmatch(text) else math.nan if length is None else float(length)
        if not (0 <= seconds <= _LONGEST) or (seconds == 0 and not self._zero):
            some = f"0 to {_LONGEST}" if self._zero else f"above 0, at most {_LONGEST}"
            self.fail(f"{value!r} is not a number of seconds ({some}), such as 30, 30s or 5m", param, ctx)
        return seconds


class _Count(_ParamType):
    """How many of something."""

    name = "number"

    def __init__(self, least: int = 1) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < self._least:
            self.fail(f"{value!r} is not a whole number from {self._least} on", param, ctx)
        return int(text)


class _Share(_ParamType):
    """A part of a whole. No number that compares with nothing: a limit of that kind would be none."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            share = float(value)
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 1, such as 0.2", param, ctx)
        return share


class _Setting(_ParamType):
    name = "key=value"
    form = "KEY=VALUE, such as policy.items_drop=0.4"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pointsman.cli.complete import choose
        from pointsman.settings import KEYS

        return choose((f"{key}=" for key in KEYS), incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, content = TEXT.convert(value, param, ctx).partition("=")
        if not equals:
            self.fail(f"{value!r} is not {self.form}", param, ctx)
        return key.strip(), content.strip()


class _Field(_Setting):
    """NAME=PATH: where a part of a line is."""

    form = "NAME=PATH, such as message=log.text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from pointsman.cli.complete import choose
        from pointsman.state.log_line import FIELDS

        return choose((f"{key}=" for key in FIELDS), incomplete)


TEXT, URL, ADDRESS, TARGET, TARGETS, HOLDABLE, DROP, VERSION_OF, RULE, SETTING, FAIL_ON = (
    _Text(), _Url(), _Address(), _Target(), _Targets(), _Holdable(), _Drop(), _Version(), _Rule(), _Setting(), _FailOn()
)  # fmt: skip
ANY_VERSION, PULL, PULLS, SLOT = _Text("versions"), _Text("pulls"), _Pulls("pulls"), _Text("types")
DEADLINE, PERIOD, COUNT, COUNT_OR_NONE, FIELD = _Seconds(zero=True), _Seconds(zero=False), _Count(), _Count(0), _Field()
VERSION_OR_TARGET, SHARE = _VersionOrTarget(), _Share()

"""`pointsman config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import TARGET
from pointsman.cli.console import Answer, Call, example, json_option
from pointsman.state.names import short

if TYPE_CHECKING:
    from pointsman.state.names import Target
    from pointsman.verbs.config import Config, Setting, Variable


@click.command(epilog=example("pointsman config grocer/home"))
@click.argument("target", metavar="[TARGET]", type=TARGET, required=False)
@json_option
@click.pass_obj
def config(call: Call, target: Target | None) -> Answer:
    """Show every setting in force, and where it comes from.

    With TARGET: the limits of the guardrails as they are for it, type by type. Secrets are never shown.
    """
    from pointsman.verbs import config as verb

    with call.workspace() as workspace:
        return Answer(verb.config(workspace, target), render, advises=False)


def render(told: Config) -> str:
    """A line for each setting, then one for each variable."""
    rows = [(_name(each), each.value if each.value is not None else "-", _source(each)) for each in told.settings]
    rows += [("", "", "")]
    rows += [(each.name, _value(each), _set(each)) for each in told.environment]
    widths = [min(max(len(row[n]) for row in rows), most) for n, most in ((0, 48), (1, 60))]
    whose = f" for {told.target}" if told.target else ""
    lines = [f"settings in force{whose}, from pointsman.toml of main at {short(told.commit)}"]
    lines += [f"{name:{widths[0]}}  {value:{widths[1]}}  {source}".rstrip() for name, value, source in rows]
    return "\n".join(lines)


def _name(each: Setting) -> str:
    return f"{each.key} ({each.type})" if each.type else each.key


def _source(each: Setting) -> str:
    if each.from_ == "environment":
        return f"environment: {each.table}"
    line = f"line {each.line}, " if each.line is not None else ""
    return f"{line}{each.table}" if each.from_ == "file" else "default"


def _value(each: Variable) -> str:
    if each.set:
        return "(set, not shown)" if each.secret else each.value or ""
    return each.default or "-"


def _set(each: Variable) -> str:
    return "environment" if each.set else "default" if each.default else "not set"

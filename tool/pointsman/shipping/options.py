"""The options of a ship, besides its versions, and what they require."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from pointsman.errors import Fault, Problem
from pointsman.guardrails.table import GUARDRAILS
from pointsman.rules.table import BY_NAME
from pointsman.state.message import check_value
from pointsman.state.names import Pattern, Target
from pointsman.state.paths import path_kind, target_of
from pointsman.state.ring import NOT_SOAKED
from pointsman.state.suggest import did_you_mean

_TARGETS_SHOWN = 3
ACCEPTABLE = (*GUARDRAILS, "evidence-missing", NOT_SOAKED)


class ShipOptions(Struct, frozen=True, kw_only=True):
    """The options of a ship. Problem, when it is made, if they do not fit together or into a commit message."""

    run: str = ""  # the pipeline run, a URL
    merge: bool = False
    reship: bool = False
    accept: tuple[str, ...] = ()  # guardrails that may be broken, as RULE or TARGET:RULE
    reason: str = ""
    dry_run: bool = False
    all_or_nothing: bool = False  # if one target has to wait, nothing is written

    def __post_init__(self) -> None:
        check_words(self.run, self.accept, self.reason, ships=True)


def check_words(run: str, accept: Sequence[str], reason: str, *, ships: bool = False) -> None:
    """Problem if a word cannot be in a commit message, or if something is accepted without a reason."""
    if run:
        check_value(run, "--run")
    if reason:
        check_value(reason, "--reason")
    if accept and not reason:
        raise Problem("--accept needs --reason: say why the guardrail may be broken, the reviewers will read it")
    for each in accept:
        where, _, rule = each.rpartition(":")
        if rule == NOT_SOAKED and not ships:
            raise Problem(f"--accept {NOT_SOAKED} is for ships: what is put back waits for no ring")
        check_acceptable(rule)
        if where:
            Pattern.parse(where)


def check_acceptable(rule: str) -> None:
    """Problem if nothing of this name can be accepted."""
    if rule in ACCEPTABLE:
        return
    known = f": known are {', '.join(ACCEPTABLE)}"
    if rule in BY_NAME:
        raise Problem(f"{rule} cannot be accepted{known.replace('known', 'those that can')}")
    raise Problem(f"no guardrail is called {rule!r}{did_you_mean(rule, ACCEPTABLE, always=False) or known}")


def idle(accept: Sequence[str], targets: Collection[Target]) -> list[str]:
    """A note for each TARGET:RULE that means none of the targets: it may be mistyped."""
    named = {each: each.rpartition(":")[0] for each in accept if ":" in each}
    return [
        f"--accept {each} is for no target of this command{did_you_mean(where, targets, always=False)}"
        for each, where in named.items()
        if not any(map(Pattern.parse(where).matches, targets))
    ]


def accepts(accept: Sequence[str], target: Target, rule: str) -> bool:
    """Whether one of RULE and TARGET:RULE means this rule of this target. TARGET may be a pattern."""
    means = (each.rpartition(":") for each in accept)
    return any(name == rule and (not where or Pattern.parse(where).matches(target)) for where, _, name in means)


def accepts_fault(accept: Sequence[str], fault: Fault) -> bool:
    """Whether they mean a fault of a manifest."""
    return path_kind(fault.path) == "manifest" and accepts(accept, target_of(fault.path), fault.rule)


def bind(accept: Sequence[str], broken: Mapping[Target, Collection[str]]) -> list[str]:
    """`accept`, each as TARGET:RULE. A RULE without a target is for the one target that breaks it now.

    `broken`: target → the guardrails that it breaks. Problem for a RULE that several targets break: a consent for one
    target must not let another one through unseen, now or after main has moved.
    """
    named = [each for each in accept if ":" in each]
    found = []
    for rule in (each for each in accept if ":" not in each):
        targets = [target for target, rules in broken.items() if rule in rules and not accepts(named, target, rule)]
        if len(targets) > 1:
            some = ", ".join(map(str, targets[:_TARGETS_SHOWN])) + (" …" if len(targets) > _TARGETS_SHOWN else "")
            raise Problem(
                f"--accept {rule} would accept it for {len(targets)} targets ({some}): "
                f"say for which, such as --accept {targets[0]}:{rule}"
            )
        found += [f"{target}:{rule}" for target in (broken if len(broken) == 1 else targets)]
    return named + found


# What to do where the origin does not allow it.
NOT_NOW = "leave --now out, which opens a pull request, or let this user push main"


def check_now(now: bool, reason: str) -> None:
    """Problem for a change that skips review and does not say why."""
    if now and not reason:
        raise Problem("--now skips review, so it needs --reason: the reason is stored in the commit")

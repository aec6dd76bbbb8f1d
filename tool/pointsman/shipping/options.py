"""The options of a ship, besides its versions, and what they require."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.errors import Problem
from pointsman.guardrails.table import GUARDRAILS
from pointsman.state.message import check_value
from pointsman.state.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipOptions:
    """The options of a ship. Problem, when it is made, if they do not fit together or into a commit message."""

    run: str = ""  # the pipeline run, a URL
    merge: bool = False
    reship: bool = False
    accept: tuple[str, ...] = ()  # guardrails that may be broken
    reason: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_words(self.run, self.accept, self.reason)


def check_words(run: str, accept: Sequence[str], reason: str) -> None:
    """Problem if a word cannot be in a commit message, or if something is accepted without a reason."""
    if run:
        check_value(run, "--run")
    if reason:
        check_value(reason, "--reason")
    if accept and not reason:
        raise Problem("--accept needs --reason: say why the guardrail may be broken, the reviewers will read it")
    for rule in accept:
        if rule not in GUARDRAILS:
            raise Problem(f"no guardrail is called {rule!r}{did_you_mean(rule, GUARDRAILS)}")


def check_now(now: bool, reason: str) -> None:
    """Problem for a change that skips review and does not say why."""
    if now and not reason:
        raise Problem("--now skips review, so it needs --reason: the reason is stored in the commit")

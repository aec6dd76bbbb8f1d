"""What a user may ask for beside the versions themselves, and what must be said with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.errors import Problem
from pointsman.guardrails.table import GUARDRAILS
from pointsman.state.message import check_value
from pointsman.state.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipOptions:
    """How to ship. Problem, when it is made, if these words cannot stand together or in a commit's message."""

    run: str = ""  # the pipeline run, a URL
    merge: bool = False
    reship: bool = False
    accept: tuple[str, ...] = ()  # guardrails that may be broken
    reason: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_words(self.run, self.accept, self.reason)


def check_words(run: str, accept: Sequence[str], reason: str) -> None:
    """Problem unless these words may stand in a commit's message, and what is accepted is a guardrail with a reason."""
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

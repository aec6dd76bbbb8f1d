"""What is said of a change that lacks approvals: how many it has, who still may, and what to do at this checkpoint."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pointsman.rules.evidence import Approval, Checkpoint, Consent, Evidence
from pointsman.rules.unapproved import RULE, missing
from pointsman.settings import Settings

MANIFEST, SETTINGS = "manifests/grocer/home/manifest.json", "pointsman.toml"
ANN = Approval(("ann", "ann@work"), "approvals/1.json")
NONE = Consent("a" * 64, (), 2, frozenset({SETTINGS, MANIFEST}))


def said(consent: Consent | None, checkpoint: Checkpoint = Checkpoint.CHANGE) -> dict[str, str]:
    found = RULE.judge(Evidence(checkpoint, Settings(""), consent=consent))
    return {fault.path: fault.says for fault in found}


def test_enough_is_enough_and_what_needs_none_is_let_be() -> None:
    assert said(None) == {}
    assert list(said(replace(NONE, by=(ANN,)))) == [MANIFEST, SETTINGS]
    assert said(replace(NONE, by=(ANN, Approval(("ben",), "approvals/2.json")))) == {}
    assert said(replace(NONE, needed=1, by=(ANN,))) == {}


APPROVE = "run pointsman approve with this pull request"
GO_BACK = "it must not be served; run pointsman rollback grocer/home"
REVERT = "what it changed does not count; revert it, or change it again with approvals"


@pytest.mark.parametrize(
    "checkpoint, of_manifest, of_settings",
    [
        (Checkpoint.CHANGE, APPROVE, APPROVE),
        (Checkpoint.SYNC, GO_BACK, REVERT),
        (Checkpoint.AUDIT, GO_BACK, REVERT),
    ],
)
def test_what_to_do_fits_the_checkpoint_and_what_was_changed(
    checkpoint: Checkpoint, of_manifest: str, of_settings: str
) -> None:
    found = said(NONE, checkpoint)
    assert found[MANIFEST].endswith(f": {of_manifest}")
    assert found[SETTINGS].endswith(f": {of_settings}")


@pytest.mark.parametrize(
    "more, says",
    [
        ({}, "it has 0 of 2 approvals; nobody else may approve"),
        ({"lacking": ("ben", "cat")}, "it has 0 of 2 approvals; ben, cat may approve"),
        ({"lacking": tuple("abcdefg")}, "it has 0 of 2 approvals; a, b, c, d, e and 2 more may approve"),
        ({"lacking": tuple("abcde")}, "it has 0 of 2 approvals; a, b, c, d, e may approve"),
        ({"by": (ANN,), "lacking": ("ben",)}, "it has 1 of 2 approvals (by ann = ann@work); ben may approve"),
        ({"void": ("x", "y")}, "it has 0 of 2 approvals; x; y; nobody else may approve"),
        ({"unproven": "no ssh-keygen"}, "it has 0 of 2 approvals that can be proven (no ssh-keygen)"),
    ],
)
def test_who_has_approved_and_who_still_may(more: dict[str, tuple[str, ...]], says: str) -> None:
    assert missing(replace(NONE, **more)) == says

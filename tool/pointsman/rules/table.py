"""The rules in the order of the pages, and how they judge a change."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.errors import Fault
from pointsman.guardrails.table import GUARDRAILS
from pointsman.rules import (
    bad_json,
    bad_path,
    blob_altered,
    blob_missing,
    case_collision,
    evidence_missing,
    foreign_uri,
    manifest_removed,
    mixed_change,
    not_a_plain_file,
    not_formatted,
    on_hold,
    record_changed,
    record_not_landed,
    retired,
    rewritten_history,
    rolled_back,
    schema,
    schema_changed,
    stale_base,
    still_needed,
    too_large,
    unapproved,
    unsigned,
    unvouched_manifest,
    wrong_place,
)
from pointsman.rules.evidence import Evidence
from pointsman.rules.guardrail import notes as notes_of_guardrail
from pointsman.rules.guardrail import rule_of
from pointsman.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    bad_path.RULE,
    case_collision.RULE,
    not_a_plain_file.RULE,
    mixed_change.RULE,
    too_large.RULE,
    bad_json.RULE,
    schema.RULE,
    schema_changed.RULE,
    not_formatted.RULE,
    wrong_place.RULE,
    foreign_uri.RULE,
    record_not_landed.RULE,
    blob_missing.RULE,
    blob_altered.RULE,
    record_changed.RULE,
    stale_base.RULE,
    unvouched_manifest.RULE,
    rolled_back.RULE,
    manifest_removed.RULE,
    evidence_missing.RULE,
    unapproved.RULE,
    still_needed.RULE,
    on_hold.RULE,
    retired.RULE,
    rewritten_history.RULE,
    unsigned.RULE,
    *map(rule_of, GUARDRAILS.values()),
)
BY_NAME = {rule.name: rule for rule in RULES}


def judge(evidence: Evidence, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """All faults of a change, by the rules of its checkpoint."""
    found = {fault for rule in rules if evidence.checkpoint in rule.at for fault in rule.judge(evidence)}
    # Against a manifest that moved, guardrails would compare slots that the ship does not mean to change.
    stale = {fault.path for fault in found if fault.rule == stale_base.RULE.name}
    found = {fault for fault in found if not (fault.path in stale and fault.rule in GUARDRAILS)}
    return sorted(found | {fault for change in evidence.targets for fault in change.built_on})


def notes(evidence: Evidence, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """What guardrails say that stops nothing."""
    in_force = [rule.name for rule in rules if rule.name in GUARDRAILS and evidence.checkpoint in rule.at]
    return sorted({note for name in in_force for note in notes_of_guardrail(evidence, GUARDRAILS[name])})

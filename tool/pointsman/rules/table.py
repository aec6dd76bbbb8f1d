"""The rules: what may not be current. One table says what each stops, how to mend it, and at which gates it decides.

A new rule is one pure function (in `file_rules`, `target_rules` or `policy`) and one line here. It gets facts that are
already read (`Case`) and yields faults; whether a fault stops the change is the gate's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pointsman.errors import Fault
from pointsman.guardrails import table
from pointsman.rules import file_rules, target_rules
from pointsman.rules.evidence import Checkpoint, Evidence, Kind, TargetChange


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, what it stops, how to mend that, where it decides, and if a change may accept it by name."""

    name: str
    stops: str
    mend: str
    at: frozenset[Checkpoint]
    judge: Callable[[Evidence], Iterator[Fault]]
    acceptable: bool = False


def _guardrail(rule: str) -> Callable[[Evidence], Iterator[Fault]]:
    def judge(evidence: Evidence) -> Iterator[Fault]:
        for change in evidence.targets:
            found = _found(evidence, change, rule) if change.kind is Kind.SHIP else ()
            if said := table.sentence(each for each in found if each.broken):
                says = f"{said}; if it is right, publish with --accept {rule} --reason …"
                yield Fault(change.target.manifest_path, rule, says)

    return judge


def _found(evidence: Evidence, change: TargetChange, rule: str) -> list[table.Finding]:
    if change.after is None:
        return []
    limit = evidence.settings.limit(change.target, table.setting(rule))
    return table.judge(rule, limit, table.steps(evidence, change))


_PC, _PR, _SY, _AU, _WT = Checkpoint.STAGED, Checkpoint.CHANGE, Checkpoint.SYNC, Checkpoint.AUDIT, Checkpoint.TREE

RULES = (
    Rule(
        "bad-path",
        "a file under `manifests/`, `registry/` or `holds/` where none belongs, or a name outside the grammar",
        "move it, or choose a name of letters, digits, `.`, `_` and `-`",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.bad_path,
    ),
    Rule(
        "case-collision",
        "two paths that differ only in case: a clone on macOS or Windows would merge them",
        "choose another name",
        frozenset({_PC, _PR, _AU, _WT}),
        file_rules.case_collision,
    ),
    Rule(
        "not-a-plain-file",
        "a symlink, submodule or executable where a state file belongs",
        "commit it as a file of mode 100644",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.not_a_plain_file,
    ),
    Rule(
        "mixed-change",
        "state changed together with anything else, or records with manifests; a hold may ride with a restore",
        "make two changes of it",
        frozenset({_PR, _AU}),
        file_rules.mixed_change,
    ),
    Rule(
        "too-large",
        "a state file over `[limits] state_file_bytes`",
        "make it smaller",
        frozenset({_PC, _PR, _WT}),
        file_rules.too_large,
    ),
    Rule(
        "bad-json",
        "JSON that two readers could read differently: duplicate names, NaN, a byte order mark, trailing data",
        "write it again as plain JSON",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.bad_json,
    ),
    Rule(
        "schema",
        "a document that is no manifest, record, tombstone, hold or artifact schema, or settings that cannot be read",
        "the fault names the member and what it must be",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.schema,
    ),
    Rule(
        "schema-changed",
        "the schema of a user's artifact type changed after a record of that type exists",
        "declare a new type",
        frozenset({_PC, _PR, _AU}),
        file_rules.schema_changed,
    ),
    Rule(
        "not-formatted",
        "a state document whose bytes are not the canonical rendering of what it says; restores pass",
        "let pointsman write it",
        frozenset({_PC, _PR}),
        file_rules.not_formatted,
    ),
    Rule(
        "wrong-place",
        "a document that says something else of itself than its path",
        "mend the document or move the file",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.wrong_place,
    ),
    Rule(
        "foreign-uri",
        "a URI that is not exactly the store's own for that version; a former store's passes in records and restores",
        "publish the artifact to the store of this repository",
        frozenset({_PC, _PR, _SY, _AU, _WT}),
        file_rules.foreign_uri,
    ),
    Rule(
        "record-not-landed",
        "a manifest that points to a version without a record on main, or a tombstone of one",
        "publish it: that lands the record first",
        frozenset({_PR, _SY, _AU, _WT}),
        target_rules.record_not_landed,
    ),
    Rule(
        "blob-missing",
        "a blob that is not there, or not of the recorded size",
        "publish its artifact again",
        frozenset({_PR, _SY, _WT}),
        target_rules.blob_missing,
    ),
    Rule(
        "blob-altered",
        "a blob whose bytes do not hash to its version",
        "find out who writes to the store; delete the blob and publish its artifact again",
        frozenset({_PR, _WT}),
        target_rules.blob_altered,
    ),
    Rule(
        "record-changed",
        "a record or tombstone that is changed, renamed or deleted",
        "take that out of the change",
        frozenset({_PC, _PR, _AU}),
        file_rules.record_changed,
    ),
    Rule(
        "stale-base",
        "a ship whose `Supersedes:` is not the commit that last changed its manifest: someone was faster",
        "publish again",
        frozenset({_PR, _SY, _AU}),
        target_rules.stale_base,
    ),
    Rule(
        "unvouched-manifest",
        "manifest bytes that neither a `Manifest:` line of the change nor a good earlier state vouches for",
        "use `pointsman publish` or `rollback`; on main, `git revert` the commit",
        frozenset({_PR, _SY, _AU}),
        target_rules.unvouched_manifest,
    ),
    Rule(
        "rolled-back",
        "a ship of a version that a restore took out",
        "publish with `--reship` if it is good after all",
        frozenset({_PR, _SY, _AU}),
        target_rules.rolled_back,
    ),
    Rule(
        "manifest-removed",
        "a manifest that is deleted; the revert of a target's first ship passes",
        "`git revert` the commit, or say `Accept: <target> manifest-removed <why>` in its message",
        frozenset({_PR, _SY, _AU}),
        target_rules.manifest_removed,
        acceptable=True,
    ),
    Rule(
        "on-hold",
        "a ship of a target under a hold that has not expired by the commit's clock; restores pass",
        "wait, or end the hold with `release`",
        frozenset({_PR, _SY}),
        target_rules.on_hold,
    ),
    Rule(
        "retired",
        "a manifest that points to a version with a tombstone, or a tombstone of a version that main points to",
        "publish another version",
        frozenset({_PR, _SY, _WT}),
        target_rules.retired,
    ),
    Rule(
        "rewritten-history",
        "main no longer descends from what was synced or audited last",
        "find out who rewrote it; `--accept-rewrite` goes on from what main is now",
        frozenset({_SY, _AU}),
        target_rules.rewritten_history,
    ),
    Rule(
        "unsigned",
        "a commit that changes what `[audit] signed` names, without a good signature by one of `allowed_signers`",
        "find out who made it, and look at what it changed; from then on sign with an SSH key that the file names",
        frozenset({_AU}),
        file_rules.unsigned,
    ),
    *(
        Rule(
            name,
            stops,
            f"`publish --accept {name} --reason TEXT` if it is right",
            frozenset({_PR}),
            _guardrail(name),
            acceptable=True,
        )
        for name, stops in (
            ("type-dropped", "a type that disappears without `publish --drop`"),
            ("type-missing", "a type that the settings require and the manifest lacks"),
            ("items-drop", "a type that loses more of its items, rows or users than a share"),
            ("items-floor", "a popularity with fewer items than a floor"),
            ("kept-low", "a type that keeps less of its ids than a share"),
            ("size-jump", "a blob that shrinks or grows beyond a factor"),
            ("too-large-to-serve", "a blob larger than serving loads"),
            ("window-regressed", "a type whose window ends earlier than that of the version it replaces"),
            ("window-stale", "a type whose window ended longer ago than allowed, by the commit's clock"),
            ("windows-differ", "types of one manifest that come from different windows"),
            ("segment-changed", "a slot of one segment that is taken over by another"),
            ("overlap-low", "a type that has less in common with its predecessor, at the top, than a share"),
        )
    ),
)
BY_NAME = {rule.name: rule for rule in RULES}


def judge(evidence: Evidence, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """Every fault of a change, at its gate."""
    found = {fault for rule in rules if evidence.checkpoint in rule.at for fault in rule.judge(evidence)}
    # Against a manifest that moved, guardrails would compare slots that the ship does not mean to change.
    stale = {fault.path for fault in found if fault.rule == "stale-base"}
    guardrails = set(table.GUARDRAILS)
    found = {fault for fault in found if not (fault.path in stale and fault.rule in guardrails)}
    return sorted(found | {fault for change in evidence.targets for fault in change.built_on})


def notes(evidence: Evidence, rules: Sequence[Rule] = RULES) -> list[Fault]:
    """What guardrails have to say and stops nothing: all of it on a restore, and what they could not look at."""
    notes = set()
    names = [rule.name for rule in rules if rule.name in table.GUARDRAILS and evidence.checkpoint in rule.at]
    for change in evidence.targets:
        restored = change.kind is Kind.RESTORE
        for rule in names if restored or change.kind is Kind.SHIP else ():
            found = _found(evidence, change, rule)
            if said := table.sentence(each for each in found if each.says and (restored or not each.broken)):
                notes.add(Fault(change.target.manifest_path, rule, said))
    return sorted(notes)

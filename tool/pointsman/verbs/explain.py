"""Explain: what one commit of main did, in a paragraph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pointsman.errors import one_line
from pointsman.history.events import Event, events
from pointsman.history.times import CommitTimes, on_main
from pointsman.outcome import Outcome
from pointsman.state.documents import rfc3339
from pointsman.state.names import Target, short
from pointsman.state.objects import Commit, Oid
from pointsman.state.paths import path_kind
from pointsman.verbs.log import Log, signed, with_approvals
from pointsman.workspace import Workspace

_FEW = 16  # targets whose histories are walked rather than all of it
_SHOWN = 3
_VERBS = {
    "ship": "shipped",
    "restore": "put back an earlier state of",
    "removal": "took out of serving",
    "edit": "changed by hand, with nothing to vouch for it,",
    "hold": "put a hold on",
    "release": "released the hold on",
    "record": "recorded versions of",
    "retire": "retired versions of",
}


def explain(workspace: Workspace, revision: str, *, approvals: bool = False) -> Outcome[Log]:
    """The events of a commit of main and a paragraph about them; Problem for a commit that main never stood at."""
    repo = workspace.repo
    main = repo.refresh()
    commit = on_main(repo, main, revision)
    targets = sorted({target for change in commit.changes if (target := _target(change.path)) is not None})
    told = events(repo, targets if 0 < len(targets) <= _FEW else (), records=True) if commit.changes else []
    mine = [event for event in told if event.commit.oid == commit.oid]
    mine = with_approvals(workspace.forge, mine) if approvals else mine
    mine = [*signed(workspace, mine)]
    later = {target: _next(told, commit.oid, target) for target in {event.target for event in mine}}
    text = _paragraph(commit, CommitTimes(repo, main).of(commit.oid), mine, later)
    return Outcome(Log([event.told() for event in mine], text))


def _target(path: str) -> Target | None:
    parts = path.split("/")
    match path_kind(path):
        case "manifest" | "record" | "tombstone":
            return Target(parts[1], parts[2])
    return None


def _next(told: Sequence[Event], commit: Oid, target: str) -> Event | None:
    """The event that ended what a commit did to a target."""
    later: Event | None = None
    for event in told:
        if event.commit.oid == commit:
            return later
        if event.target == target and event.kind in ("ship", "restore", "removal", "edit"):
            later = event
    return None


def _paragraph(commit: Commit, at: int, mine: Sequence[Event], later: Mapping[str, Event | None]) -> str:
    who = commit.author if commit.author == commit.committer else f"{commit.author}, merged by {commit.committer}"
    subject = commit.message.partition("\n")[0]
    head = f"Commit {short(commit.oid)} of {rfc3339(at)}, by {who},"
    if not mine:
        return f"{head} says “{subject}” and changes no manifest, hold or record."
    shown = [event for event in mine if event.kind != "record"] or mine
    sentences = [f"{head} {_what(shown)}."]
    if len(shown) == 1 and shown[0].changes and shown[0].kind != "record":
        sentences.append(_changes(shown[0]))
    if recorded := sum(len(event.changes) for event in mine if event.kind == "record" and shown is not mine):
        sentences.append(f"It recorded {recorded} version{'s' if recorded > 1 else ''} with it.")
    if any(event.now for event in mine):
        sentences.append("It went straight to main, without a review.")
    glass = dict.fromkeys(one_line(event.broke_glass) for event in mine if event.broke_glass)
    sentences += [f"Break-glass had put it in front of serving, past git: {each}." for each in glass]
    if (approvals := mine[0].approvals) is not None:
        sentences.append(f"It was approved, by signature, by {', '.join(map(one_line, approvals)) or 'nobody'}.")
    evidence = dict.fromkeys(str(each) for event in mine for each in event.evidence)
    sentences += [f"Evidence: {one_line(each)}." for each in evidence]
    if (approved := mine[0].approved_by) is not None:
        sentences.append(f"It was approved by {', '.join(map(one_line, approved)) or 'nobody'}.")
    sentences += _accepted(mine)
    ends = dict.fromkeys(event.until for event in mine if event.until)
    sentences += [f"Ships are stopped until {end}." for end in ends]
    accepted = {reason for event in mine for reason in event.accepts.values()}
    if reason := next((event.reason for event in mine if event.reason and event.reason not in accepted), ""):
        sentences.append(f"The reason given is “{reason}”.")
    if run := next((event.run for event in mine if event.run), ""):
        sentences.append(f"It came from the run {run}.")
    return " ".join([*sentences, *_since(shown, later)])


def _what(shown: Sequence[Event]) -> str:
    kinds = list(dict.fromkeys(event.kind for event in shown))
    said = []
    for kind in kinds:
        names = [event.target for event in shown if event.kind == kind]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        said.append(f"{_VERBS[kind]} {', '.join(names[:_SHOWN])}{more}")
    return " and ".join(said)


def _changes(event: Event) -> str:
    told: dict[str, list[str]] = {}
    for slot, (old, new) in event.changes.items():
        if old and new:
            told.setdefault("changed", []).append(f"{slot} from {short(old)} to {short(new)}")
        else:
            told.setdefault("added" if new else "dropped", []).append(f"{slot} {short(new or old or '')}")
    phrases = [f"{verb} {', '.join(what)}" for verb, what in told.items()]
    return f"It {'; '.join(phrases)}."


def _accepted(mine: Sequence[Event]) -> list[str]:
    """A sentence for each reason, with all that was accepted for it."""
    rules: dict[str, list[str]] = {}
    for rule, reason in {item: None for event in mine for item in event.accepts.items()}:
        rules.setdefault(reason, []).append(rule)
    return [f"It accepted {', '.join(names)}, because “{reason}”." for reason, names in rules.items()]


def _since(shown: Sequence[Event], later: Mapping[str, Event | None]) -> list[str]:
    """What became of it: for one target."""
    if len(shown) != 1 or shown[0].kind not in ("ship", "restore", "removal", "edit"):
        return []
    after = later[shown[0].target]
    if after is None:
        return ["It is what main has now."]
    by = f"{short(after.commit.oid)} ({after.kind}, {rfc3339(after.at)})"
    return [f"It stood until {by}."]

"""Status as people read it, and as Prometheus does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, get_args

from pointsman.report import served_drift
from pointsman.report.target_state import (
    Behind,
    Instances,
    MainSeen,
    RingInstances,
    ServedAt,
    ServedDrift,
    Serving,
    ShippedStep,
    Status,
    TargetState,
)
from pointsman.serving.outcomes import LeftRing, ToldClaim, Waiting

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_STATES = get_args(Serving)
_WAITS = ("time", "check", "stop")
_DIGEST = 7  # digits of a manifest's SHA-256
_SHOWN = 12  # digits of a version or a commit


def render(status: Status) -> str:
    """A block of lines per target, and what the last gc left."""
    lines = [line for each in status.targets for line in lines_of(each)] or ["nothing was shipped yet"]
    lines += map(main_seen, status.main_seen)
    lines += map(left_ring, status.left or ())
    if (gc := status.gc) is not None:
        left = f"{gc.live} blobs live, {gc.orphans} orphaned, {gc.retired} retired, {gc.trash} in the trash"
        lines.append(f"gc at {gc.at}: {left}")
    return "\n".join(lines)


def lines_of(each: TargetState) -> list[str]:
    """What one target is like: the first line says whether anyone need read the others."""
    window, shipped, drift = each.window, each.shipped, each.drift
    lines = [f"{each.target}: serving is {summary(each)}"]
    for at in each.places or ():
        lines += _at_place(at, each)
    if shipped:
        merged = f", merged by {shipped.committer}" if shipped.by != shipped.committer else ""
        run = f", run {shipped.run}" if shipped.run else ""
        lines.append(f"  since {shipped.at}, {shipped.commit[:_SHOWN]} by {shipped.by}{merged}{run}")
        lines += [f"  {what}" for what in no_ship(shipped)]
    if window:
        age = f", {_ended(window.age_seconds)}" if window.age_seconds is not None else ""
        lines.append(f"  window {window.start} to {window.end}{age}")
        if window.stale and window.limit_seconds is not None:
            lines.append(f"  older than {length(window.limit_seconds)}: {', '.join(window.stale)}")
    lines += [f"  {slot} {version[:_SHOWN]}" for slot, version in sorted(each.current.items())]
    if each.unread and each.places is None:
        lines.append(f"  what is served cannot be read: {each.unread}")
    if drift and each.places is None:
        lines += [f"  {line}" for line in _drifted(drift, each)]
    if each.instances is not None:
        lines.append(f"  {having(each.instances)}")
        lines += [f"    {late.instance} has {late.sha256[:_DIGEST]}" for late in each.instances.late]
    if each.claim is not None:
        lines.append(f"  {claimed(each.claim)}")
    lines += [f"  sync refuses main's: {fault.rule}: {fault.says}" for fault in each.refused]
    lines += [f"  on hold until {hold.until} ({hold.target}): {hold.reason}" for hold in each.holds]
    if each.pull_requests:
        lines.append(f"  open pull requests: {', '.join(pull.id for pull in each.pull_requests)}")
    return lines


def no_ship(shipped: ShippedStep) -> Iterator[str]:
    """What made main's manifest, if that was no ship, and why."""
    if shipped.kind in ("restore", "edit"):
        what = "restored" if shipped.kind == "restore" else "edited by hand"
        yield f"{what}: {shipped.reason}" if shipped.reason else what


def main_seen(seen: MainSeen) -> str:
    """How long a place was given no new commit of main, and what to do if that is too long."""
    of = f"{seen.place}: " if seen.place else ""
    if seen.commit is None or seen.at is None or seen.seconds is None:
        return f"{of}nobody knows when main moved: {seen.unread}"
    says = f"{of}main is at {seen.commit[:_SHOWN]} since {seen.at} ({length(seen.seconds)})"
    if not seen.frozen:
        return says
    longer = f"frozen: nobody was given a new commit for longer than {length(seen.limit_seconds)}"
    return f"{says}, {longer}; look whether the origin hides commits, or nobody ships"


def left_ring(left: LeftRing, *, dry_run: bool = False) -> str:
    """What is left of a ring that the settings have no more."""
    count = "" if left.pointers is None else f", {left.pointers} pointer{'s' if left.pointers != 1 else ''}"
    gone = "would be pruned" if dry_run else "pruned"
    return f"{left.ring} left the settings: {left.serving}{count}: {gone if left.outcome == 'pruned' else left.says}"


def _at_place(at: ServedAt, each: TargetState) -> Iterator[str]:
    """What one of several places serves."""
    yield f"  {at.place} is {_standing_to_main(at.serving, at.behind, nothing_of(each))}"
    if at.unread:
        yield f"    what is served there cannot be read: {at.unread}"
    if at.drift:
        yield from (f"    {line}" for line in _drifted(at.drift, each))
    yield from (f"    waits: {fault.says}" for fault in at.lacks or ())
    yield from (f"    {line}" for line in in_ring(at, each))


def in_ring(at: ServedAt, each: TargetState) -> Iterator[str]:
    """What a place that is a ring has, and waits for; nothing of another place."""
    ring = next((ring for ring in each.rings or () if ring.ring == at.place), None)
    if ring is not None and ring.commit is not None:
        has, current = each.current if ring.versions is None else ring.versions, each.current
        others = (slot for slot in sorted({*has, *current}) if has.get(slot) != current.get(slot))
        versions = ", ".join(f"{slot} {has.get(slot, 'none')[:_SHOWN]}" for slot in others)
        since = f", since {ring.given_at}" if ring.given_at else ""
        yield f"it has {ring.commit[:_SHOWN]}{since}{f': {versions}' if versions else ''}"
    if ring is not None and ring.due is not None and ring.waits_for != "nothing":
        yield waiting(Waiting(ring.waits_for, ring.due.commit, ring.due.at))


def _drifted(drift: ServedDrift, each: TargetState) -> Iterator[str]:
    yield f"{served_drift.written(drift, each.refused)}; {_way_out(each)}"
    yield from (f"  {line}" for line in served_drift.lines(drift, "is"))


def waiting(waits: Waiting) -> str:
    """What a ring does not have yet, and what stands in the way."""
    commit = waits.commit[:_SHOWN]
    if waits.waits_for == "time":
        return f"{commit} waits until {waits.at}" if waits.at else f"{commit} waits until the ring before has it"
    what = "a pass of its checks" if waits.waits_for == "check" else "a release: the rollout was stopped"
    return f"{commit} waits for {what}"


def having(found: Instances) -> str:
    """How many instances have what main has, and how long the others have had another."""
    says = f"{found.current} of {found.known} instances"
    held = Counter(late.sha256[:_DIGEST] for late in found.late)
    if found.behind:
        (digest, count), *others = held.most_common()
        says += f", {count if others else found.behind} still on {digest}"
        says += f", {found.behind - count} on others" if others else ""
        says += f" for {found.late[0].seconds // 60} min"
    unknown = found.known - found.current - found.behind
    return f"{says}, {unknown} unknown" if unknown else says


def claimed(claim: ToldClaim) -> str:
    """What break-glass said of a target."""
    if claim.ended:
        return f"the claim of {claim.by} has ended: {claim.says}"
    if not claim.holds:
        return f"a claim {f'of {claim.by} ' if claim.by else ''}holds nothing: {claim.says}"
    says = f"claimed by {claim.by} at {claim.at} until {claim.until}: {claim.reason}"
    return f"{says}; next: pointsman rollback --ratify"


def summary(each: TargetState) -> str:
    """One phrase: how serving stands to main; of several places, the worst."""
    return _standing_to_main(each.serving, each.behind, nothing_of(each))


def nothing_of(each: TargetState) -> str:
    """Why main has nothing to serve; "" if it has."""
    if each.current:
        return ""
    has_file = each.shipped is not None and each.shipped.kind != "removal"
    return "main's manifest cannot be read" if has_file else "main has no manifest"


def _standing_to_main(serving: Serving, behind: Behind | None, nothing: str) -> str:
    what = f", and {nothing}" if nothing else ""
    if serving == "behind" and behind:
        commits = f"{behind.commits} commit{'s' if behind.commits != 1 else ''}"
        return f"behind by {commits}, since {behind.since.at} ({length(behind.seconds)}){what}"
    if serving == "absent" and nothing:
        return f"absent: {nothing}"
    if serving == "absent" and behind:
        return f"absent: there is no pointer, for {length(behind.seconds)}"
    return f"{serving}{what}"


def standing(each: TargetState) -> str:
    """One line that stays the same as long as nothing happens."""
    commit = f", main since {each.shipped.at} at {each.shipped.commit[:_SHOWN]}" if each.shipped else ""
    more = [f"refused by {fault.rule}" for fault in each.refused]
    more += [f"on hold until {hold.until}" for hold in each.holds]
    more += [f"stale: {', '.join(each.window.stale)}"] if each.window and each.window.stale else []
    more += [f"pull request {pull.id}" for pull in each.pull_requests]
    more += [f"claimed until {each.claim.until}"] if each.claim is not None and each.claim.holds else []
    late = each.instances.behind if each.instances is not None else 0
    more += [f"{late} instances behind"] if late else []
    more += [f"{at.place} is {at.serving}" for at in each.places or ()]
    waiting = [ring for ring in each.rings or () if ring.waits_for != "nothing"]
    more += [f"{ring.ring} waits with {ring.due.commit[:_SHOWN]}" for ring in waiting if ring.due]
    return "; ".join([f"serving is {each.serving}{commit}", *more])


def _ended(age: int) -> str:
    """When a window ended, or will."""
    return f"ended {length(age)} ago" if age >= 0 else f"ends in {length(-age)}"


def length(seconds: int) -> str:
    """A length of time as people say it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


def _way_out(each: TargetState) -> str:
    """What to do about a pointer that main never had."""
    if served_drift.is_rewritten(each.refused):
        return "find out why first: pointsman sync --accept-rewrite would put main's in its place"
    if each.current:
        return "pointsman sync heals it"
    if each.shipped and each.shipped.kind != "removal":
        return f"main's manifest cannot be read: pointsman rollback {each.target} first"
    if each.shipped:
        return "main has no manifest any more, pointsman sync --prune takes it away"
    return "main never had a manifest: pointsman adopt takes over what recsys-pipelines published"


def render_prometheus(status: Status) -> str:
    """Prometheus' text format."""
    from prometheus_client import generate_latest

    return generate_latest(registry_of(status)).decode().removesuffix("\n")


def registry_of(status: Status) -> CollectorRegistry:
    """The gauges of one look. Their names are part of what is promised to users."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()

    def gauge(name: str, says: str, labels: Sequence[str] = ("target",)) -> Gauge:
        return Gauge(f"pointsman_{name}", says, labels, registry=registry)

    looked = gauge("status_timestamp_seconds", "When this was looked at, in seconds since 1970.", ())
    looked.set(datetime.fromisoformat(status.at).timestamp())
    places = any(each.places is not None for each in status.targets)
    where = ("target", "place") if places else ("target",)
    serving = gauge("serving", "1 for what serving is of a target, 0 for what it is not.", (*where, "state"))
    shipped = gauge("shipped_timestamp_seconds", "When main last changed a target's manifest, in seconds since 1970.")
    updated = gauge("manifest_timestamp_seconds", "updated_at of main's manifest, in seconds since 1970.")
    behind = gauge("behind_seconds", "How long serving has been without what main has; 0 if it has it.", where)
    ended = gauge("window_age_seconds", "How long ago the newest window of what is current ended.")
    stale = gauge("window_stale_types", "How many current types are older than window_stale allows.")
    refused = gauge("refused_faults", "How many rules main's manifest breaks, so that sync keeps the last good one.")
    held = gauge("holds", "How many holds stop ships of a target.")
    claims = gauge("claims", "1 while break-glass holds a target at an earlier state; 0 if nothing does.")
    pulls = gauge("open_pull_requests", "How many pull requests that change a target are open.")
    having = gauge(
        "target_instances",
        "How many instances stand so to main's manifest, or their ring's.",
        ("target", "ring", "state"),
    )
    if known := [(each, each.at) for each in status.main_seen if each.at is not None]:
        says = "When main last had a new commit, in seconds since 1970."
        moved = gauge("main_moved_timestamp_seconds", says, ("place",))
        frozen = gauge("main_frozen", "1 if that is longer ago than frozen_after; 0 if not.", ("place",))
        for seen, moved_at in known:
            moved.labels(seen.place).set(datetime.fromisoformat(moved_at).timestamp())
            frozen.labels(seen.place).set(seen.frozen)
    if any(each.rings for each in status.targets):
        says = "1 for what is in the way of what a ring is given next, 0 for what is not."
        waits = gauge("ring_waits", says, ("target", "ring", "waits_for"))
        for of in status.targets:
            for ring, what in ((ring, what) for ring in of.rings or () for what in _WAITS):
                waits.labels(of.target, ring.ring, what).set(ring.waits_for == what)
    for each in status.targets:
        target = each.target
        for read, state, many in _instances(each):
            having.labels(target, read, state).set(many)
        for labels, served in _by_place(each):
            for state in _STATES:
                serving.labels(*labels, state).set(served.serving == state)
            behind.labels(*labels).set(served.behind.seconds if served.behind and each.current else 0)
        if each.shipped:
            shipped.labels(target).set(datetime.fromisoformat(each.shipped.at).timestamp())
        if each.updated_at:
            updated.labels(target).set(datetime.fromisoformat(each.updated_at).timestamp())
        if each.window and each.window.age_seconds is not None:
            ended.labels(target).set(each.window.age_seconds)
        stale.labels(target).set(len(each.window.stale) if each.window else 0)
        refused.labels(target).set(len(each.refused))
        held.labels(target).set(len(each.holds))
        claims.labels(target).set(each.claim is not None and each.claim.holds)
        pulls.labels(target).set(len(each.pull_requests))
    if (gc := status.gc) is not None:
        ran = gauge("gc_timestamp_seconds", "When gc --delete ran last, in seconds since 1970.", ())
        ran.set(datetime.fromisoformat(gc.at).timestamp())
        blobs = gauge("store_blobs", "How many blobs the last gc left in the store, by what they are.", ("state",))
        size = gauge("store_bytes", "How many bytes they have.", ("state",))
        for state, count, many in (
            ("live", gc.live, gc.live_bytes),
            ("orphaned", gc.orphans, gc.orphan_bytes),
            ("retired", gc.retired, gc.retired_bytes),
            ("trash", gc.trash, gc.trash_bytes),
        ):
            blobs.labels(state).set(count)
            size.labels(state).set(many)
    return registry


def _instances(each: TargetState) -> Iterator[tuple[str, str, int]]:
    """How many instances of each ring, or "" where there are none, stand how; nothing where none was ever seen."""
    if (found := each.instances) is not None:
        every = found.rings or [RingInstances("", found.current, found.behind, found.known)]
        for of in every:
            yield of.ring, "current", of.current
            yield of.ring, "behind", of.behind
            yield of.ring, "unknown", of.known - of.current - of.behind


def _by_place(each: TargetState) -> Iterator[tuple[tuple[str, ...], TargetState | ServedAt]]:
    """What serving has of a target, with its labels: once, or at each of several places."""
    if each.places is None:
        yield (each.target,), each
    else:
        yield from (((each.target, at.place), at) for at in each.places)

"""`demo --rings`: a bad day reaches the ring canary, stops there by itself, and goes back; nobody else ever had it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable

from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.repo.process import require_git
from pointsman.state.store_url import Access
from pointsman.verbs.demo import ACCEPT, DAYS, Served, Serving, Story, Told, root_for, stage
from pointsman.verbs.demo_services import REQUESTS, WINDOW, Service, watched

_CANARY = "rings/canary/grocer/home/manifest.json"
_AFTER = 'after = "5s"\n'
_CHECK = f"""\
checks = ["empty-results"]

[check.empty-results]
prometheus = "{{url}}"
query = '''
(sum(rate({REQUESTS}{{{{ring="{{{{ring}}}}",outcome="empty"}}}}[{WINDOW}s])) or vector(0))
/ sum(rate({REQUESTS}{{{{ring="{{{{ring}}}}"}}}}[{WINDOW}s]))
'''
below = 0.02
for = "3s"
"""


def demo_rings(directory: str | None, say: Callable[[str], None], prometheus: str | None) -> Outcome[Told]:
    """Tell the story in `directory`, which must be new or empty, or in a new temporary one. It is kept either way.

    `prometheus`: the program; None: a stand-in takes its place.
    """
    require_git()
    root = root_for(directory)
    story = Story(root, say)
    story.environment = {**story.environment, **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")}
    prod = Serving(f"file://{root}/store", Access())
    canary = replace(prod, pointer=_CANARY)
    services = {"canary": Service(canary), "prod": Service(prod)}
    stage(story)
    _set_up(story, prod)
    with watched(root, services, prometheus) as url:
        _check(story, url, is_real=prometheus is not None)
        _ordinary_days(story, prod, canary)
        good = prod.read()
        _bad_day(story, prod, canary)
        _unchanged(prod, good)
        _go_back(story, canary, good)
        _unchanged(prod, good)
    empty = {ring: service.counted["empty"] for ring, service in services.items()}
    if empty["prod"] or not empty["canary"]:
        raise Problem(f"the demo stops: of the empty results {empty['prod']} were in prod, {empty['canary']} in canary")
    requests = services["prod"].counted.total()
    story.tell(f"""Canary gave {empty["canary"]} empty results. In prod all of {requests} requests had a result.""")
    story.tell("Why, a year later, from git alone:")
    story.run("pointsman", "log", "grocer/home")
    story.run("git", "show", "HEAD~1")
    story.tell(
        f"""That is all of it. The services have ended. To go on: cd {shlex.quote(str(story.directory))}; your own
        repository with rings starts with pointsman init DIR --ring canary --ring prod:2h."""
    )
    return Outcome(Told(str(root), story.steps, Served(prod.place, hashlib.sha256(good).hexdigest())))


def _set_up(story: Story, prod: Serving) -> None:
    story.tell(
        """The recommender of the shop "grocer" runs twice: in the ring canary, for a few visitors, and in the ring
        prod, for everybody else. A ship reaches canary first, and prod when canary has had it for a time: 5 seconds."""
    )
    story.run("git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    story.run("pointsman", "init", "manifests", "--store", prod.url, "--ring", "canary", "--ring", "prod:5s")
    story.enter("manifests")
    story.run("git", "remote", "add", "origin", "../origin.git")


def _check(story: Story, url: str, *, is_real: bool) -> None:
    who = (
        "A Prometheus on this machine scrapes both services."
        if is_real
        else """Prometheus is not installed here, so a stand-in answers as it does: a small server of this demo, which
        knows this one query. With prometheus on the PATH (Debian: apt install prometheus) the demo takes that."""
    )
    story.tell(f"{who} Prod also waits for what it says of canary: at most 2% of its results may be empty.")
    settings = story.directory / "pointsman.toml"
    settings.write_text(settings.read_text().replace(_AFTER, _AFTER + _CHECK.format(url=url), 1))
    story.run("git", "diff", "--unified=0")
    story.run("git", "commit", "--quiet", "--all", "--message", "Let prod wait for the results of canary")
    story.run("git", "push", "--quiet", "--set-upstream", "origin", "main")


def _ordinary_days(story: Story, prod: Serving, canary: Serving) -> None:
    story.tell("1 March. There is nothing yet that could be better, so the first ship is in both rings at once.")
    story.run("pointsman", "publish", "../staging", "--window", DAYS[0], "--merge")
    story.run("pointsman", "sync")
    first = prod.read()
    story.tell("2 March. Canary has the ship at once, and prod waits.")
    story.run("pointsman", "publish", "../staging", "--window", DAYS[1], "--merge")
    story.run("pointsman", "sync")
    _unchanged(prod, first)
    story.tell("A job asks the check again and again. A few seconds later it has seen enough of canary, and it passes:")
    story.until("is due: the next sync gives it", "pointsman", "rollout", "--check")
    story.run("pointsman", "sync")
    if prod.read() != canary.read():
        raise Problem(f"the demo stops: {prod.place} is not what {canary.place} is")
    story.tell(f"Everybody has 2 March now, {prod.popular()} popular items, and nobody had to do anything.")
    story.say(prod.digest())


def _bad_day(story: Story, prod: Serving, canary: Serving) -> None:
    story.tell(
        """3 March. Most events are missing. The guardrails would refuse this day, but someone is sure that it is fine,
        and ships it all the same. Canary has it at once."""
    )
    day = ("pointsman", "publish", "../staging", "--window", DAYS[2])
    story.run(*day, *ACCEPT, "--reason", "clearance sale, fewer items are right", "--merge")
    story.run("pointsman", "sync")
    story.tell(
        f"""Canary is down to {canary.popular()} popular items, and who has seen them all gets nothing. Prod still has
        {prod.popular()}. The job goes on asking, and stops the ship by itself, with a hold on main:"""
    )
    story.until("is stopped on main", "pointsman", "rollout", "--check", ends=1)
    story.run("pointsman", "sync")
    story.run("pointsman", "status", "grocer/home")


def _go_back(story: Story, canary: Serving, good: bytes) -> None:
    story.tell("On-call reverts the ship. It is the commit before the hold. A revert is in every ring at once.")
    story.run("git", "pull", "--quiet", "--ff-only")
    story.run("git", "revert", "--no-edit", "HEAD~1")
    story.run("pointsman", "check", "--base", "origin/main")
    story.run("git", "push", "--quiet")
    story.run("pointsman", "sync")
    if canary.read() != good:
        raise Problem(f"the demo stops: {canary.place} is not what it was before 3 March")
    story.tell("Canary has the file of 2 March again, byte for byte. Prod was never given another one.")
    story.say(canary.digest())


def _unchanged(prod: Serving, good: bytes) -> None:
    if prod.read() != good:
        raise Problem(f"the demo stops: {prod.place} has changed, and it must not")

"""What operators run, and newcomers first: set up, try, take over, mirror, verify."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pointsman.arguments import COUNT, PERIOD, SETTING, TARGET, TEXT
from pointsman.console import Answer, Call, example, json_option, say, say_document

if TYPE_CHECKING:
    from pointsman.errors import Problem
    from pointsman.outcome import Outcome
    from pointsman.state.names import Target


@click.command(epilog=example("pointsman init /srv/recsys --set policy.items_drop=0.4"))
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs stand; default: file://DIR/.pointsman/store.")
@click.option("--serving", metavar="TEMPLATE", type=TEXT, help="Where pointers stand, with {tenant} and {surface}.")
@click.option(
    "--forge", metavar="KIND", type=TEXT, default="local", show_default=True, help="Where pull requests live."
)
@click.option("--set", "sets", metavar="KEY=VALUE", type=SETTING, multiple=True, help="Any other setting.")
@json_option
def init(
    directory: str, store: str | None, serving: str | None, forge: str, sets: tuple[tuple[str, str], ...]
) -> Answer:
    """Make a manifest repository in DIR, ready to push."""
    from pointsman.verbs import init as verb

    outcome = verb.init(directory, store=store, serving=serving, forge=forge, sets=sets)
    return Answer(outcome, verb.render)


@click.command(epilog=example("pointsman demo"))
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs shall stand; default: a directory in DIR.")
@click.option("--endpoint", metavar="URL", type=TEXT, help="Where the bucket of an s3:// URL is; default: AWS.")
@json_option
@click.pass_obj
def demo(call: Call, directory: str | None, store: str | None, endpoint: str | None) -> Answer:
    """Tell the whole story on real artifacts.

    In DIR, which must be empty or new, or in a new temporary directory; either is kept.
    """
    from pointsman.verbs import demo as verb

    if endpoint is not None and not (store or "").startswith("s3://"):
        raise click.UsageError("--endpoint is where the bucket of --store s3://… is")
    outcome = verb.demo(directory, lambda line: say(line, err=call.json), store=store, endpoint=endpoint)
    return Answer(outcome, verb.render)


@click.command(epilog=example("pointsman doctor"))
@json_option
@click.pass_obj
def doctor(call: Call) -> Answer:
    """Try whether the stores can be relied on.

    Writes and deletes in a scratch place, .pointsman/doctor, and races several
    writers for one key: one must win. 1: a store cannot be relied on, 3: cannot be reached.
    """
    from pointsman.verbs import doctor as verb

    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.doctor(repo, progress), verb.render)


@click.command(epilog=example("pointsman adopt --run https://ci.example/runs/7"))
@click.option(
    "--from",
    "registry",
    metavar="URL",
    type=TEXT,
    help="What has current/ and records/; default: where [serving] manifest stands.",
)
@click.option(
    "--blobs", metavar="URL", type=TEXT, help="Where the blobs stand, if the URIs in the registry do not say."
)
@click.option("--run", metavar="URL", type=TEXT, help="The run that adopts; records and commits name it.")
@click.option("--reship", is_flag=True, help="Take over again what a rollback took out.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@json_option
@click.pass_obj
def adopt(call: Call, registry: str | None, blobs: str | None, run: str | None, reship: bool, dry_run: bool) -> Answer:
    """Take over a registry that recsys-pipelines wrote.

    Stores canonical blobs, records every version, opens one pull request with
    all manifests. What does not verify is listed and left; nothing old is
    changed or deleted. 5: some of it was left, 1: all of it.
    """
    from pointsman.verbs import adopt as verb

    request = verb.Request(registry=registry, blobs=blobs, run=run or "", reship=reship, dry_run=dry_run)
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.adopt(repo, request, progress), verb.render)


@click.command(epilog=example("pointsman sync --watch 30"))
@click.option("--watch", metavar="SECONDS", type=PERIOD, help="Again and again.")
@click.option("--dry-run", is_flag=True, help="Say what would change, write nothing.")
@click.option("--no-heal", is_flag=True, help="Leave pointers that someone edited by hand, and report them.")
@click.option("--prune", is_flag=True, help="Delete pointers whose manifest is gone from main.")
@click.option("--accept-rewrite", is_flag=True, help="Go on although main was rewritten.")
@json_option
@click.pass_obj
def sync(
    call: Call, watch: float | None, dry_run: bool, no_heal: bool, prune: bool, accept_rewrite: bool
) -> Answer | None:
    """Make serving equal to main.

    --watch does so every so many seconds, a tenth more or less, until SIGTERM
    or an interrupt; it ends with 0 once the pointer in hand is written.
    """
    if watch is not None and (dry_run or accept_rewrite):
        raise click.UsageError("--watch is for what may be done again and again: not for --dry-run or --accept-rewrite")
    from pointsman.verbs import sync as verb

    call.refusal = "serving was left as it is"
    orders = verb.Orders(dry_run, not no_heal, prune, accept_rewrite)
    with call.repository() as repo:
        if watch is None:
            return Answer(verb.sync(repo, orders), verb.render)
        from pointsman.verbs.watch import keep_syncing, stopped

        with stopped() as stop:
            keep_syncing(repo, orders, watch, Passes(call), stop)
    return None


class Passes:
    """Says what each pass of a watching sync did: a document on a line, or words where there is something new."""

    def __init__(self, call: Call) -> None:
        self._json = call.json
        self._lasting: object = None

    def done(self, outcome: Outcome) -> None:
        from pointsman.verbs import sync as verb

        if self._json:
            say_document(outcome.document, line=True)
        else:
            told = [each for each in outcome.document["targets"] if each["outcome"] != "unchanged"]
            lasting = [each for each in told if each["outcome"] not in verb.DID]
            if len(told) > len(lasting) or lasting != self._lasting:
                say(verb.render(outcome.document))
            self._lasting = lasting
        for note in outcome.notes:
            say(note, err=True)
        sys.stdout.flush()

    def failed(self, problem: Problem) -> None:
        if self._json:
            say_document({"problem": str(problem), "exit_code": problem.exit_code}, line=True)
            sys.stdout.flush()
        self._lasting = None
        say(f"pointsman: {problem}", err=True)


@click.command(epilog=example("pointsman verify --all --shard 1/4"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--all", "every", is_flag=True, help="Every recorded version; default: those that are current.")
@click.option("--sample", metavar="N", type=COUNT, help="Only N of them, chosen at random.")
@click.option("--shard", metavar="I/N", type=TEXT, default="1/1", help="Only the I-th of N parts of them.")
@json_option
@click.pass_obj
def verify(call: Call, targets: tuple[Target, ...], every: bool, sample: int | None, shard: str) -> Answer:
    """Read stored blobs again and hash them."""
    from pointsman.verbs import verify as verb

    choice = verb.Choice(every, sample, verb.read_shard(shard))
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.verify(repo, targets, choice, progress), verb.render)

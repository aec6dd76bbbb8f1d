"""The command line: parse, call one verb, render its value, choose the exit code. Only here is anything printed.

Verbs are imported when their command runs, so that `pointsman --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from pointsman import __version__
from pointsman.arguments import DROP, FAIL_ON, RULE, SETTING, TARGET, TEXT, nearest
from pointsman.errors import Problem, Refused, Unreachable

if TYPE_CHECKING:
    from pointsman.names import Target
    from pointsman.outcome import Outcome
    from pointsman.progress import Progress
    from pointsman.repo import Repository

_COMPLETE = "_POINTSMAN_COMPLETE"  # click's own variable: the shell asks for completions
_INTERRUPTED = 130  # 128 + SIGINT
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as git ends when its reader goes away
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_Any = TypeVar("_Any", bound=Callable[..., Any])


@dataclass(slots=True)
class Call:
    """What stands before the command."""

    spec: str | None = None
    json: bool = False
    verbose: bool = False
    refusal: str = "nothing was written"

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """Lines if they were asked for, else a bar where stderr is a terminal."""
        from pointsman.progress import Bar, Silence

        if self.verbose:
            yield Lines()
        elif sys.stderr.isatty():
            with contextlib.closing(Bar()) as bar:
                yield bar
        else:
            yield Silence()

    @contextlib.contextmanager
    def repository(self, spec: str | None = None) -> Iterator[Repository]:
        """The repository that -C names; what it has to note is said in the end, whatever happens."""
        from pointsman.repo import open_repository

        named = spec if spec is not None else self.spec
        with open_repository(named if named is not None else ".") as repo:
            try:
                yield repo
            finally:
                for note in repo.notes:
                    _say(note, err=True)


class Lines:
    """What is done, a line at a time, on stderr."""

    def __call__(self, line: str) -> None:
        _say(line, err=True)

    def counted(self, what: str, done: int, total: int | None) -> None:
        return


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command ends with, and how a person reads it."""

    outcome: Outcome
    render: Callable[[Mapping[str, Any]], str]


# What is said


def _say(text: str, *, err: bool = False) -> None:
    """Print lines. Control characters are shown, never sent; file names that are no text come out as they are."""
    stream: IO[str] = sys.stderr if err else sys.stdout
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        data = shown.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        data = shown.encode(encoding, "backslashreplace")
    click.echo(data, err=err)


def _say_document(document: Mapping[str, Any]) -> None:
    import json

    click.echo(json.dumps(document, indent=2))  # ASCII: what a terminal's encoding cannot spoil


def _answer(call: Call, answer: Answer) -> int:
    for note in answer.outcome.notes:
        _say(note, err=True)
    if call.json:
        _say_document(answer.outcome.document)
    elif text := answer.render(answer.outcome.document):
        _say(text)
    sys.stdout.flush()
    return answer.outcome.exit_code


def _problem(as_json: bool, says: str, exit_code: int) -> int:
    _say(f"pointsman: {says}", err=True)
    if as_json:
        _say_document({"problem": says, "exit_code": exit_code})
    return exit_code


def _refused(call: Call, refused: Refused) -> int:
    if call.json:
        told = [{"rule": fault.rule, "path": fault.path, "says": fault.says} for fault in refused.faults]
        _say_document({"faults": told})
    else:
        for fault in refused.faults:
            _say(str(fault), err=True)
    _say(f"pointsman: refused, {call.refusal}", err=True)
    return refused.exit_code


def _usage(error: click.ClickException) -> str:
    """One sentence for wrong usage, and where the right one stands."""
    sentence = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{sentence} (see: {context.command_path if context else 'pointsman'} --help)"


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: the one place that turns trouble into exits."""
    if _COMPLETE in os.environ:
        cli.main(prog_name="pointsman")
    words = list(sys.argv[1:] if args is None else args)
    call = Call(json="--json" in words[: words.index("--") if "--" in words else None])
    asked, call.json = call.json, False
    try:
        with cli.make_context("pointsman", words, obj=call) as context:
            return _answer(call, cli.invoke(context))
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    except click.ClickException as error:
        return _problem(asked, _usage(error), 2)
    except Refused as refused:
        return _refused(call, refused)
    except Problem as problem:
        return _problem(call.json, str(problem), problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("pointsman: interrupted; running the command again finishes what it began", err=True)
        return _INTERRUPTED
    except OSError as error:
        if _reader_is_gone():
            return _PIPE_CLOSED
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _problem(call.json, f"{where}{error.strerror or error}", Unreachable.exit_code)


def _reader_is_gone() -> bool:
    """Whether nobody reads our output any more. If so, Python must not complain of it once more at its end."""
    try:
        output = sys.stdout.fileno()
        poll = select.poll()
        poll.register(output, 0)
        gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file behind it
        return False
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


class Commands(click.Group):
    """A group that says which command was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            near = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"No such command {args[0]!r}{near}", ctx)
        return super().resolve_command(ctx, args)


def _want_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_object(Call).json = True  # type: ignore[union-attr]  # main always gives one


def _json_option(function: _Any) -> _Any:
    says = "Print one JSON document on stdout."
    return click.option("--json", is_flag=True, expose_value=False, callback=_want_json, help=says)(function)


def _example(text: str) -> dict[str, Any]:
    return {"epilog": f"\b\nExample:\n  {text}"}


# The commands

_EXITS = (
    "\b\nExit codes: 0 done, 1 a rule is broken, 2 wrong usage or settings,\n3 store or forge not reached, "
    "4 someone moved first (run again),\n5 some targets done, some refused."
)


@click.group("pointsman", cls=Commands, epilog=_EXITS, no_args_is_help=False)
@click.option("-C", "spec", metavar="REPO", help="A checkout, a bare repository or a URL; default: here.")
@_json_option
@click.option("-v", "verbose", is_flag=True, help="Say on stderr what is being done.")
@click.version_option(__version__, message="pointsman %(version)s")
@click.pass_obj
def cli(call: Call, spec: str | None, verbose: bool) -> None:
    """GitOps for recommendation artifacts.

    Publish opens a pull request, its merge is the swap, git revert undoes it.
    """
    call.spec, call.verbose = spec, verbose


@cli.command(**_example("pointsman init /srv/recsys --set policy.items_drop=0.4"))
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs stand; default: file://DIR/.pointsman/store.")
@click.option("--serving", metavar="TEMPLATE", type=TEXT, help="Where pointers stand, with {tenant} and {surface}.")
@click.option(
    "--forge", metavar="KIND", type=TEXT, default="local", show_default=True, help="Where pull requests live."
)
@click.option("--set", "sets", metavar="KEY=VALUE", type=SETTING, multiple=True, help="Any other setting.")
@_json_option
def init(
    directory: str, store: str | None, serving: str | None, forge: str, sets: tuple[tuple[str, str], ...]
) -> Answer:
    """Make a manifest repository in DIR, ready to push."""
    from pointsman import init as verb

    outcome = verb.init(directory, store=store, serving=serving, forge=forge, sets=sets)
    return Answer(outcome, verb.render)


@cli.command(**_example("pointsman demo"))
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs shall stand; default: a directory in DIR.")
@click.option("--endpoint", metavar="URL", type=TEXT, help="Where the bucket of an s3:// URL is; default: AWS.")
@_json_option
@click.pass_obj
def demo(call: Call, directory: str | None, store: str | None, endpoint: str | None) -> Answer:
    """Tell the whole story on real artifacts.

    In DIR, which must be empty or new, or in a new temporary directory; either is kept.
    """
    from pointsman import demo as verb

    if endpoint is not None and not (store or "").startswith("s3://"):
        raise click.UsageError("--endpoint is where the bucket of --store s3://… is")
    outcome = verb.demo(directory, lambda line: _say(line, err=call.json), store=store, endpoint=endpoint)
    return Answer(outcome, verb.render)


@cli.command(**_example("pointsman doctor"))
@_json_option
@click.pass_obj
def doctor(call: Call) -> Answer:
    """Try whether the stores can be relied on.

    Writes and deletes in a scratch place, .pointsman/doctor, and races several
    writers for one key: one must win. 1: a store cannot be relied on, 3: cannot be reached.
    """
    from pointsman import doctor as verb

    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.doctor(repo, progress), verb.render)


@cli.command("hash", **_example("pointsman hash staging/"))
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@_json_option
@click.pass_obj
def hash_(call: Call, paths: tuple[str, ...]) -> Answer:
    """Print the version of each artifact, as sha256sum prints."""
    from pointsman import sources

    spec = call.spec if call.spec is not None else _manifest_repository()
    if spec is None:
        outcome = sources.hash_files(paths, None)
    else:
        with call.repository(spec) as repo:
            outcome = sources.hash_files(paths, repo)
    if not call.json:
        for fault in outcome.document["faults"]:
            _say(f"{fault['path']}: {fault['rule']}: {fault['says']}", err=True)
    return Answer(outcome, sources.render)


def _manifest_repository() -> str | None:
    """The manifest repository around the current directory, whose own artifact types count; None if there is none."""
    directory = os.getcwd()
    while not os.path.isfile(os.path.join(directory, "pointsman.toml")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return directory if os.path.exists(os.path.join(directory, ".git")) else None


@cli.command(**_example("pointsman publish staging/ --run https://ci.example/runs/7"))
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@click.option("--run", metavar="URL", type=TEXT, help="The run that built them; records and commits name it.")
@click.option(
    "--window", metavar="START_END", type=TEXT, help="This staged window; default: the newest of each target."
)
@click.option("--drop", "drops", metavar="TARGET:TYPE", type=DROP, multiple=True, help="Take a type out.")
@click.option("--merge", is_flag=True, help="Merge at once what the gate passes.")
@click.option("--reship", is_flag=True, help="Ship versions again that a rollback took out.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Ship although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; the reviewer and git log will read it.")
@click.option("--dry-run", is_flag=True, help="Judge everything, write nothing.")
@_json_option
@click.pass_obj
def publish(
    call: Call,
    paths: tuple[str, ...],
    run: str | None,
    window: str | None,
    drops: tuple[tuple[Target, str], ...],
    merge: bool,
    reship: bool,
    accept: tuple[str, ...],
    reason: str | None,
    dry_run: bool,
) -> Answer:
    """Store artifacts, open a pull request per target.

    PATH is an artifact file or a staging directory. Publishing the same again
    changes nothing.
    """
    if not paths and not drops:
        raise click.UsageError("nothing to publish: name artifact files or a staging directory, or --drop TARGET:TYPE")
    if window is not None and not paths:
        raise click.UsageError("--window chooses among staged artifacts: name a staging directory")
    _need_reason(accept, reason)
    from pointsman import publish as verb

    request = verb.Request(
        paths=paths,
        run=run or "",
        window=window,
        drops=drops,
        merge=merge,
        reship=reship,
        accept=accept,
        reason=reason or "",
        dry_run=dry_run,
    )
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.publish(repo, request, progress), verb.render)


def _need_reason(accept: Sequence[str], reason: str | None) -> None:
    if accept and not reason:
        raise click.UsageError("--accept needs --reason: say why the guardrail may be broken, reviewers will read it")


@cli.command(**_example("pointsman adopt --run https://ci.example/runs/7"))
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
@_json_option
@click.pass_obj
def adopt(call: Call, registry: str | None, blobs: str | None, run: str | None, reship: bool, dry_run: bool) -> Answer:
    """Take over a registry that recsys-pipelines wrote.

    Stores canonical blobs, records every version, opens one pull request with
    all manifests. What does not verify is listed and left; nothing old is
    changed or deleted. 5: some of it was left, 1: all of it.
    """
    from pointsman import adopt as verb

    request = verb.Request(registry=registry, blobs=blobs, run=run or "", reship=reship, dry_run=dry_run)
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.adopt(repo, request, progress), verb.render)


@cli.command(**_example("pointsman check --base origin/main --head HEAD"))
@click.option("--base", metavar="REV", type=TEXT, help="Judge what --head changes against this.")
@click.option("--head", metavar="REV", type=TEXT, help="Judge this; default: HEAD, or main of a bare repository.")
@click.option("--staged", is_flag=True, help="Judge the index against HEAD.")
@click.option("--offline", is_flag=True, help="Leave the store alone.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="github: annotations, and a table in $GITHUB_STEP_SUMMARY.",
)
@_json_option
@click.pass_obj
def check(call: Call, base: str | None, head: str | None, staged: bool, offline: bool, form: str) -> Answer:
    """Say which rules a change breaks.

    Without --base or --staged, which rules the whole tree breaks.
    """
    if form == "github" and call.json:
        raise click.UsageError("--json and --format github are two forms of one answer: leave one out")
    if staged and (base is not None or head is not None):
        raise click.UsageError("--staged judges the index against HEAD: leave --base and --head out")
    from pointsman import check as verb

    with call.repository() as repo:
        outcome = verb.check(repo, base=base, head=head, staged=staged, offline=offline)
    if form == "github" and (page := os.environ.get("GITHUB_STEP_SUMMARY")):
        with open(page, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(verb.summary(outcome.document))
    return Answer(outcome, verb.github if form == "github" else verb.render)


@cli.command(**_example("pointsman audit"))
@click.option("--accept-rewrite", is_flag=True, help="Take main as it is now although it was rewritten.")
@_json_option
@click.pass_obj
def audit(call: Call, accept_rewrite: bool) -> Answer:
    """Judge every commit of main.

    From the commit after [audit] since, or from the first.
    """
    from pointsman import audit as verb

    with call.repository() as repo:
        return Answer(verb.audit(repo, accept_rewrite=accept_rewrite), verb.render)


@cli.group("pr", cls=Commands, no_args_is_help=False, **_example("pointsman pr merge grocer/home"))
def pr() -> None:
    """List, show, merge or close ship pull requests.

    ID is the id that list shows, a branch, or a target with one open pull request.
    """


@pr.command("list", **_example("pointsman pr list"))
@_json_option
@click.pass_obj
def pr_list(call: Call) -> Answer:
    """List the open pull requests."""
    from pointsman import pulls

    with call.repository() as repo:
        return Answer(pulls.list_pulls(repo), pulls.render)


@pr.command("show", **_example("pointsman pr show grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@_json_option
@click.pass_obj
def pr_show(call: Call, pull: str) -> Answer:
    """Show one pull request and what the gate says of it."""
    from pointsman import pulls

    with call.repository() as repo:
        return Answer(pulls.show(repo, pull), pulls.render)


@pr.command("merge", **_example("pointsman pr merge grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@_json_option
@click.pass_obj
def pr_merge(call: Call, pull: str) -> Answer:
    """Check once more, then squash one pull request onto main."""
    from pointsman import pulls

    call.refusal = "nothing was merged"
    with call.repository() as repo:
        return Answer(pulls.merge(repo, pull), pulls.render)


@pr.command("close", **_example("pointsman pr close grocer/home"))
@click.argument("pull", metavar="ID", type=TEXT)
@_json_option
@click.pass_obj
def pr_close(call: Call, pull: str) -> Answer:
    """Close one pull request; main and the records stay."""
    from pointsman import pulls

    with call.repository() as repo:
        return Answer(pulls.close(repo, pull), pulls.render)


@cli.command(**_example("pointsman sync"))
@click.option("--dry-run", is_flag=True, help="Say what would change, write nothing.")
@click.option("--no-heal", is_flag=True, help="Leave pointers that someone edited by hand, and report them.")
@click.option("--prune", is_flag=True, help="Delete pointers whose manifest is gone from main.")
@click.option("--accept-rewrite", is_flag=True, help="Go on although main was rewritten.")
@_json_option
@click.pass_obj
def sync(call: Call, dry_run: bool, no_heal: bool, prune: bool, accept_rewrite: bool) -> Answer:
    """Make serving equal to main."""
    from pointsman import sync as verb

    call.refusal = "serving was left as it is"
    with call.repository() as repo:
        outcome = verb.sync(repo, dry_run=dry_run, heal=not no_heal, prune=prune, accept_rewrite=accept_rewrite)
        return Answer(outcome, verb.render)


@cli.command(**_example("pointsman status grocer/home"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--fail-on", metavar="drift,behind", type=FAIL_ON, help="Exit 1 if serving is so.")
@_json_option
@click.pass_obj
def status(call: Call, targets: tuple[Target, ...], fail_on: tuple[str, ...] | None) -> Answer:
    """Say what is current and whether serving has it."""
    from pointsman import status as verb

    with call.repository() as repo:
        return Answer(verb.status(repo, targets, fail_on=fail_on or ()), verb.render)


@cli.command(**_example("pointsman verify --all --shard 1/4"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--all", "every", is_flag=True, help="Every recorded version; default: those that are current.")
@click.option("--sample", metavar="N", type=click.IntRange(min=1), help="Only N of them, chosen at random.")
@click.option("--shard", metavar="I/N", type=TEXT, default="1/1", help="Only the I-th of N parts of them.")
@_json_option
@click.pass_obj
def verify(call: Call, targets: tuple[Target, ...], every: bool, sample: int | None, shard: str) -> Answer:
    """Read stored blobs again and hash them."""
    from pointsman import verify as verb

    choice = verb.Choice(every, sample, verb.read_shard(shard))
    with call.repository() as repo, call.progress() as progress:
        return Answer(verb.verify(repo, targets, choice, progress), verb.render)


@cli.command(**_example('pointsman rollback grocer/home --now --reason "half the items are gone"'))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option(
    "--to", metavar="COMMIT|VERSION|TIME", type=TEXT, help="This state; default: the one before the last ship."
)
@click.option("--now", is_flag=True, help="Straight to main, without a pull request; needs --reason.")
@click.option("--accept", metavar="RULE", type=RULE, multiple=True, help="Go on although this guardrail objects.")
@click.option("--reason", metavar="TEXT", type=TEXT, help="Why; git log will show it.")
@_json_option
@click.pass_obj
def rollback(
    call: Call, targets: tuple[Target, ...], to: str | None, now: bool, accept: tuple[str, ...], reason: str | None
) -> Answer:
    """Put an earlier manifest back, byte for byte."""
    if now and not reason:
        raise click.UsageError("--now goes to main without a review: it needs --reason, which git log will show")
    _need_reason(accept, reason)
    from pointsman import rollback as verb

    call.refusal = "nothing was rolled back"
    request = verb.Request(targets=targets, to=to, now=now, reason=reason or "", accept=accept)
    with call.repository() as repo:
        return Answer(verb.roll_back(repo, request), verb.render)


@cli.command(**_example("pointsman log grocer/home"))
@click.argument("targets", metavar="[TARGET]...", nargs=-1, type=TARGET)
@click.option("--records", is_flag=True, help="Show when artifact versions were recorded, too.")
@_json_option
@click.pass_obj
def log(call: Call, targets: tuple[Target, ...], records: bool) -> Answer:
    """Tell every ship and restore, newest first."""
    from pointsman import log as verb

    with call.repository() as repo:
        return Answer(verb.log(repo, targets, records=records), verb.render)

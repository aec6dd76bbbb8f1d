"""The command line: the commands, and the one place that turns trouble into exits."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence

import click

from pointsman import __version__
from pointsman.commands import auditors, bots, oncall, operators, reviewers
from pointsman.console import Answer, Call, Commands, json_option, say, say_document
from pointsman.errors import Problem, Refused, Unreachable

_COMPLETE = "_POINTSMAN_COMPLETE"  # click's own variable: the shell asks for completions
_INTERRUPTED = 130  # 128 + SIGINT
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as git ends when its reader goes away

_EXITS = (
    "\b\nExit codes: 0 done, 1 a rule is broken, 2 wrong usage or settings,\n3 store or forge not reached, "
    "4 someone moved first (run again),\n5 some targets done, some refused."
)


@click.group("pointsman", cls=Commands, epilog=_EXITS, no_args_is_help=False)
@click.option("-C", "spec", metavar="REPO", help="A checkout, a bare repository or a URL; default: here.")
@json_option
@click.option("-v", "verbose", is_flag=True, help="Say on stderr what is being done.")
@click.version_option(__version__, message="pointsman %(version)s")
@click.pass_obj
def cli(call: Call, spec: str | None, verbose: bool) -> None:
    """GitOps for recommendation artifacts.

    Publish opens a pull request, its merge is the swap, git revert undoes it.
    """
    call.spec, call.verbose = spec, verbose


for command in (
    operators.init,
    operators.demo,
    operators.doctor,
    operators.adopt,
    operators.sync,
    operators.verify,
    bots.hash_,
    bots.publish,
    bots.ship,
    reviewers.check,
    reviewers.review,
    reviewers.get,
    reviewers.pr,
    oncall.status,
    oncall.rollback,
    oncall.hold,
    oncall.release,
    auditors.log,
    auditors.at_,
    auditors.show,
    auditors.audit,
):
    cli.add_command(command)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: the one place that turns trouble into exits."""
    if _COMPLETE in os.environ:
        cli.main(prog_name="pointsman")
    words = list(sys.argv[1:] if args is None else args)
    call = Call(json="--json" in words[: words.index("--") if "--" in words else None])
    asked, call.json = call.json, False
    try:
        with cli.make_context("pointsman", words, obj=call) as context:
            answer = cli.invoke(context)
            return _answer(call, answer) if answer is not None else 0  # None: all was said on the way
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    except click.ClickException as error:
        return _problem(asked, _usage(error), 2)
    except Refused as refused:
        return _refused(call, refused)
    except Problem as problem:
        return _problem(call.json, str(problem), problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        say("pointsman: interrupted; running the command again finishes what it began", err=True)
        return _INTERRUPTED
    except OSError as error:
        if _reader_is_gone():
            return _PIPE_CLOSED
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _problem(call.json, f"{where}{error.strerror or error}", Unreachable.exit_code)


def _answer(call: Call, answer: Answer) -> int:
    for note in answer.outcome.notes:
        say(note, err=True)
    if call.json:
        say_document(answer.outcome.document)
    elif text := answer.render(answer.outcome.document):
        click.echo(text, nl=not text.endswith("\n")) if answer.drawn else say(text)
    sys.stdout.flush()
    return answer.outcome.exit_code


def _problem(as_json: bool, says: str, exit_code: int) -> int:
    say(f"pointsman: {says}", err=True)
    if as_json:
        say_document({"problem": says, "exit_code": exit_code})
    return exit_code


def _refused(call: Call, refused: Refused) -> int:
    if call.json:
        told = [{"rule": fault.rule, "path": fault.path, "says": fault.says} for fault in refused.faults]
        say_document({"faults": told})
    else:
        for fault in refused.faults:
            say(str(fault), err=True)
    say(f"pointsman: refused, {call.refusal}", err=True)
    return refused.exit_code


def _usage(error: click.ClickException) -> str:
    """One sentence for wrong usage, and where the right one stands."""
    sentence = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{sentence} (see: {context.command_path if context else 'pointsman'} --help)"


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

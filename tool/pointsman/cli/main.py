"""The command line: the commands by name, and the one place that turns trouble into exits."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module

import click

from pointsman import __version__
from pointsman.cli.console import (
    Answer,
    Call,
    Commands,
    advice,
    advise_for,
    json_option,
    page,
    say,
    say_document,
    say_members,
    say_wait,
)
from pointsman.errors import Bug, Problem, Refused, Unreachable, trouble_of, without_secrets
from pointsman.progress import telling
from pointsman.streams import NotWritten, give_up_output

COMPLETE = "_POINTSMAN_COMPLETE"  # click's own variable: the shell asks for completions
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as git ends when its reader goes away

_EXITS = (
    "\b\nExit codes: 0 done, 1 a rule is broken, 2 wrong usage or settings,\n3 store or forge not reached, "
    "4 someone moved first (run again),\n5 some targets done, some refused."
)


# Name → where the command is, and its first line of help: whoever asks for the list imports none of them.
_COMMANDS = {
    "adopt": ("pointsman.cli.adopt:adopt", "Take over a registry that recsys-pipelines wrote."),
    "approve": ("pointsman.cli.approve:approve", "Sign one change, as one of those whose approvals it needs."),
    "at": ("pointsman.cli.at:at_", "Show what was current at a time, and whose commit made it so."),
    "attest": ("pointsman.cli.attest:attest", "Sign what was found out about versions."),
    "audit": ("pointsman.cli.audit:audit", "Judge every commit of main and report what happened."),
    "check": ("pointsman.cli.check:check", "Judge a change by the rules."),
    "completion": ("pointsman.cli.completion:completion", "Print what makes a shell complete commands and names."),
    "config": ("pointsman.cli.config:config", "Show every setting in force, and where it comes from."),
    "demo": ("pointsman.cli.demo:demo", "Play the whole story on real artifacts."),
    "doctor": ("pointsman.cli.doctor:doctor", "Test whether stores, forge and all that is called work."),
    "find": ("pointsman.cli.find:find", "Find the stored versions that hold an id."),
    "gc": ("pointsman.cli.gc:gc", "Collect blobs that no record names, and retired ones."),
    "get": ("pointsman.cli.get:get", "Fetch one artifact version and check its hash."),
    "hash": ("pointsman.cli.hash:hash_", "Print the version of each artifact, in the form of sha256sum."),
    "hold": ("pointsman.cli.hold:hold", "Stop ships of a target, or of all targets, for some time."),
    "init": ("pointsman.cli.init:init", "Make a manifest repository in DIR, ready to push."),
    "log": ("pointsman.cli.log:log", "List ships, restores, removals, edits and holds, newest first."),
    "pr": ("pointsman.cli.pr:pr", "List, show, merge, refresh or close ship pull requests."),
    "publish": ("pointsman.cli.publish:publish", "Store artifacts and open a pull request for each target."),
    "release": ("pointsman.cli.hold:release", "End a hold before its time."),
    "retire": ("pointsman.cli.retire:retire", "Take versions out of use, by pull requests of tombstones."),
    "review": ("pointsman.cli.review:review", "Show what a change means for the recommendations."),
    "rollback": ("pointsman.cli.rollback:rollback", "Put earlier manifests back, byte for byte."),
    "rollout": ("pointsman.cli.rollout:rollout", "Show what each ring has, and what it waits for."),
    "seen": ("pointsman.cli.seen:seen", "Read recsys-service's logs for what its instances have."),
    "ship": ("pointsman.cli.ship:ship", "Make recorded versions current, without their files."),
    "show": ("pointsman.cli.show:show", "Show the record of a version and when it was current."),
    "site": ("pointsman.cli.site:site", "Write pages of what is current and what waits."),
    "stamp": ("pointsman.cli.stamp:stamp", "Fill in the version of each artifact file."),
    "status": ("pointsman.cli.status:status", "Show what is current and whether serving has it."),
    "sync": ("pointsman.cli.sync:sync", "Make serving equal to main."),
    "type": ("pointsman.cli.type:type_", "Declare an artifact type of your own."),
    "upgrade": ("pointsman.cli.upgrade:upgrade", "Bring the generated files of a repository up to this version."),
    "verify": ("pointsman.cli.verify:verify", "Read stored blobs again and check their hashes."),
}


_ELSEWHERE = ("completion", "demo", "init")  # commands that need no repository

# What other tools call it → what it is called here.
_MEANT = {
    "apply": "sync", "blame": "log", "canary": "rollout", "cat": "get", "clean": "gc", "cleanup": "gc",
    "compare": "review", "create": "init", "delete": "retire", "deploy": "ship", "describe": "show", "diff": "review",
    "download": "get", "fetch": "get", "freeze": "hold", "fsck": "verify", "grep": "find", "health": "doctor",
    "help": "--help", "history": "log", "import": "adopt", "info": "show", "lint": "check", "list": "status",
    "lock": "hold", "ls": "status", "merge": "pr merge", "new": "init", "open": "pr show", "pause": "hold",
    "plan": "review", "preview": "review", "promote": "ship", "prs": "pr list", "prune": "gc", "pull": "sync",
    "purge": "gc", "push": "publish", "reconcile": "sync", "remove": "retire", "reset": "rollback",
    "restore": "rollback", "resume": "release", "revert": "rollback", "rings": "rollout", "rm": "retire",
    "search": "find", "settings": "config", "setup": "init", "sign": "approve", "start": "release", "stat": "status",
    "stop": "hold", "switch": "ship", "test": "check", "thaw": "release", "undo": "rollback", "unfreeze": "release",
    "unhold": "release", "unlock": "release", "update": "upgrade", "upload": "publish", "validate": "check",
    "version": "--version", "watch": "status --watch",
}  # fmt: skip
_REPOSITORY = "POINTSMAN_REPO"
_FROM_GIT = ("GIT_DIR", "GIT_INDEX_FILE")  # git sets them for its hooks: what a hook judges is where git runs it


class _Lazy(Commands):
    """The group whose commands are imported when they are run."""

    meant = _MEANT

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, _COMMANDS))  # as click does for commands that it has at hand
        with formatter.section("Commands"):
            rows = ((name, click.Command(name, help=says)) for name, (_, says) in _COMMANDS.items())
            formatter.write_dl([(name, row.get_short_help_str(limit)) for name, row in rows])


@click.group(
    "pointsman",
    cls=_Lazy,
    epilog=_EXITS,
    no_args_is_help=False,
)
@click.option(
    "-C",
    "spec",
    metavar="REPO",
    help=f"A checkout, a bare repository or a URL; default: ${_REPOSITORY}, then the current directory.",
)
@json_option
@click.option("-v", "verbose", is_flag=True, help="Say on stderr what is being done.")
@click.version_option(__version__, "-V", "--version", message="pointsman %(version)s")
@click.pass_obj
def cli(call: Call, spec: str | None, verbose: bool) -> None:
    """GitOps for recommendation artifacts.

    Publish opens a pull request. Its merge is the swap. git revert undoes it.
    """
    usual = None if any(name in os.environ for name in _FROM_GIT) else os.environ.get(_REPOSITORY)
    call.spec, call.usual, call.verbose = spec, usual or None, verbose
    advise_for(spec, (name for name in _COMMANDS if name not in _ELSEWHERE))


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: the one place that turns trouble into exits."""
    words = list(sys.argv[1:] if args is None else args)
    words = _with_json(words)
    call = Call(json="--json" in words[: words.index("--") if "--" in words else None])
    advise_for(None)
    with _interrupts() as interrupted, telling(say_wait):
        try:
            try:
                if COMPLETE in os.environ:
                    import_module("pointsman.cli.completion")  # it says how each shell is answered
                    cli.main(prog_name="pointsman")
                return _run(call, words)
            except NotWritten:
                raise
            except Exception as error:
                if interrupted or isinstance(error, click.Abort):  # what it ended is no trouble of its own
                    raise KeyboardInterrupt from error
                return _trouble(call, error)
        except NotWritten as lost:
            return _not_written(lost)
        except KeyboardInterrupt:
            number = interrupted[0] if interrupted else signal.SIGINT
            how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
            say(f"pointsman: {how}; running the command again finishes what it began", err=True)
            return 128 + number


def _with_json(words: list[str]) -> list[str]:
    """The words with --json in the place of --format json, which other tools have."""
    end = words.index("--") if "--" in words else len(words)
    found = ["--json" if each == "--format=json" else each for each in words[:end]]
    for place in range(len(found) - 2, -1, -1):
        if found[place : place + 2] == ["--format", "json"]:
            found[place : place + 2] = ["--json"]
    return found + words[end:]


def _run(call: Call, words: list[str]) -> int:
    asked, call.json = call.json, False
    try:
        with cli.make_context("pointsman", words, obj=call) as context:
            answer = cli.invoke(context)
            code = _answer(call, answer) if answer is not None else 0  # None: all was said on the way
            sys.stdout.flush()
            return code
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    except click.ClickException as error:
        from pointsman.cli.usage import sentence_of

        return _problem(asked, sentence_of(error, words, _COMMANDS), 2)


def _trouble(call: Call, error: Exception) -> int:
    if isinstance(error, Refused):
        return _refused(call, error)
    if isinstance(error, Problem):
        return _problem(call.json, str(error), error.exit_code)
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return _problem(call.json, "the current directory was deleted: change to another one", Problem.exit_code)
    if isinstance(error, OSError):
        return _problem(call.json, str(trouble_of(error)), Unreachable.exit_code)
    return _bug(call, error)  # the last net: a bug ends in a sentence, too


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The interrupts so far, SIGTERM among them: the first process of a container dies of none by itself.

    Each raises KeyboardInterrupt. One that a destructor swallows is in the list all the same.
    One that was ignored from the start stays ignored: a shell does so for what it runs in the background.
    """
    seen: list[int] = []

    def interrupt(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.unraisablehook

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if not isinstance(what.exc_value, KeyboardInterrupt):
            hook(what)

    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, interrupt)
    sys.unraisablehook = unraisable
    try:
        yield seen
    finally:
        sys.unraisablehook = hook
        for each, handler in before.items():
            signal.signal(each, handler)


def _answer(call: Call, answer: Answer) -> int:
    for note in answer.outcome.notes:
        say(note, err=True)
    if call.json:
        say_members(answer.outcome.members())
    elif text := answer.text():
        if answer.paged:
            page(text)
        elif answer.drawn:
            text = without_secrets(advice(text))
            click.echo(text, nl=not text.endswith("\n"))
        else:
            say(text, advises=answer.advises)
    return answer.outcome.exit_code


def _problem(as_json: bool, says: str, exit_code: int) -> int:
    says = advice(says)
    say(f"pointsman: {says}", err=True)
    if as_json:
        say_document({"problem": says, "exit_code": exit_code})
    return exit_code


def _bug(call: Call, error: Exception) -> int:
    """Say that this is a bug. -v shows where."""
    if call.verbose:
        import traceback

        say("".join(traceback.format_exception(error)).rstrip(), err=True)
    more = "" if call.verbose else "; the same command with -v shows where"
    return _problem(call.json, f"{Bug.of(error)}{more}", Bug.exit_code)


def _refused(call: Call, refused: Refused) -> int:
    if call.json:
        told = [{"rule": fault.rule, "path": fault.path, "says": fault.says} for fault in refused.faults]
        say_document({"faults": told})
    else:
        for fault in refused.faults:
            say(str(fault), err=True)
    say(f"pointsman: refused, {call.refusal}", err=True)
    return refused.exit_code


def _not_written(lost: NotWritten) -> int:
    """Say that the answer was lost, which nobody may take for a command that did nothing."""
    give_up_output()
    if lost.errno == errno.EPIPE:  # its reader had enough
        return _PIPE_CLOSED
    why = "it is closed" if lost.errno == errno.EBADF else lost.strerror
    says = f"standard output could not be written ({why}): the answer is lost, and what the command did stands"
    say(f"pointsman: {says}; pointsman status, pointsman log and pointsman pr list show what is there", err=True)
    return Unreachable.exit_code

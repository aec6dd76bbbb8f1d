"""Wrong usage in one sentence, with what is typed here where other tools have taught something else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click

from pointsman.patterns import pattern

# What other tools call an option → how it is typed here; that with a space stands before the command.
_HABITS = {
    "--debug": "-v …", "--jq": "--json, and pipe it into jq", "--output": "--json", "--repo": "-C REPO …",
    "--repository": "-C REPO …", "--template": "--json, and pipe it into jq", "--verbose": "-v …", "-R": "-C REPO …",
    "-f": "--format", "-o": "--json", "-w": "--watch",
}  # fmt: skip
_FORM = pattern(r": '(json|jsonl|ndjson|yaml|yml|name|(jsonpath|go-template|custom-columns)[^']*)' is not one of ")
_FIELDS = pattern(r"Got unexpected extra argument \([A-Za-z]+(,[A-Za-z]+)*\)")


def sentence_of(error: click.ClickException, words: Sequence[str], commands: Collection[str]) -> str:
    """What is wrong with these words, and where the right ones stand."""
    sentence = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    named = [each for each in words if each in commands][:1]  # click does not say whose an option without a value is
    path = context.command_path if context else " ".join(["pointsman", *named])
    if isinstance(error, click.NoSuchOption):
        params = context.command.params if context else ()
        sentence = _no_option(error, sentence, {option for each in params for option in each.opts})
    elif _FORM.search(sentence):
        sentence += ": a program reads --json"
    elif _FIELDS.match(sentence) and "--json" in words:
        sentence += ": --json takes no names of members, it prints all"
    elif path == "pointsman sync" and sentence.startswith("Got unexpected extra argument"):
        sentence += ": it takes no target, because it brings all of them to serving"
    return f"{sentence} (see: {path} --help)"


def _no_option(error: click.NoSuchOption, sentence: str, known: Collection[str]) -> str:
    name = error.option_name
    if name in ("-C", "-v"):
        return f"{sentence}: it stands before the command, pointsman {name} …"
    meant = _HABITS.get(name, "")
    if meant.endswith(" …"):
        return f"No such option {name!r}: type pointsman {meant}"
    if meant and meant.partition(",")[0] in known:
        return f"No such option {name!r}: type {meant}"
    return sentence

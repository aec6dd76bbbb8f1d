"""Text in GitHub's Markdown, where nothing of it is markup."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Text of our own and names that are checked: every sign that could be markup is a character reference."""
    visible = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    kept = "".join(each if each.isalnum() or each in " .,/-_'" else f"&#{ord(each)};" for each in visible)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", "&#95;", kept)  # inside of a word it is no emphasis


def code(text: str) -> str:
    """Text from outside, as code: forges make no mention, no issue and no link of what stands there."""
    return f"<code>{plain(text)}</code>" if text else ""


def fenced(text: str) -> str:
    """Lines as they are, whatever they say."""
    lines = "\n".join("".join(e if e.isprintable() else f"\\u{ord(e):04x}" for e in line) for line in text.split("\n"))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
    return f"{fence}text\n{lines}\n{fence}\n"

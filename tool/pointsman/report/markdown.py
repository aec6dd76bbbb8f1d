"""Text in GitHub's Markdown, where nothing of it is markup."""

from __future__ import annotations

import re

from pointsman.errors import lines, one_line


def plain(text: str) -> str:
    """Text of our own and names that are checked: every sign that could be markup is a character reference."""
    kept = "".join(each if each.isalnum() or each in " .,/-_'" else f"&#{ord(each)};" for each in one_line(text))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", "&#95;", kept)  # inside of a word it is no emphasis


def code(text: str) -> str:
    """Text from outside, as code: forges make no mention, no issue and no link of what stands there."""
    return f"<code>{plain(text)}</code>" if text else ""


def fenced(text: str) -> str:
    """Lines as they are, whatever they say."""
    shown = lines(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}\n"

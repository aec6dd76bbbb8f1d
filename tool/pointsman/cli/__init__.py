"""The command line: one file for each command, its options and its words."""

from pointsman.cli.main import main

__all__ = ["main"]

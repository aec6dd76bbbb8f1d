"""The corpus: hostile, broken and innocent changes, each on a prepared start state. See README.md beside this file."""

"""Rings: when each ring is given which state of a target, what its checks say, and what stops it."""

"""Pointsman: GitOps for recommendation artifacts."""

__version__ = "0.1.0"

"""Guardrails: what an unusual ship looks like. One file for each; they read and write nothing."""

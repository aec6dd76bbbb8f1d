"""Guardrails: rules about unusual data, each in its own file. They read and write nothing."""

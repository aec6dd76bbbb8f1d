"""Gitea and Forgejo, which began as a copy of Gitea: one API, two brands; and pull requests there."""

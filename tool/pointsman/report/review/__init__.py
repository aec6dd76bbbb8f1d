"""The review of a change: its document, and how each form shows it."""

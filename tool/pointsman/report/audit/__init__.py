"""The report of an audit: its document, and how each form shows it."""

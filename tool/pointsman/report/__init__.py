"""What people read of a value: reviews, audits, status, as text, Markdown and HTML."""

"""Values: names, paths, documents, commit messages, git objects. No I/O, except to read its own schemas."""

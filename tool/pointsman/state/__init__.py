"""Values: names, paths, documents, commit messages, git objects. No I/O but for the package's own schemas."""

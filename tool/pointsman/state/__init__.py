"""Values: names, paths, documents, commit messages, what git keeps. Nothing here reads or writes anything."""

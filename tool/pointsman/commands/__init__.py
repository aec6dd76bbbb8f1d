"""The commands, by who runs them: each parses, calls one verb and says how its value is read."""

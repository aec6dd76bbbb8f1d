"""What each command does, by its name. A verb returns a value and prints nothing."""

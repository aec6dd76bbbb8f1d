"""Rules: what may not be current. One file for each; they read and write nothing."""

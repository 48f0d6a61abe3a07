"""Files and locks: atomic replacement, locks between processes, and locks across forks."""

"""The command line, over the same calls that everybody has."""

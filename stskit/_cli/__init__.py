"""The command line of stskit."""

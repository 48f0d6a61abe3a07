"""The command ``stskit doctor``, which examines the proof, the files, the connection to STS and the clock."""

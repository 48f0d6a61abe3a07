"""Behind `stskit.sources.Profile`: botocore's search, its faults, and whose credentials it gives."""

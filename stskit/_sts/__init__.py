"""Behind `stskit.sts`: what goes out, what comes back, and what a refusal means."""

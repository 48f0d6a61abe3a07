"""Behind `stskit.refresh`: the decision, the cache, the listener and the roles in the middle of chains."""

"""Behind the proofs: how they are found, read and told apart."""

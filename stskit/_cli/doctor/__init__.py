"""What is behind `stskit doctor`: looks at all that decides whether a role can be assumed, and assumes none."""

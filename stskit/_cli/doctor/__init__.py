"""The command `stskit doctor`: what the source, the configuration and the clock of STS say, each as one finding."""

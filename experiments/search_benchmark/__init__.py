"""Which search finds the best candidate with the fewest trainings; see README.md."""

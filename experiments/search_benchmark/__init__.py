"""A benchmark of searches: which one finds the best candidate with the fewest trainings? See README.md."""

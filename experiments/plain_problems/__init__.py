"""A comparison of samplers in plain Optuna studies. See README.md."""

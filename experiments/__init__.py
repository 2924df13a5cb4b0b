"""Questions with their command, cost and result; see README.md. Run from the repository root."""

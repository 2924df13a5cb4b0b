"""Each experiment asks one question; README.md has its command, cost and result."""

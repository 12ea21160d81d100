"""What two sides must agree on: names, messages, outcomes, result files. Standard library only."""

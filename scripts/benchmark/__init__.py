"""Measures this project beside the tools people use today; `scripts/bench` runs it."""

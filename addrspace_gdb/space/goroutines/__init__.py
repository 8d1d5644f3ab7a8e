"""Goroutines and their stacks: lists, walks, user frames, groups, the census."""

"""The accounting tree: who holds the resident bytes."""

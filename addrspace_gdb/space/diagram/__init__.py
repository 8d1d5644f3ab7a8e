"""The rows of the picture."""

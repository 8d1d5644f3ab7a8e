"""The page: one HTML file of a process, or of several moments of it, that stands by itself."""

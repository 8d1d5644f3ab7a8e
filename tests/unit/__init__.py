"""Tests that need neither a gdb nor a Go: `scripts/test --quick`."""

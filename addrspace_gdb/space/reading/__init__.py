"""What is read while the process stands still."""

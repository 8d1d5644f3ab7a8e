"""What is at an address, and what a fault was."""

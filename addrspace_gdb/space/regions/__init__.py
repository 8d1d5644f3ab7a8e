"""Areas, claims, and the partition of the address space into regions."""

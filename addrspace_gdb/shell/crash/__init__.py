"""`addrspace-gdb crash`: what the kernel calls when a program dies, and how it is set up and looked at."""

module addrspace.test/mallocs

go 1.21



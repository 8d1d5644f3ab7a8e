module addrspace.test/loaded

go 1.21



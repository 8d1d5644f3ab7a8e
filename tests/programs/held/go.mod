module addrspace.test/held

go 1.21

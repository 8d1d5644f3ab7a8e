module addrspace.test/kit

go 1.21

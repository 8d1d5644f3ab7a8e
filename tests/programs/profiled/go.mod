module addrspace.test/profiled

go 1.21

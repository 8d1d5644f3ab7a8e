module addrspace.test/unprofiled

go 1.21

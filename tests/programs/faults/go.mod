module addrspace.test/faults

go 1.21

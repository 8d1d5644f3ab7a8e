module addrspace.test/fifty

go 1.21

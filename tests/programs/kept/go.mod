module addrspace.test/kept

go 1.21

module addrspace.test/deaths

go 1.21

module addrspace.test/typed

go 1.21

module addrspace.test/mappers

go 1.19

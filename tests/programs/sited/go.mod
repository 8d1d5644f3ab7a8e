module addrspace.test/sited

go 1.21

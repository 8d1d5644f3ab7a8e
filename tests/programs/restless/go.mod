module addrspace.test/restless

go 1.19

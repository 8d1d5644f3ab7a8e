module addrspace.test/victim

go 1.21

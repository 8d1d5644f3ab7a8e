module addrspace.test/counted

go 1.19

module addrspace.test/plugin

go 1.21

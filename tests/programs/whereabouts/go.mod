module addrspace.test/whereabouts

go 1.21

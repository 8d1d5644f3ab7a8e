module addrspace.test/leaked

go 1.21

require addrspace.test/kit v0.0.0

replace addrspace.test/kit => ../kit

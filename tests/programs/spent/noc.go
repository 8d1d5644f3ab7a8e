//go:build !cgo

package main

import (
	"syscall"

	"addrspace.test/kit"
)

func allocateInC(size int) {
	kit.Fail("C", syscall.ENOSYS)
}

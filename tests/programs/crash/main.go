// Crash dies, for the kernel's core file.
//
//	crash ORACLE panic|abort|segv
//
// The oracle is taken first. Run it with GOTRACEBACK=crash.
package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory before the crash.
var Oracle runtime.MemStats

// Unmapped is an address in the first page.
var Unmapped uintptr = 0x18

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//go:noinline
func die(how string) {
	switch how {
	case "abort":
		syscall.Kill(syscall.Getpid(), syscall.SIGABRT)
		time.Sleep(kit.Lifetime)
	case "segv":
		kit.Lite.Objects[0] = *(*int)(*(*unsafe.Pointer)(unsafe.Pointer(&Unmapped)))
	default:
		panic("crash test")
	}
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: crash ORACLE panic|abort|segv\n")
		os.Exit(2)
	}
	kit.Populate()
	kit.Settle(os.Args[1], true, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Write(&Oracle)
	die(os.Args[2])
}

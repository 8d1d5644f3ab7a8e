package main

import (
	"net"
	"os"
	"runtime"
	"syscall"

	"addrspace.test/kit"
)

// Files keeps the open ends alive: a finalizer would close them.
var Files []any

func startFiles() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		kit.Fail("listen", err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		kit.Fail("pipe", err)
	}
	Files = append(Files, listener, reader, writer)
	launch(1, func() { listener.Accept() })
	launch(2, func() { reader.Read(make([]byte, 1)) }) // the second waits for the first: semacquire
	launch(1, rawRead())
	locked := rawRead()
	launch(1, func() { runtime.LockOSThread(); locked() })
}

// rawRead makes a function that blocks in a system call the poller knows nothing of.
func rawRead() func() {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		kit.Fail("pipe", err)
	}
	return func() {
		var buffer [1]byte
		syscall.Read(ends[0], buffer[:])
	}
}

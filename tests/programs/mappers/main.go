// Mappers maps memory through packages syscall and golang.org/x/sys/unix, so often as its argument says, gives
// some of it back, and says what is left: lines "syscall.Mmap START LENGTH", then "ready".
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const private = syscall.MAP_ANON | syscall.MAP_PRIVATE

type mapper struct {
	name  string
	mmap  func(int, int64, int, int, int) ([]byte, error)
	unmap func([]byte) error
}

func (m mapper) one(size int, kept bool) {
	found, err := m.mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, private)
	if err != nil {
		panic(err)
	}
	found[0] = 1
	if kept {
		fmt.Printf("%s %d %d\n", m.name, uintptr(unsafe.Pointer(&found[0])), len(found))
	} else if err := m.unmap(found); err != nil {
		panic(err)
	}
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	for _, m := range []mapper{
		{"syscall.Mmap", syscall.Mmap, syscall.Munmap},
		{"unix.Mmap", unix.Mmap, unix.Munmap},
	} {
		for i := 0; i < count; i++ {
			m.one(4096+i%7*5000, i%3 != 0)
		}
		m.one(3<<20, true)
	}
	fmt.Println("ready")
	time.Sleep(10 * time.Minute)
}

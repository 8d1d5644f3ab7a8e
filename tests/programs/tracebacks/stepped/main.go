// Stops itself, then runs through calls, panics, allocations, stack growth and the scheduler for ever, for a
// debugger that steps its thread.
package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
)

var (
	sink      int
	allocated []byte
	pass      = make(chan int)
)

func calling() {
	runtime.LockOSThread()
	syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGSTOP) // Kill may stop another thread first
	runtime.UnlockOSThread()
	for {
		for i := 0; i < 8; i++ {
			leaves(sink)
			small(sink)
		}
		recovering(nil)
		allocated = append([]byte(nil), make([]byte, 100+sink%3000)...)
		deep(40)
		go func() { pass <- deep(60) }()
		sink = <-pass
		runtime.Gosched()
	}
}

//go:noinline
func leaves(n int) int { return leaf(n) + leaf(n+1) }

//go:noinline
func leaf(n int) int { return n * 3 }

//go:noinline
func small(n int) (sum int) {
	defer func() { sum++ }()
	var pad [10]int
	pad[n&7] = leaf(n)
	for _, x := range pad {
		sum += x
	}
	return sum
}

//go:noinline
func recovering(p *int) int {
	defer func() { recover() }()
	return *p
}

//go:noinline
func deep(n int) (sum int) {
	var pad [64]int
	if n > 0 {
		pad[n] = deep(n - 1)
	}
	for i := 0; i < 4; i++ {
		sum += pad[i]
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1) // a cycle would wait for threads that nobody steps
	done := make(chan bool)
	go calling()
	<-done
}

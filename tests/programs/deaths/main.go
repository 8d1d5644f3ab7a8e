// Deaths dies in the way it is told, of a signal: sent, raised, or of what C did.
//
//	deaths WAY
//
// Run it with GOTRACEBACK=crash for a core.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// Account is whose method calls C.
type Account struct{ name string }

// Handlers are func values, of which none is set.
var Handlers [2]func(int, int, int) int

// Spins are counted.
var Spins uint64

//go:noinline
func callThrough(a, b, c int, f func(int, int, int) int) int { return f(c, b, a) + 1 }

//go:noinline
func spin() {
	for {
		Spins++
	}
}

// Now is what clock last read.
var Now time.Time

//go:noinline
func clock() {
	for {
		Now = time.Now()
	}
}

//go:noinline
func send(signal syscall.Signal) {
	// To this thread: the kernel may give to another what is sent to the process.
	syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(syscall.Gettid()), uintptr(signal))
	time.Sleep(time.Hour)
}

//go:noinline
func (a *Account) settle(way string) {
	switch way {
	case "sent-segv":
		send(syscall.SIGSEGV)
	case "sent-bus":
		send(syscall.SIGBUS)
	case "sent-quit":
		send(syscall.SIGQUIT)
	case "sent-abort":
		send(syscall.SIGABRT)
	case "breakpoint":
		runtime.Breakpoint()
	case "nil-func":
		Spins += uint64(callThrough(1, 2, 3, Handlers[len(a.name)&1]))
	case "spin":
		os.Stdout.WriteString("ready\n")
		spin()
	case "clock":
		os.Stdout.WriteString("ready\n")
		clock()
	case "panic":
		panic(a.name)
	default:
		c(way)
	}
}

// Whether it is to die on the main thread.
func onMain() bool {
	return len(os.Args) > 1 && (os.Args[1] == "spin" || os.Args[1] == "clock")
}

func init() {
	if onMain() {
		runtime.LockOSThread()
	}
}

func main() {
	debug.SetGCPercent(-1)
	if onMain() {
		(&Account{"savings"}).settle(os.Args[1])
	}
	done := make(chan int)
	go func() {
		(&Account{"savings"}).settle(os.Args[1])
		close(done)
	}()
	<-done
	os.Stderr.WriteString("still alive\n")
	os.Exit(9)
}

// Parks goroutines behind calls from Go to C and back, writes Go's own dump, then stops itself.
package main

/*
#include <unistd.h>
extern void goCallback(int);
static void fromC(int n) { goCallback(n); }
static void waitInC(void) { for (;;) pause(); }
*/
import "C"

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

var never = make(chan int)
var ready = make(chan bool, 8)

//export goCallback
func goCallback(n C.int) {
	if n > 0 {
		C.fromC(n - 1)
		return
	}
	ready <- true
	<-never
}

func main() {
	go func() { C.fromC(0) }()
	go func() { C.fromC(3) }()
	go func() { ready <- true; C.waitInC() }()
	for i := 0; i < 3; i++ {
		<-ready
	}
	time.Sleep(100 * time.Millisecond)
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	if err := os.WriteFile(os.Args[1], buf, 0o600); err != nil {
		panic(err)
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	select {}
}

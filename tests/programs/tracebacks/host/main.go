// Opens a plugin, parks a goroutine in its code, writes Go's own dump, then stops itself.
//
//	host DUMP-FILE PCS-FILE PLUGIN
package main

import (
	"os"
	"plugin"
	"runtime"
	"syscall"
)

func main() {
	opened, err := plugin.Open(os.Args[3])
	if err != nil {
		panic(err)
	}
	park, err := opened.Lookup("Park")
	if err != nil {
		panic(err)
	}
	ready := make(chan bool)
	go park.(func(func()))(func() { ready <- true; select {} })
	<-ready
	for i := 0; i < 100; i++ {
		runtime.Gosched()
	}
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	if err := os.WriteFile(os.Args[1], buf, 0o600); err != nil {
		panic(err)
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	select {}
}

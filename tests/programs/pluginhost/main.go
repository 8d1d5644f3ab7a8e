// Pluginhost opens a Go plugin: a process with two modules.
//
//	pluginhost ORACLE PLUGIN
package main

import (
	"os"
	"plugin"
	"runtime"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: pluginhost ORACLE PLUGIN\n")
		os.Exit(2)
	}
	opened, err := plugin.Open(os.Args[2])
	if err != nil {
		kit.Fail("plugin", err)
	}
	run, err := opened.Lookup("Run")
	if err != nil {
		kit.Fail("plugin", err)
	}
	arrived := make(chan bool)
	go run.(func(chan bool))(arrived)
	<-arrived
	kit.Populate()
	kit.Settle(os.Args[1], true, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}

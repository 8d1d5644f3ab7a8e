// Owners has memory whose owner is easily mistaken, of one kind at a time, and says how much it is.
//
//	owners ORACLE WHAT
//
// ORACLE is not written: what is known is on stdout, a line "name number" each, before "ready".
package main

import (
	"os"
	"runtime"
	"strconv"
	"time"

	"addrspace.test/kit"
)

const mib = 1 << 20

var (
	statistics runtime.MemStats
	cases      = map[string]func(){}
	keep       [][]byte
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(keep)
}

func say(name string, number uint64) {
	os.Stdout.WriteString(name + " " + strconv.FormatUint(number, 10) + "\n")
}

func main() {
	cases[os.Args[2]]()
	runtime.ReadMemStats(&statistics)
	say("BuckHashSys", statistics.BuckHashSys)
	say("HeapInuse", statistics.HeapInuse)
	breakpoint()
	os.Stdout.WriteString("ready\n")
	time.Sleep(kit.Lifetime)
	runtime.KeepAlive(keep)
}

// Unprofiled has nothing that could write a heap profile, so that the linker turns it off.
package main

import (
	"os"
	"time"
)

var kept [][]byte

func main() {
	for i := 0; i < 1000; i++ {
		kept = append(kept, make([]byte, 8<<10))
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

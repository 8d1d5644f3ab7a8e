// A plugin with globals and a goroutine that waits in its own code.
package main

type item struct {
	next *item
	text [32]byte
}

// The plugin's own sections.
var (
	Items   *item
	Table   = [1 << 12]uint64{0: 1, 1<<12 - 1: 2}
	Scratch [1 << 20]byte
)

// Run makes a list and blocks.
func Run(arrived chan bool) {
	for i := 0; i < 1000; i++ {
		Items = &item{next: Items}
	}
	Scratch[0], Scratch[1<<19] = 1, byte(Table[0])
	arrived <- true
	select {}
}

func main() {}

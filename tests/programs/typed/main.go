// Objects of many types, which the program counts itself: a line for each type says how many there are. Every
// one hangs on an interface, so that its type can be known without debug information.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

type leaf struct{ a, b, c uint64 }

type node struct {
	left, right *node
	value       *leaf
	name        string
}

type holder struct {
	pad   [5]uint64
	inner any
	walk  walker
}

type walker interface{ step() *leaf }

type byPointer struct {
	to  *leaf
	pad [2]uint64
}

func (b *byPointer) step() *leaf { return b.to }

type byValue struct{ first, second *leaf }

func (b byValue) step() *leaf { return b.first }

type box[T any] struct {
	value *T
	next  *box[T]
}

type wide struct {
	pad  [90]uint64
	next *wide
	list []*leaf
}

type message struct {
	body [7]*leaf
}

type row struct {
	key   [4]uint64
	value *leaf
}

type matrix [40][3]*leaf

type keyed struct{ x, y, z, w, v uint64 }

var (
	kept   []any
	counts = map[string]int{}
)

// made counts an object of a type that nothing else makes.
func made[T any](name string) *T {
	counts[name]++
	return new(T)
}

func newLeaf() *leaf { return made[leaf]("main.leaf") }

func tree(depth int) *node {
	n := made[node]("main.node")
	n.value, n.name = newLeaf(), fmt.Sprintf("a node with a name that is long enough at depth %d", depth)
	if depth > 0 {
		n.left, n.right = tree(depth-1), tree(depth-1)
	}
	return n
}

func boxes(n int) *box[leaf] {
	var first *box[leaf]
	for i := 0; i < n; i++ {
		b := made[box[leaf]]("main.box[main.leaf]")
		b.value, b.next = newLeaf(), first
		first = b
	}
	return first
}

func fill() {
	kept = append(kept, tree(9), boxes(700))
	for i := 0; i < 300; i++ {
		h := made[holder]("main.holder")
		p := made[byPointer]("main.byPointer")
		p.to = newLeaf()
		h.inner, h.walk = boxes(1), p
		kept = append(kept, h)
		w := made[wide]("main.wide")
		w.next = made[wide]("main.wide")
		w.list = []*leaf{newLeaf(), newLeaf(), newLeaf()}
		counts["[...]*main.leaf"]++
		kept = append(kept, w)
	}
	for i := 0; i < 50; i++ {
		counts["main.byValue"]++
		kept = append(kept, walker(byValue{newLeaf(), newLeaf()}))
		m := made[matrix]("main.matrix")
		m[39][2], m[0][0] = newLeaf(), newLeaf()
		kept = append(kept, m)
		messages := make(chan *message, 8)
		counts["chan *main.message"]++
		counts["[...]*main.message"]++
		for k := 0; k < 5; k++ {
			one := made[message]("main.message")
			one.body[6] = newLeaf()
			messages <- one
		}
		kept = append(kept, messages)
		rows := make([]row, 9)
		counts["[...]main.row"]++
		for k := range rows {
			rows[k].value = newLeaf()
		}
		kept = append(kept, rows)
		small, large := map[string]*keyed{}, map[keyed]*row{}
		counts["map[string]*main.keyed"]++
		counts["map[main.keyed]*main.row"]++
		for k := 0; k < 3; k++ {
			small[fmt.Sprintf("a key that is long enough %d", k)] = made[keyed]("main.keyed")
		}
		for k := uint64(0); k < 500; k++ {
			r := made[row]("main.row")
			r.value = newLeaf()
			large[keyed{x: k}] = r
		}
		kept = append(kept, small, large)
	}
}

func main() {
	debug.SetGCPercent(-1)
	fill()
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	for name, count := range counts {
		fmt.Println("count", count, name)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour) // nobody else can run, which would be a deadlock
}

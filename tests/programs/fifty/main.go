// Objects of fifty types, which the program counts itself: a line for each type says how many there are. They
// hang on variables of packages alone: no interface says what they are, and of many the program has no
// descriptor that would name them, because nothing but debug information knows what the variables are.
package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

type (
	leaf1 struct{ v [3]uint64 }
	leaf2 struct{ v [4]uint64 }
	leaf3 struct{ v [5]uint64 }
	leaf4 struct{ v [6]uint64 }
	leaf5 struct{ v [7]uint64 }
	list1 struct {
		next *list1
		v    [1]uint64
	}
	list2 struct {
		next *list2
		v    [2]uint64
	}
	list3 struct {
		next *list3
		v    [3]uint64
	}
	list4 struct {
		next *list4
		v    [4]uint64
	}
	list5 struct {
		next *list5
		v    [5]uint64
	}
	tree1 struct {
		left, right *tree1
		v           [1]uint64
		leaf        *leaf1
	}
	tree2 struct {
		left, right *tree2
		v           [2]uint64
		leaf        *leaf2
	}
	tree3 struct {
		left, right *tree3
		v           [3]uint64
		leaf        *leaf3
	}
	tree4 struct {
		left, right *tree4
		v           [4]uint64
		leaf        *leaf4
	}
	tree5 struct {
		left, right *tree5
		v           [5]uint64
		leaf        *leaf5
	}
	pair1 struct {
		v             [1]uint64
		first, second *leaf1
	}
	pair2 struct {
		v             [2]uint64
		first, second *leaf2
	}
	pair3 struct {
		v             [3]uint64
		first, second *leaf3
	}
	pair4 struct {
		v             [4]uint64
		first, second *leaf4
	}
	pair5 struct {
		v             [5]uint64
		first, second *leaf5
	}
	entry1 struct {
		v    [1]uint64
		leaf *leaf1
	}
	entry2 struct {
		v    [2]uint64
		leaf *leaf2
	}
	entry3 struct {
		v    [3]uint64
		leaf *leaf3
	}
	entry4 struct {
		v    [4]uint64
		leaf *leaf4
	}
	entry5 struct {
		v    [5]uint64
		leaf *leaf5
	}
	item1 struct {
		leaf *leaf1
		v    [1]uint64
	}
	item2 struct {
		leaf *leaf2
		v    [2]uint64
	}
	item3 struct {
		leaf *leaf3
		v    [3]uint64
	}
	item4 struct {
		leaf *leaf4
		v    [4]uint64
	}
	item5 struct {
		leaf *leaf5
		v    [5]uint64
	}
	grid1  [5]*leaf1
	grid2  [6]*leaf2
	grid3  [7]*leaf3
	grid4  [8]*leaf4
	grid5  [9]*leaf5
	named1 struct {
		name string
		body []byte
		v    [1]uint64
	}
	named2 struct {
		name string
		body []byte
		v    [2]uint64
	}
	named3 struct {
		name string
		body []byte
		v    [3]uint64
	}
	named4 struct {
		name string
		body []byte
		v    [4]uint64
	}
	named5 struct {
		name string
		body []byte
		v    [5]uint64
	}
	inner1 struct {
		leaf1
		next *inner1
	}
	inner2 struct {
		leaf2
		next *inner2
	}
	inner3 struct {
		leaf3
		next *inner3
	}
	inner4 struct {
		leaf4
		next *inner4
	}
	inner5 struct {
		leaf5
		next *inner5
	}
	box[T any] struct {
		value *T
		next  *box[T]
	}
)

// kinds is all that is held of one size: of its own type there is no descriptor.
type kinds[Leaf, List, Tree, Pair, Entry, Item, Grid, Named, Inner any] struct {
	leaves  []*Leaf
	list    *List
	tree    *Tree
	pairs   [7]*Pair
	entries map[int]*Entry
	items   chan *Item
	grid    struct{ at *Grid }
	named   []Named
	single  *Named
	inner   *Inner
	boxes   *box[Leaf]
}

var (
	world1 kinds[leaf1, list1, tree1, pair1, entry1, item1, grid1, named1, inner1]
	world2 kinds[leaf2, list2, tree2, pair2, entry2, item2, grid2, named2, inner2]
	world3 kinds[leaf3, list3, tree3, pair3, entry3, item3, grid3, named3, inner3]
	world4 kinds[leaf4, list4, tree4, pair4, entry4, item4, grid4, named4, inner4]
	world5 kinds[leaf5, list5, tree5, pair5, entry5, item5, grid5, named5, inner5]
	shelf  = &struct{ kept *list1 }{} // which lies in data itself
	counts [50]int
	names  [50]string
)

// made counts an object of a type that nothing else makes.
func made[T any](number int, name string) *T {
	counts[number]++
	names[number] = "main." + name
	return new(T)
}

func new1() *leaf1 { return made[leaf1](0, "leaf1") }

func tree1Of(depth int) *tree1 {
	t := made[tree1](1, "tree1")
	t.leaf = new1()
	if depth > 0 {
		t.left, t.right = tree1Of(depth-1), tree1Of(depth-1)
	}
	return t
}

func fill1() {
	w := &world1
	w.entries, w.items = map[int]*entry1{}, make(chan *item1, 40)
	w.tree = tree1Of(4)
	for i := 0; i < 27; i++ {
		w.leaves = append(w.leaves, new1())
		l := made[list1](2, "list1")
		l.next, w.list = w.list, l
		p := made[pair1](3, "pair1")
		p.first, p.second, w.pairs[i%7] = new1(), new1(), p
		e := made[entry1](4, "entry1")
		e.leaf, w.entries[i%12] = new1(), e
		n := made[inner1](5, "inner1")
		n.next, w.inner = w.inner, n
		b := made[box[leaf1]](6, "box[main.leaf1]")
		b.value, b.next, w.boxes = new1(), w.boxes, b
		if i < 20 {
			one := made[item1](7, "item1")
			one.leaf = new1()
			w.items <- one
		}
	}
	w.grid.at = made[grid1](8, "grid1")
	w.grid.at[1] = new1()
	w.single = made[named1](9, "named1")
	w.single.name, w.single.body = fmt.Sprint("the name of number ", 1), make([]byte, 100)
}

func new2() *leaf2 { return made[leaf2](10, "leaf2") }

func tree2Of(depth int) *tree2 {
	t := made[tree2](11, "tree2")
	t.leaf = new2()
	if depth > 0 {
		t.left, t.right = tree2Of(depth-1), tree2Of(depth-1)
	}
	return t
}

func fill2() {
	w := &world2
	w.entries, w.items = map[int]*entry2{}, make(chan *item2, 40)
	w.tree = tree2Of(5)
	for i := 0; i < 34; i++ {
		w.leaves = append(w.leaves, new2())
		l := made[list2](12, "list2")
		l.next, w.list = w.list, l
		p := made[pair2](13, "pair2")
		p.first, p.second, w.pairs[i%7] = new2(), new2(), p
		e := made[entry2](14, "entry2")
		e.leaf, w.entries[i%13] = new2(), e
		n := made[inner2](15, "inner2")
		n.next, w.inner = w.inner, n
		b := made[box[leaf2]](16, "box[main.leaf2]")
		b.value, b.next, w.boxes = new2(), w.boxes, b
		if i < 20 {
			one := made[item2](17, "item2")
			one.leaf = new2()
			w.items <- one
		}
	}
	w.grid.at = made[grid2](18, "grid2")
	w.grid.at[2] = new2()
	w.single = made[named2](19, "named2")
	w.single.name, w.single.body = fmt.Sprint("the name of number ", 2), make([]byte, 100)
}

func new3() *leaf3 { return made[leaf3](20, "leaf3") }

func tree3Of(depth int) *tree3 {
	t := made[tree3](21, "tree3")
	t.leaf = new3()
	if depth > 0 {
		t.left, t.right = tree3Of(depth-1), tree3Of(depth-1)
	}
	return t
}

func fill3() {
	w := &world3
	w.entries, w.items = map[int]*entry3{}, make(chan *item3, 40)
	w.tree = tree3Of(6)
	for i := 0; i < 41; i++ {
		w.leaves = append(w.leaves, new3())
		l := made[list3](22, "list3")
		l.next, w.list = w.list, l
		p := made[pair3](23, "pair3")
		p.first, p.second, w.pairs[i%7] = new3(), new3(), p
		e := made[entry3](24, "entry3")
		e.leaf, w.entries[i%14] = new3(), e
		n := made[inner3](25, "inner3")
		n.next, w.inner = w.inner, n
		b := made[box[leaf3]](26, "box[main.leaf3]")
		b.value, b.next, w.boxes = new3(), w.boxes, b
		if i < 20 {
			one := made[item3](27, "item3")
			one.leaf = new3()
			w.items <- one
		}
	}
	w.grid.at = made[grid3](28, "grid3")
	w.grid.at[3] = new3()
	w.single = made[named3](29, "named3")
	w.single.name, w.single.body = fmt.Sprint("the name of number ", 3), make([]byte, 100)
}

func new4() *leaf4 { return made[leaf4](30, "leaf4") }

func tree4Of(depth int) *tree4 {
	t := made[tree4](31, "tree4")
	t.leaf = new4()
	if depth > 0 {
		t.left, t.right = tree4Of(depth-1), tree4Of(depth-1)
	}
	return t
}

func fill4() {
	w := &world4
	w.entries, w.items = map[int]*entry4{}, make(chan *item4, 40)
	w.tree = tree4Of(7)
	for i := 0; i < 48; i++ {
		w.leaves = append(w.leaves, new4())
		l := made[list4](32, "list4")
		l.next, w.list = w.list, l
		p := made[pair4](33, "pair4")
		p.first, p.second, w.pairs[i%7] = new4(), new4(), p
		e := made[entry4](34, "entry4")
		e.leaf, w.entries[i%15] = new4(), e
		n := made[inner4](35, "inner4")
		n.next, w.inner = w.inner, n
		b := made[box[leaf4]](36, "box[main.leaf4]")
		b.value, b.next, w.boxes = new4(), w.boxes, b
		if i < 20 {
			one := made[item4](37, "item4")
			one.leaf = new4()
			w.items <- one
		}
	}
	w.grid.at = made[grid4](38, "grid4")
	w.grid.at[4] = new4()
	w.single = made[named4](39, "named4")
	w.single.name, w.single.body = fmt.Sprint("the name of number ", 4), make([]byte, 100)
}

func new5() *leaf5 { return made[leaf5](40, "leaf5") }

func tree5Of(depth int) *tree5 {
	t := made[tree5](41, "tree5")
	t.leaf = new5()
	if depth > 0 {
		t.left, t.right = tree5Of(depth-1), tree5Of(depth-1)
	}
	return t
}

func fill5() {
	w := &world5
	w.entries, w.items = map[int]*entry5{}, make(chan *item5, 40)
	w.tree = tree5Of(8)
	for i := 0; i < 55; i++ {
		w.leaves = append(w.leaves, new5())
		l := made[list5](42, "list5")
		l.next, w.list = w.list, l
		p := made[pair5](43, "pair5")
		p.first, p.second, w.pairs[i%7] = new5(), new5(), p
		e := made[entry5](44, "entry5")
		e.leaf, w.entries[i%16] = new5(), e
		n := made[inner5](45, "inner5")
		n.next, w.inner = w.inner, n
		b := made[box[leaf5]](46, "box[main.leaf5]")
		b.value, b.next, w.boxes = new5(), w.boxes, b
		if i < 20 {
			one := made[item5](47, "item5")
			one.leaf = new5()
			w.items <- one
		}
	}
	w.grid.at = made[grid5](48, "grid5")
	w.grid.at[5] = new5()
	w.single = made[named5](49, "named5")
	w.single.name, w.single.body = fmt.Sprint("the name of number ", 5), make([]byte, 100)
}

// drop counts down what nothing holds any more.
func drop(number, many int) { counts[number] -= many }

func main() {
	debug.SetGCPercent(-1)
	fill1()
	fill2()
	fill3()
	fill4()
	fill5()
	shelf.kept = made[list1](2, "list1")
	drop(3, 20)
	drop(4, 15)
	drop(0, 2*20+15)
	drop(13, 27)
	drop(14, 21)
	drop(10, 2*27+21)
	drop(23, 34)
	drop(24, 27)
	drop(20, 2*34+27)
	drop(33, 41)
	drop(34, 33)
	drop(30, 2*41+33)
	drop(43, 48)
	drop(44, 39)
	drop(40, 2*48+39)
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	for number, name := range names {
		fmt.Println("count", counts[number], name)
	}
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

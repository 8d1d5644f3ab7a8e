// A plugin whose function calls back into the program, through inlined and generic code of its own.
package main

type pair[T any] struct{ a, b T }

//go:noinline
func (p *pair[T]) call(f func()) {
	f()
	p.a = p.b
}

func inlined(p *pair[string], f func()) { p.call(f) }

// Park calls f.
func Park(f func()) {
	inlined(&pair[string]{}, f)
}

func main() {}

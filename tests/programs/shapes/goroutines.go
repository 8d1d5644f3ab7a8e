package main

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
	"unsafe"

	"addrspace.test/kit"
)

const ptrSize = unsafe.Sizeof(uintptr(0))

var (
	started sync.WaitGroup
	forever = make(chan int)
	sink    int
)

func launch(count int, body func()) {
	for i := 0; i < count; i++ {
		started.Add(1)
		go func() {
			started.Done()
			body()
		}()
	}
}

func waitStarted() {
	started.Wait()
	kit.Park()
}

//go:noinline
func block() {
	sink += <-forever
}

//go:noinline
func descend(depth int) int {
	if depth == 0 {
		block()
		return 0
	}
	return descend(depth-1) + 1
}

//go:noinline
func wide(depth int) int {
	var frame [16 << 10]byte
	frame[depth%len(frame)] = 1
	if depth == 0 {
		block()
	} else {
		frame[0] += byte(wide(depth - 1))
	}
	return int(frame[0])
}

//go:noinline
func arguments(a int8, b string, c []int, d any, e func(), f float64, g [3]int) {
	block()
	runtime.KeepAlive([]any{a, b, c, d, e, f, g})
}

func generic[T any](value T) T {
	block()
	return value
}

func inlinedInner() {
	sink += <-forever
}

func inlinedOuter() {
	inlinedInner()
	sink++
}

type waiter interface{ wait() }

type byPointer struct{ n int }

func (b *byPointer) wait() { block(); b.n++ }

type embedding struct{ byPointer }

func startDepths() {
	for _, depth := range []int{1, 10, 45, 90, 1000} {
		depth := depth
		launch(2, func() { sink += descend(depth) })
	}
	launch(1, func() { sink += wide(5) })
	launch(1, func() { sink += wide(20) })
	launch(1, func() { sink += wide(100) })
	launch(1, func() { arguments(1, "two", []int{3}, 4, block, 5.5, [3]int{6, 7, 8}) })
	launch(1, func() { sink += generic(1) })
	launch(1, func() { generic("text") })
	launch(3, func() { inlinedOuter() })
	launch(1, func() { waiter(&embedding{}).wait() })
	launch(1, (&byPointer{}).wait)
	launch(1, func() {
		pprof.Do(context.Background(), pprof.Labels("kind", "labelled", "id", "7"), func(context.Context) { block() })
	})
	launch(1, func() {
		started.Add(1)
		go func() { started.Done(); go block(); block() }()
		block()
	})
	time.AfterFunc(time.Millisecond, block)
}

// startDead runs goroutines that end: some with the stack they were born with, some with a grown one.
func startDead() {
	var done sync.WaitGroup
	for i := 0; i < 600; i++ {
		i := i
		done.Add(1)
		go func() {
			defer done.Done()
			if i%3 == 0 {
				runtime.Goexit()
			}
			sink += shallow(i % 200)
		}()
	}
	done.Wait()
}

//go:noinline
func shallow(depth int) int {
	var frame [64]int
	if depth > 0 {
		frame[depth%64] = shallow(depth - 1)
	}
	return frame[depth%64] + 1
}

type finalized struct{ self *finalized }

// startFinalizer leaves the finalizer goroutine blocked in a finalizer.
func startFinalizer() {
	entered := make(chan bool)
	func() {
		object := &finalized{}
		runtime.SetFinalizer(object, func(*finalized) {
			close(entered)
			block()
		})
	}()
	clearStack(40)
	for i := 0; i < 10; i++ {
		runtime.GC()
		select {
		case <-entered:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

//go:noinline
func clearStack(depth int) int {
	var frame [32]int
	if depth > 0 {
		frame[depth%32] = clearStack(depth - 1)
	}
	return frame[depth%32]
}

// startSpinners starts one goroutine more than there are Ps left over: some run, others are runnable.
func startSpinners() {
	for i := 0; i < 3; i++ {
		go spin()
	}
}

//go:noinline
func spin() {
	for {
	}
}

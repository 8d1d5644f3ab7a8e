package main

import "runtime"

func startPanics() {
	launch(1, blockInDefer)
	launch(1, blockInPanic)
	launch(1, blockAfterRecover)
	launch(1, blockAfterNilPointer)
	launch(1, blockInGoexit)
	launch(1, blockInNestedPanic)
	launch(1, func() { recovered(); block() })
}

func blockInDefer() {
	defer block()
}

func blockInPanic() {
	defer func() { block() }()
	panic("while panicking")
}

func blockAfterRecover() {
	defer func() {
		sink += len(recover().(string))
		block()
	}()
	panic("recovered")
}

func blockAfterNilPointer() {
	defer func() {
		recover()
		block()
	}()
	var nothing *tree
	sink += nothing.key
}

func blockInGoexit() {
	defer block()
	runtime.Goexit()
}

func blockInNestedPanic() {
	defer func() {
		defer func() { block() }()
		panic("second")
	}()
	panic("first")
}

func recovered() {
	defer func() { recover() }()
	panic("over")
}

// Package kit is what the test programs share: the oracle, and a small set of goroutines and objects.
//
// A program fills itself, calls Settle, and then
//
//	kit.Stacks()                   (if Settle was told of stacks)
//	runtime.ReadMemStats(&Oracle)
//	kit.Metrics()
//	breakpoint()
//	kit.Ready(&Oracle)
//
// From Settle on nothing is allocated, collected or returned to the OS, so what Oracle, Dump and
// Metrics say holds at the breakpoint and, as the program proves by reading its statistics once
// more, at "ready" too.
package kit

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Dump holds the goroutine dump of runtime.Stack(all) in its first DumpLength bytes.
var (
	Dump       [4 << 20]byte
	DumpLength int
)

const again = "ADDRSPACE_TEST_AGAIN" // how often the program started anew

// Lifetime is how long a program waits at "ready" for whoever looks at it: two minutes, or as many
// seconds as ADDRSPACE_TEST_LIFETIME says.
var Lifetime = lifetime()

func lifetime() time.Duration {
	seconds, err := strconv.Atoi(os.Getenv("ADDRSPACE_TEST_LIFETIME"))
	if err != nil {
		seconds = 120
	}
	return time.Duration(seconds) * time.Second
}

type file struct {
	fd      int
	text    [64 << 10]byte
	length  int
	comma   bool
	enabled bool
}

var (
	out      file
	dumpFD   = -1
	after    runtime.MemStats
	samples  []metrics.Sample
	mappings []Mapping
	ready    = []byte("ready\n")
)

// Mapping is a range that the program has mapped itself.
type Mapping struct {
	Name        string
	Start, Size uintptr
}

// Announce adds a mapping to the oracle file. It allocates: call it before Settle.
func Announce(name string, start, size uintptr) {
	mappings = append(mappings, Mapping{name, start, size})
}

// Settle turns the collector off and opens PATH (the oracle) and, with stacks, PATH.dump
// (runtime.Stack) and PATH.pprof (written here). With collect it runs two cycles first, so that all
// is swept; the scavenger rests only if the collector is turned off after the last cycle
// (gcPaceScavenger in runtime/mgcscavenge.go). It then goes through the later steps once, so that what they allocate is there before
// the snapshot.
func Settle(path string, collect bool, stacks bool) {
	if path != "" {
		out.fd, out.enabled = create(path), true
		if stacks {
			dumpFD = create(path + ".dump")
			writeProfile(path + ".pprof")
		}
	}
	openMetrics()
	spareThreads(4)
	time.Sleep(time.Millisecond)
	if collect {
		runtime.GC()
		runtime.GC()
	}
	neverCollect()
	time.Sleep(time.Millisecond)
	if stacks {
		Stacks()
	}
	runtime.ReadMemStats(&after)
	Metrics()
	format(&after)
}

// neverCollect turns the collector off, and the scavenger. With -1 and no limit the goals of the scavenger
// exceed 64 bits (gcPaceScavenger up to Go 1.21). On amd64 they stay large; on 386 next to nothing is left of
// them, and the scavenger would return the heap.
func neverCollect() {
	if strconv.IntSize == 64 {
		debug.SetGCPercent(-1)
		return
	}
	debug.SetMemoryLimit(1 << 40)
	debug.SetGCPercent(100_000)
}

// spareThreads leaves idle threads behind: the runtime allocates when it has to make one.
func spareThreads(count int) {
	var all, done sync.WaitGroup
	all.Add(count)
	done.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			runtime.LockOSThread()
			all.Done()
			all.Wait()
			runtime.UnlockOSThread()
			done.Done()
		}()
	}
	done.Wait()
}

func create(path string) int {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		Fail(path, err)
	}
	return fd
}

func writeProfile(path string) {
	profile, err := os.Create(path)
	if err != nil {
		Fail(path, err)
	}
	if err := pprof.Lookup("goroutine").WriteTo(profile, 2); err != nil {
		Fail(path, err)
	}
	profile.Close()
}

func openMetrics() {
	for _, d := range metrics.All() {
		if d.Kind == metrics.KindUint64 && len(d.Name) > 8 && d.Name[:8] == "/memory/" {
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
}

// Stacks fills Dump. Whatever GOTRACEBACK says, it has neither the system goroutines nor the runtime's own
// frames: runtime.Stack sets the level to 1.
func Stacks() {
	DumpLength = runtime.Stack(Dump[:], true)
}

// Metrics reads the runtime/metrics classes of memory. It must follow ReadMemStats.
func Metrics() {
	metrics.Read(samples)
}

// Ready writes the files, says "ready" on standard output and waits; after Lifetime it exits.
// If anything was allocated since the oracle was taken, it starts anew; in the end it exits with status 3.
func Ready(oracle *runtime.MemStats) {
	Write(oracle)
	Wait()
}

// Write puts the oracle on disk, allocating nothing.
func Write(oracle *runtime.MemStats) {
	format(oracle)
	if out.enabled {
		writeAll(out.fd, out.text[:out.length])
	}
	if dumpFD >= 0 {
		writeAll(dumpFD, Dump[:DumpLength])
	}
	runtime.ReadMemStats(&after)
	confirm("Mallocs", oracle.Mallocs, after.Mallocs)
	confirm("Frees", oracle.Frees, after.Frees)
	confirm("Sys", oracle.Sys, after.Sys)
	confirm("HeapInuse", oracle.HeapInuse, after.HeapInuse)
	confirm("HeapReleased", oracle.HeapReleased, after.HeapReleased)
	confirm("StackInuse", oracle.StackInuse, after.StackInuse)
	confirm("OtherSys", oracle.OtherSys, after.OtherSys)
}

// confirm has the program start anew, a few times at most, if the oracle is no longer right.
func confirm(name string, before, now uint64) {
	if before == now {
		return
	}
	os.Stderr.WriteString("the oracle's " + name + " was " + strconv.FormatUint(before, 10) +
		" and became " + strconv.FormatUint(now, 10) + "\n")
	if tried := os.Getenv(again); len(tried) < 3 {
		os.Setenv(again, tried+"x")
		syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	os.Exit(3)
}

// Wait says "ready" and waits.
func Wait() {
	writeAll(1, ready)
	time.Sleep(Lifetime)
	os.Exit(0)
}

// Fail ends the program with one line.
func Fail(what string, err error) {
	os.Stderr.WriteString(what + ": " + err.Error() + "\n")
	os.Exit(1)
}

func writeAll(fd int, text []byte) {
	for len(text) > 0 {
		n, err := syscall.Write(fd, text)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			os.Exit(4)
		}
		text = text[n:]
	}
}

func (f *file) raw(text string) {
	f.length += copy(f.text[f.length:], text)
}

func (f *file) number(value uint64) {
	f.length = len(strconv.AppendUint(f.text[:f.length], value, 10))
}

func (f *file) field(name string, value uint64) {
	if f.comma {
		f.raw(", ")
	}
	f.comma = true
	f.raw("\"")
	f.raw(name)
	f.raw("\": ")
	f.number(value)
}

func format(ms *runtime.MemStats) {
	f := &out
	f.length, f.comma = 0, false
	f.raw("{\"memstats\": {")
	formatCounters(f, ms)
	f.raw(", \"BySize\": [")
	for i := range ms.BySize {
		if i > 0 {
			f.raw(", ")
		}
		f.raw("{")
		f.comma = false
		f.field("Size", uint64(ms.BySize[i].Size))
		f.field("Mallocs", ms.BySize[i].Mallocs)
		f.field("Frees", ms.BySize[i].Frees)
		f.raw("}")
	}
	f.raw("]},\n\"metrics\": {")
	f.comma = false
	for i := range samples {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			f.field(samples[i].Name, samples[i].Value.Uint64())
		}
	}
	f.raw("},\n\"goroutines\": ")
	f.number(uint64(runtime.NumGoroutine()))
	f.raw(",\n\"pid\": ")
	f.number(uint64(syscall.Getpid()))
	f.raw(",\n\"mappings\": [")
	for i := range mappings {
		if i > 0 {
			f.raw(", ")
		}
		f.raw("{\"name\": \"")
		f.raw(mappings[i].Name)
		f.raw("\"")
		f.comma = true
		f.field("start", uint64(mappings[i].Start))
		f.field("size", uint64(mappings[i].Size))
		f.raw("}")
	}
	f.raw("]}\n")
}

func formatCounters(f *file, ms *runtime.MemStats) {
	f.field("Alloc", ms.Alloc)
	f.field("TotalAlloc", ms.TotalAlloc)
	f.field("Sys", ms.Sys)
	f.field("Lookups", ms.Lookups)
	f.field("Mallocs", ms.Mallocs)
	f.field("Frees", ms.Frees)
	f.field("HeapAlloc", ms.HeapAlloc)
	f.field("HeapSys", ms.HeapSys)
	f.field("HeapIdle", ms.HeapIdle)
	f.field("HeapInuse", ms.HeapInuse)
	f.field("HeapReleased", ms.HeapReleased)
	f.field("HeapObjects", ms.HeapObjects)
	f.field("StackInuse", ms.StackInuse)
	f.field("StackSys", ms.StackSys)
	f.field("MSpanInuse", ms.MSpanInuse)
	f.field("MSpanSys", ms.MSpanSys)
	f.field("MCacheInuse", ms.MCacheInuse)
	f.field("MCacheSys", ms.MCacheSys)
	f.field("BuckHashSys", ms.BuckHashSys)
	f.field("GCSys", ms.GCSys)
	f.field("OtherSys", ms.OtherSys)
	f.field("NextGC", ms.NextGC)
	f.field("LastGC", ms.LastGC)
	f.field("PauseTotalNs", ms.PauseTotalNs)
	f.field("NumGC", uint64(ms.NumGC))
	f.field("NumForcedGC", uint64(ms.NumForcedGC))
}

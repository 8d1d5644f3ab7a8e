//go:build (go1.25 && !go1.27) || (goexperiment.synctest && !go1.27)

//go:debug asynctimerchan=0

package main

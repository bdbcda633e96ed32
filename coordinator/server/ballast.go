package server

import "os"

// ballastBytes is what the process pretends to hold.
const ballastBytes = 64 << 20

// ballast is memory that nobody ever touches, so that it takes none: it only
// moves the goal of the garbage collector. What a coordinator holds is little
// against what it passes on, and without this it would collect garbage many
// times a second. It is nil when an operator has set the goal (GOGC).
func ballast() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, ballastBytes)
}

package main

import (
	"io"
	"os"
)

// asTerminal returns the terminal that w is, one that understands control sequences, and false where it is none.
func asTerminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" {
		return nil, false
	}
	_, _, ok = terminalSize(f)
	return f, ok
}

// colour reports whether w is a terminal that wants colours.
func colour(w io.Writer) bool {
	_, ok := asTerminal(w)
	return ok && os.Getenv("NO_COLOR") == ""
}

// columns is how wide the terminal behind w is, 0 where it is none or does not say.
func columns(w io.Writer) int {
	f, ok := asTerminal(w)
	if !ok {
		return 0
	}
	n, _, _ := terminalSize(f)
	return n
}

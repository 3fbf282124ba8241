package report

import (
	"fmt"
	"os"
	"testing"
)

func TestLook(t *testing.T) {
	dir := os.Getenv("LOOK")
	if dir == "" {
		t.Skip()
	}
	for name, f := range map[string]*fixture{"passing": passing(), "broken": brokenFixture()} {
		r := f.write(t)
		s, err := Summarise(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteFiles(r, s); err != nil {
			t.Fatal(err)
		}
		os.Remove(dir + "/" + name)
		if err := os.CopyFS(dir+"/"+name, os.DirFS(r.Dir)); err != nil {
			t.Fatal(err)
		}
		Terminal(os.Stdout, s, TerminalOptions{Color: true})
		fmt.Println("exit", s.ExitCode())
	}
}

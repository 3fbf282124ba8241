package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// exitCodeCommand is the script command `exitcode N weir ARGS…`: it requires that exit code and leaves the output in the
// files stdout.txt and stderr.txt.
func exitCodeCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, words := exitCodeArguments(ts, neg, args)
	if got := runScriptCommand(ts, words); got != want {
		ts.Fatalf("exit code: got %d; want %d", got, want)
	}
}

// measuredCommand is the script command `measured N weir run … --out DIR …`: as exitcode, but the run's account must be
// exact, and a run that is invalid because this machine did not keep the schedule is made again; see runMeasured.
func measuredCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, words := exitCodeArguments(ts, neg, args)
	at := slices.Index(words, "--out") + 1
	if at == 0 || at == len(words) {
		ts.Fatalf("measured needs --out DIR")
	}
	dir := ts.MkAbs(words[at])
	var late lateRuns
	for !late.spent() {
		got := runScriptCommand(ts, words)
		s, err := readSummary(dir)
		ts.Check(err)
		if a := s.Audit.Classes; a.Expected == 0 || (a != results.Classes{Expected: a.Expected, Delivered: a.Expected}) {
			ts.Fatalf("audit: got %+v; want all expected delivered and nothing else", a)
		}
		if got == want {
			return
		}
		if got != report.ExitInvalid || !testkit.LateAlone(s) {
			ts.Fatalf("exit code: got %d, reasons %q; want %d", got, s.Reasons, want)
		}
		late.add(s)
		ts.Check(os.RemoveAll(dir))
	}
	late.giveUp(ts.Value(scriptTest{}).(testscript.T).Skip, func(why ...any) { ts.Fatalf("%s", fmt.Sprint(why...)) })
}

// scriptTest is the key under which a script's environment holds its test.
type scriptTest struct{}

func exitCodeArguments(ts *testscript.TestScript, neg bool, args []string) (want int, words []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode|measured N COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	return want, args[1:]
}

// runScriptCommand returns the command's exit code.
func runScriptCommand(ts *testscript.TestScript, words []string) int {
	path, err := exec.LookPath(words[0])
	ts.Check(err)
	cmd := exec.Command(path, words[1:]...)
	cmd.Dir = ts.MkAbs(".")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("run %v: %v", words, err)
	}
	ts.Logf("[stdout]\n%s[stderr]\n%s", stdout.String(), stderr.String())
	writeFile(ts, "stdout.txt", stdout.Bytes())
	writeFile(ts, "stderr.txt", stderr.Bytes())
	return cmd.ProcessState.ExitCode()
}

func writeFile(ts *testscript.TestScript, name string, data []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600))
}

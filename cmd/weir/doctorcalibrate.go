package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/selftest"
	"github.com/weirbench/weir/report"
)

// calibrate states this machine's floor and ceiling. They are written to a file where one is named.
func (f *doctorFlags) calibrate(cmd *cobra.Command) error {
	file := ""
	if cmd.Flags().Changed("out") {
		file = f.out
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return usageOf(fmt.Sprintf("--out %s is a directory (write --out %s/calibration.json)", file, file))
		}
	}
	made, err := tryFile(file)
	if err != nil {
		return err
	}
	written := false
	defer func() {
		if made && !written {
			_ = os.Remove(file) // it is empty
		}
	}()
	b, err := newBench(cmd.ErrOrStderr(), f.executable)
	if err != nil {
		return err
	}
	defer b.close(false)
	ctx, stop := interruptible(cmd.ErrOrStderr(), "ending")
	defer stop()
	found, err := selftest.Calibrate(ctx, selftest.Options{Run: b.run, Target: b.target(), Progress: b.say})
	if ctx.Err() != nil {
		if err == nil { // what there is, and no file of it
			_ = f.printCalibration(cmd, found) // the interrupt says more
		}
		return &exitError{code: report.ExitInterrupted}
	}
	if err != nil {
		return err
	}
	if file != "" {
		if err := writeCalibration(file, found); err != nil {
			return err
		}
		written = true
	}
	return f.printCalibration(cmd, found)
}

// tryFile makes sure that a file can be written before the time is spent that its figures take, and reports whether it was made
// for that. "" is no file.
func tryFile(name string) (made bool, err error) {
	if name == "" {
		return false, nil
	}
	_, missing := os.Stat(name)
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return false, usage(fmt.Errorf("write the calibration: %w (choose another --out)", err))
	}
	return missing != nil, file.Close()
}

func (f *doctorFlags) printCalibration(cmd *cobra.Command, found *selftest.Calibration) error {
	if f.json {
		return printJSON(cmd.OutOrStdout(), found)
	}
	var text bytes.Buffer
	if err := found.Print(&text); err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), printableLines(text.String()))
	return nil
}

func writeCalibration(file string, found *selftest.Calibration) error {
	data, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return fmt.Errorf("write the calibration: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the calibration: %w (choose another --out)", err)
	}
	return nil
}

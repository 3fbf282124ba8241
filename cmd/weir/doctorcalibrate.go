package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func (f *doctorFlags) calibrate(_ *cobra.Command) error { return errors.New("not yet") }

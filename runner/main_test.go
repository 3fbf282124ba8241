package runner

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets more tests go at once than there are processors, unless told otherwise: these wait more than they work.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6")
	goleak.VerifyTestMain(m)
}

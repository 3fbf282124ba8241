package testbed

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/weirbench/weir/scenarios"
)

func TestTmpTrap(t *testing.T) {
	for i := range 16 {
		t.Run("x", func(t *testing.T) { tmpTrap(t, i) })
	}
}
func tmpTrap(t *testing.T, i int) {
	o := options(t)
	k, err := StartKafka(t.Context(), dockerPlan(1), o)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Stop(context.Background())
	{
		name := fmt.Sprint("x", i)
		s := time.Now()
		if err := k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: name, Partitions: 6, Replication: 1, MinISR: 1, RetentionBytes: 1 << 20}}, nil); err != nil {
			t.Fatal(err)
		}
		e := time.Since(s)
		s = time.Now()
		func() {
			cl, _ := kgo.NewClient(kgo.SeedBrokers(k.Seeds...), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.WithLogger(kgo.BasicLogger(os.Stdout, kgo.LogLevelDebug, func() string { return time.Now().Format("05.000 ") + name + " " })))
			defer cl.Close()
			for range 1000 {
				cl.Produce(t.Context(), &kgo.Record{Topic: name, Value: []byte("x")}, nil)
			}
			cl.Flush(t.Context())
			fl := time.Since(s)
			n := 0
			for n < 1000 {
				n += cl.PollFetches(t.Context()).NumRecords()
			}
			fmt.Println("ROUND", i, "ensure", e, "flush", fl, "all", time.Since(s))
		}()
	}
}

func TestTmpDelete(t *testing.T) {
	o := options(t)
	k, err := StartKafka(t.Context(), dockerPlan(3), o)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Stop(context.Background())
	name := "x"
	if err := k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: name, Partitions: 6, Replication: 3, MinISR: 1, RetentionBytes: 1 << 20}}, nil); err != nil {
		t.Fatal(err)
	}
	killOne(t, k, name)
	s := time.Now()
	fmt.Println("DELETE", s)
	a, _ := newAdmin(k.Seeds)
	a.cl.Close()
	a.cl, _ = kgo.NewClient(append(a.cl.Opts(), kgo.WithLogger(kgo.BasicLogger(os.Stdout, kgo.LogLevelDebug, func() string { return time.Now().Format("05.000 ")})))...)
	_, err = a.reach(t.Context())
	fmt.Println("REACH", time.Since(s), err)
	s = time.Now()
	k.DeleteTopics(t.Context())
	fmt.Println("DELETED", time.Since(s))
}

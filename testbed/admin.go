package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/weirbench/weir/internal/kafkasec"
)

const (
	dialTimeout   = 3 * time.Second
	answerTimeout = 3 * time.Second // on top of what a request itself allows
	redialPause   = 200 * time.Millisecond
	pollInterval  = 50 * time.Millisecond
)

// admin is a connection to a cluster for a few requests. It remembers why dialling failed, which the client's own errors
// do not say when time runs out.
type admin struct {
	seeds []string
	cl    *kgo.Client
	adm   *kadm.Client
	dials *dialErrors
	// security explains failures; the client's options already follow it.
	security kafkasec.Settings
}

// clusterState is what one metadata answer says.
type clusterState struct {
	brokers    []kmsg.MetadataResponseBroker
	controller int32
}

// address is where the cluster says that the broker is.
func (c clusterState) address(id int32) string {
	for _, b := range c.brokers {
		if b.NodeID == id {
			return net.JoinHostPort(b.Host, fmt.Sprint(b.Port))
		}
	}
	return "?"
}

func newAdmin(seeds []string, security kafkasec.Settings) (*admin, error) {
	security.DialTimeout = dialTimeout
	secured, err := security.Options()
	if err != nil {
		return nil, err
	}
	dials := &dialErrors{last: map[string]error{}}
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID("weir-testbed"),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(answerTimeout), // the end of a request's context doesn't end the wait for a first answer
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.WithHooks(dials),
	}, secured...)...)
	if err != nil {
		return nil, fmt.Errorf("read seeds %s: %w", strings.Join(seeds, ", "), err)
	}
	return &admin{seeds: seeds, cl: cl, adm: kadm.NewClient(cl), dials: dials, security: security}, nil
}

func (a *admin) close() { a.cl.Close() }

// reach asks the cluster who is in it. A refused connection or a missing answer is tried again for reachIn, since
// brokers may be coming up beside us. The error names the seeds, the reason and what may mend it.
func (a *admin) reach(ctx context.Context) (clusterState, error) {
	ctx, cancel := context.WithTimeout(ctx, reachIn)
	defer cancel()
	tick := time.NewTicker(redialPause)
	defer tick.Stop()
	for start := time.Now(); ; {
		resp, err := a.metadata(ctx, a.cl)
		if err == nil {
			return clusterState{brokers: resp.Brokers, controller: resp.ControllerID}, nil
		}
		reason := a.dials.reason(err, a.seeds...)
		if !errors.Is(reason, syscall.ECONNREFUSED) && !isTimeout(reason) {
			return clusterState{}, a.unreachable(reason, time.Since(start))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return clusterState{}, a.unreachable(reason, time.Since(start))
		}
	}
}

// reachEach asks every broker, at the address it advertises, for its versions, and returns a guess at the release.
func (a *admin) reachEach(ctx context.Context, c clusterState) (string, error) {
	version := "of an unknown version"
	for _, b := range c.brokers {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "weir", "1" // brokers refuse a request without them
		resp, err := req.RequestWith(ctx, a.cl.Broker(int(b.NodeID)))
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			addr := c.address(b.NodeID)
			reason, mend := a.dials.reason(err, addr), "mend advertised.listeners, or make that address reachable from here"
			if cause := a.security.Cause(reason); cause != "" {
				mend = cause
			}
			return "", fmt.Errorf("reach broker %d at %s, as the cluster advertises it: %w (%s)", b.NodeID, addr, reason, mend)
		}
		version = strings.TrimPrefix(kversion.FromApiVersionsResponse(resp).VersionGuess(), "v")
	}
	return version, nil
}

// awaitProducerIDs has every broker hand out a producer id. A broker that has just started fetches its first block of them
// only when it is asked, and refuses meanwhile, which would cost the first idempotent producer about 300 ms.
func (a *admin) awaitProducerIDs(ctx context.Context, c clusterState) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for _, b := range c.brokers {
		for {
			resp, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, a.cl.Broker(int(b.NodeID)))
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			if err == nil {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("await producer ids of broker %d: %w: %w", b.NodeID, context.Cause(ctx), err)
			}
		}
	}
	return nil
}

// metadata asks one side, the whole client or one broker, for the brokers and the topics named.
func (a *admin) metadata(ctx context.Context, r kmsg.Requestor, topics ...string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // nil would ask for all
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	return req.RequestWith(ctx, r)
}

func (a *admin) unreachable(reason error, after time.Duration) error {
	return fmt.Errorf("reach kafka at %s, tried for %.1fs: %w (%s)",
		strings.Join(a.seeds, ", "), after.Seconds(), reason, likelyCause(reason, a.security))
}

// likelyCause guesses from the way a connection failed.
func likelyCause(err error, security kafkasec.Settings) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start the broker or mend kafka.seeds"
	case errors.As(err, &dns):
		return "the name doesn't resolve: mend kafka.seeds"
	}
	if cause := security.Cause(err); cause != "" {
		return cause
	}
	if isTimeout(err) {
		return "it takes connections but doesn't answer, or a firewall drops them: is that a Kafka listener without TLS?"
	}
	return "is that a Kafka listener? mend kafka.seeds"
}

func isTimeout(err error) bool {
	var n net.Error // context.DeadlineExceeded is one, too
	return errors.As(err, &n) && n.Timeout()
}

// dialErrors remembers the last failure to connect, by address.
type dialErrors struct {
	mu   sync.Mutex
	last map[string]error
}

var _ kgo.HookBrokerConnect = (*dialErrors)(nil)

// OnBrokerConnect is called by the client after each attempt.
func (d *dialErrors) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) {
		return // given up, not failed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[net.JoinHostPort(b.Host, fmt.Sprint(b.Port))] = err
}

// reason is why one of the addresses could not be dialled, or err where dialling was not the trouble: a broker that
// answered with an error, and refused a password for one, says more than another seed that is down.
func (d *dialErrors) reason(err error, addrs ...string) error {
	if _, answered := errors.AsType[*kerr.Error](err); answered {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for addr, e := range d.last {
		if e != nil && slices.Contains(addrs, addr) {
			return e
		}
	}
	return err
}

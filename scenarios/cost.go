package scenarios

import (
	"math"
	"time"
)

// Cost is an estimate of what a plan asks of the machine, from the plan alone: what is lost, shed or reconnected is not
// in it, and a zipf producer's most frequent keys are taken to be those with the lowest ids.
type Cost struct {
	Connections    int   `json:"connections"`
	Messages       int64 `json:"messages"`        // sent in the warm-up and the measure phases
	Deliveries     int64 `json:"deliveries"`      // that they cause
	ProducedBytes  int64 `json:"produced_bytes"`  // values alone
	DeliveredBytes int64 `json:"delivered_bytes"` // values alone
	// PeakDeliveries is the largest number of deliveries a second of any phase.
	PeakDeliveries float64 `json:"peak_deliveries_per_s"`
	// SendBufferBytes is what the producers' buffers hold after the longest stall they are to outlast.
	SendBufferBytes int64 `json:"send_buffer_bytes"`
	AuditBytes      int64 `json:"audit_bytes"`
	// Duration is what the run takes where nothing waits; Longest where every deadline is used up.
	Duration time.Duration `json:"duration_ns"`
	Longest  time.Duration `json:"longest_ns"`
}

// The audit's memory, bytes: its state for a stream of a client, for a partition of a producer, for a key of one, and for
// a client that publishes; of a conflated topic, for each message and for each value that a client is passed on.
const (
	auditStreamBytes    = 48
	auditPartitionBytes = 64
	auditKeyBytes       = 32
	auditPublisherBytes = 768
	auditConflatedBytes = 8
	auditSkipBytes      = 32
)

// Cost estimates what the plan asks of the machine. It is pure.
func (p *Plan) Cost() Cost {
	c := Cost{Connections: p.ClientCount(), AuditBytes: auditBytes(p)}
	phases := append([]MeasurePhase{{Name: PhaseWarmUp, Duration: p.Phases.WarmUp}}, p.Phases.Measure...)
	senders := p.Senders()
	fanOut := make([]float64, len(senders))
	buffer := 0.0
	for i, sender := range senders {
		fanOut[i] = p.fanOut(sender.Producer)
		buffer += p.PeakRate(sender) * sender.Stall.Seconds() * sender.Size.mean()
	}
	var messages, deliveries, produced, delivered float64
	for _, phase := range phases {
		peak := 0.0
		for i, sender := range senders {
			rate := p.RateIn(phase, sender)
			sent := rate.Area(phase.Duration, phase.Duration)
			messages += sent
			deliveries += sent * fanOut[i]
			produced += sent * sender.Size.mean()
			delivered += sent * fanOut[i] * sender.Size.mean()
			peak += rate.Peak(phase.Duration) * fanOut[i]
		}
		c.PeakDeliveries = max(c.PeakDeliveries, peak)
		c.Duration += phase.Duration
	}
	c.Longest = c.Duration + p.Phases.ConnectDeadline + p.Phases.JoinDeadline + p.Phases.DrainDeadline
	c.Duration += rampOf(p)
	c.Messages, c.Deliveries = whole(messages), whole(deliveries)
	c.ProducedBytes, c.DeliveredBytes, c.SendBufferBytes = whole(produced), whole(delivered), whole(buffer)
	return c
}

// whole rounds to an integer, the largest there is where it would not fit.
func whole(x float64) int64 {
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(math.Round(x))
}

// mean is the mean size in bytes.
func (s Size) mean() float64 {
	if s.Kind == SizeUniform {
		return float64(s.Min+s.Max) / 2
	}
	return float64(s.Min)
}

// fanOut is how many clients receive one message of the producer, on average.
func (p *Plan) fanOut(producer Producer) float64 {
	total := p.KeyCount(producer.Topic)
	sum := 0.0
	for _, g := range p.Clients {
		switch {
		case g.Subscribe.Topic != producer.Topic:
		case g.Subscribe.All:
			sum += float64(g.Count)
		case producer.Keys.Kind != KeysNone && total > 0:
			// The clients' keys are count·n consecutive ids modulo total: each id is followed by as many clients as the
			// others, the first few by one more.
			slots := g.Count * min(g.Subscribe.Keys, total)
			sum += float64(slots/total) + producer.Keys.shareOfFirst(slots%total)
		}
	}
	return sum
}

// shareOfFirst is the share of messages whose key's id is below n.
func (k Keys) shareOfFirst(n int) float64 {
	n = min(n, k.Count)
	if k.Kind == KeysZipf {
		return harmonic(n, k.Skew) / harmonic(k.Count, k.Skew)
	}
	return float64(n) / float64(k.Count)
}

// harmonic is the generalised harmonic number Σ k^-s for k = 1…n: exact to 1000, then by the integral with the midpoint
// rule, which is off by less than 10⁻⁶ of the sum.
func harmonic(n int, s float64) float64 {
	const exact = 1000
	sum := 0.0
	for k := 1; k <= min(n, exact); k++ {
		sum += math.Pow(float64(k), -s)
	}
	if n <= exact {
		return sum
	}
	a, b := exact+0.5, float64(n)+0.5
	if math.Abs(s-1) < 1e-9 {
		return sum + math.Log(b/a)
	}
	return sum + (math.Pow(b, 1-s)-math.Pow(a, 1-s))/(1-s)
}

// auditBytes estimates the delivery audit's memory.
func auditBytes(p *Plan) int64 {
	bytes := 0.0
	for _, sender := range p.Senders() {
		bytes += auditKeyBytes*float64(sender.Keys.Count) + auditConflatedBytes*p.conflatedMessages(sender)
		if sender.Group >= 0 {
			bytes += auditPublisherBytes * float64(sender.Clients)
		} else if t := p.Topic(sender.Topic); t != nil {
			bytes += auditPartitionBytes * float64(t.Partitions)
		}
	}
	for _, g := range p.Clients {
		streams := float64(g.Count) * p.streams(g.Subscribe)
		bytes += auditStreamBytes*streams + auditSkipBytes*streams*p.passedOn(g.Subscribe.Topic)
	}
	return whole(bytes)
}

// streams is how many streams a client follows: of each producer of the topic one a partition, or one a key; of a group
// that publishes to it one a client, or one for each client that writes to a key that it follows.
func (p *Plan) streams(sub Subscribe) float64 {
	t, n := p.Topic(sub.Topic), 0
	for _, s := range p.Senders() {
		keys := s.Keys.Count
		switch {
		case s.Topic != sub.Topic || t == nil:
		case s.Group >= 0 && sub.All:
			n += s.Clients
		case sub.All && s.Keys.Kind != KeysNone && p.Conflation(s.Topic) > 0:
			n += keys
		case sub.All:
			n += t.Partitions
		case s.Keys.Kind == KeysNone:
		case s.Group >= 0:
			n += sub.Keys * ((s.Clients + keys - 1) / keys)
		default:
			n += min(sub.Keys, keys)
		}
	}
	return float64(n)
}

// conflatedMessages is how many messages the sender sends to a conflated topic.
func (p *Plan) conflatedMessages(s Sender) float64 {
	if p.Conflation(s.Topic) <= 0 {
		return 0
	}
	n := p.RateIn(MeasurePhase{}, s).Area(p.Phases.WarmUp, p.Phases.WarmUp)
	for _, m := range p.Phases.Measure {
		n += p.RateIn(m, s).Area(m.Duration, m.Duration)
	}
	return n
}

// passedOn is how many values of a key a client gets of a topic that is conflated as declared; 0 of another.
func (p *Plan) passedOn(topic string) float64 {
	every := p.Conflation(topic)
	if every <= 0 {
		return 0
	}
	length := p.Phases.WarmUp
	for _, m := range p.Phases.Measure {
		length += m.Duration
	}
	return length.Seconds() / every.Seconds()
}

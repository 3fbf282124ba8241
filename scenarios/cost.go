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
	// ConnectionBytes is what the connections take, roughly: both ends where weir starts its own gateway, the kernel's, and the
	// positions of clients that resume.
	ConnectionBytes int64 `json:"connection_bytes"`
	// Duration is what the run takes where nothing waits; Longest where every deadline is used up.
	Duration time.Duration `json:"duration_ns"`
	Longest  time.Duration `json:"longest_ns"`

	fewMessages, fewDeliveries bool // less than one in the whole run
}

// LessThanOne says of the messages and of the deliveries whether less than one is to be expected.
func (c Cost) LessThanOne() (messages, deliveries bool) { return c.fewMessages, c.fewDeliveries }

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

// The connections' memory, bytes, roughly: a client's end with its buffers and what the kernel keeps for the pair, and
// the reference gateway's end. What queues is not in it.
const (
	clientEndBytes  = 32 << 10
	gatewayEndBytes = 32 << 10
)

// What a resuming client remembers, bytes: for each partition of its topic, and besides.
const (
	resumePartitionBytes = 8
	resumeClientBytes    = 64
)

// stampBytes is the length of a stamp, at most.
const stampBytes = 96

func connectionBytes(p *Plan) int64 {
	each := int64(clientEndBytes)
	if p.Gateway.Target == TargetReference {
		each += gatewayEndBytes
	}
	bytes := each * int64(p.ClientCount())
	for _, g := range p.Clients {
		if t := p.Topic(g.Subscribe.Topic); g.Resume && t != nil {
			bytes += int64(g.Count) * int64(resumeClientBytes+resumePartitionBytes*t.Partitions)
		}
	}
	return bytes
}

// Cost estimates what the plan asks of the machine. It is pure.
func (p *Plan) Cost() Cost {
	c := Cost{Connections: p.ClientCount(), AuditBytes: auditBytes(p), ConnectionBytes: connectionBytes(p)}
	phases := append([]MeasurePhase{p.warmUp()}, p.Phases.Measure...)
	senders := p.Senders()
	crowds := make([][]float64, len(senders)) // by sender and group: clients that receive a message
	for i, sender := range senders {
		keys := p.KeyCount(sender.Topic)
		for _, g := range p.Clients {
			crowds[i] = append(crowds[i], g.followers(sender.Producer, keys)*g.presence())
		}
	}
	slices := p.slices(len(senders))
	var messages, deliveries, produced, delivered float64
	for _, phase := range phases {
		peak := 0.0
		for i, sender := range senders {
			load := p.loadIn(phase, sender, crowds[i], slices)
			messages += load.sent
			deliveries += load.delivered
			produced += load.sent * sender.meanBytes()
			delivered += load.delivered * sender.meanBytes()
			peak += load.peak
		}
		c.PeakDeliveries = max(c.PeakDeliveries, peak)
		c.Duration += phase.Duration
	}
	c.Longest = c.Duration + p.Phases.ConnectDeadline + p.Phases.JoinDeadline + p.Phases.DrainDeadline
	c.Duration += rampOf(p)
	c.fewMessages, c.fewDeliveries = messages > 0 && messages < 1, deliveries > 0 && deliveries < 1
	c.Messages, c.Deliveries = whole(messages), whole(deliveries)
	c.ProducedBytes, c.DeliveredBytes, c.SendBufferBytes = whole(produced), whole(delivered), p.sendBufferBytes()
	return c
}

// warmUp is the warm-up as a phase: it holds what the first measure phase begins with.
func (p *Plan) warmUp() MeasurePhase {
	w := MeasurePhase{Name: PhaseWarmUp, Duration: p.Phases.WarmUp, Rates: map[string]Curve{}, Clients: map[string]Curve{}}
	if len(p.Phases.Measure) == 0 {
		return w
	}
	first := p.Phases.Measure[0]
	for _, s := range p.Senders() {
		w.Rates[s.Name] = Hold(p.RateIn(first, s).Level(0, first.Duration) / float64(max(s.Clients, 1)))
	}
	for name, clients := range first.Clients {
		w.Clients[name] = Hold(clients.Level(0, first.Duration))
	}
	return w
}

// sendBufferBytes is what the producers' buffers hold after the longest stall they are to outlast.
func (p *Plan) sendBufferBytes() int64 {
	buffer := 0.0
	for _, sender := range p.Senders() {
		buffer += p.PeakRate(sender) * sender.Stall.Seconds() * sender.meanBytes()
	}
	return whole(buffer)
}

// load is what a sender causes in a phase: messages, deliveries, and a bound of the deliveries a second.
type load struct{ sent, delivered, peak float64 }

// loadIn integrates the rate times the clients that follow. A client with a think time is taken to be answered at once.
func (p *Plan) loadIn(phase MeasurePhase, s Sender, crowd []float64, slices int) load {
	rate := p.RateIn(phase, s)
	if s.Think != nil {
		rate = Hold(float64(s.Clients) / s.Think.Mean.Seconds())
	}
	l := load{sent: rate.Area(phase.Duration, phase.Duration)}
	passed, highest := l.sent, rate.Peak(phase.Duration)
	if every := p.Conflation(s.Topic); every > 0 {
		values := float64(s.Keys.Count) / every.Seconds()
		passed, highest = min(passed, values*phase.Duration.Seconds()), min(highest, values)
		rate = Hold(passed / max(phase.Duration.Seconds(), 1e-9))
	}
	for i, followers := range crowd {
		g := p.Clients[i]
		clients, moves := phase.Clients[g.Name]
		switch {
		case followers == 0:
		case moves:
			l.delivered += product(rate, clients, phase.Duration, slices) * followers / float64(g.Count)
			l.peak += highest * clients.Peak(phase.Duration) * followers / float64(g.Count)
		default:
			l.delivered += passed * followers
			l.peak += highest * followers
		}
	}
	return l
}

// slices is how finely products are integrated: coarser where a plan has very many, so that the estimate takes no time.
func (p *Plan) slices(senders int) int {
	const finest, budget = 1000, 10_000_000
	products := 1
	for _, m := range p.Phases.Measure {
		products += len(m.Clients) * senders
	}
	return max(1, min(finest, budget/products))
}

// product is the integral of the product of two curves: of the first's exact area over slices, each times the second's
// level at its middle.
func product(a, b Curve, length time.Duration, slices int) float64 {
	if a.Kind == CurveSteps {
		slices = max(1, slices*10/(10+a.Steps)) // whose area takes longer
	}
	sum, before := 0.0, 0.0
	width := length.Seconds() / float64(slices)
	at := func(slice float64) time.Duration { return time.Duration(slice * width * float64(time.Second)) }
	for i := range slices {
		area := a.Area(at(float64(i+1)), length)
		sum += (area - before) * b.Level(at(float64(i)+0.5), length)
		before = area
	}
	return sum
}

// presence is the share of a group's clients that is there on average.
func (g ClientGroup) presence() float64 {
	if g.Churn == nil {
		return 1
	}
	return g.Churn.Session.Seconds() / (g.Churn.Session + g.Churn.Away).Seconds()
}

// whole rounds to an integer, what is less than one up, to the largest there is where it would not fit.
func whole(x float64) int64 {
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	if x > 0 && x < 1 {
		return 1
	}
	return int64(math.Round(x))
}

// meanBytes is the mean size of a producer's values.
func (p Producer) meanBytes() float64 {
	switch {
	case p.Payload.Kind == PayloadLines:
		return p.Payload.MeanBytes + stampBytes
	case p.Payload.sizesItself():
		return float64(p.Size.Max)
	}
	return p.Size.mean()
}

// mean is the mean size in bytes.
func (s Size) mean() float64 {
	switch s.Kind {
	case SizeUniform:
		return float64(s.Min+s.Max) / 2
	case SizeLognormal:
		return s.lognormalMean()
	case SizeHistogram:
		sum, weights := 0.0, 0.0
		for _, b := range s.Bins {
			sum, weights = sum+b.Weight*float64(b.Bytes), weights+b.Weight
		}
		return sum / weights
	}
	return float64(s.Min)
}

// lognormalMean is the mean of a lognormal distribution whose tails are set to the bounds: the mass below and above at the
// bounds, and the partial expectation between (Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions, ch. 14).
func (s Size) lognormalMean() float64 {
	mu, low, high := math.Log(float64(s.Median)), float64(s.Min), float64(s.Max)
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	a, b := (math.Log(low)-mu)/s.Sigma, (math.Log(high)-mu)/s.Sigma
	between := math.Exp(mu+s.Sigma*s.Sigma/2) * (phi(b-s.Sigma) - phi(a-s.Sigma))
	return low*phi(a) + between + high*phi(-b)
}

// followers is how many clients of a group receive one message of the producer, on average; total is the number of the
// topic's keys.
func (g ClientGroup) followers(producer Producer, total int) float64 {
	switch {
	case g.Subscribe.Topic != producer.Topic:
	case g.Subscribe.All:
		return float64(g.Count)
	case producer.Keys.Kind != KeysNone && total > 0:
		// The clients' keys are count·n consecutive ids modulo total: each id is followed by as many clients as the
		// others, the first few by one more.
		slots := g.Count * min(g.Subscribe.Keys, total)
		return float64(slots/total) + producer.Keys.shareOfFirst(slots%total)
	}
	return 0
}

// shareOfFirst is the share of messages whose key's id is below n. A hot set that moves is taken to come round to all keys.
func (k Keys) shareOfFirst(n int) float64 {
	n = min(n, k.Count)
	switch {
	case k.Kind == KeysZipf:
		return harmonic(n, k.Skew) / harmonic(k.Count, k.Skew)
	case k.Kind == KeysHotSet && k.HotMove == 0:
		hot := min(n, k.Hot)
		return k.HotShare*float64(hot)/float64(k.Hot) + (1-k.HotShare)*float64(n-hot)/float64(k.Count-k.Hot)
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
	n := p.RateIn(p.warmUp(), s).Area(p.Phases.WarmUp, p.Phases.WarmUp)
	for _, m := range p.Phases.Measure {
		n += p.RateIn(m, s).Area(m.Duration, m.Duration)
	}
	return n
}

// passedOn is how many values of a key a client gets at most of a topic that is conflated as declared, on average over
// its keys; 0 of another.
func (p *Plan) passedOn(topic string) float64 {
	every := p.Conflation(topic)
	if every <= 0 {
		return 0
	}
	length := p.Phases.WarmUp
	for _, m := range p.Phases.Measure {
		length += m.Duration
	}
	sent := 0.0
	for _, s := range p.Senders() {
		if s.Topic == topic {
			sent += p.conflatedMessages(s) / float64(max(s.Keys.Count, 1))
		}
	}
	return min(sent, length.Seconds()/every.Seconds())
}

package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// leastSilence is how long join markers that were sent while everybody is connected must have been in Kafka before a target that gave none of them to anybody is said
// to be silent. Half of the join deadline, where that is longer, leaves a slow starter its time: consumer groups take
// seconds to form.
const leastSilence = 5 * time.Second

// silenceOf is the plan's bound.
func silenceOf(joinDeadline time.Duration) time.Duration { return max(leastSilence, joinDeadline/2) }

// heardMost bounds the messages without a stamp that a worker keeps of the time before the load.
const heardMost = 3

// hear keeps the beginning of a message without a stamp, to be quoted should nothing else come. The worker is locked.
func (w *worker) hear(payload []byte) {
	if len(w.heard) >= heardMost || stopped(w.swarm.begun) {
		return
	}
	if quote := w.quote(payload); !slices.Contains(w.heard, quote) {
		w.heard = append(w.heard, quote)
	}
}

// silence watches, while the clients join, for a target that has the markers in front of it and gives them to nobody.
type silence struct {
	swarm *swarm
	after time.Duration
	begun bool
	had   int64     // markers that the observer had read at the first look: many clients may have connected behind them
	since time.Time // that the observer has had a later one, or that answers are waited for; zero before
}

// look returns a *SilentError once the target has been silent for too long.
func (s *silence) look(now time.Time) error {
	if !s.begun {
		s.begun, s.had = true, s.swarm.markersRead()
	}
	if s.since.IsZero() {
		if s.swarm.profile.joined != nil || s.swarm.markersRead() > s.had {
			s.since = now
		}
		return nil
	}
	if now.Sub(s.since) < s.after {
		return nil
	}
	return s.swarm.silent(now.Sub(s.since))
}

// silent returns a *SilentError where no client has seen any marker, or had an answer to its subscription.
func (s *swarm) silent(after time.Duration) error {
	e := &SilentError{After: after, Markers: s.markersRead(), Answer: s.topo.plan.Gateway.Profile.Joined}
	for _, w := range s.workers {
		w.mu.Lock()
		marked := w.marked
		e.Foreign += w.foreigns
		for _, text := range w.heard {
			if !slices.Contains(e.Heard, text) {
				e.Heard = append(e.Heard, text)
			}
		}
		w.mu.Unlock()
		if marked {
			return nil
		}
	}
	for _, c := range s.clients {
		c.worker.mu.Lock()
		if c.present && len(c.trackers) > 0 {
			e.Clients++
		}
		c.worker.mu.Unlock()
	}
	for i := range s.topo.producers {
		p := &s.topo.producers[i]
		if !slices.Contains(e.Topics, p.topic) {
			e.Topics = append(e.Topics, p.topic)
		}
	}
	e.Codecs = s.codecs()
	e.Subscribes = s.topo.plan.Gateway.Profile.Subscribe != "" || s.topo.plan.Gateway.Profile.Framing != ""
	// What ended connections, or was refused, is the likelier cause.
	var errs *JoinError
	if errors.As(s.joinError(), &errs) {
		e.Remarks = errs.Remarks
	}
	return e
}

// codecs are those that producers compress batches with, and which.
func (s *swarm) codecs() []string {
	var codecs []string
	for i := range s.topo.producers {
		p := &s.topo.producers[i]
		if codec := p.plan.Compression; !p.publishes() && codec != "" && codec != "none" {
			codecs = append(codecs, fmt.Sprintf("%s by %s", codec, p.plan.Name))
		}
	}
	return codecs
}

// codecCause says what codecs may have to do with messages that do not come; empty without one that a client of Kafka's
// may lack.
func codecCause(codecs []string) string {
	hard := slices.DeleteFunc(slices.Clone(codecs), func(c string) bool { return strings.HasPrefix(c, "gzip ") })
	if len(hard) == 0 {
		return ""
	}
	return fmt.Sprintf("batches are compressed (%s), and its Kafka client may lack the codec, as kafkajs knows gzip alone (set compression: gzip or none)",
		strings.Join(hard, ", "))
}

// SilentError means that join markers were in Kafka, and that the clients were connected, for a while in which the target
// gave none to anybody; or that it acknowledged nobody's subscription in that while.
type SilentError struct {
	After      time.Duration
	Answer     string   // what begins the answer that acknowledges a subscription; empty where markers do
	Clients    int      // that follow anything and are there before the load
	Markers    int64    // that the observer has read
	Topics     []string // by their names in Kafka
	Codecs     []string // that batches are compressed with, and by whom
	Subscribes bool     // the profile has the clients ask for what they follow
	Foreign    int64    // messages without a stamp that the profile does not know
	Heard      []string // the first messages without a stamp, with those that the profile knows
	Remarks    string   // what else happened, the most frequent first
}

// Error lists the causes that fit, the likeliest first.
func (e *SilentError) Error() string {
	causes := e.causes()
	for i := range causes {
		causes[i] = fmt.Sprintf("(%c) %s", 'a'+i, causes[i])
	}
	what := fmt.Sprintf("%d join markers have been in Kafka and none has reached any of %d connected clients", e.Markers, e.Clients)
	if e.Answer != "" {
		what = fmt.Sprintf("%d clients have been connected and none has an answer that begins with %q", e.Clients, e.Answer)
	}
	return fmt.Sprintf("join: the target is silent: for %v %s. The causes that fit: %s%s",
		e.After.Round(100*time.Millisecond), what, strings.Join(causes, "; "), e.Remarks)
}

func (e *SilentError) causes() (causes []string) {
	heard := ""
	if len(e.Heard) > 0 {
		heard = "; the first that came: " + strings.Join(e.Heard, " | ")
	}
	if e.Foreign > 0 {
		causes = append(causes, fmt.Sprintf("%d messages came without a stamp, so that it may answer what clients send with errors, or not pass values on unchanged (compare the profile%s)", e.Foreign, heard))
	}
	if e.Answer != "" {
		return append(causes, "the profile's subscribe is not what it wants"+heard, "its answer to a subscription begins otherwise (mend the profile's joined, or leave it out)")
	}
	if cause := codecCause(e.Codecs); cause != "" {
		causes = append(causes, cause)
	}
	causes = append(causes, fmt.Sprintf("it consumes other topics than %s, or goes on from old offsets of a consumer group (give it the run's topics, and have it read from the end)", strings.Join(e.Topics, ", ")))
	if e.Foreign == 0 && e.Subscribes {
		causes = append(causes, "the profile's subscribe is not what it wants, or its channel and key_channel are not what the target calls them"+heard)
	}
	return causes
}

package loadgen

import (
	"errors"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// compileWire makes ready what the profile says of framing, values and acknowledgements.
func (p *profile) compileWire() error {
	var errs []error
	w := p.wire
	form, known := valueForms[w.Value]
	if !known {
		errs = append(errs, profileError("value", "%q is unknown (json, base64, or leave it out for values that come as they are)", w.Value))
	}
	p.form = form
	if p.framing = newFraming(w.Framing); p.framing == nil {
		return errors.Join(append(errs, profileError("framing", "%q is unknown (stomp, socket.io, or leave it out)", w.Framing))...)
	}
	p.framed = w.Framing != framingPlain
	switch w.Framing {
	case framingPlain:
		p.acknowledge = newAcknowledgement(w.Acknowledge, w.AcknowledgeID)
		if p.acknowledge != nil && p.acknowledge.numbered && w.AcknowledgeID == "" {
			errs = append(errs, profileError("acknowledge_id", "acknowledge holds {id}, and nothing says where it stands in a message"))
		}
	case framingSTOMP:
		if w.Acknowledge != "" && w.Acknowledge != "client" && w.Acknowledge != "client-individual" {
			errs = append(errs, profileError("acknowledge", "%q is no mode of STOMP's (client, client-individual, or leave it out for auto)", w.Acknowledge))
		}
		for _, g := range w.Greet {
			if !strings.Contains(g, ":") || strings.ContainsAny(g, "\r\n\x00") {
				errs = append(errs, profileError("greet", "%q is no header of CONNECT (write login:guest)", g))
			}
		}
	case framingSocketIO:
		p.opcode = opText
		if len(w.Greet) > 1 {
			errs = append(errs, profileError("greet", "Socket.IO's CONNECT takes one object, and greet has %d", len(w.Greet)))
		}
	}
	return errors.Join(append(errs, p.checkFramed()...)...)
}

// checkFramed: what a framing knows itself is not the profile's to say.
func (p *profile) checkFramed() (errs []error) {
	w := p.wire
	if w.Framing != framingPlain && w.Subscribe != "" {
		errs = append(errs, profileError("subscribe", "%s knows how to subscribe (leave it out)", w.Framing))
	}
	if w.Framing != framingPlain && w.AcknowledgeID != "" {
		errs = append(errs, profileError("acknowledge_id", "%s knows where a message's id stands (leave it out)", w.Framing))
	}
	if w.Framing != framingSocketIO && w.Event != "" {
		errs = append(errs, profileError("event", "only Socket.IO has events (set framing: socket.io, or leave it out)"))
	}
	return errs
}

// answers tells that clients answer more than pings.
func answers(wire *scenarios.WireProfile) bool {
	return wire.Framing != framingPlain || wire.Acknowledge != ""
}

package gateway

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// refusals are the HTTP statuses that handshakes are refused with, in the order of the counters.
var refusals = [...]int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// refused counts a handshake that was answered with a status other than 101.
func (c *counters) refusedHandshake(status int) {
	for i := range refusals {
		if refusals[i] == status {
			c.refusedHandshakes[i].Add(1)
		}
	}
}

// collectSecurity emits the metrics of handshakes and of what they need.
func (c *counters) collectSecurity(emit func(kind prometheus.ValueType, name, help string, value float64, labels prometheus.Labels)) {
	for i, status := range refusals {
		emit(prometheus.CounterValue, "refused_handshakes_total", "WebSocket handshakes refused, by HTTP status.",
			float64(c.refusedHandshakes[i].Load()), prometheus.Labels{"status": strconv.Itoa(status)})
	}
	emit(prometheus.CounterValue, "reload_failures_total", "Changed certificates, key sets and secrets that could not be used.",
		float64(c.reloadFailures.Load()), nil)
}

// admit finds out whether the handshake may go on, and for whom. It has answered where it may not. The caller calls leave
// when the connection has ended, or if it is refused yet.
func (s *server) admit(w http.ResponseWriter, r *http.Request) (who *identity, leave func(), ok bool) {
	if ready := s.readiness.Load(); ready.Status != statusReady {
		s.refuseForNow(w, http.StatusServiceUnavailable, &requestError{ErrorNotReady, ready.String()})
		return nil, nil, false
	}
	leave, sourceFull, refused := s.admission.enter(r.RemoteAddr)
	if refused != nil {
		status := http.StatusServiceUnavailable
		if sourceFull {
			status = http.StatusTooManyRequests
		}
		s.refuseForNow(w, status, refused)
		return nil, nil, false
	}
	if who, ok = s.authorize(w, r); !ok {
		leave()
		return nil, nil, false
	}
	return who, leave, true
}

// authorize finds out who it is and whether they may have the channels of the URL.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) (*identity, bool) {
	if !s.originAllowed(r) {
		s.refuse(w, http.StatusForbidden, &requestError{ErrorForbidden, "the origin is not allowed"})
		return nil, false
	}
	who, refused := s.authenticator.identify(r)
	if refused != nil {
		if refused.code == ErrorNotReady {
			s.refuseForNow(w, http.StatusServiceUnavailable, refused)
			return nil, false
		}
		w.Header().Set("WWW-Authenticate", challenge(r))
		s.refuse(w, http.StatusUnauthorized, refused)
		return nil, false
	}
	channels := r.URL.Query()["channel"]
	if err := who.permitsAll(actionSubscribe, channels); err != nil {
		s.refuse(w, http.StatusForbidden, err)
		return nil, false
	}
	if err := s.hub.check(channels); err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return nil, false
	}
	return who, true
}

// challenge says how to authenticate (RFC 6750, section 3): without an error code where no token came.
func challenge(r *http.Request) string {
	if _, given := bearerToken(r); given {
		return `Bearer realm="weir", error="invalid_token"`
	}
	return `Bearer realm="weir"`
}

// refuseForNow refuses what may be granted when asked again.
func (s *server) refuseForNow(w http.ResponseWriter, status int, err *requestError) {
	w.Header().Set("Retry-After", "1")
	s.refuse(w, status, err)
}

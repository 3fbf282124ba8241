package gateway

import (
	"fmt"
	"log/slog"
	"strings"
)

// keyReason is why a key of a set is of no use, as logs name it.
type keyReason string

const (
	// keyMalformed: it is not what its kind of key is, or has no kind.
	keyMalformed keyReason = "malformed"
	// keyWeak: signatures by it could be forged.
	keyWeak keyReason = "weak"
	// keyUnsupported: it is of another kind, or for another algorithm.
	keyUnsupported keyReason = "unsupported"
	// keyOtherUse: it is not for verifying signatures.
	keyOtherUse keyReason = "other_use"
)

// keyFault is what is wrong with a key, in words that hold nothing of it.
type keyFault struct {
	reason keyReason
	text   string
}

func malformed(format string, args ...any) *keyFault {
	return &keyFault{keyMalformed, fmt.Sprintf(format, args...)}
}

// oddKey is a key of a set that is passed over.
type oddKey struct {
	index  int
	id     string // "kid"; may be empty
	reason keyReason
	text   string
}

func (k oddKey) String() string {
	return fmt.Sprintf("key %d (kid %.40q): %s: %s", k.index, k.id, k.reason, k.text)
}

// oddKeys are those of one set.
type oddKeys []oddKey

// maxOddKeysTold bounds how many are told of by name.
const maxOddKeysTold = 8

// String tells the first ones.
func (o oddKeys) String() string {
	var told []string
	for _, k := range o[:min(len(o), maxOddKeysTold)] {
		told = append(told, k.String())
	}
	if more := len(o) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("%d more", more))
	}
	return strings.Join(told, "; ")
}

// logTo says which keys of the set from there are passed over, if any.
func (o oddKeys) logTo(log *slog.Logger, from string) {
	if len(o) > 0 {
		log.Warn("keys of the key set are passed over", "from", from, "count", len(o), "keys", o.String())
	}
}

package loadgen

import (
	"fmt"
	"unicode/utf8"
)

// checkClose checks the payload of a close frame (RFC 6455, sections 5.5.1 and 7.4): none, or a code that may be sent and
// a reason in UTF-8.
func checkClose(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return fmt.Errorf("%w: a close frame of one byte", errFrame)
	}
	switch code := int(payload[0])<<8 | int(payload[1]); {
	case code < 1000, code >= 1004 && code <= 1006, code > 1014 && code < 3000, code >= 5000:
		return fmt.Errorf("%w: a close frame with the code %d, which stands for nothing that can be sent", errFrame, code)
	}
	return checkText(payload[2:])
}

// checkText checks that a text is one (RFC 6455, section 8.1). Messages are not checked so: what is in them is bytes to the
// audit, and looking at each costs more than it tells.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("%w: text that is not UTF-8", errFrame)
	}
	return nil
}

// closeReason is the error that a close frame stands for. The reason is the target's text: it is bounded by the frame.
func closeReason(payload []byte) error {
	if len(payload) == 0 {
		return fmt.Errorf("%w without a code", errClosed)
	}
	if err := checkClose(payload); err != nil {
		return err
	}
	code := int(payload[0])<<8 | int(payload[1])
	return fmt.Errorf("%w: %d %q", errClosed, code, payload[2:])
}

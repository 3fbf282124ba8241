package loadgen

import "bytes"

// A target may send several messages in one frame, parted by the profile's separator. Values are found by their stamps
// wherever they are and may hold the separator themselves; what lies between two values belongs to the one before up to
// the first separator and to the one behind from the last on, and what is left are messages without a stamp.

// takeGap takes what lies between two values, or before the first, and returns what belongs to the one behind it: where
// the target's own times of it stand.
func (w *worker) takeGap(c *client, gap []byte, first bool, arrivedAt int64) (head []byte) {
	sep := w.swarm.profile.separator
	if sep == nil {
		return gap
	}
	at := bytes.LastIndex(gap, sep)
	if at < 0 {
		return gap
	}
	between := gap[:at]
	if !first {
		_, between, _ = bytes.Cut(between, sep)
	}
	w.takeParts(c, between, arrivedAt)
	return gap[at+len(sep):]
}

// takeTail takes what follows the last value, or a frame without any.
func (w *worker) takeTail(c *client, tail []byte, first bool, arrivedAt int64) {
	sep := w.swarm.profile.separator
	switch {
	case first && (sep == nil || len(tail) == 0):
		w.takeControl(c, tail, arrivedAt)
	case first:
		w.takeParts(c, tail, arrivedAt)
	case sep != nil:
		_, behind, _ := bytes.Cut(tail, sep)
		w.takeParts(c, behind, arrivedAt)
	}
}

// takeParts takes messages without a stamp. One with the beginning of a stamp has been counted already.
func (w *worker) takeParts(c *client, parts []byte, arrivedAt int64) {
	for len(parts) > 0 {
		var part []byte
		part, parts, _ = bytes.Cut(parts, w.swarm.profile.separator)
		if len(part) > 0 && !w.values.hasMark(part) {
			w.takeControl(c, part, arrivedAt)
		}
	}
}

// maxPongs bounds the pings that are answered of one frame.
const maxPongs = 16

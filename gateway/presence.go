package gateway

import (
	"fmt"
	"strconv"
)

// presence answers how many clients of this gateway have each of the channels.
func (h *hub) presence(c *client, req *request) *requestError {
	if err := h.checkNames(req.Channels, nil); err != nil {
		return err
	}
	if n := len(req.Channels); n > h.maxChannels {
		return &requestError{ErrorTooManyChannels, fmt.Sprintf("%d channels are more than can be asked for at once (%d)", n, h.maxChannels)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b := appendID([]byte(`{"type":"presence"`), req.ID)
	b = append(b, `,"counts":{`...)
	said := make(map[string]struct{}, len(req.Channels))
	for _, name := range req.Channels {
		t, key, ofKey := h.parse(name)
		if _, ok := said[name]; ok {
			continue
		}
		if len(said) > 0 {
			b = append(b, ',')
		}
		said[name] = struct{}{}
		count := 0
		if !ofKey {
			count = t.whole.subscribers()
		} else if ch := t.keys[key]; ch != nil {
			count = ch.subscribers()
		}
		b = strconv.AppendInt(append(appendJSONString(b, name), ':'), int64(count), 10)
	}
	c.queue.pushReply(append(b, "}}"...))
	return nil
}

// subscribers counts those too whose replay is under way.
func (ch *channel) subscribers() int { return len(ch.members) + ch.replaying }

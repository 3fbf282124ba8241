package scenarios

import "strconv"

// KeyName is the key with that id, as producers write it and clients subscribe to it: k7.
func KeyName(id int) string { return "k" + strconv.Itoa(id) }

// ClientKeys returns the ids of the keys that a group's client follows, of total keys in the topic: the sub.Keys ones
// from client·sub.Keys on, modulo total. It is nil where the client follows the whole topic.
func ClientKeys(sub Subscribe, client, total int) []int {
	if sub.All || sub.Keys <= 0 || total <= 0 {
		return nil
	}
	n := min(sub.Keys, total)
	ids := make([]int, n)
	// The first id modulo total before multiplying: no overflow whatever the client's number.
	first := (client % total) * (sub.Keys % total) % total
	for i := range ids {
		ids[i] = (first + i) % total
	}
	return ids
}

// KeyCount is the number of keys of a topic: the largest count among its senders, 0 where none of them has keys.
func (p *Plan) KeyCount(topic string) int {
	n := 0
	for _, sender := range p.Senders() {
		if sender.Topic == topic && sender.Keys.Kind != KeysNone {
			n = max(n, sender.Keys.Count)
		}
	}
	return n
}

package scenarios

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// What weir's own gateway would refuse when it starts is told where it is written.

// conflatedTopics names the topics of the items.
func conflatedTopics(items []conflateItem) (topics []string) {
	for _, item := range items {
		topics = append(topics, item.topic)
	}
	return topics
}

// batchesFit refuses batches that a client's queue has no room for, and those of conflated topics.
func batchesFit(r *reporter, s settingsItem, queue int64, state fieldState, conflated []string) {
	for i, topic := range s.batched {
		if size := int64(s.Batch[i].Bytes); state != bad && size > queue/4 {
			r.addf(topic.at, "a batch of %s is more than a quarter of the %s that may wait for a client (write size: %s, or a larger queue)",
				formatSize(size), formatSize(queue), formatSize(queue/4))
		}
		if slices.Contains(conflated, topic.value) {
			r.addf(topic.at, "is conflated, and what conflation holds back must not wait again (remove it here or under conflate)")
		}
	}
}

// subjectsKnown refuses keys that name who a client is where nobody is asked.
func subjectsKnown(r *reporter, s settingsItem) {
	for _, topic := range s.keyed {
		if s.Tokens == nil && strings.Contains(s.Publish.Keys[topic.value], "{subject}") {
			r.addf(topic.at, "{subject} is of a token, and clients are asked for none (write tokens, or another key)")
		}
	}
}

// checkOrigin takes an Origin as browsers send it (RFC 6454), or * for all.
func checkOrigin(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "*" || text == "null": // null is what pages of no host send
		return nil
	case err != nil || u.Scheme == "" || u.Host == "":
		return fmt.Errorf("%s is not an origin (write https://app.example.org, or * for all)", quote(text))
	case text != u.Scheme+"://"+u.Host:
		return fmt.Errorf("%s is more than an origin, and no browser sends it so (write %s://%s)", quote(text), u.Scheme, u.Host)
	}
	return nil
}

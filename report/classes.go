package report

import "github.com/weirbench/weir/results"

// Class is one class of the delivery audit with its count and what it means.
type Class struct {
	Name    string
	Count   int64
	Meaning string
	// Missing is whether it is one of those that, with delivered, make up the expected ones.
	Missing bool
}

// listClasses lists the classes in the order in which they are always shown.
func listClasses(c results.Classes) []Class {
	return []Class{
		{"expected", c.Expected, "sends that were not refused, times the subscriptions in force", false},
		{"delivered", c.Delivered, "arrived; its first arrival counts", false},
		{"lost", c.Lost, "in the topic, later ones of its stream seen, never delivered", true},
		{"unseen", c.Unseen, "not delivered when the drain deadline passed, nothing later seen", true},
		{"shed", c.Shed, "dropped or conflated as the target declares, and no more than it reported", true},
		{"undetermined", c.Undetermined, "its send was never settled, so nobody knows whether it was to arrive", true},
		{"duplicate", c.Duplicate, "arrivals after the first", false},
		{"reordered", c.Reordered, "arrived below the highest sequence seen in its stream (RFC 4737)", false},
		{"corrupt", c.Corrupt, "arrived with a value that is not the one sent", false},
		{"stray", c.Stray, "outside the client's subscription, or of a refused send", false},
		{"early", c.Early, "sent before the subscription was known to be in force", false},
		{"foreign", c.Foreign, "frames without a stamp of this run", false},
	}
}

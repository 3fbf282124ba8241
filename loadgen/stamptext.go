package loadgen

// stampText is an encoded stamp, to be decoded a few digits at a time: with their places constant, a digit costs two loads
// and no check of bounds.
type stampText [StampSize]byte

// digitRun is what some digits stand for. bad has a bit of badDigit where one is outside the alphabet; then value means
// nothing.
type digitRun struct {
	value uint64
	bad   byte
}

// badDigit are the bits that invalidDigit has and no digit.
const badDigit = 0xc0

func (t *stampText) two(at int) digitRun {
	a, b := digitValue[t[at]], digitValue[t[at+1]]
	return digitRun{uint64(a)<<6 | uint64(b), a | b}
}

func (t *stampText) three(at int) digitRun {
	a, b, c := digitValue[t[at]], digitValue[t[at+1]], digitValue[t[at+2]]
	return digitRun{uint64(a)<<12 | uint64(b)<<6 | uint64(c), a | b | c}
}

func (t *stampText) four(at int) digitRun {
	a, b, c, d := digitValue[t[at]], digitValue[t[at+1]], digitValue[t[at+2]], digitValue[t[at+3]]
	return digitRun{uint64(a)<<18 | uint64(b)<<12 | uint64(c)<<6 | uint64(d), a | b | c | d}
}

// then appends the next digits, which are so many.
func (n digitRun) then(digits int, next digitRun) digitRun {
	return digitRun{n.value<<(6*digits) | next.value, n.bad | next.bad}
}

// check is the stamp's check of its own.
func (t *stampText) check() digitRun { return t.four(atCheck).then(2, t.two(atCheck+4)) }

// take decodes what stands between the marks, but for the kind and the check, and reports whether all of it is digits.
func (t *stampText) take(s *Stamp) bool {
	run := t.four(atRun).then(4, t.four(atRun+4))
	producer, partition := t.four(atProducer), t.three(atPartition)
	partSeq := t.four(atPartSeq).then(3, t.three(atPartSeq+4))
	key := t.three(atKey).then(2, t.two(atKey+3))
	keySeq := t.four(atKeySeq).then(3, t.three(atKeySeq+4))
	dueAt := t.four(atDue).then(4, t.four(atDue+4)).then(3, t.three(atDue+8))
	sentAt := t.four(atSent).then(4, t.four(atSent+4)).then(3, t.three(atSent+8))
	size, offset := t.four(atSize), t.three(atOffset)
	sum := t.four(atSum).then(2, t.two(atSum+4))
	s.Run, s.Producer, s.Partition, s.PartSeq = run.value, uint32(producer.value), uint32(partition.value), partSeq.value
	s.Key, s.KeySeq = uint32(key.value), keySeq.value
	s.DueAt, s.SentAt = int64(dueAt.value), int64(sentAt.value)
	s.ValueSize, s.Offset, s.ValueSum = uint32(size.value), uint32(offset.value), uint32(sum.value)
	bad := run.bad | producer.bad | partition.bad | partSeq.bad | key.bad | keySeq.bad | dueAt.bad | sentAt.bad | size.bad | offset.bad | sum.bad
	return bad&badDigit == 0
}
